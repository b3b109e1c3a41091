"""The charts of runs: metrics over the steps, the learning rate, the norms of gradients and updates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from nnrun.report.chart import Chart, Line
from nnrun.report.drawing import axis_label, scale_of
from nnrun.report.run.subject import Subject
from nnrun.statistics.metric import OF_STEPS, Metric, last_part, without_targets

__all__ = ["charts_of", "logged_names"]

_BESIDE = ("epoch",)  # logged, but no curve
_RANGE = 20.0  # between the least and the largest value: beyond it an axis is logarithmic
_TITLES = {
    "learning_rate": "Learning rate",
    "grad/norm": "Norm of the gradient",
    "update/norm": "Norm of the update",
    "update/ratio": "Size of an update against that of the parameters",
}
_USUAL_RATIO = 1e-3  # Karpathy, Johnson & Li 2016, cs231n lecture 6
_NOT_IN_NAMES = re.compile("[^A-Za-z0-9._-]")


def logged_names(subjects: Sequence[Subject]) -> list[str]:
    """The names that charts can be made of, metrics first."""
    names = dict.fromkeys(name for subject in subjects for name in subject.lines if name not in _BESIDE)
    of_data = sorted(
        (name for name in names if name not in OF_STEPS), key=lambda name: name.partition("(")[0]
    )
    return [*of_data, *(name for name in OF_STEPS if name in names)]  # targets stay in the order of the spec


def charts_of(subjects: Sequence[Subject], of_targets: bool = False) -> list[Chart]:
    """All charts of one subject, its parts of the data together; of several, each metric with a line for each.

    of_targets   whether the metrics of single targets are among them, where there are several
    """
    names = logged_names(subjects)
    names = names if of_targets else without_targets(names)
    metrics = [name for name in names if name not in OF_STEPS]
    of_steps = [name for name in names if name in OF_STEPS]
    if len(subjects) == 1:
        by_metric: dict[str, list[str]] = {}
        for name in metrics:
            by_metric.setdefault(last_part(name), []).append(name)
        groups = [by_metric[name] for name in _judged_first(subjects[0], by_metric)]
        charts = [_of_one(subjects[0], group) for group in groups]
    else:
        charts = [_of_all(subjects, name) for name in sorted(metrics, key=_validation_first)]
    charts += [_of_all(subjects, name) for name in of_steps]
    return [chart for chart in charts if _has_values(chart)]


def _has_values(chart: Chart) -> bool:
    """Whether there is anything to draw: a run that diverged at once may have logged NaN alone."""
    return any(np.isfinite(line.y).any() for line in chart.lines)


def _judged_first(subject: Subject, names: Iterable[str]) -> list[str]:
    """The metric that judges, the loss, then the others; targets stay in their order."""
    judge = last_part(subject.judge.name) if subject.judge else ""
    return sorted(names, key=lambda name: (name != judge, name != "loss", name.partition("(")[0]))


def _validation_first(name: str) -> tuple[bool, str]:
    return not name.startswith("val/"), name.partition("(")[0]


def _of_one(subject: Subject, names: Sequence[str]) -> Chart:
    """One metric of all parts of the data."""
    metric = subject.metric(names[0])
    lines = [subject.lines[name]._replace(label=name) for name in sorted(names, key=_validation_first)]
    last = metric._replace(name=last_part(metric.name))
    return _chart(last.name, f"{last.name} while training", [subject], last, lines)


def _of_all(subjects: Sequence[Subject], name: str) -> Chart:
    """One logged name of all subjects."""
    with_name = [subject for subject in subjects if name in subject.lines]
    title = _TITLES.get(name, f"{name} while training")
    metric = with_name[0].metric(name)
    chart = _chart(name, title, with_name, metric, [subject.lines[name] for subject in with_name])
    if name == "update/ratio":
        return chart._replace(level=(_USUAL_RATIO, "usual: 0.001"), logarithmic=True)
    return chart


def _chart(
    name: str, title: str, subjects: Sequence[Subject], metric: Metric, lines: Sequence[Line]
) -> Chart:
    scale = scale_of(metric)
    scaled = tuple(_scaled(line, scale) for line in lines)
    logarithmic = _spans_orders(scaled) and name != "learning_rate" and not metric.share
    caption = _caption(subjects) + (" The vertical axis is logarithmic." if logarithmic else "")
    file = _NOT_IN_NAMES.sub("-", name)[:80]
    return Chart(
        file, title, caption.strip(), "step", axis_label(metric), scaled, logarithmic, at=_best(subjects)
    )


def _scaled(line: Line, scale: float) -> Line:
    low, high = (None if ends is None else scale * ends for ends in (line.low, line.high))
    return Line(line.label, line.x, scale * line.y, low, high)


def _spans_orders(lines: Sequence[Line]) -> bool:
    """Whether all values are above 0 and lie so far apart that small ones could not be told apart."""
    values = np.concatenate([line.y[np.isfinite(line.y)] for line in lines])
    return bool(len(values) and values.min() > 0 and values.max() > _RANGE * values.min())


def _best(subjects: Sequence[Subject]) -> tuple[float, str] | None:
    """The best step of a single run."""
    if len(subjects) != 1:
        return None
    summary = subjects[0].content.summary
    best = summary["best"] if "steps" in summary and "best" in summary else None
    step = best.get("step") if best else None
    return (step, "best step") if best and "metric" in best and isinstance(step, int) else None


def _caption(subjects: Sequence[Subject]) -> str:
    """What curves and bands are, of the subjects that are several runs."""
    parts = [_mean_and_band(unit, subjects) for unit in ("seeds", "members")]
    folds = [subject for subject in subjects if subject.runs > 1 and subject.unit == "folds"]
    if folds:
        parts.append(f"Means over {_count(folds)} folds.")
    return " ".join(filter(None, parts))


def _mean_and_band(unit: str, subjects: Sequence[Subject]) -> str:
    """What the curves of those are that have several of this unit; "" where none has."""
    several = [subject for subject in subjects if subject.runs > 1 and subject.unit == unit]
    if not several:
        return ""
    early = (
        f" A {unit[:-1]} that stopped early keeps its last value."
        if any(map(_stopped_early, several))
        else ""
    )
    return f"Means over {_count(several)} {unit}; the bands are their 95% intervals (Student's t).{early}"


def _stopped_early(subject: Subject) -> bool:
    """Whether not all runs of a group have the same steps."""
    summary = subject.content.summary
    return "mean" in summary and len({run.get("steps") for run in summary["runs"]}) > 1


def _count(subjects: Sequence[Subject]) -> str:
    low, high = (bound(subject.runs for subject in subjects) for bound in (min, max))
    return str(low) if low == high else f"{low} to {high}"
