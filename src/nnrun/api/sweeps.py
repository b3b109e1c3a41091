"""Sweeps."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nnrun.api._frames import frame_of_rows
from nnrun.errors import DivergedError, RunError, SpecError, one_line
from nnrun.record.names import BEST, REPORT
from nnrun.report.plain_text import as_text
from nnrun.report.sweep import answer as answers
from nnrun.report.sweep.answer import Leaderboard
from nnrun.report.sweep.findings import Answer
from nnrun.report.sweep.live import SweepProgress
from nnrun.sweep import lifecycle
from nnrun.sweep.engine import Engine
from nnrun.sweep.reopened import begun_sweep
from nnrun.sweep.whole import carry_out, trainer_of

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingImports]

__all__ = ["Sweep", "sweep"]


class Sweep(NamedTuple):
    """A sweep that is done; it prints as `nnrun sweep` does.

    answer        what it found out, a sentence each; the first is the headline
    best          best.yaml: the spec of the best setting, for `nnrun.train`; None where no trial has a value
    leaderboard   as leaderboard.json: trials, alternatives (best first), tests, warnings
    """

    run_dir: Path
    answer: list[str]
    best: Path | None
    leaderboard: Leaderboard
    content: Answer

    def __repr__(self) -> str:
        lines = [f"report: {one_line(self.run_dir / REPORT)}"]
        lines += [f"best: {one_line(self.best)}"] if self.best else ["no trial has a value to be best"]
        return as_text(*answers.answer_tables(self.content), *lines)

    def to_pandas(self) -> DataFrame:
        """A row for each alternative on each base, best first: its results, and a column for each chosen setting."""
        left_out = ("settings", "values", "reached", "studies")
        rows: list[dict[str, object]] = []
        for row in self.leaderboard["alternatives"]:
            settings = row["settings"]
            assert isinstance(settings, Mapping)
            rows.append({**{name: row[name] for name in row if name not in left_out}, **settings})
        return frame_of_rows(rows)


def sweep(
    spec: str | Path | None = None,
    overrides: Sequence[str] = (),
    *,
    resume: str | Path | None = None,
    jobs: int = 1,
    on: str | None = None,
    run_dir: str | Path | None = None,
    runs_root: str | Path = "runs",
) -> Sweep:
    """Tries many settings, compares the best on fresh seeds and says how sure that is, as `nnrun sweep` does.

    spec        a YAML file with base: and sweep: in it
    overrides   as on the command line: ["sweep.trials=40"], or of its base
    resume      the folder of a sweep that is to continue, in place of `spec`; then overrides may make it longer
    jobs        1 or more worker processes; 1: all in this process
    on          "ray", "ray://HOST:PORT" or "slurm:time=60": train on a cluster, see `nnrun sweep --on`
    run_dir     the exact folder of a new sweep, which must not exist or be empty
    runs_root   else the folder in which a new one is made
    Trials that fail or diverge leave the others to continue; of the ones that failed a warning is given.
    Raises DivergedError where all trials diverged, and the other errors of nnrun.errors.
    """
    if (spec is None) == (resume is None):
        raise SpecError("sweep: give a sweep file, or resume=FOLDER, one of them")
    if resume is not None and run_dir is not None:
        raise SpecError("sweep: resume= continues in its own folder; leave run_dir= out")
    if not 1 <= jobs <= 256:
        raise SpecError(f"sweep: jobs={one_line(jobs, 40)}; write 1 to 256")
    root = Path(runs_root)
    folder = None if resume is None else begun_sweep(Path(resume), root)
    engine = Engine(warnings.warn)
    trainer = trainer_of(engine, jobs, on)  # a cluster that does not answer must leave nothing behind
    if folder is not None:
        plan = lifecycle.continue_sweep(folder, overrides, engine)
    else:
        assert spec is not None
        target = None if run_dir is None else Path(run_dir)
        plan, folder = lifecycle.begin(Path(spec), overrides, engine, target, root)
    ended = carry_out(plan, folder, engine, trainer, _unseen, _unsaid, quiet=True)
    if message := ended.all_diverged(folder):
        raise DivergedError(message)
    if message := ended.failed(folder):
        warnings.warn(message, stacklevel=2)
    return _read(folder, ended.answer)


def _read(folder: Path, content: Answer) -> Sweep:
    leaderboard, best = answers.as_data(content), folder / BEST
    if not leaderboard["alternatives"]:
        raise RunError(f"{one_line(folder)}: has no alternative; start the sweep again")
    return Sweep(folder, leaderboard["answer"], best if best.is_file() else None, leaderboard, content)


@contextlib.contextmanager
def _unseen() -> Iterator[Callable[[SweepProgress], None]]:
    """Nothing is shown."""
    yield lambda board: None


def _unsaid(message: str) -> None:
    """What a sweep with `until` decided is in its answer."""
    del message
