"""Batch norm and relu against what JAX derives and against torch: the table of layer/_moments.py.

    pip install -e ".[bench]"
    python benchmarks/batch_norm.py [--rounds 15]

Each side repeats ten passes, forward and backward, in one call, in batches of 128 images in float32 on all cores; the
sides take turns.  Medians, in milliseconds a pass.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import torch
from jax import Array, lax
from rows import busy_cores, machine, prepare_process

from nnrun import kernels
from nnrun.layer.batch_norm import batch_norm

SHAPES = ((128, 32, 32, 16), (128, 16, 16, 32), (128, 8, 8, 64))
PASSES = 10
Side = Callable[[], object]


def nnrun_norm(x: Array, scale: Array, bias: Array) -> Array:
    """nnrun's layer, in training."""
    state = {"mean": jnp.zeros(x.shape[-1]), "var": jnp.ones(x.shape[-1])}
    return batch_norm().apply({"scale": scale, "bias": bias}, state, x, None, jnp.ones(len(x)))[0]


def plain_norm(x: Array, scale: Array, bias: Array) -> Array:
    """The formula, whose gradient JAX derives."""
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return (x - mean) / jnp.sqrt(variance + 1e-5) * scale + bias


def repeated(norm: Callable[[Array, Array, Array], Array], shape: tuple[int, ...]) -> Side:
    """Compiled passes, each of which needs the result of the one before."""
    x, upstream = (jax.random.normal(jax.random.key(seed), shape) for seed in (0, 1))
    scale, bias = jnp.ones(shape[-1]), jnp.zeros(shape[-1])

    @jax.jit
    def passes(x: Array, upstream: Array) -> tuple[Array, Array]:
        def body(_: int, carry: tuple[Array, Array]) -> tuple[Array, Array]:
            x, total = carry
            y, backward = jax.vjp(lambda *inputs: jax.nn.relu(norm(*inputs)), x, scale, bias)
            dx, dscale, dbias = backward(upstream * (1 + 1e-9 * y[0, 0, 0, 0]))
            return x + 1e-3 * dx, total + dscale.sum() + dbias.sum()

        return lax.fori_loop(0, PASSES, body, (x, jnp.float32(0)))

    def run() -> object:
        return jax.block_until_ready(passes(x, upstream))

    run()  # compiles
    return run


def without_kernels(shape: tuple[int, ...]) -> Side:
    """nnrun's layer where nothing could be compiled."""
    with kernels.left_out():
        return repeated(nnrun_norm, shape)


def in_torch(shape: tuple[int, ...]) -> Side:
    """torch, channels last, on all cores."""
    n, height, width, channels = shape
    last = torch.channels_last
    x = torch.randn(n, channels, height, width).contiguous(memory_format=last).requires_grad_()
    upstream = torch.randn(n, channels, height, width).contiguous(memory_format=last)
    norm = torch.nn.BatchNorm2d(channels)

    def run() -> None:
        for _ in range(PASSES):
            torch.relu(norm(x)).backward(upstream)
            x.grad = None

    return run


def milliseconds(sides: dict[str, Side], rounds: int) -> dict[str, float]:
    """Medians of a pass, the sides in turn."""
    spent: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            began = time.perf_counter()
            side()
            spent[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) / PASSES * 1e3 for name, times in spent.items()}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    prepare_process()
    print(f"{machine()}; {rounds} rounds; other processes use {busy_cores():.2f} cores")
    for shape in SHAPES:
        sides = {
            "derived by JAX": repeated(plain_norm, shape),
            "without kernels": without_kernels(shape),
            "with kernels": repeated(nnrun_norm, shape),
            "torch": in_torch(shape),
        }
        times = ", ".join(f"{name} {ms:.1f} ms" for name, ms in milliseconds(sides, rounds).items())
        print(f"{shape[-1]} channels, {shape[1]}²: {times}", flush=True)


if __name__ == "__main__":
    main()
