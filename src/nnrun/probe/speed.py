"""How fast a spec trains on this machine, and how that compares with what the machine can do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import TypedDict

from nnrun import machine
from nnrun.probe.layers import layer_rows
from nnrun.probe.objective import beginning, compiled_quickly
from nnrun.probe.versus import Versus
from nnrun.runner import session
from nnrun.sweep.cost import memory_of, state_bytes
from nnrun.training import shards
from nnrun.training.chunks import chunks
from nnrun.training.compiling import fresh_programs

__all__ = ["Speed", "SpeedReport", "as_data", "bench", "peak_flops"]

Counting = Callable[[str, int | None], AbstractContextManager[Callable[[], None]]]

_SECONDS = 3.0  # of training that are timed
_WARM = 2  # chunks before the clock counts: the first is one step, the second grows
_SIZE, _REPEATS = 2048, 5  # of the products that the peak is measured with
_BACKWARD = 3  # times the operations of a forward pass: forwards, and two products backwards


class Speed(NamedTuple):
    """Figures of one machine at one moment.

    step_seconds   of one step of all lanes with the validation that is due meanwhile: the median over pieces of
                   training of about a quarter of a second
    spread         half of the pieces lie within this: lower and upper quartile
    flops          of one step: three times the forward pass of a batch; None where the layers cannot be looked into
    peak           operations a second of large products of matrices, the best of five
    memory         bytes: the states three times and the data, without activations
    load           of the machine before it began; above 0.3 something else was running
    """

    device: str
    cores: int
    lanes: int
    batch_size: int
    compile_seconds: float
    step_seconds: float
    spread: tuple[float, float]
    pieces: int
    flops: float | None
    peak: float
    state_bytes: int
    memory: int
    load: float | None

    @property
    def share(self) -> float | None:
        """Of the peak that training uses."""
        return None if self.flops is None else self.flops / self.step_seconds / self.peak


def bench(spec: Path, overrides: Sequence[str], show: Counting) -> Speed:
    """Compiles a spec and trains it for a few seconds; writes nothing.

    Raises SpecError, DataError, MachineError.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    experiment = session.prepare(spec, overrides).experiment
    plan = experiment.plan
    with session.precision(plan.precision), show("timing", 3) as tick, fresh_programs():
        began = time.monotonic()
        compiled = shards.compile_shards(experiment)
        state = compiled.initial()
        compiling = time.monotonic() - began
        tick()
        times = np.array(list(_pieces(compiled, state, plan.steps)))
        tick()
        with compiled_quickly():
            rows = layer_rows(experiment, beginning(experiment))
        tick()
        flops = sum(row.flops for row in rows) * _BACKWARD * plan.batch_size * len(plan.seeds)
        low, middle, high = (float(value) for value in np.quantile(times, [0.25, 0.5, 0.75]))
        return Speed(
            jax.devices()[0].device_kind, len(machine.cores()), len(plan.seeds), plan.batch_size, compiling, middle,
            (low, high), len(times), flops or None, peak_flops(plan.precision), state_bytes(experiment),
            memory_of(experiment, len(plan.seeds)), load,
        )  # fmt: skip


def _pieces(compiled: shards.Compiled, state: shards.LanesState, steps: int) -> Iterator[float]:
    """Seconds a step of one piece of training after another; of a short run it begins again."""
    began, seen = time.monotonic(), 0
    while not seen or time.monotonic() - began < _SECONDS:
        last, before = time.monotonic(), 0
        for chunk in chunks(compiled, state, 0, steps):
            now = time.monotonic()
            if seen >= _WARM or chunk.step == steps:
                yield (now - last) / (chunk.step - before)
            last, before, seen = now, chunk.step, seen + 1
            if seen > _WARM and now - began > _SECONDS:
                return


def peak_flops(precision: str) -> float:
    """Operations a second of products of large matrices, in the precision of a run."""
    a = jnp.ones((_SIZE, _SIZE), jnp.bfloat16 if precision == "bfloat16" else float)
    product = jax.jit(jnp.matmul)
    product(a, a).block_until_ready()
    fastest = float("inf")
    for _ in range(_REPEATS):
        began = time.perf_counter()
        product(a, a).block_until_ready()
        fastest = min(fastest, time.perf_counter() - began)
    return 2 * _SIZE**3 / fastest


class SpeedReport(TypedDict):
    """Speed for programs, with the share of the peak."""

    device: str
    cores: int
    lanes: int
    batch_size: int
    compile_seconds: float
    step_seconds: float
    spread: tuple[float, float]
    pieces: int
    flops: float | None
    peak: float
    state_bytes: int
    memory: int
    load: float | None
    share: float | None
    versus: Versus | None


def as_data(speed: Speed, beside: Versus | None = None) -> SpeedReport:
    """For programs, with the comparison with another library if there is one."""
    return SpeedReport(**speed._asdict(), share=speed.share, versus=beside)
