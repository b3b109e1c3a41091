"""Driving a run: compile, train chunk by chunk, record what comes back, and end in one of five ways.

`train` yields Progress for whoever shows it; no step of the training depends on who is looking.
"""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from nnrun import restore, results, signals
from nnrun.errors import DivergedError, Interrupted, MachineError, NnrunError
from nnrun.lane import Lane, is_finite
from nnrun.record import fsio, run
from nnrun.restore import ENDED
from nnrun.session import Prepared, precision
from nnrun.training import flat, programs, shards
from nnrun.training.chunks import Chunk, chunks
from nnrun.training.shards import Compiled
from nnrun.types import Experiment, Plan

__all__ = ["Progress", "train"]

Warn = Callable[[str], None]


class Progress(NamedTuple):
    """Where a run is."""

    folder: Path
    plan: Plan
    phase: str  # compiling, ready, training, testing
    step: int
    lanes: list[Lane]


def train(prepared: Prepared, folder: Path, warn: Warn) -> Iterator[Progress]:
    """Trains the run in `folder` from its newest good checkpoint, or from its beginning, to its end.

    Raises Interrupted after a checkpoint was saved, DivergedError, MachineError, RunError.
    """
    plan = prepared.experiment.plan
    folders = [folder / f"seed_{seed}" for seed in plan.seeds] if len(plan.seeds) > 1 else [folder]
    with ExitStack() as stack:
        stack.enter_context(signals.deferred())
        stack.enter_context(precision(prepared.spec.train.precision))
        for path in dict.fromkeys([folder, *folders]):
            stack.enter_context(run.lock(path))
        writer = _States(folder, folders)
        stack.enter_context(_ending(writer, plan))
        writer.write("running")
        yield from _train(prepared.experiment, folder, folders, writer, warn)


class _States(NamedTuple):
    """The state.json files of a run, or of a group and its members."""

    folder: Path
    folders: list[Path]

    def write_lane(self, index: int, lane: Lane) -> None:
        """The state of one member that ended before the others."""
        run.write_state(self.folders[index], lane.status, step=lane.step)

    def write(self, status: str, lanes: Sequence[Lane] = (), **more: Any) -> None:
        for path, lane in zip(self.folders, lanes or [None] * len(self.folders), strict=True):
            if lane:
                run.write_state(path, status if lane.live else lane.status, step=lane.step, **more)
            elif run.read_state(path)["status"] not in ENDED:
                run.write_state(path, status, **more)
        if self.folders != [self.folder]:
            run.write_state(self.folder, status, **more)


@contextlib.contextmanager
def _ending(writer: _States, plan: Plan) -> Iterator[None]:
    """Leaves the reason behind when a run ends in an error that it did not write down itself."""
    try:
        yield
    except (Interrupted, DivergedError, GeneratorExit):
        raise
    except NnrunError as error:
        with contextlib.suppress(NnrunError):
            writer.write("failed", reason=str(error))
        raise
    except MemoryError:
        raise _out_of_memory(writer, plan) from None
    except Exception as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            raise _out_of_memory(writer, plan) from error
        with contextlib.suppress(NnrunError):
            fsio.write_file(writer.folder / "crash.log", traceback.format_exc().encode())
            writer.write("failed", reason=f"{type(error).__name__}; see crash.log")
        raise


def _out_of_memory(writer: _States, plan: Plan) -> MachineError:
    smaller = f"data.batch_size={max(1, plan.batch_size // 2)}"
    message = f"out of memory; try {smaller}" + (" or fewer train.seeds" if len(plan.seeds) > 1 else "")
    with contextlib.suppress(NnrunError):
        writer.write("failed", reason=message)
    return MachineError(message)


def _train(
    experiment: Experiment, folder: Path, folders: list[Path], writer: _States, warn: Warn
) -> Iterator[Progress]:
    plan = experiment.plan
    yield Progress(folder, plan, "compiling", 0, [])
    compiled = shards.compile_shards(experiment)
    lanes, state = _open(compiled, folders, warn)
    yield Progress(folder, plan, "ready", _step(lanes), lanes)
    try:
        for _ in _steps(compiled, state, lanes, writer):
            yield Progress(folder, plan, "training", _step(lanes), lanes)
        yield Progress(folder, plan, "testing", _step(lanes), lanes)
        _finish(compiled, lanes, writer)
        signals.forget()  # it came too late to interrupt anything
    finally:
        for lane in lanes:
            lane.close()
    if not any(lane.status == "done" for lane in lanes):
        raise DivergedError(f"{folder}: {results.divergence(lanes)}")


def _step(lanes: list[Lane]) -> int:
    return max(lane.step for lane in lanes)


