"""A sweep from its file or its folder to its answer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from nnrun import signals
from nnrun.errors import Interrupted, NnrunError, SpecError, one_line
from nnrun.record import run
from nnrun.record.names import SUMMARY
from nnrun.record.summary import SweepSummary
from nnrun.spec import override
from nnrun.storage import fsio
from nnrun.sweep import file as sweep_file
from nnrun.sweep import folder as files
from nnrun.sweep.batches import Event, Trainer
from nnrun.sweep.engine import Engine
from nnrun.sweep.loop import SweepLoop
from nnrun.sweep.plan import SweepPlan
from nnrun.sweep.planning import make_plan
from nnrun.sweep.records import mean_value

__all__ = ["begin", "continue_sweep", "finish", "reporting", "sweep"]

_MAY_GROW = ("sweep.trials", "sweep.studies", "sweep.final_seeds", "sweep.target")


def begin(
    path: Path, overrides: Sequence[str], engine: Engine, run_dir: Path | None, root: Path
) -> tuple[SweepPlan, Path]:
    """Reads and checks a sweep file and creates the folder of the sweep.

    Raises SpecError, DataError, RunError, MachineError; what is wrong with the file creates nothing.
    """
    sweep_plan = make_plan(sweep_file.read(path, override.as_list(overrides)), engine)
    return sweep_plan, files.create(sweep_plan.file, sweep_plan.about(), run_dir, root)


def continue_sweep(
    folder: Path, overrides: Sequence[str], engine: Engine, next_round: bool = False
) -> SweepPlan:
    """The setting of a sweep that was begun, perhaps with a larger budget.

    next_round   whether the budget is that of the next round of a sweep with `until`, not one by hand
    Raises RunError, SpecError, DataError, MachineError.
    """
    overrides = override.as_list(overrides)
    for text in overrides:
        if text.partition("=")[0] not in _MAY_GROW:
            allowed = ", ".join(_MAY_GROW)
            raise SpecError(
                f"argument {one_line(text, 80)}: a sweep that was begun takes {allowed}; start another one"
            )
    before = files.read_back(folder, [])
    if before.sweep.until and overrides and not next_round:
        raise SpecError(
            f"argument {one_line(overrides[0], 80)}: a sweep with `until` grows by itself, and its p-values are "
            "corrected for its own looks; start another one"
        )
    file = files.read_back(folder, overrides)
    sweep_plan = make_plan(file, engine)
    if sweep_plan.search.rungs and before.sweep.trials != file.sweep.trials:
        raise SpecError(
            f"sweep.trials: {sweep_plan.search_name} ranks all trials together; start another sweep"
        )
    if overrides:
        files.rewrite(folder, sweep_plan.file, sweep_plan.about())
    return sweep_plan


def sweep(
    sweep_plan: SweepPlan, root: Path, engine: Engine, trainer: Trainer
) -> Iterator[tuple[SweepLoop, Event | None]]:
    """Trains what is not trained yet and compares; yields after every piece of news.

    Raises Interrupted, MachineError, SpecError; the folder says what happened.
    """
    with ExitStack() as stack:
        stack.enter_context(signals.deferred())
        stack.enter_context(run.lock(root))
        stack.enter_context(_ending(root))
        run.write_state(root, "running")
        loop = SweepLoop(sweep_plan, root, engine, trainer)
        yield loop, None
        for event in loop.run():
            yield loop, event
            if signals.pending():  # it came between batches
                raise Interrupted(signals.pending(), "")
        fsio.write_json(root / SUMMARY, _summary(loop))
        if sweep_plan.file.sweep.until is None:
            finish(root)


@contextlib.contextmanager
def reporting(root: Path) -> Iterator[Callable[[], None]]:
    """While the answer of a sweep is written: yields a function to call now and then, which hears signals.

    The function raises Interrupted; the sweep is interrupted then, and `--resume` has only its answer to write.
    """

    def look() -> None:
        if signals.pending():
            raise Interrupted(signals.pending(), "")

    with run.lock(root), _ending(root):
        yield look


def finish(root: Path) -> None:
    """Writes that a sweep is over: one with `until` is not after a round, but after the look that asks for no more.

    A process that is killed in between leaves a sweep that `--resume` continues, and that does not say it is done.
    """
    run.write_state(root, "done")


@contextlib.contextmanager
def _ending(root: Path) -> Iterator[None]:
    try:
        yield
    except Interrupted as error:
        run.write_state(root, "interrupted")
        message = f"interrupted; `nnrun sweep --resume {root}` continues"
        raise Interrupted(error.signum, message) from None
    except NnrunError as error:
        with contextlib.suppress(NnrunError):
            run.write_state(root, "failed", reason=str(error))
        raise


def _summary(loop: SweepLoop) -> SweepSummary:
    """What `ls` shows of a sweep: the final comparison's best by validation, else the best trial."""
    finals = {record["trial"]: record for record in loop.finals}
    steps = sum(record["steps"] * len(record["values"]) for record in loop.records.values())
    best = loop.best_of_all()
    metrics: dict[str, float | None] = {}
    if best is not None:
        metrics = {loop.sweep_plan.metric.name: loop.records[best.name]["value"]}
        final_metrics = finals[best.name]["metrics"] if best.name in finals else {}
        metrics |= {
            name: mean_value(values)
            for name, values in final_metrics.items()
            if mean_value(values) is not None
        }
    counts = [record["status"] for record in loop.records.values()]
    return {
        "status": "done",
        "steps": steps,
        "trials": {status: counts.count(status) for status in sorted(set(counts))},
        "best_trial": None if best is None else best.name,
        "metrics": {"best": metrics},
    }
