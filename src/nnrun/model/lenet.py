from __future__ import annotations

from nnrun.layer._activations import Activation, activation_layer
from nnrun.layer._compose import serial
from nnrun.layer.conv import conv
from nnrun.layer.dropout import Scaling
from nnrun.layer.max_pool import max_pool
from nnrun.model._images import images_only
from nnrun.model._weights import NO_NORM, Named, Norm, norm_layer
from nnrun.model.mlp import mlp
from nnrun.options import Count, Fraction, Widths
from nnrun.types import Layer

__all__ = ["lenet"]


def lenet(
    outputs: int,
    filters: Widths = [6, 16],  # noqa: B006 - read only
    kernel: Count = 5,
    hidden: Widths = [120, 84],  # noqa: B006 - read only
    activation: Activation = "relu",
    norm: Norm = NO_NORM,
    dropout: Fraction = 0.0,
    dropout_scaling: Scaling = "training",
) -> Layer:
    """LeNet: convolutions with 2 × 2 max pooling, then dense layers, for small images.

    filters          channels of the convolutions, each followed by an activation and pooling
    kernel           height and width of the convolutions' windows
    hidden           units of the dense layers behind them
    activation       relu, tanh, gelu, leaky_relu, elu, silu, mish, softplus or sigmoid
    norm             before each activation: batch, group, layer or none
    dropout          rate on the dense hidden layers, in [0, 1)
    dropout_scaling  training (inverted) or test, see `nnrun list layer dropout`
    Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition"; max pooling, relu and
    a full second convolution in place of that time's average pooling, tanh and partial connections.
    """
    layers: Named = []
    before = norm_layer(norm)
    for i, channels in enumerate(filters, start=1):
        layers += [(f"conv_{i}", conv(channels, kernel, bias=before is None))]
        layers += [] if before is None else [(f"conv_norm_{i}", before)]
        layers += [(f"conv_activation_{i}", activation_layer(activation)), (f"pool_{i}", max_pool(2))]
    head = mlp(outputs, hidden, activation, norm, dropout, dropout_scaling=dropout_scaling)
    return images_only(serial([*layers, ("dense", head)]))
