from __future__ import annotations

from nnrun.layer._activations import Activation, activation_layer
from nnrun.layer._compose import serial
from nnrun.layer._residual import DepthMask, DepthRule, Survival, residual_block, survivals
from nnrun.layer.batch_norm import batch_norm as batch_norm_layer
from nnrun.layer.dense import dense
from nnrun.layer.dropout import Scaling
from nnrun.layer.dropout import dropout as dropout_layer
from nnrun.layer.flatten import flatten
from nnrun.model._head import dropped_inputs
from nnrun.model._weights import DropConnect, Inference, Mask, unit
from nnrun.options import Count, Fraction, is_off
from nnrun.types import Layer

__all__ = ["residual_mlp"]


def residual_mlp(
    outputs: int,
    width: Count = 128,
    blocks: Count = 4,
    inner: Count = 256,
    activation: Activation = "relu",
    batch_norm: bool = True,
    dropout: Fraction = 0.0,
    input_dropout: Fraction = 0.0,
    dropout_scaling: Scaling = "training",
    dropconnect: Fraction = 0.0,
    dropconnect_mask: Mask = "batch",
    dropconnect_inference: Inference = "mean",
    dropconnect_samples: Count = 1000,
    p_last: Survival | None = None,
    depth_rule: DepthRule = "linear",
    depth_mask: DepthMask = "batch",
) -> Layer:
    """Residual multi-layer perceptron: blocks that add to what they are given.

    Each block: x plus (norm → dense → activation → dropout → dense)(x).

    width                  units that the blocks add to
    blocks                 residual blocks
    inner                  units inside a block
    activation             relu, tanh or gelu
    batch_norm             normalise at the beginning of each block and before the output
    dropout                rate inside each block, in [0, 1)
    input_dropout          rate on the inputs, in [0, 1)
    dropout_scaling        of both: training (inverted) or test, see `nnrun list layer dropout`
    dropconnect            rate on weights and biases of the first dense layer of each block, in [0, 1)
    dropconnect_mask       one mask a batch, or one for each example
    dropconnect_inference  mean or gaussian, see `nnrun list layer dropconnect`
    dropconnect_samples    of gaussian
    p_last                 stochastic depth: survival probability of the last block, in (0, 1]; null: off
    depth_rule             linear: from 1 down to p_last; uniform: p_last for all
    depth_mask             batch: a skipped block is not computed (but in a population of seeds); example: drawn
                           for each one

    | width, blocks, inner, of 64 inputs and 10 outputs | 64, 2, 128 | 128, 4, 256 | 256, 8, 512 |
    | parameters                                        | 0.04 M     | 0.27 M      | 2.1 M       |
    Source: Gorishniy et al. 2021, "Revisiting deep learning models for tabular data" (ResNet).
    """
    drop = DropConnect(dropconnect, dropconnect_mask, dropconnect_inference, dropconnect_samples)
    # No bias where all that follows is a norm, which takes it away again.
    layers = [("flatten", flatten()), *dropped_inputs(input_dropout, dropout_scaling)]
    layers += [("input", dense(width, bias=not batch_norm, init="lecun_normal"))]
    for i, survival in enumerate(survivals(p_last, blocks, depth_rule), start=1):
        branch = [("norm", batch_norm_layer())] if batch_norm else []
        branch += unit("dense", 1, dense(inner), None, activation, drop)
        branch += [] if is_off(dropout) else [("dropout", dropout_layer(dropout, dropout_scaling))]
        branch += [("dense_2", dense(width, bias=not batch_norm, init="lecun_normal"))]
        layers += [(f"block_{i}", residual_block(serial(branch), None, survival, depth_mask))]
    layers += [("last_norm", batch_norm_layer())] if batch_norm else []
    layers += [("last_activation", activation_layer(activation))]
    return serial([*layers, ("output", dense(outputs, init="lecun_normal"))])
