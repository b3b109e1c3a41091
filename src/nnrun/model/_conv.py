"""Convolutional models: stages of convolutions and pooling, then dense layers."""

from __future__ import annotations

from typing import Literal, NamedTuple

import jax
from jax import Array

from nnrun.layer._activations import Activation
from nnrun.layer._compose import serial
from nnrun.layer._fractional import Sequence
from nnrun.layer.conv import conv
from nnrun.layer.dense import dense
from nnrun.layer.dropout import Scaling, dropout
from nnrun.layer.flatten import flatten
from nnrun.layer.fractional_max_pool import pooling_to
from nnrun.layer.max_pool import max_pool
from nnrun.model._draws import over_draws
from nnrun.model._head import HeadNoise, dropped_inputs, hidden_layers
from nnrun.model._images import images_only
from nnrun.model._weights import NO_DROPCONNECT, Named, unit
from nnrun.options import Count, is_off
from nnrun.types import Layer

__all__ = ["MAX_POOLING", "Convolutions", "Pooling", "conv_net"]


class Pooling(NamedTuple):
    """How the stages of a net pool.

    name           max: 2 × 2; fractional: by √2 twice, over regions drawn at random
    sequence       of fractional: pseudorandom or random, see `nnrun list layer fractional_max_pool`
    overlapping    of fractional: whether neighbouring regions share a row or column
    test_poolings  of fractional: predictions are the mean over this many fixed draws of regions
    """

    name: Literal["max", "fractional"]
    sequence: Sequence = "pseudorandom"
    overlapping: bool = True
    test_poolings: Count = 1


MAX_POOLING = Pooling("max")


class Convolutions(NamedTuple):
    """What the stages of a net are like."""

    stages: list[tuple[int, int]]  # of each: channels, number of convolutions
    kernel: int
    activation: Activation
    norm: Layer | None  # before each activation, also in the dense layers
    channel_dropout: float  # rate of dropping whole channels behind each pooling
    input_dropout: float  # rate
    pooling: Pooling


def conv_net(outputs: int, convolutions: Convolutions, hidden: list[int], noise: HeadNoise) -> Layer:
    """Stages, each of convolutions and pooling → hidden dense layers → dense."""
    pooling, norm = convolutions.pooling, convolutions.norm
    if pooling.name == "max" and pooling != MAX_POOLING:
        raise ValueError(
            "sequence, overlapping and test_poolings are fractional pooling's; write pooling: {name: fractional, "
            "...}, or leave them out"
        )

    def net(draw: Array | int) -> Layer:
        pool = _halving(pooling, draw)
        first = dropped_inputs(convolutions.input_dropout, noise.scaling)
        stages = [
            (f"stage_{i}", _stage(convolutions, filters, convs, pool, noise.scaling))
            for i, (filters, convs) in enumerate(convolutions.stages, start=1)
        ]
        head = hidden_layers(hidden, convolutions.activation, norm, noise)
        return serial(
            [*first, *stages, ("flatten", flatten()), *head, ("output", dense(outputs, init="lecun_normal"))]
        )

    return images_only(over_draws(net, pooling.test_poolings, outputs))


def _stage(convolutions: Convolutions, filters: int, convs: int, pool: Layer, scaling: Scaling) -> Layer:
    """Convolutions, each with a norm and an activation, then pooling and dropout of whole channels."""
    layers: Named = []
    for i in range(1, convs + 1):
        layer = conv(filters, convolutions.kernel, bias=convolutions.norm is None)
        layers += unit("conv", i, layer, convolutions.norm, convolutions.activation, NO_DROPCONNECT)
    layers += [("pool", pool)]
    rate = convolutions.channel_dropout
    return serial([*layers, *([] if is_off(rate) else [("dropout", dropout(rate, scaling, "channel"))])])


def _halving(pooling: Pooling, draw: Array | int) -> Layer:
    """2 × 2 max pooling, or fractional pooling by √2 twice, to the same side; a side below 2, or 4, stays.

    draw   which regions there are without noise
    """
    if pooling.name == "max":
        return _where_it_fits(max_pool(2), 2)

    def to(shrunk):
        return pooling_to(shrunk, pooling.sequence, pooling.overlapping, regions)

    def regions(_):
        return jax.random.fold_in(jax.random.key(0), draw)

    first = to(lambda side: max(-(-side // 2), round(side / 2**0.5)))

    def init(key, x_shape):
        return second(x_shape).init(key, first.init(key, x_shape)[2])

    def second(x_shape):
        halves = {first.init(None, (side, side, 1))[2][0]: side // 2 for side in x_shape[:2]}
        return to(halves.__getitem__)

    def apply(params, stats, x, key, weight):
        keys = (None, None) if key is None else (jax.random.fold_in(key, 0), jax.random.fold_in(key, 1))
        between, _ = first.apply(params, stats, x, keys[0], weight)
        return second(x.shape[1:3]).apply(params, stats, between, keys[1], weight)

    return _where_it_fits(Layer(init, apply), 4)


def _where_it_fits(pool: Layer, least: int) -> Layer:
    """The pooling of images of at least this side; smaller ones stay as they are."""

    def init(key, x_shape):
        return pool.init(key, x_shape) if min(x_shape[:2]) >= least else ({}, {}, x_shape)

    def apply(params, stats, x, key, weight):
        return pool.apply(params, stats, x, key, weight) if min(x.shape[1:3]) >= least else (x, stats)

    return Layer(init, apply)
