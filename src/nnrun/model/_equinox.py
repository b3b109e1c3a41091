"""Equinox modules as Layers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from nnrun.model._named import alike, at_precision, flags, named, outputs_of, unnamed
from nnrun.types import Layer, Tree

__all__ = ["equinox_layer"]

Module = Any  # of the user, with a __call__ of its own
Made = Module | tuple[Module, eqx.nn.State]  # what the user's function returns

_AXIS = "batch"  # the axis name that batch norm must have


class _Parts(NamedTuple):
    """A module and its state, taken apart."""

    params: Tree  # inexact arrays, which Equinox takes for parameters
    buffers: Tree  # other arrays
    static: Tree
    state: eqx.nn.State | None  # of eqx.nn.make_with_state; None: the module has none


def equinox_layer(make: Callable[[Array], Made]) -> Layer:
    """The Layer of an Equinox module, or of the pair (module, state) of eqx.nn.make_with_state.

    Modules see one example; the batch is a vmap over them with axis_name="batch", each with a key of its own.
    params are all floating-point arrays; stats hold the state (by its number in the module) and other arrays.
    """

    def init(key, x_shape):
        parts = _taken_apart(make(key))
        x = jnp.zeros((1, *x_shape))
        y, _ = jax.eval_shape(lambda: _called(_put_together(parts), parts.state, x, None, None))
        return (
            at_precision(named(parts.params)),
            at_precision(_stats(parts.buffers, parts.state)),
            y.shape[1:],
        )

    def apply(params, stats, x, key, weight):
        like = _taken_apart(eqx.filter_eval_shape(make, jax.random.key(0)))
        parts = like._replace(
            params=unnamed(params, like.params),
            buffers=unnamed(stats.get("buffers", {}), like.buffers),
            state=unnamed(stats.get("state", {}), like.state),
        )
        y, state = _called(_put_together(parts), parts.state, x, key, weight)
        return y, (stats if weight is None else alike(_stats(parts.buffers, state), stats))

    return Layer(init, apply)


def _taken_apart(result: Made) -> _Parts:
    module, state = result if type(result) is tuple else (result, None)
    params, rest = eqx.partition(
        module, lambda leaf: _is_array(leaf) and jnp.issubdtype(leaf.dtype, jnp.inexact)
    )
    buffers, static = eqx.partition(rest, _is_array)
    return _Parts(params, buffers, static, state)


def _is_array(leaf: object) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct) or eqx.is_array(leaf)


def _put_together(parts: _Parts) -> Module:
    return eqx.combine(parts.params, parts.buffers, parts.static)


def _stats(buffers: Tree, state: Tree) -> dict[str, Tree]:
    """What is remembered, by kind; a kind that has no arrays is left out."""
    kinds = {"buffers": named(buffers), "state": named(state)}
    return {name: kind for name, kind in kinds.items() if kind}


def _called(
    module: Module, state: Tree, x: Array, key: Array | None, weight: Array | None
) -> tuple[Array, Tree]:
    """outputs, state."""
    module = _in_mode(module, key is None, weight is None)
    switches = flags(module.__call__, key, weight)
    takes_key = "key" in inspect.signature(module.__call__).parameters
    keys = jax.random.split(key, x.shape[0]) if takes_key and key is not None else None

    def on_example(x: Array, state: Tree, key: Array | None) -> tuple[Array, Tree]:
        given = {**switches, **({"key": key} if takes_key else {})}
        return (module(x, **given), None) if state is None else module(x, state, **given)

    batched = jax.vmap(
        on_example, in_axes=(0, None, None if keys is None else 0), out_axes=(0, None), axis_name=_AXIS
    )
    y, state = batched(x, state, keys)
    return outputs_of(y, x), state


def _in_mode(module: Module, no_noise: bool, stored: bool) -> Module:
    """The module with all `inference` at no_noise, but those of batch and spectral norm at stored."""
    module = eqx.nn.inference_mode(module, no_noise)
    if no_noise == stored:
        return module
    norms = (eqx.nn.BatchNorm, eqx.nn.SpectralNorm)
    return jax.tree.map(
        lambda part: eqx.nn.inference_mode(part, stored) if isinstance(part, norms) else part,
        module,
        is_leaf=lambda part: isinstance(part, norms),
    )
