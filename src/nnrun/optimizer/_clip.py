"""Four bounds on a gradient, before the optimizer sees it."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax import Array

from nnrun.types import Tree

__all__ = ["clip_adaptively", "clip_by_array_norm", "clip_by_global_norm", "clip_by_value", "unit_norm"]

_SMALLEST = 1e-3  # norm that a unit's weights are taken to have at least, so that it can leave 0


def clip_by_value(limit: Array | float) -> optax.GradientTransformation:
    """g ← min(max(g, −limit), limit), each component for itself (Graves 2013)."""
    return _stateless(lambda g, params: jax.tree.map(lambda a: jnp.clip(a, *_bounds(a, limit)), g))


def clip_by_array_norm(limit: Array | float) -> optax.GradientTransformation:
    """g ← g · min(1, limit / ‖g‖), ‖g‖ the Euclidean norm of each array for itself."""
    return _stateless(
        lambda g, params: jax.tree.map(lambda a: _shrunk(a, jnp.sqrt(jnp.square(a).sum()), limit), g)
    )


def clip_by_global_norm(limit: Array | float) -> optax.GradientTransformation:
    """g ← g · min(1, limit / ‖g‖), ‖g‖ the Euclidean norm of the whole gradient (Pascanu et al. 2013)."""

    def clip(g, params):
        del params
        norm = optax.tree.norm(g)
        factor = jnp.where(norm > limit, limit / norm, 1.0)
        return jax.tree.map(lambda a: a * factor.astype(a.dtype), g)

    return _stateless(clip)


def clip_adaptively(limit: Array | float) -> optax.GradientTransformation:
    """g ← g · min(1, limit · max(‖w‖, 1e-3) / ‖g‖) for each unit, w the weights that lead to it.

    A unit is an index of the last axis; a vector or scalar is one unit.
    Source: Brock et al. 2021, "High-performance large-scale image recognition without normalization".
    """

    def clip(g, params):
        if params is None:
            raise ValueError("clip_adaptive needs the parameters; call update(updates, state, params)")
        return jax.tree.map(
            lambda a, w: _shrunk(a, unit_norm(a), limit * jnp.maximum(unit_norm(w), _SMALLEST)), g, params
        )

    return _stateless(clip)


def _stateless(clip: Callable[[Tree, Tree], Tree]) -> optax.GradientTransformation:
    def update(updates, state, params=None):
        return clip(updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def _bounds(a: Array, limit: Array | float) -> tuple[Array, Array]:
    bound = jnp.asarray(limit, a.dtype)
    return -bound, bound


def _shrunk(a: Array, norm: Array, limit: Array | float) -> Array:
    """a scaled so that its norm, () or (1, ..., units), is at most limit."""
    limit = jnp.asarray(limit, norm.dtype)
    return a * jnp.where(norm > limit, limit / norm, jnp.ones_like(norm))


def unit_norm(a: Array) -> Array:
    """The norm of each unit's part of an array: (1, ..., units), an index of the last axis each; () of a vector."""
    axes = tuple(range(a.ndim - 1)) if a.ndim > 1 else None
    return jnp.sqrt(jnp.square(a).sum(axes, keepdims=a.ndim > 1))
