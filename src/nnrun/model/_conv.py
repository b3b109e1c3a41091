"""Pieces that convolutional models share."""

from __future__ import annotations

from typing import Any, Literal

import jax
from jax import Array

from nnrun.layer._activations import Activation, activation_layer
from nnrun.layer._compose import serial
from nnrun.layer.batch_norm import batch_norm
from nnrun.layer.conv import conv
from nnrun.layer.dropout import dropout
from nnrun.layer.fractional_max_pool import pooling_to
from nnrun.layer.max_pool import max_pool
from nnrun.options import is_off
from nnrun.types import Layer

__all__ = ["Pooling", "conv_stage", "halving"]

Pooling = Literal["max", "fractional"]


def halving(pooling: Pooling = "max") -> Layer:
    """2 × 2 max pooling, or fractional pooling by √2 twice, to the same side; a side below 2, or 4, stays."""
    if pooling == "max":
        return _where_it_fits(max_pool(2), 2)
    first = pooling_to(lambda side: max(-(-side // 2), round(side / 2**0.5)), "pseudorandom", True, _regions)

    def init(key, x_shape):
        return second(x_shape).init(key, first.init(key, x_shape)[2])

    def second(x_shape):
        halves = {first.init(None, (side, side, 1))[2][0]: side // 2 for side in x_shape[:2]}
        return pooling_to(halves.__getitem__, "pseudorandom", True, _regions)

    def apply(params, stats, x, key, weight):
        keys = (None, None) if key is None else (jax.random.fold_in(key, 0), jax.random.fold_in(key, 1))
        between, _ = first.apply(params, stats, x, keys[0], weight)
        return second(x.shape[1:3]).apply(params, stats, between, keys[1], weight)

    return _where_it_fits(Layer(init, apply), 4)


def _regions(draw: Array) -> Array:
    return jax.random.fold_in(jax.random.key(0), draw)


def _where_it_fits(pool: Layer, least: int) -> Layer:
    """The pooling of images of at least this side; smaller ones stay as they are."""

    def init(key, x_shape):
        return pool.init(key, x_shape) if min(x_shape[:2]) >= least else ({}, {}, x_shape)

    def apply(params, stats, x, key, weight):
        return pool.apply(params, stats, x, key, weight) if min(x.shape[1:3]) >= least else (x, stats)

    return Layer(init, apply)


def conv_stage(
    filters: int,
    convs: int,
    kernel: int,
    activation: Activation,
    normalised: bool,
    channel_dropout: Any,
    pooling: Pooling,
) -> Layer:
    """Convolutions, each with batch norm and an activation, then pooling and dropout of whole channels."""
    layers: list[tuple[str, Layer]] = []
    for i in range(1, convs + 1):
        layers += [(f"conv_{i}", conv(filters, kernel, bias=not normalised))]
        layers += [(f"norm_{i}", batch_norm())] if normalised else []
        layers += [(f"activation_{i}", activation_layer(activation))]
    layers += [("pool", halving(pooling))]
    layers += [] if is_off(channel_dropout) else [("dropout", dropout(channel_dropout, mask="channel"))]
    return serial(layers)
