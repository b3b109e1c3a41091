from __future__ import annotations

from nnrun.layer._activations import Activation, activation_layer
from nnrun.layer._compose import serial
from nnrun.layer._residual import ALWAYS, StochasticDepth, residual_block, survivals
from nnrun.layer.dense import dense
from nnrun.layer.dropout import Scaling
from nnrun.layer.dropout import dropout as dropout_layer
from nnrun.layer.flatten import flatten
from nnrun.model._head import dropped_inputs
from nnrun.model._weights import BATCH_NORM, NO_DROPCONNECT, DropConnect, Named, Norm, norm_layer, unit
from nnrun.options import Count, Fraction, is_off
from nnrun.types import Layer

__all__ = ["residual_mlp"]


def residual_mlp(
    outputs: int,
    width: Count = 128,
    blocks: Count = 4,
    inner: Count = 256,
    activation: Activation = "relu",
    norm: Norm = BATCH_NORM,
    dropout: Fraction = 0.0,
    input_dropout: Fraction = 0.0,
    dropout_scaling: Scaling = "training",
    dropconnect: DropConnect = NO_DROPCONNECT,
    survival: StochasticDepth = ALWAYS,
) -> Layer:
    """Residual multi-layer perceptron: blocks that add to what they are given.

    Each block: x plus (norm → dense → activation → dropout → dense)(x).

    width            units that the blocks add to
    blocks           residual blocks
    inner            units inside a block
    activation       relu, tanh, gelu, leaky_relu, elu, silu, mish, softplus or sigmoid
    norm             at the beginning of each block and before the output: batch, group, layer or none
    dropout          rate inside each block, in [0, 1)
    input_dropout    rate on the inputs, in [0, 1)
    dropout_scaling  of both: training (inverted) or test, see `nnrun list layer dropout`
    dropconnect      rate on weights and biases of the first dense layer of each block, in [0, 1)
    survival         stochastic depth: survival probability of the last block, in (0, 1]; null: off

    | width, blocks, inner, of 64 inputs and 10 outputs | 64, 2, 128 | 128, 4, 256 | 256, 8, 512 |
    | parameters                                        | 0.04 M     | 0.27 M      | 2.1 M       |
    Source: Gorishniy et al. 2021, "Revisiting deep learning models for tabular data" (ResNet).
    """
    before = norm_layer(norm, (width,))
    # No bias where all that follows is a norm, which takes it away again.
    layers: Named = [("flatten", flatten()), *dropped_inputs(input_dropout, dropout_scaling)]
    layers += [("input", dense(width, bias=before is None, init="lecun_normal"))]
    for i, chance in enumerate(survivals(survival, blocks), start=1):
        branch: Named = [] if before is None else [("norm", before)]
        branch += unit("dense", 1, dense(inner), None, activation, dropconnect)
        branch += [] if is_off(dropout) else [("dropout", dropout_layer(dropout, dropout_scaling))]
        branch += [("dense_2", dense(width, bias=before is None, init="lecun_normal"))]
        layers += [(f"block_{i}", residual_block(serial(branch), None, chance, survival.mask))]
    layers += [] if before is None else [("last_norm", before)]
    layers += [("last_activation", activation_layer(activation))]
    return serial([*layers, ("output", dense(outputs, init="lecun_normal"))])
