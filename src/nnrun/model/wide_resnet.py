from __future__ import annotations

from nnrun.layer._residual import DepthMask, DepthRule, Survival
from nnrun.layer.dropout import Scaling
from nnrun.model._residual_net import Blocks, residual_net
from nnrun.model._weights import DropConnect, Mask, Norm, norm_layer
from nnrun.options import Count, Fraction
from nnrun.types import Layer

__all__ = ["wide_resnet"]


def wide_resnet(
    outputs: int,
    depth: Count = 16,
    widen: Count = 2,
    norm: Norm = "batch",
    groups: Count = 8,
    dropout: Fraction = 0.0,
    dropout_scaling: Scaling = "training",
    dropconnect: Fraction = 0.0,
    dropconnect_mask: Mask = "batch",
    p_last: Survival | None = None,
    depth_rule: DepthRule = "linear",
    depth_mask: DepthMask = "batch",
) -> Layer:
    """Wide ResNet for small images: pre-activation blocks of many channels, dropout inside.

    depth             6n + 4: 10, 16, 22, 28, 40
    widen             k: the stages have 16k, 32k and 64k channels
    norm              batch, group, layer (over the channels of each pixel) or none
    groups            of group norm, which must divide 16
    dropout           rate between the two convolutions of a block, in [0, 1); the paper's is 0.3
    dropout_scaling   training (inverted) or test, see `nnrun list layer dropout`
    dropconnect       rate on the weights of the two convolutions of a block, in [0, 1); mean weights without noise
    dropconnect_mask  one mask a batch, or one for each example
    p_last            stochastic depth: survival probability of the last block, in (0, 1]; null: off
    depth_rule        linear: from 1 down to p_last; uniform: p_last for all
    depth_mask        batch: a skipped block is not computed; example: drawn for each example

    | depth-widen | 40-1  | 40-2  | 40-4  | 16-8   | 22-8   | 28-10  | 28-12  |    with 10 outputs,
    | parameters  | 0.6 M | 2.2 M | 8.9 M | 11.0 M | 17.2 M | 36.5 M | 52.5 M |    images 32 × 32 × 3

    Source: Zagoruyko & Komodakis 2016, "Wide residual networks".
    """
    if depth < 10 or (depth - 4) % 6:
        raise ValueError(f"depth {depth} is not 6n + 4; write {max(10, round((depth - 4) / 6) * 6 + 4)}")
    widths = (16 * widen, 32 * widen, 64 * widen)
    blocks = Blocks(
        (depth - 4) // 6, widths, True, "project", dropout, dropout_scaling, p_last, depth_rule,
        depth_mask, norm_layer(norm, groups), DropConnect(dropconnect, dropconnect_mask),
    )  # fmt: skip
    return residual_net(outputs, 16, blocks)
