"""Milliseconds a step, nnrun beside torch: a population of small nets, and convolutional nets."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gpu_products
import gpu_steps
import numpy as np
from gpu_check import Check, in_turns, say
from gpu_command import write_images

LANES = (256, 1, 16, 1024)
SMALL_LANES = (16, 1)
PARTS = ("device", "host", "unevaluated", "loop")
SHAPES = {"resnet20": (32, 32, 3), "conv32-conv64": (28, 28, 1)}
# Multiplications and additions of one image forward, by hand; backwards costs twice as many.
FORWARD = {"resnet20": 2 * 40.55e6, "conv32-conv64": 2 * 784 * (9 * 32 + 9 * 32 * 64) + 2 * 12544 * 10}
HAS_TORCH = importlib.util.find_spec("torch") is not None
_SOON = 25.0  # seconds that a net takes to compile, about

Timers = dict[str, Callable[[], float]]


def standardised(examples: Any, data: Any) -> tuple[np.ndarray, np.ndarray]:
    """Inputs as nnrun gives them to a net, float32, and targets."""
    x = (np.asarray(examples.x).astype(np.float32) - data.shift) / data.scale
    return np.ascontiguousarray(x, np.float32), np.asarray(examples.y)


def built(check: Check, name: str, build: Callable[[], Any], seconds: float = _SOON) -> Any:
    """What `build` returns, with a line on how long it took; None if it fails or there is no time for it."""
    if check.left < seconds:
        say(f"    {name}: left out, {check.left:.0f} s are left")
        return None
    result = None
    with check.guarded(name):
        result = build()
        say(f"    {name}: ready after {result.compile_seconds:.1f} s")
        check.note(f"{name}, seconds to compile", result.compile_seconds)
    return result


def population(check: Check) -> None:
    """Section: many small nets in one program, against torch."""
    rounds = 2 if check.small else 3
    timers: Timers = {}
    for lanes in SMALL_LANES if check.small else LANES:
        late = 45 if lanes > 256 else 12
        net = built(check, f"nnrun, {lanes} nets", partial(gpu_steps.population, lanes, check.folder), late)
        if net is None:
            continue
        steps = min(210, 500 // lanes) if check.small else int(np.clip(30_000 // lanes, 42, 2100))
        for part in PARTS:
            timers[f"nnrun, {lanes} nets, {part}"] = partial(
                getattr(net, part), max(steps, 244) if part == "device" else steps
            )
    if HAS_TORCH:
        timers |= torch_mlps(check, 32 if check.small else 512)
    else:
        say("    torch is not installed: nnrun alone")
    times = in_turns(check, timers, rounds)
    check.note("ms a step", times)
    for name, ms in times.items():
        lanes = int(name.split(" nets")[0].split()[-1]) if " nets" in name else 1
        say(f"    {name:44} {ms:9.4f} ms a step {ms / lanes * 1e3:9.2f} µs a net")
    compare_populations(check, times)


def torch_mlps(check: Check, steps: int) -> Timers:
    """Timers of torch's small nets: one, and many under vmap."""
    import gpu_torch

    dataset = gpu_steps.session.prepare(_written(check.folder)).experiment.dataset
    x, y = standardised(dataset.train, dataset)
    x = x.reshape(len(x), -1)
    lanes = SMALL_LANES[0] if check.small else LANES[0]
    timers: Timers = {}
    for way, compiled, together in gpu_torch.ways(check.compiles):
        net = built(check, f"torch, {way}", partial(gpu_torch.mlp, x, y, compiled, together))
        if net:
            timers[f"torch, {way}"] = partial(net.time, steps)
        if together <= 1:
            nets = built(
                check,
                f"torch vmap, {lanes} nets, {way}",
                partial(gpu_torch.mlps, x, y, lanes, compiled, together),
            )
            if nets:
                timers[f"torch vmap, {lanes} nets, {way}"] = partial(nets.time, steps)
    return timers


def _written(folder: Path) -> Path:
    spec = folder / "digits.yaml"
    spec.write_text(gpu_steps.MLP.replace("LANES", "1"))
    return spec


