from __future__ import annotations

from nnrun.layer._residual import ALWAYS, StochasticDepth
from nnrun.layer.dropout import Scaling
from nnrun.model._residual_net import Blocks, residual_net
from nnrun.model._weights import BATCH_NORM, ONLY_MEANS, MeanDropConnect, Norm, norm_layer
from nnrun.options import Count, Fraction
from nnrun.types import Layer

__all__ = ["wide_resnet"]


def wide_resnet(
    outputs: int,
    depth: Count = 16,
    widen: Count = 2,
    norm: Norm = BATCH_NORM,
    dropout: Fraction = 0.0,
    dropout_scaling: Scaling = "training",
    dropconnect: MeanDropConnect = ONLY_MEANS,
    survival: StochasticDepth = ALWAYS,
) -> Layer:
    """Wide ResNet for small images: pre-activation blocks of many channels, dropout inside.

    depth            6n + 4: 10, 16, 22, 28, 40
    widen            k: the stages have 16k, 32k and 64k channels
    norm             behind or before each convolution: batch, group, layer or none; groups of group norm must
                     divide 16
    dropout          rate between the two convolutions of a block, in [0, 1); the paper's is 0.3
    dropout_scaling  training (inverted) or test, see `nnrun list layer dropout`
    dropconnect      rate on the weights of the two convolutions of a block, in [0, 1); mean weights without noise
    survival         stochastic depth: survival probability of the last block, in (0, 1]; null: off

    | depth-widen | 40-1  | 40-2  | 40-4  | 16-8   | 22-8   | 28-10  | 28-12  |    with 10 outputs,
    | parameters  | 0.6 M | 2.2 M | 8.9 M | 11.0 M | 17.2 M | 36.5 M | 52.5 M |    images 32 × 32 × 3

    Source: Zagoruyko & Komodakis 2016, "Wide residual networks".
    """
    if depth < 10 or (depth - 4) % 6:
        raise ValueError(f"depth {depth} is not 6n + 4; write {max(10, round((depth - 4) / 6) * 6 + 4)}")
    widths = (16 * widen, 32 * widen, 64 * widen)
    blocks = Blocks(
        (depth - 4) // 6, widths, True, "project", dropout, dropout_scaling, survival,
        norm_layer(norm), dropconnect,
    )  # fmt: skip
    return residual_net(outputs, 16, blocks)
