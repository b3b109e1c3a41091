from __future__ import annotations

from nnrun.layer._residual import ALWAYS, StochasticDepth
from nnrun.layer.dropout import Scaling
from nnrun.model._residual_net import Blocks, Shortcut, residual_net
from nnrun.model._weights import BATCH_NORM, ONLY_MEANS, MeanDropConnect, Norm, norm_layer
from nnrun.options import Count, Fraction
from nnrun.types import Layer

__all__ = ["resnet"]


def resnet(
    outputs: int,
    depth: Count = 20,
    width: Count = 16,
    preactivation: bool = False,
    shortcut: Shortcut = "pad",
    norm: Norm = BATCH_NORM,
    dropout: Fraction = 0.0,
    dropout_scaling: Scaling = "training",
    dropconnect: MeanDropConnect = ONLY_MEANS,
    survival: StochasticDepth = ALWAYS,
) -> Layer:
    """ResNet for small images, of 6n + 2 layers: three stages of n residual blocks.

    depth            layers with weights, 6n + 2: 20, 32, 44, 56, 110 in the paper; 8 and 14 are small ones
    width            channels of the first stage; the second has twice, the third four times as many
    preactivation    norm and relu before each convolution instead of behind it (He et al. 2016b)
    shortcut         where the shape changes: pad with zeros, without parameters (the paper's A), or project
    norm             behind or before each convolution: batch, group, layer or none; groups of group norm must
                     divide width
    dropout          rate between the two convolutions of a block, in [0, 1)
    dropout_scaling  training (inverted) or test, see `nnrun list layer dropout`
    dropconnect      rate on the weights of the two convolutions of a block, in [0, 1); mean weights without noise
    survival         stochastic depth: survival probability of the last block, in (0, 1]; 0.5 in the paper; null: off

    | depth      | 8      | 14     | 20     | 32     | 44     | 56     | 110   |    with 10 outputs,
    | parameters | 0.08 M | 0.18 M | 0.27 M | 0.46 M | 0.66 M | 0.85 M | 1.7 M |    images 32 × 32 × 3

    Source: He et al. 2016, "Deep residual learning for image recognition", section 4.2; He et al. 2016b,
    "Identity mappings in deep residual networks"; Huang et al. 2016, "Deep networks with stochastic depth".
    """
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"depth {depth} is not 6n + 2; write {max(8, round((depth - 2) / 6) * 6 + 2)}")
    widths = (width, 2 * width, 4 * width)
    blocks = Blocks(
        (depth - 2) // 6, widths, preactivation, shortcut, dropout, dropout_scaling, survival,
        norm_layer(norm), dropconnect,
    )  # fmt: skip
    return residual_net(outputs, width, blocks)
