from __future__ import annotations

from nnrun.layer._compose import serial
from nnrun.layer._initializers import Initializer
from nnrun.layer.dense import dense
from nnrun.layer.flatten import flatten
from nnrun.types import Layer

__all__ = ["linear"]


def linear(outputs: int, init: Initializer = "zeros") -> Layer:
    """Linear model: softmax regression with cross_entropy, linear regression with squared_error.

    init   distribution of the weights; a convex problem can start at zero
    """
    return serial([("flatten", flatten()), ("output", dense(outputs, init=init))])
