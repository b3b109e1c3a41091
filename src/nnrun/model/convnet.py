from __future__ import annotations

from nnrun.layer._activations import Activation
from nnrun.layer.dropout import Scaling
from nnrun.model._conv import MAX_POOLING, Convolutions, Pooling, conv_net
from nnrun.model._head import HeadNoise
from nnrun.model._weights import BATCH_NORM, NO_DROPCONNECT, DropConnect, Norm, norm_layer
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
    norm: Norm = BATCH_NORM,
    pooling: Pooling = MAX_POOLING,
    channel_dropout: Fraction = 0.0,
    dropout: Fraction = 0.0,
    input_dropout: Fraction = 0.0,
    dropout_scaling: Scaling = "training",
    dropconnect: DropConnect = NO_DROPCONNECT,
) -> Layer:
    """Convnet: stages of convolutions and pooling, then dense layers, as in cs231n.

    [(conv → norm → relu) × convs → pool] for each of filters → (dense → norm → relu) for each of hidden → dense

    filters          channels of the convolutions of each stage
    convs            convolutions of a stage
    kernel           height and width of their windows
    hidden           units of the dense layers behind them; []: none
    activation       relu, tanh, gelu, leaky_relu, elu, silu, mish, softplus or sigmoid
    norm             before each activation: batch, group, layer or none; groups of group norm must
                     divide all filters and hidden
    pooling          max: 2 × 2; fractional: by √2 twice, over regions drawn at random
    channel_dropout  rate of dropping whole channels behind each pooling, in [0, 1)
    dropout          rate on the dense hidden layers, in [0, 1)
    input_dropout    rate on the inputs, in [0, 1)
    dropout_scaling  of all three: training (inverted) or test, see `nnrun list layer dropout`
    dropconnect      rate on the weights of the dense hidden layers, in [0, 1)

    Parameters, of images 32 × 32 × 3 and 10 outputs: by default 0.8 M; filters [32, 64] with one convolution
    and no hidden layer 0.06 M; filters [64, 128, 256] 2.2 M.
    Source: the course's notes on convolutional networks, and its assignment 2.
    """
    before, stages = norm_layer(norm, hidden), [(width, convs) for width in filters]
    convolutions = Convolutions(stages, kernel, activation, before, channel_dropout, input_dropout, pooling)
    return conv_net(outputs, convolutions, hidden, HeadNoise(dropout, dropout_scaling, dropconnect))
