"""What every optimizer block can have: bounds on gradient and weights, decoupled weight decay, rates by group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import optax
from jax import Array

from nnrun.optimizer import _clip
from nnrun.optimizer._paths import first_match, map_with_name, name_of
from nnrun.options import is_off
from nnrun.types import Tree

__all__ = ["decays", "decoupled_weight_decay", "group_rates", "keep_max_norm", "with_common"]

_CLIPS: dict[str, Callable[..., optax.GradientTransformation]] = {  # in the order in which they act
    "clip_value": _clip.clip_by_value,
    "clip_array": _clip.clip_by_array_norm,
    "clip_norm": _clip.clip_by_global_norm,
    "clip_adaptive": _clip.clip_adaptively,
}


def with_common(
    transform: optax.GradientTransformation,
    learning_rate: Array | float,
    *,
    weight_decay: Array | float = 0.0,
    decay_only: Sequence[str] | None = None,
    rates: Mapping[str, float] | None = None,
    max_norm: Array | float | None = None,
    **clips: Array | float | None,
) -> optax.GradientTransformation:
    """Clipping, the transform, weight decay, the groups' rates, max norm, in this order; what is off is left out.

    clips   clip_value, clip_array, clip_norm, clip_adaptive
    """
    before = [_CLIPS[key](clips[key]) for key in _CLIPS if clips.get(key) is not None]
    after = []
    if not is_off(weight_decay):
        after.append(decoupled_weight_decay(learning_rate, weight_decay, decay_only))
    if rates:
        after.append(group_rates(rates))
    if max_norm is not None:
        after.append(keep_max_norm(max_norm, rates))
    return optax.chain(*before, transform, *after) if before or after else transform


def decoupled_weight_decay(
    learning_rate: Array | float, decay: Array | float, only: Sequence[str] | None = None
) -> optax.GradientTransformation:
    """update ← update − learning_rate · decay · w for weights w.

    only   patterns of the names of the parameters that decay; None: all but biases and the scales of
           normalisation layers
    Source: Loshchilov & Hutter 2019, scaled by the learning rate as in torch's AdamW.
    """

    def update(updates, state, params=None):
        if params is None:
            raise ValueError("weight decay needs the parameters; call update(updates, state, params)")

        def decayed(path: tuple, u: Array, w: Array) -> Array:
            applies = decays(path, w) if only is None else first_match(name_of(path), only)
            return u - jnp.asarray(learning_rate * decay, u.dtype) * w if applies else u

        return jax.tree_util.tree_map_with_path(decayed, updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def decays(path: tuple, w: Tree) -> bool:
    """Whether weight decay acts on a parameter: by its name where it has one, else by its axes."""
    name = getattr(path[-1], "key", None) if path else None
    return w.ndim > 1 if name is None else name not in ("bias", "scale")


def group_rates(rates: Mapping[str, float]) -> optax.GradientTransformation:
    """update ← update · factor, the factor of the first pattern that fits the parameter's name, else 1.

    Every update is proportional to the learning rate, so this is a learning rate for each group; 0 freezes it.
    """

    def update(updates, state, params=None):
        del params

        def one(name: str, u: Array) -> Array:
            pattern = first_match(name, list(rates))
            return u if pattern is None else u * jnp.asarray(rates[pattern], u.dtype)

        return map_with_name(one, updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def keep_max_norm(
    limit: Array | float, rates: Mapping[str, float] | None = None
) -> optax.GradientTransformation:
    """After the step, w ← w · min(1, limit / ‖w‖) for each unit, w the weights that lead to it.

    A unit is an index of the last axis; a vector or scalar is one unit.  Biases and the scales of normalisation
    layers are free, and so is what a group's rate of 0 freezes.
    Source: Srivastava et al. 2014, "Dropout", section 5.1 (limits of 3 to 4).
    """
    rates = rates or {}

    def update(updates, state, params=None):
        if params is None:
            raise ValueError("max_norm needs the parameters; call update(updates, state, params)")

        def one(path: tuple, u: Array, w: Array) -> Array:
            pattern = first_match(name_of(path), list(rates))
            if not decays(path, w) or (pattern is not None and is_off(rates[pattern])):
                return u
            moved = w + u
            norm = _clip.unit_norm(moved)
            most = jnp.asarray(limit, norm.dtype)
            return jnp.where(norm > most, moved * (most / jnp.maximum(norm, most)) - w, u)

        return jax.tree_util.tree_map_with_path(one, updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
