"""The pictures of docs/regularizers.md, each drawn from what the layer itself does with a key."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from optimizers_parts import COLOURS, figure, picture, save
from sklearn.datasets import load_sample_image

from nnrun.layer._fractional import intervals, pool
from nnrun.layer._residual import StochasticDepth, residual_block, survivals
from nnrun.layer.dense import dense
from nnrun.layer.dropconnect import dropconnect
from nnrun.layer.dropout import dropout
from nnrun.types import Layer

__all__ = ["blocks", "regions", "units", "weights"]

KEY = jax.random.key(0)
_WIDTHS = (5, 8, 8, 3)
_STEPS = 3
_BLOCKS, _SHOWN = 27, 90  # ResNet-56; steps
_SIDE, _POOLED = 48, 34  # of the picture that is pooled; a ratio of about √2
_GREY = "0.8"


def units() -> str:
    """Dropout in a small net at three steps: which units are there."""
    made, panels = figure(_STEPS, height=3.0)
    for step, axes in enumerate(panels):
        there = [np.ones(_WIDTHS[0], bool)]
        for i, width in enumerate(_WIDTHS[1:-1]):
            key = jax.random.fold_in(jax.random.fold_in(KEY, step), i)
            there.append(np.asarray(dropout(0.5).apply({}, {}, jnp.ones((1, width)), key, None)[0][0]) > 0)
        there.append(np.ones(_WIDTHS[-1], bool))
        links = [np.outer(a, b) for a, b in itertools.pairwise(there)]
        _net(axes, there, links, f"step {step + 1}")
    save(made, "dropped_units.png")
    return picture("dropped_units.png", "Dropout removes other units, with all their weights, at every step")


def weights() -> str:
    """DropConnect in the same net: which weights are there."""
    made, panels = figure(_STEPS, height=3.0)
    there = [np.ones(width, bool) for width in _WIDTHS]
    for step, axes in enumerate(panels):
        links = []
        for i, (a, b) in enumerate(itertools.pairwise(_WIDTHS)):
            key = jax.random.fold_in(jax.random.fold_in(KEY, step), i)
            layer = dropconnect(dense(b), 0.5)
            params = {"kernel": jnp.ones((a, b)), "bias": jnp.zeros(b)}
            last = i == len(_WIDTHS) - 2
            links.append(np.ones((a, b), bool) if last else _kept(layer, params, key))
        _net(axes, there, links, f"step {step + 1}")
    save(made, "dropped_weights.png")
    return picture("dropped_weights.png", "DropConnect removes other weights at every step; all units stay")


def _kept(layer: Layer, params: dict[str, Any], key: Any) -> np.ndarray:
    """Which weights have an effect: the outputs for each input alone."""
    inputs = jnp.eye(params["kernel"].shape[0])
    return np.asarray(layer.apply(params, {}, inputs, key, None)[0]) > 0


def _net(axes: Any, there: list[np.ndarray], links: list[np.ndarray], title: str) -> None:
    places = [np.linspace(0, 1, len(layer) + 2)[1:-1] for layer in there]
    for i, link in enumerate(links):
        for a, b in np.argwhere(link):
            axes.plot(
                (i, i + 1), (places[i][a], places[i + 1][b]), lw=0.7, color=COLOURS[0], alpha=0.6, zorder=1
            )
    for i, (layer, y) in enumerate(zip(there, places, strict=True)):
        face = np.where(layer, "white", _GREY)
        edge = np.where(layer, "black", _GREY)
        axes.scatter(np.full(len(y), i), y, s=90, c=face, edgecolors=edge, zorder=2)
    axes.set(title=title, xlim=(-0.3, len(there) - 0.7))
    axes.axis("off")


def blocks() -> str:
    """Stochastic depth in a net of 27 blocks over 90 steps, and how long the blocks survive."""
    chances = survivals(StochasticDepth(0.5), _BLOCKS)
    bump = Layer(lambda key, shape: ({}, {}, shape), lambda params, stats, x, key, weight: (x, stats))
    x = jnp.ones((1, 1))
    found = np.zeros((_BLOCKS, _SHOWN), bool)
    for i, chance in enumerate(chances):

        def doubled(step: Any, i: int = i, chance: float = chance) -> Any:
            key = jax.random.fold_in(jax.random.fold_in(KEY, step), i)
            return residual_block(bump, None, chance).apply({}, {}, x, key, jnp.ones(1))[0][0, 0]

        found[i] = np.asarray(jax.vmap(doubled)(jnp.arange(_SHOWN))) == 2
    made, (left, right) = figure(2, height=3.4, width_ratios=(4, 1))
    left.imshow(found, cmap="Blues", vmin=0, vmax=1.4, aspect="auto", interpolation="nearest", origin="lower")
    left.set(xlabel="step", ylabel="block, the first one below", title="dark: computed, white: skipped")
    right.plot(chances, np.arange(_BLOCKS), color=COLOURS[1], label="by the rule")
    right.plot(found.mean(1), np.arange(_BLOCKS), ".", color=COLOURS[0], label="of these steps")
    right.set(xlim=(0.3, 1.05), xlabel="share of steps", yticks=[])
    right.legend(loc="lower left")
    save(made, "skipped_blocks.png")
    return picture("skipped_blocks.png", "Late blocks are skipped often, early ones hardly ever")


def regions() -> str:
    """The regions of both sequences on a picture, and what comes out."""
    image = load_sample_image("flower.jpg")[60:348, 190:478].reshape(_SIDE, 6, _SIDE, 6, 3).mean((1, 3)) / 255
    made, panels = figure(4, height=2.9)
    for i, sequence in enumerate(("pseudorandom", "random")):
        drawn = [
            intervals(jax.random.fold_in(KEY, axis), _SIDE, _POOLED, sequence, overlapping=False)
            for axis in (0, 1)
        ]
        before, after = panels[2 * i : 2 * i + 2]
        before.imshow(image, extent=(0, _SIDE, _SIDE, 0))
        for line, first in zip((before.axhline, before.axvline), drawn, strict=True):
            for edge in np.asarray(first.first)[1:]:
                line(edge, lw=0.5, color="white")
        before.set_title(f"{sequence} regions")
        after.imshow(np.asarray(pool(jnp.asarray(image[None], jnp.float32), *drawn))[0])
        after.set_title(f"{_SIDE} × {_SIDE} → {_POOLED} × {_POOLED}")
        for axes in (before, after):
            axes.set(xticks=[], yticks=[])
    save(made, "pooling_regions.png")
    return picture(
        "pooling_regions.png", "Regions of one or two rows and columns, and the largest value of each"
    )
