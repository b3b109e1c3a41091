"""A sweep from its file or its folder to its answer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from nnrun import signals
from nnrun.errors import Interrupted, NnrunError, SpecError, one_line
from nnrun.record import run
from nnrun.storage import fsio
from nnrun.sweep import file as sweep_file
from nnrun.sweep import folder as files
from nnrun.sweep.batches import News, Trainer
from nnrun.sweep.engine import Engine
from nnrun.sweep.loop import Course
from nnrun.sweep.plan import Setting, settle

__all__ = ["begin", "go_on", "sweep"]

_MAY_GROW = ("sweep.trials", "sweep.final_seeds", "sweep.target")
Warn = Callable[[str], None]


def begin(
    path: Path, overrides: Sequence[str], engine: Engine, run_dir: Path | None, root: Path
) -> tuple[Setting, Path]:
    """Reads and checks a sweep file and creates the folder of the sweep.

    Raises SpecError, DataError, RunError, MachineError; what is wrong with the file creates nothing.
    """
    setting = settle(sweep_file.read(path, overrides), engine)
    return setting, files.create(setting.file, setting.about(), run_dir, root)


def go_on(folder: Path, overrides: Sequence[str], engine: Engine) -> Setting:
    """The setting of a sweep that was begun, perhaps with a larger budget.

    Raises RunError, SpecError, DataError, MachineError.
    """
    for text in overrides:
        if text.partition("=")[0] not in _MAY_GROW:
            told = ", ".join(_MAY_GROW)
            raise SpecError(
                f"argument {one_line(text, 80)}: a sweep that was begun takes {told}; start another one"
            )
    before = files.read_back(folder, [])
    file = files.read_back(folder, list(overrides))
    setting = settle(file, engine)
    if setting.search.rungs and before.sweep.trials != file.sweep.trials:
        raise SpecError(f"sweep.trials: {setting.search_name} ranks all trials together; start another sweep")
    if overrides:
        files.rewrite(folder, setting.file, setting.about())
    return setting


def sweep(
    setting: Setting, root: Path, engine: Engine, trainer: Trainer
) -> Iterator[tuple[Course, News | None]]:
    """Trains what is not trained yet and compares; yields after every piece of news.

    Raises Interrupted, MachineError, SpecError; the folder says what happened.
    """
    with ExitStack() as stack:
        stack.enter_context(signals.deferred())
        stack.enter_context(run.lock(root))
        stack.enter_context(_ending(root))
        run.write_state(root, "running")
        course = Course(setting, root, engine, trainer)
        yield course, None
        for news in course.run():
            yield course, news
            if signals.pending():  # it came between batches
                raise Interrupted(signals.pending(), "")
        fsio.write_json(root / "summary.json", _summary(course))
        run.write_state(root, "done")
        signals.forget()


@contextlib.contextmanager
def _ending(root: Path) -> Iterator[None]:
    try:
        yield
    except Interrupted as error:
        run.write_state(root, "interrupted")
        message = f"interrupted; `nnrun sweep --resume {root}` goes on"
        raise Interrupted(error.signum, message) from None
    except NnrunError as error:
        with contextlib.suppress(NnrunError):
            run.write_state(root, "failed", reason=str(error))
        raise


def _summary(course: Course) -> dict[str, Any]:
    """What `ls` shows of a sweep: the final comparison's best by validation, else the best trial."""
    finals = {record["trial"]: record for record in course.finals}
    steps = sum(one["steps"] * len(one["values"]) for one in course.records.values())
    best = course.best_of_all()
    metrics: dict[str, Any] = {}
    if best is not None:
        metrics = {course.setting.metric: course.records[best.name]["value"]}
        told = finals.get(best.name, {"metrics": {}})["metrics"]
        metrics |= {name: _mean(values) for name, values in told.items() if _mean(values) is not None}
    counts = [one["status"] for one in course.records.values()]
    return {
        "status": "done",
        "steps": steps,
        "trials": {status: counts.count(status) for status in sorted(set(counts))},
        "best_trial": None if best is None else best.name,
        "metrics": {"best": metrics},
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
