"""What device this is, and how exact and how fast its products are."""

from __future__ import annotations

import contextlib
import importlib.metadata
import itertools
import os
import platform
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from gpu_check import Check, say
from gpu_runs import newton
from jax import Array, lax

from nnrun.optimizer.muon import muon, orthogonalised

PACKAGES = (
    "nnrun",
    "jax",
    "jaxlib",
    "jax-cuda13-plugin",
    "jax-cuda12-plugin",
    "nvidia-cudnn-cu13",
    "numpy",
    "torch",
)
QUERY = "name,driver_version,memory.total,memory.used,clocks.sm,temperature.gpu,utilization.gpu"
PRECISIONS = ("default", "highest")


def devices(check: Check) -> None:
    """Section: devices and versions."""
    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    device = jax.devices()[0]
    check.note("versions", {"python": platform.python_version(), **versions})
    check.note("platform", device.platform)
    check.note("devices", [device.device_kind for device in jax.devices()])
    check.note("backend", " ".join(device.client.platform_version.split()))
    check.note("cores", os.cpu_count())
    check.note("load", os.getloadavg())
    check.note("memory", device.memory_stats())
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader"]
        check.note(
            "nvidia-smi", subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()
        )
    for name in ("versions", "devices", "backend", "nvidia-smi", "cores", "load"):
        if name in check.results:
            say(f"    {name}: {check.results[name]}")


def distance(array: Any, exact: Any) -> float:
    """‖array − exact‖ / ‖exact‖ over all leaves."""
    pairs = list(zip(jax.tree.leaves(array), jax.tree.leaves(exact), strict=True))
    errors = [np.linalg.norm(np.asarray(a, np.float64) - np.asarray(b)) for a, b in pairs]
    return float(np.linalg.norm(errors) / np.linalg.norm([np.linalg.norm(np.asarray(b)) for _, b in pairs]))


def mlp_loss(params: list[Array], x: Array, y: Array) -> Array:
    """Cross-entropy of an MLP without biases."""
    for kernel in params[:-1]:
        x = jnp.tanh(x @ kernel)
    return optax.softmax_cross_entropy_with_integer_labels(x @ params[-1], y).mean()


def works() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Functions whose products may be inexact, with arguments in float32."""
    rng = np.random.default_rng(0)

    def draw(*shape: int, scale: float = 1.0) -> np.ndarray:
        return (rng.normal(size=shape) * scale).astype(np.float32)

    sizes = (64, 256, 256, 10)
    params = [draw(a, b, scale=a**-0.5) for a, b in itertools.pairwise(sizes)]
    batch = params, draw(256, 64), rng.integers(0, 10, 256).astype(np.int32)

    def convolution(x: Array, kernel: Array) -> Array:
        return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    return {
        "product 512 x 512": (jnp.matmul, (draw(512, 512), draw(512, 512))),
        "convolution 3 x 3 x 64": (convolution, (draw(32, 16, 16, 64), draw(3, 3, 64, 64))),
        "MLP's loss": (mlp_loss, batch),
        "MLP's gradient": (jax.grad(mlp_loss), batch),
        "Muon's direction 256 x 256": (lambda u: orthogonalised(u, 5), (draw(256, 256),)),
    }


def exactness(check: Check) -> None:
    """Relative errors against float64 on the CPU, at jax's default precision and at the highest."""
    errors: dict[str, dict[str, float]] = {}
    for name, (function, arguments) in works().items():
        with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
            double = jax.tree.map(
                lambda a: np.asarray(a, np.float64) if a.dtype == np.float32 else a, arguments
            )
            exact = jax.jit(function)(*double)
        errors[name] = {}
        for precision in PRECISIONS:
            with jax.default_matmul_precision(precision):
                errors[name][precision] = distance(jax.jit(lambda *a, f=function: f(*a))(*arguments), exact)
        check.conclude(
            f"relative error, {name}: "
            + ", ".join(f"{way} {error:.1e}" for way, error in errors[name].items())
        )
    check.note("relative errors", errors)


