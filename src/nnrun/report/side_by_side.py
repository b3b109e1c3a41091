"""Settings side by side: what differs, the results, and whether the differences are more than chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nnrun.errors import one_line
from nnrun.record import run
from nnrun.record.summary import MemberSummary, RunSummary, Summary, SweepSummary
from nnrun.record.weights_from import setting
from nnrun.report.content import origin_of
from nnrun.report.summary import read_summary
from nnrun.report.words import gap, level, pair_sentence
from nnrun.statistics.compare import compare_all
from nnrun.statistics.comparison import Comparison
from nnrun.statistics.metric import Bounds, Metric, all_bounds, metric_of

__all__ = [
    "NO_DIFFERENCE",
    "Entry",
    "SideBySide",
    "Value",
    "differing",
    "flat",
    "read_entry",
    "side_by_side",
    "value",
]

_ABSENT = "–"
# to what is compared
NO_DIFFERENCE = ("name", "train.seed", "train.seeds", "checkpoint.every", "checkpoint.keep", "metrics")
_MOST_TESTED = 30


class Entry(NamedTuple):
    """A run, a group of seeds, or runs that differ in nothing but the seed.

    runs      their folders, one or more
    settings  key of the spec -> value
    metrics   name -> seed -> value at the best step, of the seeds that finished
    written   the keys that the spec or the command line gave, not the defaults
    rising    the metrics of which more is better, without the part of the data
    bounds    the least and the most that metrics can be, likewise by name
    judged    the validation metric that picked the best step, None where there is none
    data      what two runs must have in common to be tested on the same examples
    code      the version of nnrun, and name and digest of each file of the user
    sweep     the folder of the sweep that chose its settings; None where none did
    """

    name: str
    runs: tuple[Path, ...]
    status: str
    settings: dict[str, object]
    metrics: dict[str, dict[int, float]]
    seeds: tuple[int, ...]
    written: frozenset[str]
    rising: frozenset[str]
    bounds: dict[str, Bounds]
    judged: str | None
    data: tuple[object, ...]
    code: tuple[tuple[str, str], ...]
    sweep: Path | None = None


class Value(NamedTuple):
    """Mean and 95% interval over the seeds; all None where there is no value."""

    mean: float | None
    low: float | None
    high: float | None


class SideBySide(NamedTuple):
    """Entries, the keys and metrics to show, the tests of all pairs, and what they say in words."""

    entries: list[Entry]
    keys: list[str]
    metrics: list[Metric]
    metric: Metric | None
    comparisons: list[Comparison]
    sentences: list[str]


def read_entry(name: str, folder: Path, resolved: Mapping[str, object], given: Mapping[str, object]) -> Entry:
    """What a run folder says.

    resolved, given   the content of its resolved.yaml and spec.yaml
    Raises RunError if it is damaged.
    """
    summary = read_summary(folder)
    settings = flat(resolved)
    first = settings.get("train.seed")
    runs = list(_runs(summary, first if isinstance(first, int) else 0))
    done = [(seed, seed_summary) for seed, seed_summary in runs if seed_summary.get("status") == "done"]
    values: dict[str, dict[int, float]] = {}
    for seed, seed_summary in done:
        for metric, number in seed_summary.get("metrics", {}).get("best", {}).items():
            if isinstance(number, int | float):
                values.setdefault(metric, {})[seed] = float(number)
    judged = next((best["metric"] for _, seed_summary in runs if (best := seed_summary.get("best"))), None)
    rising = frozenset(name for _, seed_summary in runs for name in seed_summary.get("rising", ()))
    bounds = {
        name: ends
        for _, seed_summary in runs
        for name, ends in all_bounds(seed_summary.get("bounds", {})).items()
    }
    seeds = tuple(seed for seed, _ in runs)
    origin = origin_of(folder)
    if weights := origin.get("weights_from"):
        settings["weights_from"] = setting(weights)
    changes = [str(argument) for argument in origin.get("argv") or [] if "=" in str(argument)]
    written = frozenset([*flat(given), *(text.partition("=")[0] for text in changes)])
    # An equal digest says more than an equal name.
    examples = origin.get("data_digest") or (settings.get("data.name"), settings.get("data.path"))
    data = examples, settings.get("data.split_seed"), settings.get("data.test")
    files = {Path(file).name: sha for file, sha in origin.get("code", {}).items()}
    code = (("nnrun", str(origin.get("versions", {}).get("nnrun"))), *sorted(files.items()))
    status = run.status(folder)
    return Entry(
        name, (folder,), status, settings, values, seeds, written, rising, bounds, judged, data, code
    )


def _runs(summary: Summary, first: int) -> Iterator[tuple[int, RunSummary | MemberSummary | SweepSummary]]:
    """Each seed of a run or group with its summary."""
    if "runs" not in summary:
        if "status" in summary:
            yield first, summary
        return
    for i, seed_summary in enumerate(summary["runs"]):
        number = str(seed_summary.get("run", "")).rpartition("seed_")[2]
        yield int(number) if number.isdecimal() else first + i, seed_summary


def flat(tree: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """A spec as key -> value; lists are values."""
    settings: dict[str, object] = {}
    for key, inner in tree.items():
        path = f"{prefix}{key}"
        settings |= flat(inner, f"{path}.") if isinstance(inner, Mapping) else {path: inner}
    return settings


def differing(entries: Sequence[Entry]) -> list[str]:
    """The keys of which the entries do not all have the same value, in the order of the specs.

    An option that only some have, because their block has another name, is shown if they do not agree on it or if
    it was written down, not where it is a default.
    """
    keys = dict.fromkeys(key for entry in entries for key in entry.settings)
    keys_that_differ: list[str] = []
    for key in keys:
        known = [repr(entry.settings[key]) for entry in entries if key in entry.settings]
        around = [key[:i] for i, letter in enumerate(key) if letter == "."]
        other_block = any(f"{outer}.name" in keys_that_differ for outer in around)
        is_written = any(not entry.written.isdisjoint((*around, key)) for entry in entries)
        partly = len(known) < len(entries) and not (other_block and not is_written)
        if key not in NO_DIFFERENCE and (partly or len(set(known)) > 1):
            keys_that_differ.append(key)
    return keys_that_differ


def value(entry: Entry, metric: Metric) -> Value:
    """What an entry has of a metric."""
    known = list(entry.metrics.get(metric.name, {}).values())
    if not known:
        return Value(None, None, None)
    mean, ends = metric.mean(known)
    return Value(mean, *(ends or (None, None)))


def side_by_side(entries: Sequence[Entry]) -> SideBySide:
    """Compares runs; they are tested in pairs, seed by seed, where their seeds and their test data are the same."""
    names = list(dict.fromkeys(name for entry in entries for name in entry.metrics))
    rising = frozenset[str]().union(*(entry.rising for entry in entries))
    bounds = {name: ends for entry in entries for name, ends in entry.bounds.items()}
    tested, validated = (
        sorted(name for name in names if name.startswith(part)) for part in ("test/", "val/")
    )
    shown = [metric_of(name, rising, bounds) for name in tested or validated]
    metric = _judged(entries, shown)
    if metric is None:
        return SideBySide(
            [*entries], differing(entries), shown, None, [], ["no metric is there to compare yet"]
        )
    comparisons, reason = _tests(entries, metric)
    sentences = [reason] if reason else list(_words(entries, metric, comparisons))
    return SideBySide([*entries], differing(entries), shown, metric, comparisons, sentences)


def _judged(entries: Sequence[Entry], shown: Sequence[Metric]) -> Metric | None:
    """The metric that decides: the shown twin of what the runs were judged by."""
    for entry in entries:
        for part in ("test/", "val/"):
            name = part + (entry.judged or "").partition("/")[2]
            if metric := next((metric for metric in shown if metric.name == name), None):
                return metric
    return next((metric for metric in shown if metric.name.endswith("/loss")), shown[0] if shown else None)


def _tests(entries: Sequence[Entry], metric: Metric) -> tuple[list[Comparison], str | None]:
    """The tests of all pairs, or why there are none."""
    if len(entries) == 1:
        return [], "all of these runs are one setting; there is no other to compare it with"
    if len({entry.data for entry in entries}) > 1:
        return [], "the runs were not tested on the same examples, so their differences are not tested"
    if len(entries) > _MOST_TESTED:
        return (
            [],
            f"{len(entries)} runs are too many to test each against each; name the {_MOST_TESTED} that matter",
        )
    searched = {
        entry.name: f"compare looks at no search (`nnrun show {one_line(entry.sweep)}` does)"
        for entry in entries
        if entry.sweep
    }
    values = {entry.name: entry.metrics.get(metric.name, {}) for entry in entries}
    comparisons = compare_all(values, searched)
    if comparisons:
        return comparisons, None
    return [], (
        "no two settings have two seeds in common, so no difference can be distinguished from chance; "
        "train each with the same seeds, as train.seeds=5 does"
    )


def _words(entries: Sequence[Entry], metric: Metric, comparisons: Sequence[Comparison]) -> Iterator[str]:
    """The best run against the others."""
    means = {entry.name: mean for entry in entries if (mean := value(entry, metric).mean) is not None}
    best = metric.best(means, means.__getitem__)
    assert best is not None
    yield f"{best} has the best {metric}: {level(metric, means[best])}"
    for pair in comparisons:
        if best in (pair.first, pair.second):
            needed = ""
            if not pair.significant and pair.seeds_needed:
                size = gap(metric, pair.difference)
                needed = f"; about {pair.seeds_needed} seeds would show one, if it is the {size} seen"
            yield pair_sentence(metric, pair) + needed
    compared = {name for pair in comparisons if best in (pair.first, pair.second) for name in pair[:2]}
    for entry in entries:
        if entry.name not in compared and entry.name != best:
            yield f"{entry.name} has fewer than two seeds in common with {best}, so they are not compared"
    for entry in entries:
        lost = len(entry.seeds) - len(entry.metrics.get(metric.name, {}))
        if lost:
            yield f"{entry.name}: {lost} of {len(entry.seeds)} seeds diverged; its values are of the others"
