from __future__ import annotations

from typing import Literal

from nnrun.layer._compose import serial
from nnrun.layer.dense import dense
from nnrun.layer.flatten import flatten
from nnrun.model._conv import Pooling, conv_stage
from nnrun.model._head import HeadNoise, Inference, hidden_layers
from nnrun.options import Count, Fraction
from nnrun.types import Layer

__all__ = ["vgg"]

_CONVS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def vgg(
    outputs: int,
    depth: Literal[11, 13, 16, 19] = 11,
    width: Count = 64,
    hidden: list[Count] = [512],  # noqa: B006 - read only
    batch_norm: bool = True,
    pooling: Pooling = "max",
    channel_dropout: Fraction = 0.0,
    dropout: Fraction = 0.0,
    dropconnect: Fraction = 0.0,
    dropconnect_inference: Inference = "mean",
) -> Layer:
    """VGG: five stages of 3 × 3 convolutions, each followed by pooling, then dense layers.

    depth                  11, 13, 16 or 19: layers with weights, if there are two hidden ones
    width                  channels of the first stage; twice, four, eight and eight times that in the others
    hidden                 units of the dense hidden layers; the paper's [4096, 4096] are for images of 224 × 224
    batch_norm             normalise before each activation (the paper had none yet)
    pooling                max: 2 × 2; fractional: by √2 twice, over regions drawn at random
    channel_dropout        rate of dropping whole channels behind each pooling, in [0, 1)
    dropout                rate on the dense hidden layers, in [0, 1); the paper's is 0.5
    dropconnect            rate on the weights of the dense hidden layers, in [0, 1)
    dropconnect_inference  mean or gaussian, see `nnrun list layer dropconnect`

    Parameters with hidden [4096, 4096], 1000 outputs, images 224 × 224 × 3 and no batch norm, as in the paper's
    table 2: 11: 133 M, 13: 133 M, 16: 138 M, 19: 144 M.  By default, 32 × 32 × 3, 10 outputs: 9.5 M.
    Source: Simonyan & Zisserman 2015, "Very deep convolutional networks for large-scale image recognition".
    """
    widths = [width * factor for factor in (1, 2, 4, 8, 8)]
    stages = [
        (f"stage_{i}", conv_stage(filters, convs, 3, "relu", batch_norm, channel_dropout, pooling))
        for i, (filters, convs) in enumerate(zip(widths, _CONVS[depth], strict=True), start=1)
    ]
    noise = HeadNoise(dropout, dropconnect=dropconnect, inference=dropconnect_inference)
    head = hidden_layers(hidden, "relu", batch_norm, noise)
    return serial([*stages, ("flatten", flatten()), *head, ("output", dense(outputs, init="lecun_normal"))])
