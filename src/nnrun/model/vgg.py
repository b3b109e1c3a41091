from __future__ import annotations

from typing import Literal

from nnrun.layer._fractional import Sequence
from nnrun.layer.dropout import Scaling
from nnrun.model._conv import Convolutions, Pooling, Pools, conv_net, norm_of
from nnrun.model._head import HeadNoise
from nnrun.model._weights import DropConnect, Inference, Mask, Norm
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
    """VGG: five stages of 3 × 3 convolutions, each followed by pooling, then dense layers.

    depth                  11, 13, 16 or 19: layers with weights, if there are two hidden ones
    width                  channels of the first stage; twice, four, eight and eight times that in the others
    hidden                 units of the dense hidden layers; the paper's [4096, 4096] are for images of 224 × 224
    batch_norm             normalise before each activation (the paper had none yet)
    norm                   batch, group, layer (over the channels of each place) or none; null: as batch_norm says
    groups                 of group norm, which must divide width and all hidden
    pooling                max: 2 × 2; fractional: by √2 twice, over regions drawn at random
    sequence               of fractional: pseudorandom or random, see `nnrun list layer fractional_max_pool`
    overlapping            of fractional: whether neighbouring regions share a row or column
    test_poolings          of fractional: predictions are the mean over this many fixed draws of regions
    channel_dropout        rate of dropping whole channels behind each pooling, in [0, 1)
    dropout                rate on the dense hidden layers, in [0, 1); the paper's is 0.5
    input_dropout          rate on the inputs, in [0, 1)
    dropout_scaling        of all three: training (inverted) or test, see `nnrun list layer dropout`
    dropconnect            rate on the weights of the dense hidden layers, in [0, 1)
    dropconnect_mask       one mask a batch, or one for each example
    dropconnect_inference  mean or gaussian, see `nnrun list layer dropconnect`; gaussian goes without a norm
    dropconnect_samples    of gaussian

    Parameters with hidden [4096, 4096], 1000 outputs, images 224 × 224 × 3 and no batch norm, as in the paper's
    table 2: 11: 133 M, 13: 133 M, 16: 138 M, 19: 144 M.  By default, 32 × 32 × 3, 10 outputs: 9.5 M.
    Source: Simonyan & Zisserman 2015, "Very deep convolutional networks for large-scale image recognition".
    """
    drop = DropConnect(dropconnect, dropconnect_mask, dropconnect_inference, dropconnect_samples)
    pools = Pools(pooling, sequence, overlapping, test_poolings)
    widths = [width * factor for factor in (1, 2, 4, 8, 8)]
    before, stages = norm_of(norm, batch_norm, groups, hidden), list(zip(widths, _CONVS[depth], strict=True))
    convolutions = Convolutions(stages, 3, "relu", before, channel_dropout, input_dropout, pools)
    return conv_net(outputs, convolutions, hidden, HeadNoise(dropout, dropout_scaling, drop))
