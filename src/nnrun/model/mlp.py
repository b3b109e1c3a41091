from __future__ import annotations

from nnrun.layer._activations import Activation
from nnrun.layer._compose import serial
from nnrun.layer._initializers import Initializer
from nnrun.layer.dense import dense
from nnrun.layer.dropout import Scaling
from nnrun.layer.flatten import flatten
from nnrun.model._head import HeadNoise, dropped_inputs, hidden_layers
from nnrun.model._weights import DropConnect, Inference, Mask, norm_layer
from nnrun.options import Count, Fraction, Widths
from nnrun.types import Layer

__all__ = ["mlp"]


def mlp(
    outputs: int,
    hidden: Widths,
    activation: Activation = "relu",
    batch_norm: bool = False,
    dropout: Fraction = 0.0,
    input_dropout: Fraction = 0.0,
    dropout_scaling: Scaling = "training",
    dropconnect: Fraction = 0.0,
    dropconnect_mask: Mask = "batch",
    dropconnect_inference: Inference = "mean",
    dropconnect_samples: Count = 1000,
    init: Initializer = "he_normal",
) -> Layer:
    """Multi-layer perceptron: dense hidden layers, each with an activation and dropout.

    hidden                 units of the hidden layers, such as [512, 512]
    activation             relu, tanh or gelu
    batch_norm             normalise before each activation (the dense layer then has no bias)
    dropout                rate on hidden layers, in [0, 1)
    input_dropout          rate on the inputs, in [0, 1)
    dropout_scaling        training (inverted) or test, see `nnrun list layer dropout`
    dropconnect            rate on weights and biases of hidden layers, in [0, 1)
    dropconnect_mask       one mask a batch, or one for each example
    dropconnect_inference  mean or gaussian, see `nnrun list layer dropconnect`
    dropconnect_samples    of gaussian
    init                   distribution of the weights
    """
    drop = DropConnect(dropconnect, dropconnect_mask, dropconnect_inference, dropconnect_samples)
    noise = HeadNoise(dropout, dropout_scaling, drop)
    layers = [("flatten", flatten()), *dropped_inputs(input_dropout, dropout_scaling)]
    layers += hidden_layers(hidden, activation, norm_layer("batch" if batch_norm else "none"), noise, init)
    return serial([*layers, ("output", dense(outputs, init="lecun_normal"))])
