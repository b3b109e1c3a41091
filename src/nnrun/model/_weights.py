"""Layers with weights and what belongs to each of them in a model: DropConnect, a norm, an activation."""

from __future__ import annotations

from typing import Literal, NamedTuple

from nnrun.layer._activations import Activation, activation_layer
from nnrun.layer.batch_norm import batch_norm
from nnrun.layer.dropconnect import dropconnect
from nnrun.layer.group_norm import group_norm
from nnrun.layer.layer_norm import layer_norm
from nnrun.options import is_off
from nnrun.types import Layer

__all__ = ["DropConnect", "Inference", "Mask", "Named", "Norm", "norm_layer", "unit", "weighted"]

Inference = Literal["mean", "gaussian"]
Mask = Literal["batch", "example"]
Norm = Literal["batch", "group", "layer", "none"]
Named = list[tuple[str, Layer]]


class DropConnect(NamedTuple):
    """What DropConnect does to the layers of a model; see the layer `dropconnect`."""

    rate: float = 0.0
    mask: Mask = "batch"
    inference: Inference = "mean"
    samples: int = 1000


def norm_layer(norm: Norm, groups: int = 1) -> Layer | None:
    """The layer that normalises, which any number of places can share; None: there is none."""
    if norm == "none":
        return None
    return group_norm(groups) if norm == "group" else {"batch": batch_norm, "layer": layer_norm}[norm]()


def weighted(layer: Layer, drop: DropConnect, activation: Activation | Literal["none"] = "none") -> Layer:
    """The layer with DropConnect around it, which then includes the activation; off: the layer alone."""
    if is_off(drop.rate):
        return layer
    return dropconnect(layer, drop.rate, drop.mask, drop.inference, drop.samples, activation)


def unit(
    kind: str, number: int, layer: Layer, norm: Layer | None, activation: Activation, drop: DropConnect
) -> Named:
    """layer (with DropConnect) → norm → activation, under the names kind_number, norm_number, activation_number.

    Raises ValueError where Gaussian inference has nothing to average, or cannot know what follows the sum.
    """
    if drop.inference == "gaussian" and is_off(drop.rate):
        raise ValueError("gaussian inference is DropConnect's; write dropconnect: 0.5, or leave it out")
    if drop.inference == "gaussian" and norm is not None:
        raise ValueError(
            "DropConnect's gaussian inference averages over what the activation makes of a sum of weights; with "
            "a norm there is more in between: write dropconnect_inference: mean, or batch_norm: false and no norm"
        )
    inside = not is_off(drop.rate) and norm is None  # the activation belongs to DropConnect
    layers = [(f"{kind}_{number}", weighted(layer, drop, activation if inside else "none"))]
    layers += [] if norm is None else [(f"norm_{number}", norm)]
    return layers + ([] if inside else [(f"activation_{number}", activation_layer(activation))])
