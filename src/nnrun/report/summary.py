"""A run's summary.json, and what it says in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from nnrun.errors import RunError, counted, one_line
from nnrun.record import run
from nnrun.record.early_stop import stop_in, stops_in_words
from nnrun.record.names import SUMMARY
from nnrun.record.summary import Baseline, Division, GroupSummary, Summary
from nnrun.report.values import bounds_in, mean_with_gaps, number, plus_minus, with_gaps
from nnrun.statistics.metric import Bounds, Metric, last_part, metric_of, target_of, without_targets

__all__ = [
    "FOLD_PARTS",
    "RUN_PARTS",
    "finished",
    "folds_line",
    "headline",
    "read_summary",
    "reference",
    "result_line",
    "rises",
    "runs_line",
    "seeds_line",
    "shown_section",
    "some_of",
    "stop_line",
    "undefined",
    "warnings",
]

_CLASSES = 5  # in a warning
_PARTS = ("train", "val", "test")
RUN_PARTS = ("test/", "val/", "train/")  # the first of which a run has metrics
FOLD_PARTS = ("val/", "test/")  # a fold is there for the examples that it validates with


def read_summary(folder: Path) -> Summary:
    """The summary.json of a run or group, {} while there is none.  Raises RunError if it is damaged."""
    file = folder / SUMMARY
    summary: Summary = {}
    if file.exists():
        try:
            summary = run.read_json(file)
        except RunError:
            remedy = f"restore it, or remove it: `nnrun resume {one_line(folder)}` then writes it again"
            raise RunError(f"{one_line(file)}: damaged; {remedy}") from None
    for intervals in summary["ci95"].values() if "mean" in summary else ():
        if any(isinstance(ends, (int, float)) for ends in intervals.values()):
            raise RunError(
                f"{one_line(file)}: written by an earlier nnrun, with intervals in another form; train it again"
            )
    return summary


def finished(summary: GroupSummary) -> int:
    """How many runs of a group did not diverge: the mean is over these."""
    return sum(member["status"] == "done" for member in summary["runs"])


def seeds_line(done: int, seeds: int) -> str:
    """What the numbers of a group are.

    done    how many of its runs, of which there are `seeds`, did not diverge
    """
    if not done:
        return f"all {seeds} seeds diverged"
    return f"mean ± 95% interval of {some_of(done, seeds)} seeds"


def folds_line(done: int, folds: Division, has_intervals: bool = True) -> str:
    """What the numbers of a cross-validation are.

    done            how many of its folds did not diverge
    has_intervals   whether those that validate are among them
    """
    if not done:
        return f"all {folds['count']} folds diverged"
    if done < folds["count"] or not has_intervals:
        return f"mean of {some_of(done, folds['count'])} folds"
    return f"mean ± corrected 95% interval of {folds['count']} folds"


def runs_line(summary: GroupSummary) -> str:
    """What the numbers of a group are."""
    done = finished(summary)
    return (
        folds_line(done, summary["folds"]) if "folds" in summary else seeds_line(done, len(summary["runs"]))
    )


def shown_section(summary: GroupSummary) -> str:
    """The section that stands for a group: best; of folds last, as the best steps were chosen by what measures them."""
    return "last" if "folds" in summary else "best"


def some_of(done: int, seeds: int) -> str:
    """`5`, or `3 of 5`."""
    return str(seeds) if done == seeds else f"{done} of {seeds}"


def headline(summary: Summary) -> str:
    """A run or group that has ended, in one line."""
    if "mean" in summary:
        section, parts = shown_section(summary), FOLD_PARTS if "folds" in summary else RUN_PARTS
        means, intervals = mean_with_gaps(summary, section), summary["ci95"].get(section, {})
        numbers = result_line(means, intervals, summary.get("baseline"), parts, bounds_in(summary))
        result = f"{numbers}  ({runs_line(summary)})" if numbers else runs_line(summary)
        return f"{summary['status']}: {result}"
    metrics = with_gaps(summary.get("metrics", {}).get("best", {}), summary.get("undefined", {}))
    numbers = result_line(metrics, {}, summary.get("baseline"), bounds=bounds_in(summary))
    best = summary.get("best")
    chosen = f"  (at step {best['step']}, the best by {best['metric']})" if best else ""
    said = f": {numbers}{chosen}" if numbers else ""
    return f"{summary.get('status')} after {counted(summary.get('steps', 0), 'step')}{said}"


def rises(summary: Summary) -> list[str]:
    """A warning where a run, or seeds of a group, ended with a far larger training loss than knowing nothing has."""
    risen = [member["rise"] for member in summary.get("runs", [summary]) if "rise" in member]
    if not risen:
        return []
    worst = max(risen, key=lambda rise: rise["last"] - rise["first"])
    who = f"{some_of(len(risen), len(summary['runs']))} {_runs(summary)}: " if "runs" in summary else ""
    what = f"rose from {number(worst['first'])} to {number(worst['last'])}"
    if "constant" in worst:
        what = f"is {number(worst['last'])} at the end, and outputs of 0 have {number(worst['constant'])}"
    return [
        f"warning: {who}the training loss {what}, so this has not learned; try a smaller optimizer.learning_rate"
    ]


def warnings(summary: Summary) -> list[str]:
    """What to report of a run or group that has ended, beside its numbers."""
    return [*rises(summary), *_gaps(summary), *_few(summary)]


def _few(summary: Summary) -> list[str]:
    """A warning of the classes that a part of the data has few examples of, or none."""
    classes = summary.get("few", {})
    shown = [
        f"{one_line(name, 40)} ({', '.join(f'{parts[part]} in {part}' for part in _PARTS if part in parts)})"
        for name, parts in list(classes.items())[:_CLASSES]
    ]
    if not shown:
        return []
    more = f" and {len(classes) - _CLASSES} more" if len(classes) > _CLASSES else ""
    return [f"warning: fewer than 10 examples, of which metrics say little: {', '.join(shown)}{more}"]


def _gaps(summary: Summary) -> list[str]:
    """A warning for each reason that metrics of a run, or of seeds of a group, have no value."""
    members = summary.get("runs", [summary])
    seeds: dict[tuple[str, str], int] = {}  # (why, metric) -> of how many
    for member in members:
        for name, reason in member.get("undefined", {}).items():
            seeds[reason, name] = seeds.get((reason, name), 0) + 1
    names: dict[tuple[str, int], list[str]] = {}
    for (reason, name), count in seeds.items():
        if target_of(name) is None:  # the mean over targets says of which
            names.setdefault((reason, count), []).append(name)
    return [
        f"warning: {f'{some_of(count, len(members))} {_runs(summary)}: ' if 'runs' in summary else ''}"
        f"{undefined(metrics, reason)}"
        for (reason, count), metrics in names.items()
    ]


def undefined(metrics: Sequence[str], reason: str) -> str:
    """That metrics have no value, and why."""
    return f"{', '.join(metrics)} {'is' if len(metrics) == 1 else 'are'} undefined: {reason}"


def stop_line(summary: Summary) -> str:
    """That a run, or seeds of a group, stopped early, why and when; "" where none did."""
    words = stops_in_words([stop_in(member) for member in summary.get("runs", [summary])], _runs(summary))
    if words and "folds" in summary:
        words += "; each by the examples that measure it, so these metrics are a little too good"
    return words


def _runs(summary: Summary) -> str:
    """What the runs of a group are."""
    return "folds" if "folds" in summary else "seeds"


def result_line(
    metrics: Mapping[str, object],
    intervals: Mapping[str, Sequence[float] | None],
    baseline: Baseline | None = None,
    parts: Sequence[str] = RUN_PARTS,
    bounds: Mapping[str, Bounds] = MappingProxyType({}),
) -> str:
    """The metrics of the first part of the data that has some, with their intervals as `plus_minus` writes them.

    baseline   of a constant prediction; its metrics stand behind those of the run
    bounds     the least and the most that metrics can be: shares are in percent
    """
    of_parts = ({name: metrics[name] for name in metrics if name.startswith(part)} for part in parts)
    chosen: Mapping[str, object] = next(filter(None, of_parts), {})
    texts = []
    for metric in (metric_of(name, (), bounds) for name in without_targets(chosen)):
        value = chosen[metric.name]
        shown = number(value, metric) + plus_minus(value, intervals.get(metric.name), metric)
        texts.append(f"{metric} {shown}{_beside(metric, baseline)}")
    return "  ".join(texts)


def _beside(metric: Metric, baseline: Baseline | None) -> str:
    """` (largest class: 85.71%)`; "" for a metric that has none."""
    value = None if baseline is None else reference(metric.name, baseline)
    return (
        "" if baseline is None or value is None else f" ({baseline['prediction']}: {number(value, metric)})"
    )


def reference(name: str, baseline: Baseline) -> float | None:
    """The value of a metric for a constant prediction; the metric may be that of an average: test/ema/accuracy."""
    part, _, rest = name.partition("/")
    return baseline["metrics"].get(f"{part}/{last_part(rest)}")
