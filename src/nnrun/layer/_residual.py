"""Residual blocks, and stochastic depth: a block that is skipped at random in training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
from annotated_types import Gt, Le
from jax import Array, lax

from nnrun.layer._noise import drop_mask, keep_probability
from nnrun.layer._sums import times
from nnrun.layer._watched import inside
from nnrun.types import Layer, Tree

__all__ = ["ALWAYS", "DepthMask", "StochasticDepth", "Survival", "residual_block", "survivals"]

Survival = Annotated[float, Gt(0), Le(1)]  # probability that a block is not skipped: (0, 1]
DepthMask = Literal["batch", "example"]


class StochasticDepth(NamedTuple):
    """Stochastic depth: residual blocks are skipped at random in training.

    p_last   survival probability of the last block, in (0, 1]; null: no block is skipped
    rule     linear: from 1 down to p_last, so that early blocks, on which all others build, stay more often;
             uniform: p_last for all
    mask     batch: one draw a step, and what is skipped is not computed, which saves time (but not in a
             population of seeds); example: drawn for each example
    """

    p_last: Survival | None
    rule: Literal["linear", "uniform"] = "linear"
    mask: DepthMask = "batch"


ALWAYS = StochasticDepth(None)  # no block is skipped


def survivals(depth: StochasticDepth, blocks: int) -> Sequence[float | None]:
    """The survival probability of each block, Huang et al. 2016, equation 4; None: no block is skipped.

    linear    p_l = 1 − l/L · (1 − p_last), l = 1 ... L: early blocks, on which all others build, stay more often
    uniform   p_l = p_last
    """
    p_last = depth.p_last
    if p_last is None:
        return [None] * blocks
    if depth.rule == "uniform":
        return [p_last] * blocks
    return [1 - (1 - p_last) * (block / blocks) for block in range(1, blocks + 1)]


def residual_block(
    branch: Layer, shortcut: Layer | None = None, survival: float | None = None, mask: DepthMask = "batch"
) -> Layer:
    """y = s(x) + b · f(x) in training, y = s(x) + p · f(x) without noise; b ~ Bernoulli(p).

    branch    f
    shortcut  s, the identity by default
    survival  p; None: f is always there
    mask      batch: one b for the step, and where it is 0 f is not computed, nor its gradient, and its batch-norm
              statistics stay; example: one b for each example, f is computed for all
    Under vmap (a population of several seeds) a branch that is skipped in one lane runs for all.
    """

    def init(key, x_shape):
        params, stats, y_shape = branch.init(jax.random.fold_in(key, 0), x_shape)
        shortcut_params, own_stats, s_shape = ({}, {}, tuple(x_shape))
        if shortcut is not None:
            shortcut_params, own_stats, s_shape = shortcut.init(jax.random.fold_in(key, 1), x_shape)
        if tuple(y_shape) != tuple(s_shape):
            raise ValueError(
                f"a residual block adds shape {y_shape} to {s_shape}; keep shape and channels equal"
            )
        return _named(params, shortcut_params), _named(stats, own_stats), y_shape

    def apply(params, stats, x, key, weight):
        def f(x, key):
            with inside("branch"):
                return branch.apply(params.get("branch", {}), stats.get("branch", {}), x, key, weight)

        beside, own_stats = x, {}
        if shortcut is not None:
            own_key = None if key is None else jax.random.fold_in(key, 1)
            shortcut_parts = params.get("shortcut", {}), stats.get("shortcut", {})
            with inside("shortcut"):
                beside, own_stats = shortcut.apply(*shortcut_parts, x, own_key, weight)
        if survival is None or key is None:
            y, new = f(x, None if key is None else jax.random.fold_in(key, 0))
            y = y if survival is None else times(y, keep_probability(1 - survival))
        else:
            drawn = _drawn(jax.random.fold_in(key, 2), survival, x, mask)
            y, new = _perhaps(f, x, jax.random.fold_in(key, 0), drawn, mask, stats.get("branch", {}))
        return beside + y, _named(new, own_stats)

    return Layer(init, apply, composed=True)


def _drawn(key: Array, survival: float, x: Array, mask: DepthMask) -> Array:
    """b: bool (1,) or (n,)."""
    return drop_mask(key, (1 if mask == "batch" else x.shape[0],), 1 - survival)[0]


def _perhaps(
    f: Callable[[Array, Array], tuple[Array, Tree]],
    x: Array,
    key: Array,
    drawn: Array,
    mask: DepthMask,
    stats: Tree,
) -> tuple[Array, Tree]:
    """b · f(x), and the statistics of f; of a batch that skips f neither is computed."""
    if mask == "example":
        y, new = f(x, key)
        return jnp.where(drawn.reshape(-1, *(1,) * (y.ndim - 1)), y, 0), new

    def skipped() -> tuple[Array, Tree]:
        y, _ = jax.eval_shape(f, x, key)
        return jnp.zeros(y.shape, y.dtype), stats

    return lax.cond(drawn.reshape(()), lambda: f(x, key), skipped)


def _named(branch: Tree, shortcut: Tree) -> Tree:
    """Both under their names, as far as they hold arrays."""
    both = {"branch": branch, "shortcut": shortcut}
    return {name: tree for name, tree in both.items() if jax.tree.leaves(tree)}
