from __future__ import annotations

from typing import Literal

from nnrun.layer.dropout import Scaling
from nnrun.model._conv import MAX_POOLING, Convolutions, Pooling, conv_net
from nnrun.model._head import HeadNoise
from nnrun.model._weights import BATCH_NORM, NO_DROPCONNECT, DropConnect, Norm, norm_layer
from nnrun.options import Count, Fraction
from nnrun.types import Layer

__all__ = ["vgg"]

_CONVS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def vgg(
    outputs: int,
    depth: Literal[11, 13, 16, 19] = 11,
    width: Count = 64,
    hidden: list[Count] = [512],  # noqa: B006 - read only
    norm: Norm = BATCH_NORM,
    pooling: Pooling = MAX_POOLING,
    channel_dropout: Fraction = 0.0,
    dropout: Fraction = 0.0,
    input_dropout: Fraction = 0.0,
    dropout_scaling: Scaling = "training",
    dropconnect: DropConnect = NO_DROPCONNECT,
) -> Layer:
    """VGG: five stages of 3 × 3 convolutions, each followed by pooling, then dense layers.

    depth            11, 13, 16 or 19: layers with weights, if there are two hidden ones
    width            channels of the first stage; twice, four, eight and eight times that in the others
    hidden           units of the dense hidden layers; the paper's [4096, 4096] are for images of 224 × 224
    norm             before each activation: batch, group, layer or none (the paper had none yet); groups of group norm
                     must divide width and all hidden
    pooling          max: 2 × 2; fractional: by √2 twice, over regions drawn at random
    channel_dropout  rate of dropping whole channels behind each pooling, in [0, 1)
    dropout          rate on the dense hidden layers, in [0, 1); the paper's is 0.5
    input_dropout    rate on the inputs, in [0, 1)
    dropout_scaling  of all three: training (inverted) or test, see `nnrun list layer dropout`
    dropconnect      rate on the weights of the dense hidden layers, in [0, 1)

    Parameters with hidden [4096, 4096], 1000 outputs, images 224 × 224 × 3 and no batch norm, as in the paper's
    table 2: 11: 133 M, 13: 133 M, 16: 138 M, 19: 144 M.  By default, 32 × 32 × 3, 10 outputs: 9.5 M.
    Source: Simonyan & Zisserman 2015, "Very deep convolutional networks for large-scale image recognition".
    """
    widths = [width * factor for factor in (1, 2, 4, 8, 8)]
    before, stages = norm_layer(norm, hidden), list(zip(widths, _CONVS[depth], strict=True))
    convolutions = Convolutions(stages, 3, "relu", before, channel_dropout, input_dropout, pooling)
    return conv_net(outputs, convolutions, hidden, HeadNoise(dropout, dropout_scaling, dropconnect))
