"""Cross-validation: the folds of a group, each an ordinary run, trained one after another.

Folds are not lanes of one program: each has its own categories, and so its own number of inputs, its own statistics,
and now and then one step more an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nnrun import signals
from nnrun.errors import DivergedError, Interrupted, NnrunError, Warn, one_line
from nnrun.record import run
from nnrun.record.names import SUMMARY
from nnrun.runner import driver, session
from nnrun.runner.driver import RunProgress
from nnrun.runner.folds_summary import folds_summary
from nnrun.runner.group import folds_of, members
from nnrun.runner.session import Prepared
from nnrun.runner.status import is_over
from nnrun.storage import fsio

__all__ = ["Turn", "resume", "train", "train_again"]


class Turn(NamedTuple):
    """Where a run is, and which of how many folds it is; of 0 where there are none."""

    progress: RunProgress
    fold: int
    folds: int


def train(prepared: Prepared, folder: Path, warn: Warn) -> Iterator[Turn]:
    """Trains what was created in `folder`: a run, several seeds, or the folds of a cross-validation.

    Raises Interrupted after a checkpoint was saved, DivergedError where nothing is left, MachineError, RunError.
    """
    if folds_of(folder):
        yield from _train_folds(folder, warn, exact=False)
    else:
        for progress in driver.train(prepared.experiment, folder, warn):
            yield Turn(progress, 0, 0)


def resume(folder: Path, warn: Warn, exact: bool = False) -> Iterator[Turn]:
    """Continues what is in `folder`; folds that have ended stay as they are.

    exact   refuse, with RunError, what differs from when it began
    """
    if folds_of(folder):
        yield from _train_folds(folder, warn, exact)
    else:
        yield from train(session.reopen(folder, warn, exact), folder, warn)


def train_again(folder: Path, warn: Warn) -> Iterator[Turn]:
    """Trains what `again.begin_again` wrote into `folder`; versions, machine or code that differ are warned of."""
    if folds_of(folder):
        yield from _train_folds(folder, warn, exact=False)
    else:
        yield from train(session.rebuild(folder, warn, session.PARTS), folder, warn)


def _train_folds(folder: Path, warn: Warn, exact: bool) -> Iterator[Turn]:
    folds = members(folder)
    with run.lock(folder), signals.deferred():
        run.write_state(folder, "running")
        try:
            for number, fold in enumerate(folds, start=1):
                if not is_over(fold):
                    for progress in _train_fold(fold, warn, exact):
                        yield Turn(progress, number, len(folds))
                if signals.pending() and number < len(folds):
                    raise Interrupted(signals.pending(), f"interrupted after fold {number} of {len(folds)}")
            _finish(folder, folds)
            signals.forget()  # it came too late to interrupt anything
        except Interrupted as error:
            run.write_state(folder, "interrupted")
            what = str(error).partition(";")[0]
            raise Interrupted(error.signum, f"{what}; `nnrun resume {one_line(folder)}` continues") from None
        except DivergedError:
            raise
        except NnrunError as error:
            run.write_state(folder, "failed", reason=str(error))
            raise


def _train_fold(fold: Path, warn: Warn, exact: bool) -> Iterator[RunProgress]:
    """Trains one fold to its end; one that diverges leaves the others to continue."""
    experiment = session.rebuild(fold, warn, session.PARTS, exact).experiment
    try:
        yield from driver.train(experiment, fold, warn)
    except DivergedError as error:
        warn(str(error))


def _finish(folder: Path, folds: list[Path]) -> None:
    """The summary of the group and its last state.  Raises DivergedError where no fold is left."""
    summary = folds_summary(folder, folds)
    fsio.write_json(folder / SUMMARY, summary)
    if summary["status"] == "diverged":
        reason = f"all {len(folds)} folds diverged; try a smaller optimizer.learning_rate"
        run.write_state(folder, "diverged", reason=reason)
        raise DivergedError(f"{one_line(folder)}: {reason}")
    run.write_state(folder, "done")
