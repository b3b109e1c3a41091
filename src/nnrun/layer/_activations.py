"""Activations by name, for models whose layers all share one and for layers that end in one."""

from __future__ import annotations

from typing import Literal

from nnrun.layer._compose import stateless
from nnrun.layer.elu import elu
from nnrun.layer.gelu import gelu
from nnrun.layer.leaky_relu import leaky_relu
from nnrun.layer.mish import mish
from nnrun.layer.relu import relu
from nnrun.layer.sigmoid import sigmoid
from nnrun.layer.silu import silu
from nnrun.layer.softplus import softplus
from nnrun.layer.tanh import tanh
from nnrun.types import Layer

__all__ = ["Activation", "activation_layer"]

Activation = Literal["relu", "tanh", "gelu", "leaky_relu", "elu", "silu", "mish", "softplus", "sigmoid"]

_BY_NAME = {
    "relu": relu, "tanh": tanh, "gelu": gelu, "leaky_relu": leaky_relu, "elu": elu, "silu": silu, "mish": mish,
    "softplus": softplus, "sigmoid": sigmoid,
}  # fmt: skip


def activation_layer(name: Activation | Literal["none"]) -> Layer:
    """The layer of that name, its options at their defaults; none: the identity."""
    return stateless(lambda x: x) if name == "none" else _BY_NAME[name]()
