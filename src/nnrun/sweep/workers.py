"""Batches in worker processes, several side by side, each with a device or a share of the cores of its own."""

from __future__ import annotations

import itertools
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, final

from typing_extensions import TypedDict

from nnrun import device, machine, signals
from nnrun.errors import DataError, Interrupted, MachineError, NnrunError, RunError, SpecError
from nnrun.sweep.batches import Event
from nnrun.sweep.engine import Engine, RunBatch
from nnrun.sweep.moment import ChangedError, Expected
from nnrun.sweep.worker import CHANGED

__all__ = ["Slot", "Workers", "error_of", "places"]

_RETRIES = 2  # of a worker that was killed, or whose machine failed
_ERRORS = {2: SpecError, 3: DataError, 4: RunError, 6: MachineError, CHANGED: ChangedError}
_POLL_SECONDS = 0.2


@final
class _Warning(TypedDict):
    warning: str


@final
class _Error(TypedDict):
    error: str


@final
class _News(TypedDict):
    step: int
    phase: str


_Message = _Warning | _Error | _News  # a line that a worker prints


class Slot(NamedTuple):
    """Where a worker computes."""

    cores: tuple[int, ...]  # () all
    environment: dict[str, str]


def places(jobs: int) -> list[Slot]:
    """A place for each worker: a GPU in turn where there are any, else a share of the cores.

    This process has a GPU too, and there may be more workers than GPUs, so none of them takes all memory at once.
    """
    import jax

    if jax.default_backend() != "cpu":
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        names = visible.split(",") if visible else [str(gpu.id) for gpu in jax.local_devices()]
        memory = device.memory_on_demand()
        return [Slot((), {"CUDA_VISIBLE_DEVICES": names[i % len(names)], **memory}) for i in range(jobs)]
    cores = machine.cores()
    if jobs >= len(cores):
        return [Slot((cores[i % len(cores)],), {}) for i in range(jobs)]
    bounds = [len(cores) * i // jobs for i in range(jobs + 1)]
    return [Slot(tuple(cores[a:b]), {}) for a, b in itertools.pairwise(bounds)]


class _Worker:
    """One process with one batch; a thread passes its reports on."""

    def __init__(
        self,
        root: Path,
        batch: RunBatch,
        expected: Expected,
        place: Slot,
        number: int,
        inbox: queue.Queue,
    ) -> None:
        import jax

        self.batch, self.number = batch, number
        job = {
            "root": str(root),
            "batch": batch._asdict(),
            "expected": expected,
            "device": jax.default_backend() if jax.default_backend() in ("cpu", "gpu", "tpu") else "auto",
            "cores": list(place.cores),
            "parent": os.getpid(),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nnrun.sweep.worker", json.dumps(job)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**os.environ, **place.environment},
        )
        self.error = ""
        threading.Thread(target=self._listen, args=(inbox,), daemon=True).start()

    def _listen(self, inbox: queue.Queue) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                content = json.loads(line)
            except ValueError:  # something that the user's code printed
                continue
            inbox.put((self, content))
        self.process.wait()
        inbox.put((self, None))


class Workers:
    """Trains batches in `jobs` processes.

    A worker that was killed, or whose machine failed, is started again, which continues from its checkpoints; after
    two times its batch has failed.
    """

    def __init__(self, jobs: int, engine: Engine) -> None:
        self.jobs, self.engine = jobs, engine

    def train(self, root: Path, batches: Sequence[RunBatch]) -> Iterator[Event]:
        """The news of all batches as they come.  Raises Interrupted once all workers have saved."""
        jobs = max(1, min(self.jobs, len(batches)))
        waiting, free = list(batches), list(range(jobs))
        where = places(jobs)
        tries: dict[str, int] = {}
        inbox: queue.Queue[tuple[_Worker, _Message | None]] = queue.Queue()
        running: list[_Worker] = []
        try:
            while waiting or running:
                while waiting and free and not signals.pending():
                    number = free.pop(0)
                    running.append(self._start(root, waiting.pop(0), where[number], number, inbox))
                if signals.pending():
                    raise Interrupted(signals.pending(), "")
                try:
                    worker, message = inbox.get(timeout=_POLL_SECONDS)
                except queue.Empty:
                    continue
                if message is not None:
                    yield from self._told(worker, message)
                    continue
                running.remove(worker)
                free.append(worker.number)
                event = self._ended(worker, tries)
                if event is None:
                    waiting.insert(0, worker.batch)
                else:
                    yield event
        finally:
            _stop(running)

    def _start(self, root: Path, batch: RunBatch, place: Slot, number: int, inbox: queue.Queue) -> _Worker:
        return _Worker(root, batch, self.engine.moment.expected(), place, number, inbox)

    def _told(self, worker: _Worker, message: _Message) -> Iterator[Event]:
        if "warning" in message:
            self.engine.warn(message["warning"])
        elif "error" in message:
            worker.error = message["error"]
        else:
            yield Event(worker.batch, message["step"], message["phase"])

    def _ended(self, worker: _Worker, tries: dict[str, int]) -> Event | None:
        """The last news of a batch; None if it is to be tried again."""
        code, batch = worker.process.returncode, worker.batch
        if code == 0:
            return Event(batch, 0, "done")
        if code < 0 or code > 128 or code == 6:
            if signals.pending():
                return None
            tries[batch.name] = tries.get(batch.name, 0) + 1
            if tries[batch.name] <= _RETRIES:
                return None
        return Event(batch, 0, "failed", error_of(code, worker.error))


def error_of(code: int, reason: str) -> NnrunError:
    """Why a worker that ended with an exit code, or by a signal, did so."""
    if code < 0 or code > 128:
        number = -code if code < 0 else code - 128
        return NnrunError(f"its worker was killed{f' ({reason})' if reason else f' by signal {number}'}")
    return _ERRORS.get(code, NnrunError)(reason or f"its worker ended with exit code {code}")


def _stop(running: Sequence[_Worker]) -> None:
    """Has the workers save and end, and waits for them."""
    for worker in running:
        if worker.process.poll() is None:
            worker.process.terminate()
    for worker in running:
        worker.process.wait()
