from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from jax import Array

from nnrun.optimizer._common import decays
from nnrun.optimizer._elementwise import elementwise
from nnrun.optimizer._paths import first_match, name_of
from nnrun.optimizer.adam import adam
from nnrun.options import Count, Fraction, Patterns, Positive, Rate
from nnrun.types import Tree

__all__ = ["muon", "orthogonalised"]

# Jordan's coefficients, which lift small singular values fastest and let all end near 1, but not at 1.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_SMALLEST = 1e-7  # a momentum of a smaller Frobenius norm is not scaled up to 1


def muon(
    learning_rate: Rate = 0.02,
    momentum: Fraction = 0.95,
    nesterov: bool = True,
    newton_schulz: Count = 5,
    adam_factor: Rate = 0.015,
    b1: Fraction = 0.9,
    b2: Fraction = 0.95,
    eps: Positive = 1e-8,
    adam_only: Patterns | None = None,
) -> optax.GradientTransformation:
    """Muon: the momentum of each matrix, made nearly orthogonal.

    Matrices     m ← μm + (1 − μ)g,  u = μm + (1 − μ)g (without nesterov: m),
                 x ← x − α √max(1, outputs / inputs) O,  O ≈ UVᵀ for u = UΣVᵀ
    All the rest x ← x − (factor · α) m̂ / (√v̂ + ε), which is Adam

    A matrix is an array of two or more axes, but for biases, scales and what `adam_only` names; a convolution's
    kernel (h, w, inputs, outputs) is the matrix (h·w·inputs, outputs).  O comes from steps of Newton-Schulz,
    X ← 3.4445X + (−4.7750A + 2.0315A²)X with A = XXᵀ, from X = u / ‖u‖ (Frobenius): five take singular values
    of X above 0.0015 to 0.68 ... 1.14, not to 1.
    The key weight_decay, which every optimizer has, makes weights decay by α · weight_decay a step.

    learning_rate   α ≥ 0, of matrices
    momentum        μ in [0, 1)
    nesterov        whether the gradient counts once more
    newton_schulz   steps of Newton-Schulz, 1, 2, ...
    adam_factor     factor ≥ 0: Adam's rate is factor · α, so that a schedule acts on both
    b1, b2, eps     of Adam
    adam_only       patterns of the names of matrices that Adam takes as well, such as ['head/*']: Jordan leaves
                    the first and the last layer to it
    State: 4 bytes a parameter (m) for matrices, 8 bytes a parameter (m, v) for the rest.
    Use: for the hidden layers of large networks, in place of AdamW.
    torch (Muon): the same for matrices (weight_decay is 0.1 there), with Newton-Schulz in bfloat16, here in the
    parameters' precision and float32 at least; it takes nothing but matrices.  optax.contrib.muon: the same
    without nesterov; with it, m and g are corrected like Adam's m̂, each by its own factor, another direction
    early on; all but arrays of exactly two axes go to Adam, at the full α.
    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
    """

    def rule(g, t, m):
        del t
        m = momentum * m + (1 - momentum) * g
        u = momentum * m + (1 - momentum) * g if nesterov else m
        matrix = u.reshape(-1, u.shape[-1])  # (inputs, outputs)
        scale = max(1.0, matrix.shape[1] / matrix.shape[0]) ** 0.5
        return -learning_rate * scale * orthogonalised(matrix, newton_schulz).reshape(g.shape), {"m": m}

    def label(path: tuple, x: Array) -> str:
        named = adam_only is not None and first_match(name_of(path), adam_only)
        return "matrices" if x.ndim > 1 and decays(path, x) and not named else "rest"

    def labels(params: Tree) -> Tree:
        return jax.tree_util.tree_map_with_path(label, params)

    rest = adam(adam_factor * learning_rate, b1, b2, eps)
    return optax.partition({"matrices": elementwise(rule, m=0.0), "rest": rest}, labels)


def orthogonalised(u: Array, steps: int) -> Array:
    """About UVᵀ for u = UΣVᵀ, by steps of Newton-Schulz.  (n, m) -> (n, m)"""
    if u.shape[0] > u.shape[1]:
        return orthogonalised(u.T, steps).T  # XXᵀ is the smaller one of the two products
    X = u / jnp.maximum(jnp.linalg.norm(u), _SMALLEST)
    for _ in range(steps):
        A = X @ X.T
        X = _A * X + (_B * A + _C * A @ A) @ X
    return X
