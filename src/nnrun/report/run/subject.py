"""What a report is about: a run or a group, and what it logged."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from nnrun.record import metrics
from nnrun.record.names import ENSEMBLE, METRICS
from nnrun.record.provenance import JudgedBy
from nnrun.record.summary import MemberSummary, RunSummary
from nnrun.report.chart import Line
from nnrun.report.content import Content, origin_of, read_content
from nnrun.report.curves import Curve, band
from nnrun.report.summary import finished
from nnrun.statistics.metric import Bounds, Metric, all_bounds, metric_of

__all__ = ["Subject", "read_subject"]


class Subject(NamedTuple):
    """A run, a group of seeds, or the folds of a cross-validation.

    label   what it is called
    runs    how many the curves are means of; 1: of a run alone
    lines   logged name -> its curve; of seeds the mean with its 95% interval, of folds the mean
    rising, bounds   the metrics of which more is better, and what metrics can be, as its summary has them, or before
                     there is one its run.json
    """

    label: str
    folder: Path
    content: Content
    runs: int
    lines: dict[str, Line]
    rising: frozenset[str]
    bounds: dict[str, Bounds]

    def metric(self, name: str) -> Metric:
        """The metric of this name."""
        return metric_of(name, self.rising, self.bounds)

    @property
    def judge(self) -> Metric | None:
        """The validation metric that picked the best step, or will; None where none did."""
        entries = _entries(self.content)
        names = [best["metric"] for entry in entries if (best := entry.get("best"))]
        if not entries:
            names = [about["judge"] for about in _announced(self.folder, self.content)]
        return self.metric(names[0]) if names and names[0] else None

    @property
    def unit(self) -> str:
        """What there are several of."""
        if "folds" in self.content.summary:
            return "folds"
        return "members" if (self.folder / ENSEMBLE).is_file() else "seeds"


def read_subject(label: str, folder: Path) -> Subject:
    """Reads the folder of a run or group.  Raises RunError where something in it is damaged."""
    content = read_content(folder)
    summary, folders, entries = content.summary, content.members or [folder], _entries(content)
    rising = frozenset(name for entry in entries for name in entry.get("rising", ()))
    bounds: dict[str, Bounds] = {}
    for entry in entries:
        bounds |= all_bounds(entry.get("bounds", {}))
    if not entries:
        announced = _announced(folder, content)
        rising = frozenset(name for about in announced for name in about["rising"])
        bounds = {name: pair for about in announced for name, pair in all_bounds(about["bounds"]).items()}
    columns = [metrics.columns(metrics.read(path / METRICS)) for path in folders]
    names = dict.fromkeys(name for logged in columns for name in logged)
    subject = Subject(label, folder, content, len(folders), {}, rising, bounds)
    for name in names:
        curves = [logged[name] for logged in columns if name in logged]
        if line := _line(subject, subject.metric(name), curves):
            subject.lines[name] = line
    if "runs" in summary and "mean" in summary:
        return subject._replace(runs=finished(summary))
    return subject


def _entries(content: Content) -> list[RunSummary | MemberSummary]:
    """What the summary has of each run; [] while there is none."""
    summary = content.summary
    if "mean" in summary:
        return [*summary["runs"]]
    return [summary] if "best" in summary and "steps" in summary and "trials" not in summary else []


def _announced(folder: Path, content: Content) -> list[JudgedBy]:
    """What run.json says of the metrics of each run: there is no summary while they train, or after they crashed."""
    origins = map(origin_of, content.members or [folder])
    return [origin["metrics"] for origin in origins if "metrics" in origin]


def _line(subject: Subject, metric: Metric, curves: list[Curve]) -> Line | None:
    """A run's curve as it was logged, or the mean of several; None where all of them are of runs that diverged."""
    if subject.runs == 1:
        steps, values = curves[0]
        return Line(subject.label, steps, values)
    averaged = band(curves, metric.bounds)
    if averaged is None:
        return None
    ends = (averaged.low, averaged.high) if len(curves) > 1 and subject.unit != "folds" else (None, None)
    return Line(subject.label, averaged.steps, averaged.mean, *ends)
