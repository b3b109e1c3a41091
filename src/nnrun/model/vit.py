from __future__ import annotations

from typing import Literal

from nnrun.layer._compose import serial, stateless
from nnrun.layer._residual import ALWAYS, StochasticDepth, residual_block, survivals
from nnrun.layer.dense import dense
from nnrun.layer.dropout import Scaling
from nnrun.layer.dropout import dropout as dropout_layer
from nnrun.layer.layer_norm import layer_norm
from nnrun.layer.swiglu import swiglu
from nnrun.model._attention import class_token, linear, patches, positions, self_attention
from nnrun.model._images import images_only
from nnrun.model._weights import NO_DROPCONNECT, DropConnect, Named, unit
from nnrun.options import Count, Fraction, is_off
from nnrun.types import Layer

__all__ = ["vit"]

FeedForward = Literal["gelu", "swiglu"]


def vit(
    outputs: int,
    patch: Count = 4,
    width: Count = 64,
    blocks: Count = 4,
    heads: Count = 4,
    inner: Count | None = None,
    feed_forward: FeedForward = "gelu",
    dropout: Fraction = 0.0,
    dropout_scaling: Scaling = "training",
    dropconnect: DropConnect = NO_DROPCONNECT,
    survival: StochasticDepth = ALWAYS,
) -> Layer:
    """Vision transformer, small: patches as tokens, blocks of self-attention and dense layers.

    Each block: x plus attention(norm(x)), then x plus dense(gelu(dense(norm(x)))); a class token is read at the end.

    patch            side of the square patches; it must divide the image's sides
    width            channels of a token
    blocks           how many
    heads            of the attention; they must divide width
    inner            units between the two dense layers of a block; null: 4 · width, of swiglu ⌈8 · width / 3⌉, as large
    feed_forward     what gives these units: gelu of a dense layer, or swiglu, see `nnrun list layer swiglu`
    dropout          rate on the sum of patch and position and at the end of both halves of a block, in [0, 1)
    dropout_scaling  training (inverted) or test, see `nnrun list layer dropout`
    dropconnect      rate on weights and biases of the first dense layer of each block, in [0, 1)
    survival         stochastic depth: survival probability of both halves of the last block, in (0, 1]; null: off

    | net, images, outputs           | default, 32 × 32 × 3, 10 | Ti/16, 224 × 224 × 3, 1000 | S/16   | B/16   |
    | patch, width, blocks, heads    | 4, 64, 4, 4              | 16, 192, 12, 3             | 384, 6 | 768, 12 |
    | parameters                     | 0.21 M                   | 5.7 M                      | 22.0 M | 86.6 M |
    Source: Dosovitskiy et al. 2021, "An image is worth 16 × 16 words"; Touvron et al. 2021 for Ti and S.
    """
    if feed_forward == "swiglu" and not is_off(dropconnect.rate):
        raise ValueError(
            "dropconnect is for dense layers, and feed_forward: swiglu has none; leave one of them out"
        )
    units = inner or (4 * width if feed_forward == "gelu" else -(-8 * width // 3))
    noise: Named = [] if is_off(dropout) else [("dropout", dropout_layer(dropout, dropout_scaling))]
    layers: Named = [("patches", patches(patch, width)), ("class", class_token())]
    layers += [("positions", positions()), *noise]
    for i, chance in enumerate(survivals(survival, blocks), start=1):
        halves = _attending(heads, noise), _thinking(feed_forward, units, width, noise, dropconnect)
        block = [
            (f"half_{j}", residual_block(half, None, chance, survival.mask))
            for j, half in enumerate(halves, 1)
        ]
        layers += [(f"block_{i}", serial(block))]
    layers += [("norm", layer_norm()), ("read", stateless(lambda x: x[:, 0], lambda x_shape: x_shape[1:]))]
    return images_only(serial([*layers, ("output", dense(outputs, init="lecun_normal"))]))


def _attending(heads: int, noise: Named) -> Layer:
    return serial([("norm", layer_norm()), ("attention", self_attention(heads)), *noise])


def _thinking(kind: FeedForward, inner: int, width: int, noise: Named, drop: DropConnect) -> Layer:
    dense_unit: Named = unit("dense", 1, linear(inner), None, "gelu", drop)
    first: Named = dense_unit if kind == "gelu" else [("swiglu", swiglu(inner))]
    return serial([("norm", layer_norm()), *first, ("dense_2", linear(width)), *noise])
