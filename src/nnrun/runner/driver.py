"""Driving a run: compile, train chunk by chunk, record what comes back, and end in one of five ways.

`train` yields RunProgress for whoever shows it; no step of the training depends on who is looking.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple, NoReturn

from nnrun import signals
from nnrun.errors import DivergedError, Interrupted, Warn
from nnrun.record import checkpoint, compile_times, run
from nnrun.record.weights_from import read_arrays
from nnrun.runner import restore
from nnrun.runner.finish import finish
from nnrun.runner.recorder import Arrays, Recorder
from nnrun.runner.session import precision
from nnrun.runner.status import Group, StateFiles, compiling, ending, group_of
from nnrun.runner.summary import divergence
from nnrun.runner.warm_start import begin_with
from nnrun.storage.many import for_each
from nnrun.training import flat, shards, start
from nnrun.training.chunks import Chunk, chunks
from nnrun.training.shards import Compiled, LanesState
from nnrun.types import Experiment, Plan, State

__all__ = ["RunProgress", "train", "train_together"]


class RunProgress(NamedTuple):
    """Where a run is."""

    folder: Path
    plan: Plan
    phase: str  # compiling, ready, training, testing
    step: int
    recorders: list[Recorder]
    compiled_in: float | None = None  # seconds, last time, while it compiles; None: not known


def train(
    experiment: Experiment, folder: Path, warn: Warn, compiled: Callable[[], Compiled] | None = None
) -> Iterator[RunProgress]:
    """Trains the run in `folder` from its newest good checkpoint, or from its beginning, to its end.

    compiled   makes, or knows, the programs of the experiment; None: they are compiled

    Raises Interrupted after a checkpoint was saved, DivergedError, MachineError, RunError.
    """
    group = group_of(folder, experiment.plan.seeds)
    recorders: list[Recorder] = []
    with precision(experiment.plan.precision):
        compile_all = partial(shards.compile_shards, experiment)
        make = compiled or compile_times.timed(folder, lambda: _ready(compile_all(), group.members))
        for progress in train_together(experiment, [group], make, warn):
            recorders = progress.recorders
            is_new = progress.phase == "compiling" and compiled is None
            yield progress._replace(compiled_in=compile_times.last_seconds(folder)) if is_new else progress
    if not any(recorder.status == "done" for recorder in recorders):
        # Of a population that had ended before, only the files know what its loss was.
        reason = run.read_state(folder).get("reason") or divergence(recorders)
        raise DivergedError(f"{folder}: {reason}")


def _ready(compiled: Compiled, folders: list[Path]) -> Compiled:
    """The programs of runs; also that of the first state where one of them begins."""
    if not all(checkpoint.steps(folder / "checkpoints") for folder in folders):
        compiled.prepare()
    return compiled


def train_together(
    experiment: Experiment,
    groups: list[Group],
    compiled: Callable[[], Compiled],
    warn: Warn,
    until: int | None = None,
    final: bool = False,
) -> Iterator[RunProgress]:
    """Trains several runs of one structure in one program, each from its newest good checkpoint.

    experiment  of all lanes: the seeds of its plan and its knobs stand in the order of the groups
    compiled    makes, or knows, the programs of that experiment
    until       the step to stop at, a multiple of evaluate_every; None: the end of the runs
    final       whether the runs end there, as if that had been their length

    Groups that have ended get their summaries, the others are left resumable.  Raises Interrupted after
    checkpoints were saved, MachineError, RunError; whether a run diverged is in its recorder.
    """
    plan = experiment.plan
    state_files = StateFiles(groups)
    with ExitStack() as stack:
        stack.enter_context(signals.deferred())
        for path in dict.fromkeys(path for group in groups for path in [group.folder, *group.members]):
            stack.enter_context(run.lock(path))
        stack.enter_context(ending(state_files, plan))
        state_files.write("running")
        yield RunProgress(groups[0].folder, plan, "compiling", 0, [])
        with compiling(state_files):
            programs_of_all = _ready(compiled(), state_files.folders)
        yield from _train(programs_of_all, state_files, warn, min(until or plan.steps, plan.steps), final)


def _train(
    compiled: Compiled, state_files: StateFiles, warn: Warn, until: int, final: bool
) -> Iterator[RunProgress]:
    folder, plan = state_files.groups[0].folder, compiled.experiment.plan
    waits = until if until < plan.steps and not final else None  # who is there already waits for the others
    with compiling(state_files):  # the program of the first state, where that is needed
        recorders, state = _open(compiled, state_files.folders, warn, waits)
    yield RunProgress(folder, plan, "ready", _step(recorders), recorders)
    try:
        for _ in _steps(compiled, state, recorders, state_files, until):
            yield RunProgress(folder, plan, "training", _step(recorders), recorders)
        if final:
            _end_here(recorders, state_files)
        yield RunProgress(folder, plan, "testing", _step(recorders), recorders)
        finish(compiled, recorders, state_files)
        signals.forget()  # it came too late to interrupt anything
    finally:
        for recorder in recorders:
            recorder.close()


def _step(recorders: list[Recorder]) -> int:
    return max(recorder.step for recorder in recorders)


def _open(
    compiled: Compiled, folders: list[Path], warn: Warn, until: int | None
) -> tuple[list[Recorder], LanesState]:
    """The lanes and the state to continue from: the newest checkpoint, or the beginning where there is none."""
    experiment = compiled.experiment
    like = start.one_like(experiment)
    restored = restore.newest(folders, flat.shapes(like), warn, until)
    to_metrics = experiment.loss(experiment.knobs).metrics
    recorders = for_each(
        lambda lane: Recorder(
            lane[0], experiment.plan, compiled.names, to_metrics, lane[1].checkpoint, lane[1].ended
        ),
        [*zip(folders, restored, strict=True)],
    )
    try:
        return recorders, _first_state(compiled, like, recorders)
    except BaseException:
        for recorder in recorders:
            recorder.close()
        raise


def _first_state(compiled: Compiled, like: State, recorders: list[Recorder]) -> LanesState:
    """Of each lane that of its checkpoint; of one that begins the initial one, with the weights that it takes."""
    starts = [recorder.start for recorder in recorders if recorder.start]
    if len(starts) == len(recorders):
        return compiled.pack(starts)
    experiment, state = compiled.experiment, compiled.initial()
    taken = [{} if recorder.start else read_arrays(recorder.folder) for recorder in recorders]
    if not starts and not any(taken):
        return state
    begin = begin_with(experiment, like)
    lanes = zip(recorders, compiled.unpack(state), taken, strict=True)
    return compiled.pack(
        [
            recorder.start or (begin(fresh, weights) if weights else fresh)
            for recorder, fresh, weights in lanes
        ]
    )


def _steps(
    compiled: Compiled, state: LanesState, recorders: list[Recorder], state_files: StateFiles, until: int
) -> Iterator[None]:
    """Trains until every lane has ended or is at the step `until`; yields after each chunk.

    Raises Interrupted, after a checkpoint, when a signal has arrived.
    """
    plan = compiled.experiment.plan
    begin = min((recorder.step for recorder in recorders if recorder.live), default=plan.steps)
    saved = time.monotonic()
    if begin >= until:  # the process ended after all had saved, perhaps before what is old had gone
        for_each(Recorder.prune, [recorder for recorder in recorders if recorder.start is not None])
    if signals.pending() and begin < until:  # it came while compiling: nothing is to be saved
        _interrupt(recorders, state_files)
    for chunk in chunks(compiled, state, begin, until):
        improved = _advance(chunk, recorders)
        stop = signals.pending()  # asked once: what arrives later waits for the next chunk
        due = bool(stop) or chunk.step == until or _due(plan, chunk.step, time.monotonic() - saved)
        ending = any(not recorder.live and not recorder.ended for recorder in recorders)
        if due or ending or any(improved):
            _keep(recorders, compiled.unpack(chunk.state), improved, due, state_files)
            saved = time.monotonic() if due else saved
        yield
        if not any(recorder.live for recorder in recorders):
            return
        if stop:
            _interrupt(recorders, state_files)


def _due(plan: Plan, step: int, seconds: float) -> bool:
    """Whether a checkpoint is due: by steps, by the clock, or because the run ends here."""
    by_steps = plan.checkpoint_every and step % plan.checkpoint_every == 0
    by_clock = plan.checkpoint_seconds is not None and seconds >= plan.checkpoint_seconds
    return bool(by_steps or by_clock or step == plan.steps or step in plan.kept)


def _advance(chunk: Chunk, recorders: list[Recorder]) -> list[bool]:
    """Hands each lane that is live its rows and metrics; returns which of them are at their best."""
    metrics = chunk.metrics or [None] * len(recorders)
    return [
        recorder.live and recorder.advance(row, evaluation)
        for recorder, row, evaluation in zip(recorders, chunk.rows, metrics, strict=True)
    ]


def _keep(
    recorders: list[Recorder], arrays: list[Arrays], improved: list[bool], due: bool, state_files: StateFiles
) -> None:
    """Has each run keep what it must; old checkpoints go only when all runs have saved."""
    kept = for_each(
        lambda lane: lane[0].keep(lane[1], lane[2], due), [*zip(recorders, arrays, improved, strict=True)]
    )
    written = [recorder for recorder, is_written in zip(recorders, kept, strict=True) if is_written]
    _write_ended(recorders, written, state_files)
    for_each(Recorder.prune, written)


def _write_ended(recorders: list[Recorder], written: list[Recorder], state_files: StateFiles) -> None:
    """The states of members that have just ended, while the others may continue."""
    if len(recorders) > 1:
        ended = [i for i, recorder in enumerate(recorders) if recorder.ended and recorder in written]
        for_each(lambda i: state_files.write_member(i, recorders[i]), ended)


def _interrupt(recorders: list[Recorder], state_files: StateFiles) -> NoReturn:
    """Ends the run because of a signal; everything is on disk by now."""
    state_files.write("interrupted", recorders)
    step, folder = _step(recorders), state_files.groups[0].folder
    raise Interrupted(signals.pending(), f"interrupted at step {step}; `nnrun resume {folder}` continues")


def _end_here(recorders: list[Recorder], state_files: StateFiles) -> None:
    """Ends the runs where they are."""
    ended = [recorder for recorder in recorders if recorder.end_here()]
    _write_ended(recorders, ended, state_files)
