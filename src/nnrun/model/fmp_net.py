from __future__ import annotations

from typing import Annotated, Any

import jax
import jax.numpy as jnp
from annotated_types import Gt, Lt
from jax import Array, lax

from nnrun.layer._activations import Activation, activation_layer
from nnrun.layer._compose import serial, stateless
from nnrun.layer._fractional import Sequence
from nnrun.layer.batch_norm import batch_norm as batch_norm_layer
from nnrun.layer.conv import conv
from nnrun.layer.dense import dense
from nnrun.layer.dropout import dropout
from nnrun.layer.flatten import flatten
from nnrun.layer.fractional_max_pool import pooling_to
from nnrun.options import Count, FixedMark, Fraction, is_off
from nnrun.types import Layer

__all__ = ["fmp_net", "sides"]

Ratio = Annotated[float, Gt(1), Lt(2), FixedMark()]


def fmp_net(
    outputs: int,
    filters: Count = 32,
    blocks: Count = 6,
    ratio: Ratio = 1.4142135623730951,
    sequence: Sequence = "pseudorandom",
    overlapping: bool = True,
    test_poolings: Count = 1,
    activation: Activation = "relu",
    batch_norm: bool = False,
    dropout_last: Fraction = 0.0,
) -> Layer:
    """Graham's net with fractional max pooling: (nC2 − FMP)ₖ − C2 − C1 − output.

    Block l: 2 × 2 convolution with n·l channels → activation → fractional pooling by `ratio`; then a 2 × 2 and a
    1 × 1 convolution, and the outputs.  The image is put into the middle of zeros so that the last pooling ends
    at 2 × 2: six blocks with ratio √2 take sides up to 36, twelve with ∛2 up to 94.

    filters        n: 32 and 64 in the paper's nets for MNIST and CIFAR
    blocks         k: 6 with ratio √2, 12 with ∛2 = 1.26
    ratio          by which each pooling shrinks a side, in (1, 2)
    sequence       pseudorandom or random, see `nnrun list layer fractional_max_pool`
    overlapping    whether neighbouring regions share a row or column
    test_poolings  without noise: the mean of the predicted probabilities (of one output: of the output) over so
                   many fixed draws of regions
    activation     relu, tanh or gelu (the paper has a leaky relu)
    batch_norm     normalise before each activation (not in the paper)
    dropout_last   rate behind the last block, in [0, 1), rising linearly from 0 at the first; the paper's is 0.5

    | filters, blocks, ratio, 10 outputs | 8, 6, √2 | 16, 6, √2 | 32, 6, √2 | 64, 12, ∛2 |
    | parameters                         | 0.03 M   | 0.13 M    | 0.52 M    | 12.7 M     |

    Source: Graham 2014, "Fractional max-pooling", section 4.
    """

    def with_regions(test_key: Any) -> Layer:
        sizes = sides(blocks, ratio)
        layers: list[tuple[str, Layer]] = [("embed", _embedded(sizes[0][0], blocks))]
        for i, (_, before, after) in enumerate(sizes, start=1):
            layers += _convolved(f"{i}", filters * i, 2, activation, batch_norm)
            shrunk = {before: after}.__getitem__
            layers += [(f"pool_{i}", pooling_to(shrunk, sequence, overlapping, test_key(i)))]
            share = (i - 1) / (blocks - 1) if blocks > 1 else 1.0
            rate = 0.0 if is_off(dropout_last) or share == 0 else dropout_last * share
            layers += [] if is_off(rate) else [(f"dropout_{i}", dropout(rate))]
        layers += _convolved(f"{blocks + 1}", filters * (blocks + 1), 2, activation, batch_norm)
        layers += _convolved(f"{blocks + 2}", filters * (blocks + 2), 1, activation, batch_norm)
        return serial([*layers, ("flatten", flatten()), ("output", dense(outputs, init="lecun_normal"))])

    return _over_draws(with_regions, test_poolings, outputs)


def sides(blocks: int, ratio: float) -> list[tuple[int, int, int]]:
    """Of each block: the side of its input, of what it pools, and of what that makes; the last makes 2."""
    found, after = [], 2
    for _ in range(blocks):
        before = min(2 * after, max(after + 1, round(after * ratio)))
        found.append((before + 1, before, after))
        after = before + 1
    return found[::-1]


def _embedded(side: int, blocks: int) -> Layer:
    """Zeros around images, up to `side`."""

    def shape(x_shape):
        if len(x_shape) != 3:
            raise ValueError(f"fmp_net needs images (h, w, c), got shape {x_shape}")
        if max(x_shape[:2]) > side:
            raise ValueError(
                f"{blocks} blocks take images up to {side} × {side}, got {x_shape}; use more blocks or a larger ratio"
            )
        return (side, side, x_shape[2])

    def embed(x):
        pads = [((side - size) // 2, side - size - (side - size) // 2) for size in x.shape[1:3]]
        return jnp.pad(x, ((0, 0), *pads, (0, 0)))

    return stateless(embed, shape)


def _convolved(
    name: str, channels: int, window: int, activation: Activation, normalised: bool
) -> list[tuple[str, Layer]]:
    layers = [(f"conv_{name}", conv(channels, window, padding="valid", bias=not normalised))]
    layers += [(f"norm_{name}", batch_norm_layer())] if normalised else []
    return [*layers, (f"activation_{name}", activation_layer(activation))]


def _over_draws(with_regions: Any, draws: int, outputs: int) -> Layer:
    """The net; without noise, the average of its predictions over several draws of regions."""

    def keyed(draw: Array | int) -> Layer:
        def test_key(block: int) -> Any:
            return lambda _: jax.random.fold_in(jax.random.fold_in(jax.random.key(0), block), draw)

        return with_regions(test_key)

    plain = keyed(0)

    def apply(params, stats, x, key, weight):
        if key is not None or draws == 1:
            return plain.apply(params, stats, x, key, weight)

        def prediction(draw):
            y, new = keyed(draw).apply(params, stats, x, None, weight)
            return (jax.nn.log_softmax(y) if outputs > 1 else y), new

        first, new = prediction(jnp.uint32(0))
        join = jnp.logaddexp if outputs > 1 else jnp.add
        total = lax.fori_loop(1, draws, lambda i, y: join(y, prediction(i)[0]), first)
        return (total - jnp.log(jnp.asarray(draws, total.dtype)) if outputs > 1 else total / draws), new

    return Layer(plain.init, apply)
