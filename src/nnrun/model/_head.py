"""Regularized dense layers, which several models have at their end."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from nnrun.layer._activations import Activation, activation_layer
from nnrun.layer._initializers import Initializer
from nnrun.layer.batch_norm import batch_norm
from nnrun.layer.dense import dense
from nnrun.layer.dropconnect import dropconnect
from nnrun.layer.dropout import dropout
from nnrun.options import is_off
from nnrun.types import Layer

__all__ = ["HeadNoise", "Inference", "hidden_layers"]

Inference = Literal["mean", "gaussian"]
Named = list[tuple[str, Layer]]


class HeadNoise(NamedTuple):
    """What is random about dense layers; see the layers `dropout` and `dropconnect`."""

    dropout: Any = 0.0
    scaling: Literal["training", "test"] = "training"
    dropconnect: Any = 0.0
    mask: Literal["batch", "example"] = "batch"
    inference: Inference = "mean"
    samples: int = 1000


def hidden_layers(
    widths: list[int],
    activation: Activation,
    normalised: bool,
    noise: HeadNoise,
    init: Initializer = "he_normal",
) -> Named:
    """For each width: dense (with DropConnect), batch norm, activation, dropout."""
    if not widths and not (is_off(noise.dropout) and is_off(noise.dropconnect)):
        raise ValueError(
            "without hidden layers there is nothing to drop; write hidden: [256], or leave the rate out"
        )
    if noise.inference == "gaussian" and is_off(noise.dropconnect):
        raise ValueError("gaussian inference is DropConnect's; write dropconnect: 0.5, or leave it out")
    if noise.inference == "gaussian" and normalised:
        raise ValueError(
            "DropConnect's gaussian inference averages over what the activation makes of a sum of weights; with "
            "batch_norm there is more in between: write dropconnect_inference: mean, or batch_norm: false"
        )
    layers: Named = []
    for i, units in enumerate(widths, start=1):
        one = dense(units, bias=not normalised, init=init)
        inside = not is_off(noise.dropconnect) and not normalised  # the activation belongs to DropConnect
        if not is_off(noise.dropconnect):
            bend = activation if inside else "none"
            one = dropconnect(one, noise.dropconnect, noise.mask, noise.inference, noise.samples, bend)
        layers += [(f"hidden_{i}", one)]
        layers += [(f"norm_{i}", batch_norm())] if normalised else []
        layers += [] if inside else [(f"activation_{i}", activation_layer(activation))]
        layers += [] if is_off(noise.dropout) else [(f"dropout_{i}", dropout(noise.dropout, noise.scaling))]
    return layers
