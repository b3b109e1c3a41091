"""Milliseconds a step, nnrun beside torch: a population of small nets, and convolutional nets."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import gpu_products
import gpu_steps
import numpy as np
from gpu_check import Check, in_turns, say
from gpu_command import write_images

LANES = (256, 1, 16)
MANY_LANES = (1024,)  # if there is time
SMALL_LANES = (16, 1)
PARTS = ("device", "host", "unevaluated", "loop")
DEEP = "resnet20"
SHAPES = {DEEP: (32, 32, 3), "conv32-conv64": (28, 28, 1)}
# Multiplications and additions of one image forward, by hand; backwards costs twice as many.
FORWARD = {"resnet20": 2 * 40.55e6, "conv32-conv64": 2 * 784 * (9 * 32 + 9 * 32 * 64) + 2 * 12544 * 10}
HAS_TORCH = importlib.util.find_spec("torch") is not None

Timers = dict[str, Callable[[], float]]


def standardised(examples: Any, data: Any) -> tuple[np.ndarray, np.ndarray]:
    """Inputs as nnrun gives them to a net, float32, and targets."""
    x = (np.asarray(examples.x).astype(np.float32) - data.shift) / data.scale
    return np.ascontiguousarray(x, np.float32), np.asarray(examples.y)


def built(check: Check, name: str, build: Callable[[], Any], seconds: float = 10.0) -> Any:
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


def compiled(check: Check, builds: dict[str, Callable[[], gpu_steps.Steps]]) -> dict[str, gpu_steps.Steps]:
    """What nnrun compiles, several programs at once where there are cores for it."""
    with ThreadPoolExecutor(3 if (os.cpu_count() or 1) >= 8 else 1) as pool:
        nets = pool.map(lambda name: built(check, f"nnrun, {name}", builds[name]), builds)
        return {name: net for name, net in zip(builds, nets, strict=True) if net}


def population(check: Check) -> None:
    """Section: many small nets in one program, against torch."""
    numbers = SMALL_LANES if check.small else LANES
    with check.guarded("orders"):
        same, of_device, of_host = gpu_steps.orders(max(numbers), 1258)
        check.conclude(
            f"orders of {max(numbers)} nets: {'those of the host' if same else 'OTHERS THAN THE HOST'}, "
            f"{of_device:.2f} ms an epoch; the host's {of_host:.2f}"
        )
    nets = compiled(check, {f"{n} nets": partial(gpu_steps.population, n, check.folder) for n in numbers})
    if not check.small and check.left > 80:
        nets |= compiled(
            check, {f"{n} nets": partial(gpu_steps.population, n, check.folder) for n in MANY_LANES}
        )
    timers: Timers = {}
    for name, net in nets.items():
        steps = min(210, 500 // net.lanes) if check.small else int(np.clip(30_000 // net.lanes, 42, 2100))
        for part in PARTS:
            count = max(steps, 244) if part == "device" else steps
            timers[f"nnrun, {name}, {part}"] = partial(getattr(net, part), count)
    if HAS_TORCH:
        timers |= torch_mlps(check, 32 if check.small else 512)
    else:
        say("    torch is not installed: nnrun alone")
    times = in_turns(check, timers, 2 if check.small else 3)
    check.note("ms a step", times)
    for name, ms in times.items():
        lanes = int(name.split(" nets")[0].split()[-1]) if " nets" in name else 1
        say(f"    {name:44} {ms:9.4f} ms a step {ms / lanes * 1e3:9.2f} µs a net")
    compare_populations(check, times)


def torch_mlps(check: Check, steps: int) -> Timers:
    """Timers of torch's small nets: one, and many under vmap."""
    import gpu_torch

    spec = check.folder / "digits.yaml"
    spec.write_text(gpu_steps.MLP.replace("LANES", "1"))
    dataset = gpu_steps.session.prepare(spec).experiment.dataset
    x, y = standardised(dataset.train, dataset)
    x = x.reshape(len(x), -1)
    lanes = (SMALL_LANES if check.small else LANES)[0]
    timers: Timers = {}
    for way, compile_it, together in gpu_torch.ways(check.compiles):
        net = built(check, f"torch, {way}", partial(gpu_torch.mlp, x, y, compile_it, together))
        if net:
            timers[f"torch, {way}"] = partial(net.time, steps)
        if (
            together == gpu_torch.HAS_GPU and not compile_it
        ):  # compiled, torch's fused Adam refuses them; of many nets a step is long enough for a graph of its own
            name = f"torch vmap, {lanes} nets, {way}"
            nets = built(check, name, partial(gpu_torch.mlps, x, y, lanes, compile_it, together))
            if nets:
                timers[name] = partial(nets.time, steps)
    return timers


