from __future__ import annotations

from nnrun.layer._activations import Activation
from nnrun.layer._compose import serial
from nnrun.layer._initializers import Initializer
from nnrun.layer.dense import dense
from nnrun.layer.dropout import Scaling
from nnrun.layer.flatten import flatten
from nnrun.model._head import HeadNoise, dropped_inputs, hidden_layers
from nnrun.model._weights import NO_DROPCONNECT, NO_NORM, DropConnect, Norm, norm_layer
from nnrun.options import Fraction, Widths
from nnrun.types import Layer

__all__ = ["mlp"]


def mlp(
    outputs: int,
    hidden: Widths,
    activation: Activation = "relu",
    norm: Norm = NO_NORM,
    dropout: Fraction = 0.0,
    input_dropout: Fraction = 0.0,
    dropout_scaling: Scaling = "training",
    dropconnect: DropConnect = NO_DROPCONNECT,
    init: Initializer = "he_normal",
) -> Layer:
    """Multi-layer perceptron: dense hidden layers, each with an activation and dropout.

    hidden           units of the hidden layers, such as [512, 512]
    activation       relu, tanh, gelu, leaky_relu, elu, silu, mish, softplus or sigmoid
    norm             between each dense layer and its activation: batch, group, layer or none
    dropout          rate on hidden layers, in [0, 1)
    input_dropout    rate on the inputs, in [0, 1)
    dropout_scaling  training (inverted) or test, see `nnrun list layer dropout`
    dropconnect      rate on weights and biases of hidden layers, in [0, 1)
    init             distribution of the weights
    """
    noise = HeadNoise(dropout, dropout_scaling, dropconnect)
    layers = [("flatten", flatten()), *dropped_inputs(input_dropout, dropout_scaling)]
    layers += hidden_layers(hidden, activation, norm_layer(norm, hidden), noise, init)
    return serial([*layers, ("output", dense(outputs, init="lecun_normal"))])
