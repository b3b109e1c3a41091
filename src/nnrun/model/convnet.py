from __future__ import annotations

from nnrun.layer._activations import Activation
from nnrun.layer._fractional import Sequence
from nnrun.layer.dropout import Scaling
from nnrun.model._conv import Convolutions, Pooling, Pools, conv_net, norm_of
from nnrun.model._head import HeadNoise
from nnrun.model._weights import DropConnect, Inference, Mask, Norm
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
    norm: Norm | None = None,
    groups: Count = 8,
    pooling: Pooling = "max",
    sequence: Sequence = "pseudorandom",
    overlapping: bool = True,
    test_poolings: Count = 1,
    channel_dropout: Fraction = 0.0,
    dropout: Fraction = 0.0,
    input_dropout: Fraction = 0.0,
    dropout_scaling: Scaling = "training",
    dropconnect: Fraction = 0.0,
    dropconnect_mask: Mask = "batch",
    dropconnect_inference: Inference = "mean",
    dropconnect_samples: Count = 1000,
) -> Layer:
    """Convnet: stages of convolutions and pooling, then dense layers, as in cs231n.

    [(conv → norm → relu) × convs → pool] for each of filters → (dense → norm → relu) for each of hidden → dense

    filters                channels of the convolutions of each stage
    convs                  convolutions of a stage
    kernel                 height and width of their windows
    hidden                 units of the dense layers behind them; []: none
    activation             relu, tanh or gelu
    batch_norm             normalise before each activation (the layer before has no bias)
    norm                   batch, group, layer (over the channels of each place) or none; null: as batch_norm says
    groups                 of group norm, which must divide all filters and hidden
    pooling                max: 2 × 2; fractional: by √2 twice, over regions drawn at random
    sequence               of fractional: pseudorandom or random, see `nnrun list layer fractional_max_pool`
    overlapping            of fractional: whether neighbouring regions share a row or column
    test_poolings          of fractional: predictions are the mean over this many fixed draws of regions
    channel_dropout        rate of dropping whole channels behind each pooling, in [0, 1)
    dropout                rate on the dense hidden layers, in [0, 1)
    input_dropout          rate on the inputs, in [0, 1)
    dropout_scaling        of all three: training (inverted) or test, see `nnrun list layer dropout`
    dropconnect            rate on the weights of the dense hidden layers, in [0, 1)
    dropconnect_mask       one mask a batch, or one for each example
    dropconnect_inference  mean or gaussian, see `nnrun list layer dropconnect`; gaussian goes without a norm
    dropconnect_samples    of gaussian

    Parameters, of images 32 × 32 × 3 and 10 outputs: by default 0.8 M; filters [32, 64] with one convolution
    and no hidden layer 0.06 M; filters [64, 128, 256] 2.2 M.
    Source: the course's notes on convolutional networks, and its assignment 2.
    """
    drop = DropConnect(dropconnect, dropconnect_mask, dropconnect_inference, dropconnect_samples)
    pools = Pools(pooling, sequence, overlapping, test_poolings)
    before, stages = norm_of(norm, batch_norm, groups, hidden), [(width, convs) for width in filters]
    convolutions = Convolutions(stages, kernel, activation, before, channel_dropout, input_dropout, pools)
    return conv_net(outputs, convolutions, hidden, HeadNoise(dropout, dropout_scaling, drop))
