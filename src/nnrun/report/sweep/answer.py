"""The answer of a sweep, and what it leaves behind of it: leaderboard.csv and .json, report.html, plots/.

read_sweep(folder) -> Sweep     answer(sweep) -> Answer     answer_tables(answer) -> for a terminal
write_answer(folder) -> Answer, with everything written
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import NotRequired

from typing_extensions import TypedDict

from nnrun.record.names import LEADERBOARD, LEADERBOARD_CSV, REPORT
from nnrun.report.sweep import effects
from nnrun.report.sweep.cautions import cautions, leans_on, missing
from nnrun.report.sweep.evidence import ranked
from nnrun.report.sweep.findings import Answer, answer
from nnrun.report.sweep.folder import TrialRecord, is_sweep, read_sweep
from nnrun.report.sweep.rows import AnswerRow
from nnrun.report.sweep.tables import answer_tables
from nnrun.report.sweep.verdict import sentences
from nnrun.statistics.metric import Metric
from nnrun.storage import fsio

__all__ = [
    "Leaderboard",
    "LeaderboardReport",
    "answer",
    "answer_tables",
    "as_data",
    "as_json",
    "is_sweep",
    "read_sweep",
    "write_answer",
]


class Leaderboard(TypedDict):
    """The content of leaderboard.json; what stands below a base or an alternative is by its label."""

    name: str
    metric: str
    goal: str
    search: str
    trials: list[dict[str, object]]  # best first
    alternatives: list[dict[str, object]]  # best first
    comparisons: list[dict[str, object]]
    factors: dict[str, object]  # {} where alternatives are not the combinations of several factors
    best_of_k: dict[str, dict[str, list[dict[str, object]]]]
    importance: dict[str, dict[str, list[dict[str, object]]]]
    targets: dict[str, float | None]
    profile: dict[str, list[list[float]]]
    answer: list[str]
    warnings: list[str]
    sensitivity: list[str]  # what would change the answer
    missing: list[str]


class LeaderboardReport(Leaderboard):
    """What `nnrun sweep --json` prints, and `nnrun show --json` of a sweep, which adds its status."""

    run_dir: str
    status: NotRequired[str]


def write_answer(folder: Path, look: Callable[[], None] = lambda: None) -> Answer:
    """Computes the answer of a sweep, finished or not, and writes it into its folder, each file whole or not at all.

    look   is called between two files; what it raises ends this
    Raises RunError if the folder is damaged, MachineError.
    """
    from nnrun.report.sweep import page, plots

    sweep_answer = answer(read_sweep(folder))
    fsio.write_json(folder / LEADERBOARD, as_data(sweep_answer))
    fsio.write_file(folder / LEADERBOARD_CSV, _leaderboard_csv(sweep_answer).encode())
    images = plots.pictures(sweep_answer, look)
    look()
    fsio.make_folders(folder / "plots")
    for image in images:
        fsio.write_file(folder / "plots" / f"{image.name}.png", image.png)
    fsio.write_file(folder / REPORT, page.page(sweep_answer, images).encode())
    look()
    return sweep_answer


def as_json(folder: Path) -> LeaderboardReport:
    """What `nnrun sweep --json` prints of a sweep; nothing is written."""
    return {"run_dir": str(folder), **as_data(answer(read_sweep(folder)))}


def as_data(answer: Answer) -> Leaderboard:
    """The answer as plain data: trials best first, alternatives best first, tests, and what is said in words."""
    sweep = answer.sweep
    return {
        "name": sweep.name,
        "metric": sweep.metric,
        "goal": sweep.judge.goal,
        "search": sweep.search,
        "trials": [
            {**_trial(trial, sweep.studies), "values": list(trial.values), "metric": trial.value}
            for trial in ranked(sweep.trials, sweep.judge)
        ],
        "alternatives": [
            _row(row, part.metric if row.fresh else sweep.judge, sweep.folder)
            for part in answer.bases
            for row in part.rows
        ],
        "comparisons": [
            {"base": part.base, "metric": part.metric.name, **pair.as_data()}
            for part in answer.bases
            for pair in part.comparisons
        ],
        "factors": {part.base: effects.as_data(part.factors) for part in answer.bases if part.factors},
        "best_of_k": {
            part.base: {label: [point._asdict() for point in curve] for label, curve in part.best_of.items()}
            for part in answer.bases
        },
        "importance": {
            part.base: {
                label: [share._asdict() for share in known] for label, known in part.importances.items()
            }
            for part in answer.bases
        },
        "targets": {part.base: part.target for part in answer.bases},
        "profile": {label: [list(point) for point in points] for label, points in answer.profile.items()},
        "answer": sentences(answer),
        "warnings": cautions(answer),
        "sensitivity": leans_on(answer),
        "missing": missing(answer),
    }


def _trial(trial: TrialRecord, studies: int) -> dict[str, object]:
    """A trial as plain data; which study it is of only where there are several."""
    content = trial._asdict()
    return {name: value for name, value in content.items() if name != "study" or studies > 1}


def _row(row: AnswerRow, metric: Metric, folder: Path) -> dict[str, object]:
    reached = row.reached
    steps, seconds = _reached(row)
    left_out = ("run", "values", "reached", "studies")
    studies = {"studies": [_study(study, folder) for study in row.studies]} if row.studies else {}
    return {
        **{name: value for name, value in row._asdict().items() if name not in left_out},
        "metric": metric.name,
        "run": row.run and row.run.relative_to(folder).as_posix(),
        "values": {str(seed): value for seed, value in row.values.items()},
        **studies,
        "reached": None
        if reached is None
        else {"seeds": reached.seeds, "of": reached.of, "steps": steps, "seconds": seconds},
    }


def _study(row: AnswerRow, folder: Path) -> dict[str, object]:
    """What one search of an alternative chose, and what that reached."""
    names = ("trial", "settings", "validation", "mean", "validation_again", "seeds", "diverged", "fresh")
    content = row._asdict()
    return {
        **{name: content[name] for name in names},
        "run": row.run and row.run.relative_to(folder).as_posix(),
        "values": {str(seed): value for seed, value in row.values.items()},
    }


def _reached(row: AnswerRow) -> tuple[float | None, float | None]:
    """Steps and seconds to the target; None for what half of the seeds did not reach, or is not known."""
    reached = row.reached
    steps = reached.steps if reached and reached.steps < float("inf") else None
    seconds = (
        reached.seconds
        if reached and reached.seconds is not None and reached.seconds < float("inf")
        else None
    )
    return steps, seconds


def _leaderboard_csv(answer: Answer) -> str:
    """One line for each alternative on each base, best first; every varied key has a column."""
    rows = [(part, row) for part in answer.bases for row in part.rows]
    keys = list(dict.fromkeys(key for _, row in rows for key in row.settings))
    head = [
        "base",
        "alternative",
        "trial",
        "metric",
        "mean",
        "low",
        "high",
        "middle",
        "seeds",
        "diverged",
        "fresh_seeds",
    ]
    head += ["validation", "validation_fresh", "trials", "trials_diverged", "trials_stopped", "trials_failed"]
    head += ["steps_to_target", "seconds_to_target"]
    head += ["studies"] if answer.sweep.studies > 1 else []
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow([*head, *keys])
    for part, row in rows:
        data = _row(row, part.metric if row.fresh else answer.sweep.judge, answer.sweep.folder)
        line = [
            data[name]
            for name in ("base", "alternative", "trial", "metric", "mean", "low", "high", "middle", "seeds")
        ]
        line += [
            row.diverged,
            row.fresh,
            row.validation,
            row.validation_again,
            row.trials,
            row.unstable,
            row.stopped,
            row.failed,
        ]
        line += _reached(row)
        line += [len(row.values)] if answer.sweep.studies > 1 else []
        writer.writerow([_cell(value) for value in (*line, *(row.settings.get(key) for key in keys))])
    return content.getvalue()


def _cell(value: object) -> object:
    """A text that a spreadsheet would take for a formula is written behind an apostrophe."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value
