"""Layers with weights and what belongs to each of them in a model: DropConnect, a norm, an activation."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple

from nnrun.layer._activations import Activation, activation_layer
from nnrun.layer.batch_norm import batch_norm
from nnrun.layer.dropconnect import dropconnect
from nnrun.layer.group_norm import group_norm
from nnrun.layer.layer_norm import layer_norm
from nnrun.options import Count, Fraction, is_off
from nnrun.types import Layer

__all__ = [
    "BATCH_NORM",
    "NO_DROPCONNECT",
    "NO_NORM",
    "ONLY_MEANS",
    "DropConnect",
    "MeanDropConnect",
    "Named",
    "Norm",
    "norm_layer",
    "unit",
    "weighted",
]

Named = list[tuple[str, Layer]]


class DropConnect(NamedTuple):
    """DropConnect: weights and biases are set to zero at random in training; see the layer `dropconnect`.

    rate       probability of dropping a weight, in [0, 1)
    mask       batch: one mask for all examples of a step; example: one for each
    inference  what an evaluation does: mean weights, or gaussian, which goes without a norm
    samples    gaussian: how many values an average is over
    """

    rate: Fraction
    mask: Literal["batch", "example"] = "batch"
    inference: Literal["mean", "gaussian"] = "mean"
    samples: Count = 1000


class MeanDropConnect(NamedTuple):
    """DropConnect where evaluations have the mean weights; see the layer `dropconnect`.

    rate   probability of dropping a weight, in [0, 1)
    mask   batch: one mask for all examples of a step; example: one for each
    """

    rate: Fraction
    mask: Literal["batch", "example"] = "batch"


class Norm(NamedTuple):
    """What normalises between a layer and its activation; the layer then has no bias.

    name     batch, group, layer (over the channels of each place) or none
    groups   of group norm; must divide the channels
    """

    name: Literal["batch", "group", "layer", "none"]
    groups: Count = 8


NO_DROPCONNECT = DropConnect(0.0)
ONLY_MEANS = MeanDropConnect(0.0)
BATCH_NORM = Norm("batch")
NO_NORM = Norm("none")


def norm_layer(norm: Norm, widths: Collection[int] = ()) -> Layer | None:
    """The layer that normalises, which any number of places can share; None: there is none.

    widths   of the vectors that it normalises; images are not among them
    Raises ValueError where it would leave nothing of them, and for groups of a norm that has none.
    """
    if norm.name == "group" and norm.groups in widths:
        raise ValueError(
            f"{norm.groups} groups of {norm.groups} units leave 0 of each; write fewer groups, or norm: layer"
        )
    if norm.name != "group" and norm != Norm(norm.name):
        raise ValueError(f"groups are group norm's; write norm: group, or norm: {norm.name} alone")
    if norm.name == "none":
        return None
    return (
        group_norm(norm.groups)
        if norm.name == "group"
        else {"batch": batch_norm, "layer": layer_norm}[norm.name]()
    )


def weighted(
    layer: Layer, drop: DropConnect | MeanDropConnect, activation: Activation | Literal["none"] = "none"
) -> Layer:
    """The layer with DropConnect around it, which then includes the activation; off: the layer alone."""
    if is_off(drop.rate):
        return layer
    full = drop if isinstance(drop, DropConnect) else DropConnect(drop.rate, drop.mask)
    return dropconnect(layer, full.rate, full.mask, full.inference, full.samples, activation)


def unit(
    kind: str, number: int, layer: Layer, norm: Layer | None, activation: Activation, drop: DropConnect
) -> Named:
    """layer (with DropConnect) → norm → activation, under the names kind_number, norm_number, activation_number.

    Raises ValueError where Gaussian inference has nothing to average, or cannot know what follows the sum.
    """
    if drop.inference == "gaussian" and is_off(drop.rate):
        raise ValueError(
            "gaussian inference is DropConnect's; write dropconnect: {rate: 0.5, inference: gaussian}"
        )
    if drop.inference == "gaussian" and norm is not None:
        raise ValueError(
            "DropConnect's gaussian inference averages over what the activation makes of a sum of weights; with "
            "a norm there is more in between: write inference: mean, or norm: none"
        )
    inside = not is_off(drop.rate) and norm is None  # the activation belongs to DropConnect
    layers = [(f"{kind}_{number}", weighted(layer, drop, activation if inside else "none"))]
    layers += [] if norm is None else [(f"norm_{number}", norm)]
    return layers + ([] if inside else [(f"activation_{number}", activation_layer(activation))])