def compare_populations(check: Check, times: dict[str, float]) -> None:
    """nnrun's time a net against torch's best ways."""
    alone = {name: ms for name, ms in times.items() if name.startswith("torch,")}
    together = {name: ms for name, ms in times.items() if name.startswith("torch vmap")}
    for name, ms in times.items():
        if not (name.startswith("nnrun") and name.endswith(("device", "unevaluated", "loop"))):
            continue
        lanes = int(name.split()[1])
        line = f"{name}: {ms:.4f} ms a step"
        host = times.get(f"nnrun, {lanes} nets, host")
        line += f" (host {host:.4f})" if host else ""
        if alone:
            best = min(alone, key=alone.__getitem__)
            line += f"; {alone[best] * lanes / ms:.2f} times {best}"
        if together and str(lanes) == next(iter(together)).split()[2]:
            best = min(together, key=together.__getitem__)
            line += f"; {together[best] / ms:.2f} times {best}"
        check.conclude(line)


def convolutions(check: Check) -> None:
    """Section: ResNet-20 and the convnet, against torch; and what fraction of the device's peak that is."""
    with check.guarded("peaks"):
        peaks = gpu_products.peaks(check.small)
        check.note("peaks", peaks)
        check.conclude(
            "peaks of products: "
            + ", ".join(f"{name} {rate / 1e12:.1f} TFLOP/s" for name, rate in peaks.items())
        )
    for name in reversed(SHAPES) if check.small else SHAPES:
        with check.guarded(name, 5):
            convolution(check, name)


def convolution(check: Check, name: str) -> None:
    """One net of both sides."""
    batch, steps, rounds = (16, 3, 1) if check.small else (128, 200, 3)
    folder = check.folder / name
    folder.mkdir()
    write_images(folder / "images.npz", 400 if check.small else 10_000, SHAPES[name])
    ours = built(check, f"nnrun, {name}", partial(gpu_steps.convolutional, name, batch, folder))
    if ours is None:
        return
    timers: Timers = {f"nnrun, {part}": partial(getattr(ours, part), steps) for part in PARTS}
    dataset = ours.experiment.dataset
    x, y = standardised(dataset.train, dataset)
    if HAS_TORCH:
        timers |= torch_convolutions(check, name, batch, (x, y), steps)
    times = in_turns(check, timers, rounds)
    operations = {"direct, by hand": 3 * FORWARD[name] * batch, **ours.operations()}
    check.note(name, {"ms a step": times, "operations": operations})
    say(f"    operations a step: {', '.join(f'{way} {count or 0:.4g}' for way, count in operations.items())}")
    peaks = check.results.get("peaks", {})
    for way, ms in times.items():
        rate = operations["direct, by hand"] / ms * 1e3
        kind = "bfloat16" if "bfloat16" in way else "float32"
        share = f", {rate / peaks[kind]:.1%} of the {kind} peak" if peaks else ""
        ratio = (
            f", nnrun's speed is {ms / times['nnrun, device']:.2f} times that"
            if "nnrun, device" in times
            else ""
        )
        check.conclude(f"{name}, batch {batch}, {way}: {ms:.3f} ms a step{share}{ratio}")


def torch_convolutions(
    check: Check, name: str, batch: int, data: tuple[np.ndarray, np.ndarray], steps: int
) -> Timers:
    """Timers of the same net in torch, in float32 and in bfloat16."""
    import gpu_torch

    timers: Timers = {}
    for half in (False, True):
        for way, compiled, together in gpu_torch.ways(check.compiles):
            if together > 1 or (compiled and not together and gpu_torch.HAS_GPU):
                continue  # these steps are long enough for one graph each, which is faster than none
            label = f"torch {'bfloat16' if half else 'float32'}, {way}"
            build = partial(gpu_torch.convolutional, name, *data, batch, half, compiled, together)
            net = built(check, f"{label}, {name}", build, 40 if compiled else 8)
            if net:
                timers[label] = partial(net.time, steps)
    return timers


def torch_warm(check: Check) -> None:
    """Compiles what torch compiles, for its cache on disk; nothing is timed."""
    import gpu_torch

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1293, 64)).astype(np.float32), rng.integers(0, 10, 1293)
    built(check, "cache, torch", partial(gpu_torch.mlp, x, y, True, 0))
    built(check, "cache, torch vmap", partial(gpu_torch.mlps, x, y, LANES[0], True, 0))
    for name, shape in SHAPES.items():
        images, targets = rng.normal(size=(1000, *shape)).astype(np.float32), rng.integers(0, 10, 1000)
        for half in (False, True):
            kind = "bfloat16" if half else "float32"
            build = partial(gpu_torch.convolutional, name, images, targets, 128, half, True, 0)
            built(check, f"cache, torch {kind}, {name}", build)