def compare_populations(check: Check, times: dict[str, float]) -> None:
    """nnrun's time against torch's best ways, and what of it is waiting for the host."""
    alone = {name: ms for name, ms in times.items() if name.startswith("torch,")}
    together = {name: ms for name, ms in times.items() if name.startswith("torch vmap")}
    for rivals in (alone, together):
        for name, ms in rivals.items():
            check.conclude(f"{name}: {ms:.4f} ms a step")
    for name, ms in times.items():
        side, lanes, part = [*name.split(", "), ""][:3]
        if side != "nnrun" or part == "host":
            continue
        line = f"{name}: {ms:.4f} ms a step"
        if part == "unevaluated" and f"{side}, {lanes}, device" in times:
            waits = ms - times[f"{side}, {lanes}, device"]
            line += f", of which {waits:.4f} waiting for the host ({times.get(f'{side}, {lanes}, host', 0):.4f} busy)"
        if alone and part != "unevaluated":
            best = min(alone, key=alone.__getitem__)
            line += f"; {alone[best] * int(lanes.split()[0]) / ms:.2f} times the speed of {best}"
        if part != "unevaluated" and any(f" {lanes}," in rival for rival in together):
            best = min(together, key=together.__getitem__)
            line += f"; {together[best] / ms:.2f} times that of {best}"
        check.conclude(line)


def convolutions(check: Check) -> None:
    """Section: ResNet-20 and the convnet, against torch; and what fraction of the device's peak that is."""
    batch = 16 if check.small else 128
    if check.small:
        gpu_steps.compile_quickly()
    folders = {name: check.folder / name for name in (reversed(SHAPES) if check.small else SHAPES)}
    for name, folder in folders.items():
        folder.mkdir()
        write_images(folder / "images.npz", 400 if check.small else 10_000, SHAPES[name])
    builds = {name: partial(gpu_steps.convolutional, name, batch, folder) for name, folder in folders.items()}
    fast = {name: partial(gpu_steps.convolutional, name, batch, folders[name], "tf32") for name in folders}
    nets = compiled(check, builds)
    tf32 = {} if check.small else compiled(check, fast)  # on a CPU it is the same program
    deep = f"{DEEP} with stochastic depth"
    depth = compiled(check, {deep: partial(gpu_steps.convolutional, deep, batch, folders[DEEP])})
    with check.guarded("peaks"):
        check.note("peaks", gpu_products.peaks(check.small))
        rates = [f"{name} {rate / 1e12:.1f} TFLOP/s" for name, rate in check.results["peaks"].items()]
        check.conclude(f"peaks of products: {', '.join(rates)}")
    for name, net in nets.items():
        with check.guarded(name):
            convolution(check, name, net, batch, tf32.get(name), depth.get(deep) if name == DEEP else None)


def convolution(
    check: Check,
    name: str,
    net: gpu_steps.Steps,
    batch: int,
    tf32: gpu_steps.Steps | None,
    depth: gpu_steps.Steps | None,
) -> None:
    """One net of both sides."""
    steps, rounds = (3, 1) if check.small else (200, 3)
    timers: Timers = {f"nnrun, {part}": partial(getattr(net, part), steps) for part in ("device", "loop")}
    if tf32:
        timers["nnrun tf32, device"] = partial(tf32.device, steps)
    if depth:
        timers["nnrun with stochastic depth, device"] = partial(depth.device, steps)
    if HAS_TORCH:
        data = standardised(net.experiment.dataset.train, net.experiment.dataset)
        timers |= torch_convolutions(check, name, batch, data, steps)
    times = in_turns(check, timers, rounds)
    operations = {"direct, by hand": 3 * FORWARD[name] * batch}
    check.note(f"{name}, ms a step", times)
    peaks = check.results.get("peaks", {})
    for way, ms in times.items():
        rate = operations["direct, by hand"] / ms * 1e3
        kind = "bfloat16" if "bfloat16" in way else "float32"
        share = f", {rate / peaks[kind]:.1%} of the {kind} peak" if peaks else ""
        ratio = f"; nnrun has {ms / times['nnrun, device']:.2f} times its speed" if "torch" in way else ""
        check.conclude(f"{name}, batch {batch}, {way}: {ms:.3f} ms a step{share}{ratio}")
    operations |= net.operations()
    check.note(f"{name}, operations a step", operations)
    say(f"    operations a step: {', '.join(f'{way} {count or 0:.4g}' for way, count in operations.items())}")


def torch_convolutions(
    check: Check, name: str, batch: int, data: tuple[np.ndarray, np.ndarray], steps: int
) -> Timers:
    """Timers of the same net in torch, in float32 and in bfloat16."""
    import gpu_torch

    timers: Timers = {}
    for half in (False, True):
        for way, compile_it, together in gpu_torch.ways(check.compiles):
            if together > 1:
                continue  # a step is long enough for a graph of its own
            label = f"torch {'bfloat16' if half else 'float32'}, {way}"
            build = partial(gpu_torch.convolutional, name, *data, batch, half, compile_it, together)
            net = built(check, f"{label}, {name}", build, 25 if compile_it else 10)
            if net:
                timers[label] = partial(net.time, steps)
    return timers


def torch_warm(check: Check) -> None:
    """Compiles what torch compiles, for its cache on disk; nothing is timed."""
    import gpu_torch

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1293, 64)).astype(np.float32), rng.integers(0, 10, 1293)
    built(check, "cache, torch", partial(gpu_torch.mlp, x, y, True, 0))
    for name, shape in SHAPES.items():
        images, targets = rng.normal(size=(1000, *shape)).astype(np.float32), rng.integers(0, 10, 1000)
        for half in (False, True):
            kind = "bfloat16" if half else "float32"
            build = partial(gpu_torch.convolutional, name, images, targets, 128, half, True, 0)
            built(check, f"cache, torch {kind}, {name}", build)
