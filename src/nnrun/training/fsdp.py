"""Fully sharded data parallelism: between steps each device holds an equal part of every large array of a state.

The model sees whole parameters: each device gathers an array where it is used, and the gradient of that array is
summed over the devices and cut into parts again.  Optimizer and averages work on parts.  So the state takes 1/N of its
memory on each of N devices, and what is gathered is of the parameters only.
Source: Rajbhandari et al. 2020, "ZeRO"; Zhao et al. 2023, "PyTorch FSDP".
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import numpy as np
from jax import Array
from jax.sharding import NamedSharding, PartitionSpec

from nnrun.training.mesh import BATCH, Everywhere
from nnrun.types import Experiment, Layer, State, Tree

__all__ = ["gathering", "in_parts", "kept", "places_of", "whole"]

_SMALLEST = 1024  # entries of an array that is worth cutting


def in_parts(place: Everywhere, like: State) -> State:
    """The state as shapes that say where their arrays are: cut along the longest axis that the devices divide.

    Small arrays, and those without such an axis, are whole on each device.
    """
    if place is None:
        return like
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=_cut(leaf.shape, place)), like
    )


def _cut(shape: tuple[int, ...], place: NamedSharding) -> NamedSharding:
    count = place.mesh.size
    divided = [size for size in shape if size % count == 0]
    if not divided or math.prod(shape) < _SMALLEST:
        return place
    axis = shape.index(max(divided))
    return NamedSharding(place.mesh, PartitionSpec(*[None] * axis, BATCH))


def places_of(like: Tree, place: Everywhere) -> Tree:
    """Where each array of a state as shapes is; `place`: of those that do not say."""
    return None if place is None else jax.tree.map(lambda leaf: leaf.sharding or place, like)


def kept(places: Tree, state: State) -> State:
    """The state inside a program, each array where it is kept."""
    return state if places is None else jax.lax.with_sharding_constraint(state, places)


def whole(state: State, place: Everywhere) -> State:
    """The state with its arrays on the host, where this process cannot read parts that others hold.

    All processes of the run call it at once.  Arrays are gathered one after another, so a device needs room for one.
    """
    gather = jax.jit(lambda leaf: leaf, out_shardings=place)

    def on_host(leaf: Array) -> Array | np.ndarray:
        return leaf if leaf.is_fully_replicated else np.asarray(gather(leaf))

    return jax.tree.map(on_host, state)


def gathering(experiment: Experiment, place: Everywhere) -> Experiment:
    """The experiment whose model gathers its parameters on each device."""

    def gathered(leaf: Array) -> Array:
        return jax.lax.with_sharding_constraint(leaf, place)

    def model(knobs: Tree) -> Layer:
        layer = experiment.model(knobs)
        apply: Callable[..., tuple[Array, Tree]] = layer.apply
        return layer._replace(apply=lambda params, *rest: apply(jax.tree.map(gathered, params), *rest))

    return experiment if place is None else experiment._replace(model=model)
