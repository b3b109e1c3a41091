"""Flax NNX modules as Layers."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from nnrun.model._named import alike, at_precision, flags, named, outputs_of, unnamed
from nnrun.types import Layer, Tree

__all__ = ["nnx_layer"]


def nnx_layer(make: Callable[[Array], nnx.Module]) -> Layer:
    """The Layer of an NNX module.

    params are its nnx.Param, stats all other variables but the state of generators, which begin anew at each
    call from the key of that call.  Modes are set by module.train() and module.eval(), and told to __call__
    where it has an argument for them.
    """

    def init(key, x_shape):
        module = make(key)
        x = jnp.zeros((1, *x_shape))
        _, params, _, rest = nnx.split(module, nnx.Param, nnx.RngState, ...)
        y = jax.eval_shape(lambda: _called(make(key), x, None, None))
        return at_precision(named(params)), at_precision(named(rest)), y.shape[1:]

    def apply(params, stats, x, key, weight):
        graph, like_params, like_keys, like_rest = _structure(make)
        module = nnx.merge(
            graph, unnamed(params, like_params), _seeded(like_keys, key), unnamed(stats, like_rest)
        )
        y = _called(module, x, key, weight)
        if weight is None:
            return y, stats
        rest = nnx.split(module, nnx.Param, nnx.RngState, ...)[3]
        return y, alike(named(rest), stats)

    return Layer(init, apply)


def _structure(make: Callable[[Array], nnx.Module]) -> tuple[nnx.GraphDef[nnx.Module], Tree, Tree, Tree]:
    """The module's graph, and its params, generators and other variables as shapes."""
    graphs = []

    def build(key: Array) -> tuple[Tree, ...]:
        graph, *states = nnx.split(make(key), nnx.Param, nnx.RngState, ...)
        graphs.append(graph)
        return tuple(states)

    params, keys, rest = jax.eval_shape(build, jax.random.key(0))
    return graphs[0], params, keys, rest


def _seeded(like: Tree, key: Array | None) -> Tree:
    """Generators at their beginning: the i-th one's key is fold_in(key, i), the counters are 0."""
    key = jax.random.key(0) if key is None else key
    numbers = itertools.count()

    def begin(leaf: Array) -> Array:
        if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jnp.zeros(leaf.shape, leaf.dtype)
        leaf_key = jax.random.fold_in(key, next(numbers))
        return jax.random.split(leaf_key, leaf.shape) if leaf.shape else leaf_key

    return jax.tree.map(begin, like)


def _called(module: nnx.Module, x: Array, key: Array | None, weight: Array | None) -> Array:
    call: Callable[..., object] = module.__call__  # type: ignore[attr-defined]
    if key is None and weight is None:
        module.eval()
    else:
        module.train()
        module.set_attributes(
            deterministic=key is None, use_running_average=weight is None, raise_if_not_found=False
        )
    arguments: dict[str, bool | nnx.Rngs | None] = dict(flags(call, key, weight))
    if "rngs" in inspect.signature(call).parameters:
        arguments["rngs"] = None if key is None else nnx.Rngs(key)
    return outputs_of(call(x, **arguments), x)
