"""Layers one after another."""

from __future__ import annotations

from collections.abc import Sequence

import jax

from nnrun.layer._watched import applied
from nnrun.types import Layer, Tree

__all__ = ["serial", "stateless"]


def serial(layers: Sequence[tuple[str, Layer]]) -> Layer:
    """The layers in order; the parameters of each are found under its name.

    Layer i draws its initial weights and its noise from fold_in(key, i), so neither depends on the others.
    Raises ValueError where a layer that must see the inputs themselves is not the first.
    """
    for name, layer in layers[1:]:
        if layer.first:
            raise ValueError(
                f"{name} looks at the inputs of the data; write it as the first layer of the model"
            )

    def init(key, x_shape):
        params, stats, shape = {}, {}, tuple(x_shape)
        for i, (name, layer) in enumerate(layers):
            own_params, own_stats, shape = layer.init(jax.random.fold_in(key, i), shape)
            params |= {name: own_params} if _has_leaves(own_params) else {}
            stats |= {name: own_stats} if _has_leaves(own_stats) else {}
        return params, stats, shape

    def apply(params, stats, x, key, weight):
        new_stats = {}
        for i, (name, layer) in enumerate(layers):
            own_key = None if key is None else jax.random.fold_in(key, i)
            parts = params.get(name, {}), stats.get(name, {})
            x, own_stats = applied(name, layer, *parts, x, own_key, weight)
            new_stats |= {name: own_stats} if name in stats else {}
        return x, new_stats

    return Layer(init, apply, first=any(layer.first for _, layer in layers[:1]), composed=True)


def stateless(function, shape=lambda x_shape: x_shape) -> Layer:
    """A layer without parameters: `function` on a batch, `shape` on the shape of one example."""

    def init(key, x_shape):
        del key
        return {}, {}, shape(x_shape)

    def apply(params, stats, x, key, weight):
        del params, key, weight
        return function(x), stats

    return Layer(init, apply)


def _has_leaves(tree: Tree) -> bool:
    return bool(jax.tree.leaves(tree))
