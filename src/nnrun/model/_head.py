"""Dropped inputs, which several models have at their beginning, and regularized dense layers, at their end."""

from __future__ import annotations

from typing import NamedTuple

from nnrun.layer._activations import Activation
from nnrun.layer._initializers import Initializer
from nnrun.layer.dense import dense
from nnrun.layer.dropout import Scaling, dropout
from nnrun.model._weights import NO_DROPCONNECT, DropConnect, Named, unit
from nnrun.options import is_off
from nnrun.types import Layer

__all__ = ["HeadNoise", "dropped_inputs", "hidden_layers"]


class HeadNoise(NamedTuple):
    """What is random about dense layers; see the layers `dropout` and `dropconnect`."""

    dropout: float = 0.0
    scaling: Scaling = "training"
    drop: DropConnect = NO_DROPCONNECT


def dropped_inputs(rate: float, scaling: Scaling) -> Named:
    """Dropout of the inputs; off: nothing."""
    return [] if is_off(rate) else [("input_dropout", dropout(rate, scaling))]


def hidden_layers(
    widths: list[int],
    activation: Activation,
    norm: Layer | None,
    noise: HeadNoise,
    init: Initializer = "he_normal",
) -> Named:
    """For each width: dense (with DropConnect), norm, activation, dropout."""
    idle = is_off(noise.dropout) and is_off(noise.drop.rate) and noise.drop.inference == "mean"
    if not widths and not idle:
        raise ValueError(
            "without hidden layers there is nothing to drop; write hidden: [256], or leave the rate out"
        )
    layers: Named = []
    for i, units in enumerate(widths, start=1):
        layer = dense(units, bias=norm is None, init=init)
        layers += unit("hidden", i, layer, norm, activation, noise.drop)
        layers += [] if is_off(noise.dropout) else [(f"dropout_{i}", dropout(noise.dropout, noise.scaling))]
    return layers
