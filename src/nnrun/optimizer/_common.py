"""What every optimizer block can have: a bound on the gradient's norm, decoupled weight decay."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from nnrun.options import is_off
from nnrun.types import Tree

__all__ = ["clip_by_global_norm", "decays", "decoupled_weight_decay", "with_common"]


def with_common(
    transform: optax.GradientTransformation,
    learning_rate: Array | float,
    clip_norm: Array | float | None = None,
    weight_decay: Array | float = 0.0,
) -> optax.GradientTransformation:
    """The transform between clipping and weight decay; each is left out where its option is off."""
    before = [] if clip_norm is None else [clip_by_global_norm(clip_norm)]
    after = [] if is_off(weight_decay) else [decoupled_weight_decay(learning_rate, weight_decay)]
    return optax.chain(*before, transform, *after) if before or after else transform


def clip_by_global_norm(limit: Array | float) -> optax.GradientTransformation:
    """g ← g · min(1, limit / ‖g‖), ‖g‖ the Euclidean norm of the whole gradient (Pascanu et al. 2013)."""

    def update(updates, state, params=None):
        del params
        norm = optax.tree.norm(updates)
        factor = jnp.where(norm > limit, limit / norm, 1.0)
        return jax.tree.map(lambda g: g * factor.astype(g.dtype), updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def decoupled_weight_decay(
    learning_rate: Array | float, decay: Array | float
) -> optax.GradientTransformation:
    """update ← update − learning_rate · decay · w for weights w.

    Source: Loshchilov & Hutter 2019, scaled by the learning rate as in torch's AdamW.
    Biases and the scales of normalisation layers are left alone.
    """

    def update(updates, state, params=None):
        if params is None:
            raise ValueError("weight decay needs the parameters; call update(updates, state, params)")

        def one(path: Any, u: Array, w: Array) -> Array:
            return u - jnp.asarray(learning_rate * decay, u.dtype) * w if decays(path, w) else u

        return jax.tree_util.tree_map_with_path(one, updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def decays(path: Any, w: Tree) -> bool:
    """Whether weight decay acts on a parameter: by its name where it has one, else by its axes."""
    name = getattr(path[-1], "key", None) if path else None
    return w.ndim > 1 if name is None else name not in ("bias", "scale")
