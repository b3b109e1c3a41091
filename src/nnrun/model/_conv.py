"""Pieces that convolutional models share."""

from __future__ import annotations

from typing import Any, Literal

from nnrun.layer._activations import Activation, activation_layer
from nnrun.layer._compose import serial
from nnrun.layer.batch_norm import batch_norm
from nnrun.layer.conv import conv
from nnrun.layer.dropout import dropout
from nnrun.layer.fractional_max_pool import fractional_max_pool
from nnrun.layer.max_pool import max_pool
from nnrun.options import is_off
from nnrun.types import Layer

__all__ = ["Pooling", "conv_stage", "halving"]

Pooling = Literal["max", "fractional"]


def halving(pooling: Pooling = "max") -> Layer:
    """2 × 2 max pooling, or fractional max pooling by √2 twice, which comes to the same; none at a side of 1."""
    pool = max_pool(2)
    if pooling == "fractional":
        pool = serial([("first", fractional_max_pool()), ("second", fractional_max_pool())])

    def init(key, x_shape):
        return pool.init(key, x_shape) if min(x_shape[:2]) >= _least(pooling) else ({}, {}, x_shape)

    def apply(params, stats, x, key, weight):
        if min(x.shape[1:3]) < _least(pooling):
            return x, stats
        return pool.apply(params, stats, x, key, weight)

    return Layer(init, apply)


def _least(pooling: Pooling) -> int:
    return 4 if pooling == "fractional" else 2


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
