"""The folder of a sweep, finished or not, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from nnrun.errors import RunError, one_line
from nnrun.record import run
from nnrun.record.names import FINALS, SWEEP, TRIALS
from nnrun.report.sweep.entries import AlternativeEntry, FinalEntry, Settings, SweepDescription, TrialEntry
from nnrun.report.sweep.lines import lines_of, metrics_of, number_of
from nnrun.statistics.metric import Metric, bounds_of

__all__ = [
    "AlternativeRecord",
    "DimensionRecord",
    "FinalRecord",
    "SweepRecord",
    "TrialRecord",
    "is_sweep",
    "read_about",
    "read_sweep",
]

FORMAT = 2  # of that file


class DimensionRecord(NamedTuple):
    """One key of the spec that varied.

    kind    choice (of `values`), uniform, log, int, log_int (between low and high), normal (mean low, deviation high)
    """

    path: str
    kind: str
    low: float | None
    high: float | None
    values: tuple[object, ...]


class AlternativeRecord(NamedTuple):
    """Settings that are compared with others, and what varied beside them.

    factors   key of `over` that lists several blocks -> the name of this alternative's block
    """

    label: str
    settings: Settings
    dimensions: tuple[DimensionRecord, ...]
    factors: Mapping[str, str] = MappingProxyType({})


class TrialRecord(NamedTuple):
    """One trial that has ended.

    settings   what varied: key of the spec -> value
    status     done, stopped (it lost on the way), diverged or failed
    value      mean over its seeds of the metric at each one's best step, None if one of them has none
    """

    trial: str
    base: str
    alternative: str
    number: int
    run: str
    settings: Settings
    status: str
    value: float | None
    values: tuple[float | None, ...]
    steps: int
    seconds: float
    reason: str | None
    risen: int = 0  # seeds that ended with a far larger training loss than they began with
    metrics: Mapping[str, tuple[float | None, ...]] = MappingProxyType({})  # name -> one value for each seed
    judged_on: str | None = None  # what identifies the validation and test examples
    study: int = 1  # which repetition of the search it is of


class FinalRecord(NamedTuple):
    """A chosen trial, trained again on fresh seeds; metrics: name -> one value for each seed."""

    base: str
    alternative: str
    trial: str
    run: str
    settings: Settings
    seeds: tuple[int, ...]
    status: str
    metrics: dict[str, tuple[float | None, ...]]
    steps: int
    seconds: float
    study: int = 1


class SweepRecord(NamedTuple):
    """All that a sweep's folder says."""

    folder: Path
    name: str
    judge: Metric  # of validation data
    search: str
    adaptive: bool  # whether later trials depend on the results of earlier ones
    trials_planned: int  # of each alternative, on each base, in each study
    seeds: int
    final_seeds: int
    target: float | None
    bases: tuple[str, ...]
    alternatives: tuple[AlternativeRecord, ...]
    trials: tuple[TrialRecord, ...]
    finals: tuple[FinalRecord, ...]
    looks: int = 1  # at the answer, before it is the last
    studies: int = 1  # how often the whole search is made

    @property
    def metric(self) -> str:
        """The name of the metric that judges."""
        return self.judge.name


def is_sweep(folder: Path) -> bool:
    """Whether this is the folder of a sweep."""
    try:
        return (folder / SWEEP).is_file()
    except OSError:
        return False


def read_about(folder: Path) -> SweepDescription:
    """The content of a sweep's sweep.json.  Raises RunError if there is none, or it is damaged or of another format."""
    if not is_sweep(folder):
        raise RunError(f"{one_line(folder)}: not the folder of a sweep; name one that `nnrun sweep` made")
    about: SweepDescription = run.read_json(folder / SWEEP)
    if about.get("format") != FORMAT:
        raise RunError(
            f"{one_line(folder)}: format {one_line(about.get('format'), 20)}, this nnrun reads {FORMAT}; "
            "use the nnrun that wrote it, or start the sweep again"
        )
    return about


def read_sweep(folder: Path) -> SweepRecord:
    """Reads the folder of a sweep.  Raises RunError if it is none, damaged, or of another format."""
    about = read_about(folder)
    try:
        return SweepRecord(
            folder,
            str(about["name"]),
            Metric(str(about["metric"]), about["goal"] == "max", bounds_of(about["bounds"])),
            str(about["search"]),
            bool(about["adaptive"]),
            int(about["trials"]),
            int(about["seeds"]),
            int(about["final_seeds"]),
            about.get("target"),
            tuple(map(str, about["bases"])),
            tuple(_alternative(record) for record in about["alternatives"]),
            tuple({record["trial"]: _trial(record) for record in lines_of(folder / TRIALS)}.values()),
            tuple(
                {
                    (record["base"], record["alternative"], record.get("study", 1)): _final(record)
                    for record in lines_of(folder / FINALS)
                }.values()
            ),
            int(about.get("looks", 1)),
            int(about.get("studies", 1)),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RunError(
            f"{one_line(folder)}: its records are damaged; restore them or start a new sweep"
        ) from None


def _alternative(record: AlternativeEntry) -> AlternativeRecord:
    return AlternativeRecord(
        str(record["label"]),
        dict(record["settings"]),
        tuple(map(_dimension, record["dimensions"])),
        {str(key): str(level) for key, level in record.get("factors", {}).items()},
    )


def _dimension(
    record: Mapping[str, Any],
) -> DimensionRecord:  # a DimensionEntry, whose keys depend on its kind
    kind = str(record["kind"])
    low, high = ("mean", "sd") if kind == "normal" else ("low", "high")
    if kind == "choice":
        return DimensionRecord(str(record["path"]), kind, None, None, tuple(record["values"]))
    return DimensionRecord(str(record["path"]), kind, float(record[low]), float(record[high]), ())


def _trial(record: TrialEntry) -> TrialRecord:
    values = tuple(map(number_of, record["values"]))
    return TrialRecord(
        str(record["trial"]),
        str(record["base"]),
        str(record["alternative"]),
        int(record["number"]),
        str(record["run"]),
        dict(record["settings"]),
        str(record["status"]),
        number_of(record["value"]),
        values,
        int(record["steps"]),
        float(record["seconds"]),
        record.get("reason"),
        int(record.get("risen", 0)),
        metrics_of(record.get("metrics", {})),
        record.get("judged_on"),
        int(record.get("study", 1)),
    )


def _final(record: FinalEntry) -> FinalRecord:
    return FinalRecord(
        str(record["base"]),
        str(record["alternative"]),
        str(record["trial"]),
        str(record["run"]),
        dict(record["settings"]),
        tuple(-1 if seed is None else int(seed) for seed in record["seeds"]),
        str(record["status"]),
        metrics_of(record["metrics"]),
        int(record["steps"]),
        float(record["seconds"]),
        int(record.get("study", 1)),
    )