def muon_on_parabolas(precision: str) -> np.ndarray:
    """(40,) what the conformance test of Muon on parabolas measures, by what it allows: below 1 it passes.

    That is the lowest of 21 learning rates' last values, here for 40 starts that are 1e-14 apart.
    """
    steps, rates = 400, np.logspace(-4, 1, 21)
    target = np.array([[1.0, 2.0, 3.0], [-1.0, 0.0, 1.0]])
    shift = np.random.default_rng(0).normal(size=(2, 3)) * 1e-14

    def loss(x: dict[str, Array]) -> Array:
        of_vector = jnp.sqrt(jnp.array([1.0, 10.0])) * (x["bias"] - jnp.array([3.0, -2.0]))
        of_matrix = jnp.array([[3.0, 1.0], [0.0, 1.0]]) @ x["kernel"] - target
        return (jnp.square(of_vector).sum() + jnp.square(of_matrix).sum()) / 2

    def final(rate: Array, place: Array) -> Array:
        def step(carry: Any, t: Array) -> tuple[Any, None]:
            x, state = carry
            update, state = muon(rate * (1 - t / steps)).update(jax.grad(loss)(x), state, x)
            return (optax.apply_updates(x, update), state), None

        x = {"kernel": place * shift, "bias": jnp.zeros(2)}
        (x, _), _ = lax.scan(step, (x, muon(rate).init(x)), jnp.arange(steps, dtype=float))
        return loss(x)

    with jax.default_matmul_precision(precision):
        starts = jax.vmap(jax.vmap(final, (0, None)), (None, 0))
        values = jax.jit(starts)(jnp.asarray(rates), jnp.arange(40.0))
        start = loss({"kernel": jnp.zeros((2, 3)), "bias": jnp.zeros(2)})
    return np.asarray(jnp.nanmin(values, 1) / (1e-5 * start))


def muon_ways(check: Check) -> None:
    """The conformance test that fails on a GPU, in float64 as there, on the CPU and on the device."""
    ratios: dict[str, np.ndarray] = {}
    jax.config.update("jax_disable_most_optimizations", True)  # as in that test
    ways = dict.fromkeys([("cpu", "default"), *((jax.default_backend(), way) for way in PRECISIONS)])
    for place, precision in ways:
        with jax.enable_x64(True), jax.default_device(jax.devices(place)[0]):
            ratios[f"{place}, {precision}"] = muon_on_parabolas(precision)
    jax.config.update("jax_disable_most_optimizations", False)
    check.note("muon, parabolas", {way: values.tolist() for way, values in ratios.items()})
    for way, values in ratios.items():
        check.conclude(
            f"Muon on parabolas in float64, {way}: {values[0]:.3g} of what the test allows; of 40 starts 1e-14 apart "
            f"{(values < 1).sum()} are below 1, from {values.min():.2g} to {values.max():.2g}"
        )


def tf32(check: Check) -> None:
    """Section: are float32 products exact, and is that what Newton-CG and Muon do differently on a GPU?"""

    def by_newton() -> None:
        with check.guarded("Newton-CG"):
            newton(check)

    with ThreadPoolExecutor(1) as pool:  # its runs are processes of their own
        runs = pool.submit(by_newton)
        with check.guarded("relative errors"):
            exactness(check)
        with check.guarded("Muon on parabolas"):
            muon_ways(check)
        runs.result()


def peaks(small: bool) -> dict[str, float]:
    """FLOP/s of a large square product: in bfloat16, and in float32 as jax does it, and with full precision."""
    size = 512 if small else 8192
    kinds = {
        "bfloat16": (jnp.bfloat16, "default"),
        "float32": (jnp.float32, "default"),
        "highest": (jnp.float32, "highest"),
    }
    rates = {}
    for name, (dtype, precision) in kinds.items():
        a, b = (jax.random.normal(jax.random.key(i), (size, size), dtype) for i in range(2))
        with jax.default_matmul_precision(precision):
            product = jax.jit(jnp.matmul).lower(a, b).compile()
        seconds = []
        product(a, b).block_until_ready()
        for _ in range(5):
            began = time.perf_counter()
            for _ in range(3):
                c = product(a, b)
            c.block_until_ready()
            seconds.append((time.perf_counter() - began) / 3)
        rates[name] = 2 * size**3 / float(np.median(seconds))
    return rates
