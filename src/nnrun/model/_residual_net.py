"""Residual networks for small images: three stages of blocks of two 3 × 3 convolutions."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import jax.numpy as jnp

from nnrun.layer._compose import serial, stateless
from nnrun.layer._residual import DepthMask, DepthRule, residual_block, survivals
from nnrun.layer.batch_norm import batch_norm
from nnrun.layer.conv import conv
from nnrun.layer.dense import dense
from nnrun.layer.dropout import dropout
from nnrun.layer.global_average_pool import global_average_pool
from nnrun.layer.relu import relu
from nnrun.options import is_off
from nnrun.types import Layer

__all__ = ["Blocks", "Shortcut", "residual_net"]

Shortcut = Literal["pad", "project"]
Named = list[tuple[str, Layer]]


class Blocks(NamedTuple):
    """What the blocks of a net are like."""

    per_stage: int
    widths: tuple[int, int, int]  # channels of the stages
    preactivation: bool
    shortcut: Shortcut  # where a block changes the shape
    dropout: Any  # rate between the two convolutions
    p_last: Any  # survival probability of the last block; None: all are always there
    rule: DepthRule
    mask: DepthMask


def residual_net(outputs: int, stem: int, blocks: Blocks) -> Layer:
    """conv (stem channels) → blocks, the first of the second and third stage with stride 2 → mean → dense."""
    layers: Named = [("conv", conv(stem, 3, bias=False))]
    layers += [] if blocks.preactivation else [("norm", batch_norm()), ("relu", relu())]
    chances = survivals(blocks.p_last, 3 * blocks.per_stage, blocks.rule)
    channels = stem
    for i, survival in enumerate(chances):
        stage, position = divmod(i, blocks.per_stage)
        width, stride = blocks.widths[stage], 2 if stage and not position else 1
        layers += [(f"block_{i + 1}", _block(blocks, channels, width, stride, survival))]
        channels = width
    layers += [("last_norm", batch_norm()), ("last_relu", relu())] if blocks.preactivation else []
    return serial([*layers, ("pool", global_average_pool()), ("output", dense(outputs, init="lecun_normal"))])


def _block(blocks: Blocks, channels: int, width: int, stride: int, survival: Any) -> Layer:
    convs = conv(width, 3, stride, bias=False), conv(width, 3, bias=False)
    noise: Named = [] if is_off(blocks.dropout) else [("dropout", dropout(blocks.dropout))]
    beside = _shortcut(blocks.shortcut, channels, width, stride)
    if not blocks.preactivation:
        branch = [("conv_1", convs[0]), ("norm_1", batch_norm()), ("relu_1", relu()), *noise]
        branch += [("conv_2", convs[1]), ("norm_2", batch_norm())]
        added = residual_block(serial(branch), beside, survival, blocks.mask)
        return serial([("sum", added), ("relu", relu())])
    branch = [("norm_1", batch_norm()), ("relu_1", relu()), ("conv_1", convs[0])]
    branch += [("norm_2", batch_norm()), ("relu_2", relu()), *noise, ("conv_2", convs[1])]
    return serial([("sum", residual_block(serial(branch), beside, survival, blocks.mask))])


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
