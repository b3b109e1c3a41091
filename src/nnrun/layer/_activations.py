"""Activations by name, for models whose layers all share one and for layers that end in one."""

from __future__ import annotations

from typing import Literal

from nnrun.layer._compose import stateless
from nnrun.layer.gelu import gelu
from nnrun.layer.relu import relu
from nnrun.layer.tanh import tanh
from nnrun.types import Layer

__all__ = ["Activation", "activation_layer"]

Activation = Literal["relu", "tanh", "gelu"]


def activation_layer(name: Activation | Literal["none"]) -> Layer:
    """The layer of that name; none: the identity."""
    return stateless(lambda x: x) if name == "none" else {"relu": relu, "tanh": tanh, "gelu": gelu}[name]()
