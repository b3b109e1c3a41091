"""Activations by name, for models whose layers all share one."""

from __future__ import annotations

from typing import Literal

from nnrun.layer.gelu import gelu
from nnrun.layer.relu import relu
from nnrun.layer.tanh import tanh
from nnrun.types import Layer

__all__ = ["Activation", "activation_layer"]

Activation = Literal["relu", "tanh", "gelu"]


def activation_layer(name: Activation) -> Layer:
    """The layer of that name."""
    return {"relu": relu, "tanh": tanh, "gelu": gelu}[name]()
