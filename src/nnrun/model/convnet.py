from __future__ import annotations

from nnrun.layer._activations import Activation
from nnrun.layer._compose import serial
from nnrun.layer.dense import dense
from nnrun.layer.flatten import flatten
from nnrun.model._conv import Pooling, conv_stage
from nnrun.model._head import HeadNoise, Inference, hidden_layers
from nnrun.options import Count, Fraction, Widths
from nnrun.types import Layer

__all__ = ["convnet"]


def convnet(
    outputs: int,
    filters: Widths = [32, 64, 128],  # noqa: B006 - read only
    convs: Count = 2,
    kernel: Count = 3,
    hidden: list[Count] = [256],  # noqa: B006 - read only
    activation: Activation = "relu",
    batch_norm: bool = True,
    pooling: Pooling = "max",
    channel_dropout: Fraction = 0.0,
    dropout: Fraction = 0.0,
    dropconnect: Fraction = 0.0,
    dropconnect_inference: Inference = "mean",
) -> Layer:
    """Convnet: stages of convolutions and pooling, then dense layers, as in cs231n.

    [(conv → norm → relu) × convs → pool] for each of filters → (dense → norm → relu) for each of hidden → dense

    filters                channels of the convolutions of each stage
    convs                  convolutions of a stage
    kernel                 height and width of their windows
    hidden                 units of the dense layers behind them; []: none
    activation             relu, tanh or gelu
    batch_norm             normalise before each activation (the layer before has no bias)
    pooling                max: 2 × 2; fractional: by √2 twice, over regions drawn at random
    channel_dropout        rate of dropping whole channels behind each pooling, in [0, 1)
    dropout                rate on the dense hidden layers, in [0, 1)
    dropconnect            rate on the weights of the dense hidden layers, in [0, 1)
    dropconnect_inference  mean or gaussian, see `nnrun list layer dropconnect`

    Parameters, of images 32 × 32 × 3 and 10 outputs: by default 0.8 M; filters [32, 64] with one convolution
    and no hidden layer 0.06 M; filters [64, 128, 256] 2.2 M.
    Source: the course's notes on convolutional networks, and its assignment 2.
    """
    stages = [
        (f"stage_{i}", conv_stage(width, convs, kernel, activation, batch_norm, channel_dropout, pooling))
        for i, width in enumerate(filters, start=1)
    ]
    noise = HeadNoise(dropout, dropconnect=dropconnect, inference=dropconnect_inference)
    head = hidden_layers(hidden, activation, batch_norm, noise)
    return serial([*stages, ("flatten", flatten()), *head, ("output", dense(outputs, init="lecun_normal"))])
