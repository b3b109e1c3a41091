from __future__ import annotations

from nnrun.layer._compose import serial
from nnrun.layer._initializers import Initializer
from nnrun.layer.batch_norm import batch_norm as batch_norm_layer
from nnrun.layer.dense import dense
from nnrun.layer.dropout import dropout as dropout_layer
from nnrun.layer.flatten import flatten
from nnrun.model._activations import Activation, activation_layer
from nnrun.options import Fraction, Widths, is_off
from nnrun.types import Layer

__all__ = ["mlp"]


def mlp(
    outputs: int,
    hidden: Widths,
    activation: Activation = "relu",
    batch_norm: bool = False,
    dropout: Fraction = 0.0,
    input_dropout: Fraction = 0.0,
    init: Initializer = "he_normal",
) -> Layer:
    """Multi-layer perceptron: dense hidden layers, each with an activation and dropout.

    hidden         units of the hidden layers, such as [512, 512]
    activation     relu, tanh or gelu
    batch_norm     normalise before each activation (the dense layer then has no bias)
    dropout        rate on hidden layers, in [0, 1)
    input_dropout  rate on the inputs, in [0, 1)
    init           distribution of the weights
    """
    layers = [("flatten", flatten())]
    layers += [] if is_off(input_dropout) else [("input_dropout", dropout_layer(input_dropout))]
    for i, units in enumerate(hidden, start=1):
        layers += [(f"hidden_{i}", dense(units, bias=not batch_norm, init=init))]
        layers += [(f"norm_{i}", batch_norm_layer())] if batch_norm else []
        layers += [(f"activation_{i}", activation_layer(activation))]
        layers += [] if is_off(dropout) else [(f"dropout_{i}", dropout_layer(dropout))]
    return serial([*layers, ("output", dense(outputs, init="lecun_normal"))])
