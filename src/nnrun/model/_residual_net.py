"""Residual networks for small images: three stages of blocks of two 3 × 3 convolutions."""

from __future__ import annotations

from typing import Literal, NamedTuple

import jax.numpy as jnp

from nnrun.layer._compose import serial, stateless
from nnrun.layer._residual import StochasticDepth, residual_block, survivals
from nnrun.layer.conv import conv
from nnrun.layer.dense import dense
from nnrun.layer.dropout import Scaling, dropout
from nnrun.layer.global_average_pool import global_average_pool
from nnrun.layer.relu import relu
from nnrun.model._images import images_only
from nnrun.model._weights import MeanDropConnect, Named, weighted
from nnrun.options import is_off
from nnrun.types import Layer

__all__ = ["Blocks", "Shortcut", "residual_net"]

Shortcut = Literal["pad", "project"]


class Blocks(NamedTuple):
    """What the blocks of a net are like."""

    per_stage: int
    widths: tuple[int, int, int]  # channels of the stages
    preactivation: bool
    shortcut: Shortcut  # where a block changes the shape
    dropout: float  # rate between the two convolutions
    scaling: Scaling
    survival: StochasticDepth
    norm: Layer | None  # behind each convolution, or before it; without one the convolutions have biases
    drop: MeanDropConnect  # of the convolutions of the blocks


def residual_net(outputs: int, stem: int, blocks: Blocks) -> Layer:
    """conv (stem channels) → blocks, the first of the second and third stage with stride 2 → mean → dense."""
    layers: Named = [("conv", conv(stem, 3, bias=blocks.norm is None))]
    layers += [] if blocks.preactivation else _normed(blocks, "norm", "relu")
    chances = survivals(blocks.survival, 3 * blocks.per_stage)
    channels = stem
    for i, survival in enumerate(chances):
        stage, position = divmod(i, blocks.per_stage)
        width, stride = blocks.widths[stage], 2 if stage and not position else 1
        layers += [(f"block_{i + 1}", _block(blocks, channels, width, stride, survival))]
        channels = width
    layers += _normed(blocks, "last_norm", "last_relu") if blocks.preactivation else []
    layers += [("pool", global_average_pool()), ("output", dense(outputs, init="lecun_normal"))]
    return images_only(serial(layers))


def _normed(blocks: Blocks, norm: str, relu_name: str | None) -> Named:
    """The norm, if there is one, and a relu, if it has a name."""
    layers: Named = [] if blocks.norm is None else [(norm, blocks.norm)]
    return layers + ([] if relu_name is None else [(relu_name, relu())])


def _block(blocks: Blocks, channels: int, width: int, stride: int, survival: float | None) -> Layer:
    convs = [weighted(conv(width, 3, step, bias=blocks.norm is None), blocks.drop) for step in (stride, 1)]
    noise: Named = [] if is_off(blocks.dropout) else [("dropout", dropout(blocks.dropout, blocks.scaling))]
    beside = _shortcut(blocks.shortcut, channels, width, stride)
    if not blocks.preactivation:
        branch = [("conv_1", convs[0]), *_normed(blocks, "norm_1", "relu_1"), *noise]
        branch += [("conv_2", convs[1]), *_normed(blocks, "norm_2", None)]
        added = residual_block(serial(branch), beside, survival, blocks.survival.mask)
        return serial([("sum", added), ("relu", relu())])
    branch = [*_normed(blocks, "norm_1", "relu_1"), ("conv_1", convs[0])]
    branch += [*_normed(blocks, "norm_2", "relu_2"), *noise, ("conv_2", convs[1])]
    return serial([("sum", residual_block(serial(branch), beside, survival, blocks.survival.mask))])


def _shortcut(kind: Shortcut, channels: int, width: int, stride: int) -> Layer | None:
    """None: the identity.  pad: every stride-th pixel, and zeros for new channels.  project: a 1 × 1 convolution."""
    if channels == width and stride == 1:
        return None
    if kind == "project":
        return serial([("conv", conv(width, 1, stride, bias=False))])
    if width < channels:
        raise ValueError(
            f"a padded shortcut cannot go from {channels} to {width} channels; write shortcut: project"
        )

    def shape(x_shape):
        return (-(-x_shape[0] // stride), -(-x_shape[1] // stride), width)

    def apply(x):
        return jnp.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (0, width - channels)))

    return stateless(apply, shape)
