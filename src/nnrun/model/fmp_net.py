from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
from annotated_types import Gt, Lt
from jax import Array

from nnrun.layer._activations import Activation
from nnrun.layer._compose import serial, stateless
from nnrun.layer._fractional import Sequence
from nnrun.layer.conv import conv
from nnrun.layer.dense import dense
from nnrun.layer.dropout import Scaling, dropout
from nnrun.layer.flatten import flatten
from nnrun.layer.fractional_max_pool import pooling_to
from nnrun.model._draws import over_draws
from nnrun.model._images import images_only
from nnrun.model._weights import NO_DROPCONNECT, NO_NORM, DropConnect, Named, Norm, norm_layer, unit
from nnrun.options import Count, FixedMark, Fraction, is_off
from nnrun.types import Layer

__all__ = ["FractionalPooling", "fmp_net", "sides"]

Ratio = Annotated[float, Gt(1), Lt(2), FixedMark()]


class FractionalPooling(NamedTuple):
    """How a net pools: see the layer `fractional_max_pool`.

    ratio          by which each pooling shrinks a side, in (1, 2)
    sequence       pseudorandom or random, see `nnrun list layer fractional_max_pool`
    overlapping    whether neighbouring regions share a row or column
    test_poolings  predictions are the mean over this many fixed draws of regions
    """

    ratio: Ratio
    sequence: Sequence = "pseudorandom"
    overlapping: bool = True
    test_poolings: Count = 1


BY_ROOT_2 = FractionalPooling(1.4142135623730951)


def fmp_net(
    outputs: int,
    filters: Count = 32,
    blocks: Count = 6,
    pooling: FractionalPooling = BY_ROOT_2,
    activation: Activation = "relu",
    norm: Norm = NO_NORM,
    dropout_last: Fraction = 0.0,
    dropout_scaling: Scaling = "training",
    dropconnect: DropConnect = NO_DROPCONNECT,
) -> Layer:
    """Graham's net with fractional max pooling: (nC2 − FMP)ₖ − C2 − C1 − output.

    Block l: 2 × 2 convolution with n·l channels → activation → fractional pooling by `ratio`; then a 2 × 2 and a
    1 × 1 convolution, and the outputs.  The image is put into the middle of zeros so that the last pooling ends
    at 2 × 2: six blocks with ratio √2 take sides up to 36, twelve with ∛2 up to 94.

    filters          n: 32 and 64 in the paper's nets for MNIST and CIFAR
    blocks           k: 6 with ratio √2, 12 with ∛2 = 1.26
    pooling          ratio by which each pooling shrinks a side, in (1, 2)
    activation       relu, tanh, gelu, leaky_relu, elu, silu, mish, softplus or sigmoid (the paper
                     has a leaky relu)
    norm             before each activation: batch, group, layer or none (the paper has none)
    dropout_last     rate behind the last block, in [0, 1), rising from 0 at the first; the paper's is 0.5
    dropout_scaling  training (inverted) or test, see `nnrun list layer dropout`
    dropconnect      rate on weights and biases of all convolutions, in [0, 1)

    | filters, blocks, ratio, 10 outputs | 8, 6, √2 | 16, 6, √2 | 32, 6, √2 | 64, 12, ∛2 |
    | parameters                         | 0.03 M   | 0.13 M    | 0.52 M    | 12.7 M     |
    Source: Graham 2014, "Fractional max-pooling", section 4.
    """
    sizes = sides(blocks, pooling.ratio)
    before = norm_layer(norm, [filters * (blocks + i) for i in (1, 2)])  # behind them one pixel is left

    def convolved(number: int, window: int) -> Named:
        layer = conv(filters * number, window, padding="valid", bias=before is None)
        return unit("conv", number, layer, before, activation, dropconnect)

    def net(draw: Array | int) -> Layer:
        layers: Named = [("embed", _embedded(sizes[0][0], blocks, pooling.ratio))]
        for i, (_, side, smaller) in enumerate(sizes, start=1):
            regions = _regions(i, draw)
            pool = pooling_to({side: smaller}.__getitem__, pooling.sequence, pooling.overlapping, regions)
            layers += [*convolved(i, 2), (f"pool_{i}", pool)]
            rate = _rising(dropout_last, i, blocks)
            layers += [] if is_off(rate) else [(f"dropout_{i}", dropout(rate, dropout_scaling))]
        layers += [*convolved(blocks + 1, 2), *convolved(blocks + 2, 1)]
        return serial([*layers, ("flatten", flatten()), ("output", dense(outputs, init="lecun_normal"))])

    return images_only(over_draws(net, pooling.test_poolings, outputs))


def _rising(last: float, block: int, blocks: int) -> float:
    """The dropout rate behind a block: from 0 at the first to `last`; the plain 0 where there is none."""
    share = (block - 1) / (blocks - 1) if blocks > 1 else 1.0
    return 0.0 if is_off(last) or share == 0 else last * share


def _regions(block: int, draw: Array | int) -> Callable[[Array | None], Array]:
    """From which key a block draws its regions without noise."""
    return lambda _: jax.random.fold_in(jax.random.fold_in(jax.random.key(0), block), draw)


def sides(blocks: int, ratio: float) -> list[tuple[int, int, int]]:
    """Of each block: the side of its input, of what it pools, and of what that makes; the last makes 2."""
    triples, after = [], 2
    for _ in range(blocks):
        before = min(2 * after, max(after + 1, round(after * ratio)))
        triples.append((before + 1, before, after))
        after = before + 1
    return triples[::-1]


def _embedded(side: int, blocks: int, ratio: float) -> Layer:
    """Zeros around images, up to `side`."""

    def shape(x_shape):
        if max(x_shape[:2]) > side:
            enough = next(
                count for count in itertools.count(1) if sides(count, ratio)[0][0] >= max(x_shape[:2])
            )
            raise ValueError(
                f"{blocks} blocks take images up to {side} × {side}, got {x_shape}; write blocks: {enough}, or a "
                "larger ratio of pooling"
            )
        return (side, side, x_shape[2])

    def embed(x):
        pads = [((side - size) // 2, side - size - (side - size) // 2) for size in x.shape[1:3]]
        return jnp.pad(x, ((0, 0), *pads, (0, 0)))

    return stateless(embed, shape)
