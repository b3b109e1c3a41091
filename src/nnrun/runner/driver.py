"""Driving a run: compile, train chunk by chunk, record what comes back, and end in one of five ways.

`train` yields Progress for whoever shows it; no step of the training depends on who is looking.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from nnrun import signals
from nnrun.errors import DivergedError, Interrupted
from nnrun.record import run
from nnrun.runner import restore
from nnrun.runner.recorder import Lane, is_finite
from nnrun.runner.session import Prepared, precision
from nnrun.runner.status import Group, Standing, ending, group_of, lanes_of
from nnrun.runner.summary import divergence, group_summary, lane_summary
from nnrun.storage import fsio
from nnrun.training import flat, programs, shards
from nnrun.training.chunks import Chunk, chunks
from nnrun.training.shards import Compiled
from nnrun.types import Experiment, Plan

__all__ = ["Progress", "train", "train_together"]

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
    experiment = prepared.experiment
    group = group_of(folder, experiment.plan.seeds)
    lanes: list[Lane] = []
    with precision(prepared.spec.train.precision):
        for progress in train_together(experiment, [group], partial(shards.compile_shards, experiment), warn):
            lanes = progress.lanes
            yield progress
    if not any(lane.status == "done" for lane in lanes):
        raise DivergedError(f"{folder}: {divergence(lanes)}")


def train_together(
    experiment: Experiment,
    groups: list[Group],
    compiled: Callable[[], Compiled],
    warn: Warn,
    until: int | None = None,
    leave: bool = False,
) -> Iterator[Progress]:
    """Trains several runs of one structure in one program, each from its newest good checkpoint.

    experiment  of all lanes: the seeds of its plan and its knobs stand in the order of the groups
    compiled    makes, or knows, the programs of that experiment
    until       the step to stop at, a multiple of evaluate_every; None: the end of the runs
    leave       whether the runs end there, as if that had been their length

    Groups that have ended get their summaries, the others are left resumable.  Raises Interrupted after
    checkpoints were saved, MachineError, RunError; that a run diverged is told by its lanes.
    """
    plan = experiment.plan
    standing = Standing(groups)
    with ExitStack() as stack:
        stack.enter_context(signals.deferred())
        for path in dict.fromkeys(path for group in groups for path in [group.folder, *group.members]):
            stack.enter_context(run.lock(path))
        stack.enter_context(ending(standing, plan))
        standing.write("running")
        yield Progress(groups[0].folder, plan, "compiling", 0, [])
        yield from _train(compiled(), standing, warn, min(until or plan.steps, plan.steps), leave)


def _train(compiled: Compiled, standing: Standing, warn: Warn, until: int, leave: bool) -> Iterator[Progress]:
    folder, plan = standing.groups[0].folder, compiled.experiment.plan
    lanes, state = _open(compiled, standing.folders, warn)
    yield Progress(folder, plan, "ready", _step(lanes), lanes)
    try:
        for _ in _steps(compiled, state, lanes, standing, until):
            yield Progress(folder, plan, "training", _step(lanes), lanes)
        if leave:
            _leave(lanes, standing)
        yield Progress(folder, plan, "testing", _step(lanes), lanes)
        _finish(compiled, lanes, standing)
        signals.forget()  # it came too late to interrupt anything
    finally:
        for lane in lanes:
            lane.close()


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


def _steps(
    compiled: Compiled, state: Any, lanes: list[Lane], standing: Standing, until: int
) -> Iterator[None]:
    """Trains until every lane has ended or is at the step `until`; yields after each chunk.

    Raises Interrupted, after a checkpoint, when a signal has arrived.
    """
    plan = compiled.experiment.plan
    begin = min((lane.step for lane in lanes if lane.live), default=plan.steps)
    saved = time.monotonic()
    if signals.pending() and begin < until:
        _interrupt(lanes, standing)  # it came while compiling: nothing has changed since the last checkpoint
    for chunk in chunks(compiled, state, begin, until):
        improved = _advance(chunk, lanes)
        stop = signals.pending()  # asked once: what arrives later waits for the next chunk
        due = bool(stop) or chunk.step == until or _due(plan, chunk.step, time.monotonic() - saved)
        ending = any(not lane.live and not lane.ended for lane in lanes)
        if due or ending or any(improved):
            _keep(lanes, compiled.unpack(chunk.state), improved, due, standing)
            saved = time.monotonic() if due else saved
        yield
        if not any(lane.live for lane in lanes):
            return
        if stop:
            _interrupt(lanes, standing)


def _due(plan: Plan, step: int, seconds: float) -> bool:
    """Whether a checkpoint is due: by steps, by the clock, or because the run ends here."""
    by_steps = plan.checkpoint_every and step % plan.checkpoint_every == 0
    by_clock = plan.checkpoint_seconds is not None and seconds >= plan.checkpoint_seconds
    return bool(by_steps or by_clock or step == plan.steps or step in plan.kept)


def _advance(chunk: Chunk, lanes: list[Lane]) -> list[bool]:
    """Hands each lane that is live its rows and metrics; returns which of them are at their best."""
    metrics = chunk.metrics or [None] * len(lanes)
    return [
        lane.live and lane.advance(row, own)
        for lane, row, own in zip(lanes, chunk.rows, metrics, strict=True)
    ]


def _keep(lanes: list[Lane], arrays: list[Any], improved: list[bool], due: bool, standing: Standing) -> None:
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
                standing.write_lane(i, lane)
    for lane in written:
        lane.prune()


def _interrupt(lanes: list[Lane], standing: Standing) -> NoReturn:
    """Ends the run because of a signal; everything is on disk by now."""
    standing.write("interrupted", lanes)
    step, folder = _step(lanes), standing.groups[0].folder
    raise Interrupted(signals.pending(), f"interrupted at step {step}; `nnrun resume {folder}` goes on")


def _leave(lanes: list[Lane], standing: Standing) -> None:
    """Ends the runs where they are."""
    for i, lane in enumerate(lanes):
        if lane.live and lane.saved is not None:
            lane.status = "done"
            lane.end(lane.saved)
            lane.prune()
            if len(lanes) > 1:
                standing.write_lane(i, lane)


def _finish(compiled: Compiled, lanes: list[Lane], standing: Standing) -> None:
    """Tests the last and the best state of the lanes that have ended and writes the summaries of their runs."""
    last = [lane.final for lane in lanes]
    best = [None if lane.live else lane.best_arrays() for lane in lanes]
    tested_last = _test(compiled, last)
    same = all(a is b for a, b in zip(last, best, strict=True))
    tested_best = tested_last if same else _test(compiled, best)
    summaries = [
        lane_summary(lane, *tested) for lane, *tested in zip(lanes, tested_last, tested_best, strict=True)
    ]
    for group, own in lanes_of(standing.groups, list(zip(lanes, summaries, strict=True))):
        if any(lane.live for lane, _ in own):
            standing.write_group(group, "interrupted", [lane for lane, _ in own])
            continue
        for lane, summary in own:
            fsio.write_json(lane.folder / "summary.json", summary)
        _close(group, [lane for lane, _ in own], standing)


def _close(group: Group, lanes: list[Lane], standing: Standing) -> None:
    """The summary of a group and the last states of all its runs."""
    if not group.single:
        fsio.write_json(group.folder / "summary.json", group_summary(group.folder, lanes))
    if any(lane.status == "done" for lane in lanes):
        standing.write_group(group, "done", lanes)
    else:
        standing.write_group(group, "diverged", lanes, reason=divergence(lanes))


def _test(compiled: Compiled, arrays: list[Any]) -> list[dict[str, float]]:
    """Test metrics of each lane's arrays; {} for a lane that has none."""
    some = next((one for one in arrays if one), None)
    if some is None:
        return [{} for _ in arrays]
    state = compiled.pack([one or some for one in arrays])
    tested = compiled.evaluate(state, "test")
    return [metrics if one else {} for one, metrics in zip(arrays, tested, strict=True)]