def _open(compiled: Compiled, folders: list[Path], warn: Warn) -> tuple[list[Lane], Any]:
    """The lanes and the state to go on from: the newest checkpoint, or the beginning where there is none."""
    experiment = compiled.experiment
    found = restore.newest(folders, flat.shapes(programs.one_like(experiment)), warn)
    to_metrics = experiment.loss(experiment.knobs).metrics
    lanes = [
        Lane(path, experiment.plan, compiled.names, to_metrics, one.checkpoint, one.ended)
        for path, one in zip(folders, found, strict=True)
    ]
    state = compiled.initial()
    if any(one.checkpoint for one in found):
        start = compiled.unpack(state)
        arrays = [lane.start or fresh for lane, fresh in zip(lanes, start, strict=True)]
        state = compiled.pack(arrays)
    return lanes, state


def _steps(compiled: Compiled, state: Any, lanes: list[Lane], writer: _States) -> Iterator[None]:
    """Trains until every lane has ended; yields after each chunk.

    Raises Interrupted, after a checkpoint, when a signal has arrived.
    """
    plan = compiled.experiment.plan
    begin = min((lane.step for lane in lanes if lane.live), default=plan.steps)
    saved = time.monotonic()
    if signals.pending() and begin < plan.steps:
        _interrupt(lanes, writer)  # it came while compiling: nothing has changed since the last checkpoint
    for chunk in chunks(compiled, state, begin):
        improved = _advance(chunk, lanes)
        stop = signals.pending()  # asked once: what arrives later waits for the next chunk
        due = bool(stop) or _due(plan, chunk.step, time.monotonic() - saved)
        ending = any(not lane.live and not lane.ended for lane in lanes)
        if due or ending or any(improved):
            _keep(lanes, compiled.unpack(chunk.state), improved, due, writer)
            saved = time.monotonic() if due else saved
        yield
        if not any(lane.live for lane in lanes):
            return
        if stop:
            _interrupt(lanes, writer)


def _due(plan: Plan, step: int, seconds: float) -> bool:
    """Whether a checkpoint is due: by steps, by the clock, or because the run ends here."""
    by_steps = plan.checkpoint_every and step % plan.checkpoint_every == 0
    by_clock = plan.checkpoint_seconds is not None and seconds >= plan.checkpoint_seconds
    return bool(by_steps or by_clock or step == plan.steps)


def _advance(chunk: Chunk, lanes: list[Lane]) -> list[bool]:
    """Hands each lane that is live its rows and metrics; returns which of them are at their best."""
    metrics = chunk.metrics or [None] * len(lanes)
    return [
        lane.live and lane.advance(row, own)
        for lane, row, own in zip(lanes, chunk.rows, metrics, strict=True)
    ]


def _keep(lanes: list[Lane], arrays: list[Any], improved: list[bool], due: bool, writer: _States) -> None:
    """Holds the best states, saves what is due, and closes the books of lanes that end here."""
    written = []
    for i, lane in enumerate(lanes):
        if (improved[i] or (lane.live and due)) and not is_finite(arrays[i]):
            lane.status = "diverged"  # in the optimizer's memory, while the loss is still finite
        elif improved[i]:
            lane.hold_best(arrays[i])
        if lane.live and lane.step == lane.plan.steps:
            lane.status = "done"
        if lane.live and due:
            lane.save(arrays[i])
            written.append(lane)
        elif not lane.live and not lane.ended:
            lane.end(arrays[i])
            written.append(lane)
            if len(lanes) > 1:
                writer.write_lane(i, lane)
    for lane in written:
        lane.prune()


def _interrupt(lanes: list[Lane], writer: _States) -> NoReturn:
    """Ends the run because of a signal; everything is on disk by now."""
    writer.write("interrupted", lanes)
    step, folder = _step(lanes), writer.folder
    raise Interrupted(signals.pending(), f"interrupted at step {step}; `nnrun resume {folder}` goes on")


def _finish(compiled: Compiled, lanes: list[Lane], writer: _States) -> None:
    """Tests the last and the best state of every lane and writes the summaries."""
    last = [lane.final for lane in lanes]
    best = [lane.best_arrays() for lane in lanes]
    tested_last = _test(compiled, last)
    same = all(a is b for a, b in zip(last, best, strict=True))
    tested_best = tested_last if same else _test(compiled, best)
    for i, lane in enumerate(lanes):
        summary = results.lane_summary(lane, tested_last[i], tested_best[i])
        fsio.write_json(lane.folder / "summary.json", summary)
    if len(lanes) > 1:
        fsio.write_json(writer.folder / "summary.json", results.group_summary(writer.folder, lanes))
    done = any(lane.status == "done" for lane in lanes)
    if done:
        writer.write("done", lanes)
    else:
        writer.write("diverged", lanes, reason=results.divergence(lanes))


def _test(compiled: Compiled, arrays: list[Any]) -> list[dict[str, float]]:
    """Test metrics of each lane's arrays; {} for a lane that has none."""
    some = next((one for one in arrays if one), None)
    if some is None:
        return [{} for _ in arrays]
    state = compiled.pack([one or some for one in arrays])
    tested = compiled.evaluate(state, "test")
    return [metrics if one else {} for one, metrics in zip(arrays, tested, strict=True)]
