from __future__ import annotations

from nnrun.layer._activations import Activation, activation_layer
from nnrun.layer._compose import serial
from nnrun.layer.batch_norm import batch_norm as batch_norm_layer
from nnrun.layer.conv import conv
from nnrun.layer.dropout import Scaling
from nnrun.layer.max_pool import max_pool
from nnrun.model._images import images_only
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
    batch_norm: bool = False,
    dropout: Fraction = 0.0,
    dropout_scaling: Scaling = "training",
) -> Layer:
    """LeNet: convolutions with 2 × 2 max pooling, then dense layers, for small images.

    filters          channels of the convolutions, each followed by an activation and pooling
    kernel           height and width of the convolutions' windows
    hidden           units of the dense layers behind them
    activation       relu, tanh or gelu
    batch_norm       normalise before each activation (the layer before has no bias)
    dropout          rate on the dense hidden layers, in [0, 1)
    dropout_scaling  training (inverted) or test, see `nnrun list layer dropout`
    Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition"; max pooling, relu and
    a full second convolution in place of that time's average pooling, tanh and partial connections.
    """
    layers = []
    for i, channels in enumerate(filters, start=1):
        layers += [(f"conv_{i}", conv(channels, kernel, bias=not batch_norm))]
        layers += [(f"conv_norm_{i}", batch_norm_layer())] if batch_norm else []
        layers += [(f"conv_activation_{i}", activation_layer(activation)), (f"pool_{i}", max_pool(2))]
    head = mlp(outputs, hidden, activation, batch_norm, dropout, dropout_scaling=dropout_scaling)
    return images_only(serial([*layers, ("dense", head)]))
