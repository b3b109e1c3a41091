"""nnrun's compiled steps on the device: alone, with the work of the host, and in the loop of a run.

The only module of this check that reaches into nnrun beyond the command line.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nnrun.runner import session
from nnrun.training.chunks import chunks
from nnrun.training.order import positions_of_all
from nnrun.training.order_on_device import DeviceOrders, OrderShape
from nnrun.training.programs import compile_programs
from nnrun.training.step import make_step
from nnrun.types import Batch

MLP = """
data: {name: digits, batch_size: 64}
model: {name: mlp, hidden: [128], dropout: 0.5}
optimizer: {name: adam, learning_rate: 1e-3}
train: {duration: 20000 epochs, seeds: LANES}
"""
CONV = """
data: {name: npz, path: images.npz, standardize: image, batch_size: BATCH}
model: MODEL
optimizer: {name: momentum, learning_rate: 0.01}
train: {duration: 20000 epochs}
"""
MODELS = {
    "conv32-conv64": "{name: sequential, layers: [{name: conv, filters: 32}, {name: relu}, {name: conv, filters: 64}, "
    "{name: relu}, {name: max_pool}, {name: flatten}, {name: dense, units: 10}]}",
    "resnet20": "{name: resnet, depth: 20}",
    "resnet20 with stochastic depth": "{name: resnet, depth: 20, survival: 0.5}",
}


class Steps:
    """A compiled run or population that continues from where the measurement before left it.

    Each measurement uses examples in an order that nobody has asked for before, so no cache of orders helps.
    """

    def __init__(self, text: str, folder: Path, precision: str = "float32") -> None:
        spec = folder / f"steps-{time.monotonic_ns()}.yaml"
        spec.write_text(text)
        self.experiment = session.prepare(spec, [f"train.precision={precision}"]).experiment
        began = time.perf_counter()
        with session.precision(precision):
            self.programs = compile_programs(self.experiment)
        self.compile_seconds = time.perf_counter() - began
        self.state: Any = self.programs.initial()
        self.step = 0

    @property
    def lanes(self) -> int:
        """How many nets are trained."""
        return len(self.experiment.plan.seeds)

    def _batches(self, count: int) -> Any:
        return self.programs.reader.batches(self.step, count)

    def device(self, steps: int) -> float:
        """Milliseconds a step of the compiled loop, its examples' order on the device already."""
        count = min(steps, self.programs.capacity)
        count = max(count - count % self.programs.stride, self.programs.stride)
        batches = self._batches(count)
        positions = jax.device_put(batches.positions if self.programs.lanes else batches.positions[0])
        calls = -(-steps // count)
        jax.block_until_ready((positions, self.state))
        began = time.perf_counter()
        state = self.state
        for _ in range(calls):
            state, log = self.programs.chunk.advance(
                state, batches.x, batches.y, positions, np.int32(self.step), np.int32(count)
            )
        jax.block_until_ready((state, log))
        seconds = time.perf_counter() - began
        self.step += count
        return seconds / (calls * count) * 1e3

    def host(self, steps: int) -> float:
        """Milliseconds a step to find the order of the examples and to bring it to the device."""
        count, seconds = min(steps, self.experiment.plan.steps_per_epoch, self.programs.capacity), 0.0
        calls = -(-steps // count)
        for _ in range(calls):
            began = time.perf_counter()
            jax.device_put(self._batches(count).positions).block_until_ready()
            seconds += time.perf_counter() - began
            self.step += count
        return seconds / (calls * count) * 1e3

    def loop(self, steps: int) -> float:
        """Milliseconds a step of the loop of a run, with an evaluation after each epoch; without files."""
        return self._loop(self.programs, steps)

    def unevaluated(self, steps: int) -> float:
        """The same without evaluations: what it takes longer than `device`, the device waits for the host."""
        plan = self.experiment.plan._replace(evaluate_every=self.experiment.plan.steps)
        return self._loop(self.programs._replace(experiment=self.experiment._replace(plan=plan)), steps)

    def _loop(self, programs: Any, steps: int) -> float:
        began = time.perf_counter()
        for chunk in chunks(programs, self.state, self.step, self.step + steps):
            self.state, self.step = chunk.state, chunk.step
        jax.block_until_ready(self.state)
        return (time.perf_counter() - began) / steps * 1e3

    def operations(self) -> dict[str, float | None]:
        """Floating-point operations of one step as XLA counts them: as written, and as compiled."""
        batch = self.experiment.plan.batch_size
        x, y = (
            jax.ShapeDtypeStruct((batch, *part.shape[1:]), part.dtype)
            for part in self.experiment.dataset.train
        )
        example = Batch(
            x, y, jax.ShapeDtypeStruct((batch,), jnp.zeros(()).dtype), jax.ShapeDtypeStruct((), bool)
        )
        written = jax.jit(make_step(self.experiment)).lower(self.programs.shapes, example).cost_analysis()
        compiled = self.programs.chunk.compiled
        return {
            "written": (written or {}).get("flops"),
            "compiled": (compiled.cost_analysis() or {}).get("flops"),
        }


def compile_quickly() -> None:
    """Compilation in a fraction of the time, where times mean nothing."""
    jax.config.update("jax_disable_most_optimizations", True)


def population(lanes: int, folder: Path) -> Steps:
    """So many nets 64-128-10 in one program."""
    return Steps(MLP.replace("LANES", str(lanes)), folder)


def convolutional(name: str, batch: int, folder: Path, precision: str = "float32") -> Steps:
    """A net of MODELS on the folder's images.npz."""
    return Steps(CONV.replace("MODEL", MODELS[name]).replace("BATCH", str(batch)), folder, precision)


def orders(seeds: int, examples: int) -> tuple[bool, float, float]:
    """Whether the device makes the orders of the host, and the milliseconds of both for an epoch of so many nets."""
    shape = OrderShape(examples, 64, -(-examples // 64), bootstrap=False)
    lanes = tuple(range(seeds))
    on_device = DeviceOrders(lanes, shape)
    same, times = True, []
    for epoch in range(4):
        first = epoch * shape.per_epoch
        began = time.perf_counter()
        of_device = jax.block_until_ready(on_device.positions(first, shape.length))
        middle = time.perf_counter()
        of_host = positions_of_all(lanes, examples, 64, first, shape.length)
        times.append((middle - began, time.perf_counter() - middle))
        same &= bool(np.array_equal(np.asarray(of_device), of_host))
    return same, *(float(np.median(side)) * 1e3 for side in zip(*times[1:], strict=True))
