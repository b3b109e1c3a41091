"""Settings side by side: what differs, the results, and whether the differences are more than chance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nnrun.errors import NnrunError, one_line
from nnrun.record import preprocessing
from nnrun.report.averages import average_sentences
from nnrun.report.entry import Entry
from nnrun.report.values import level
from nnrun.report.words import chance, gap, pair_sentence
from nnrun.statistics.compare import compare_all, least_p, least_seeds
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.folds import compare_folds
from nnrun.statistics.metric import Metric, is_of_loss, metric_of, target_of
from nnrun.statistics.sign_flips import ALPHA

__all__ = [
    "NO_DIFFERENCE",
    "SideBySide",
    "Value",
    "differing",
    "setting_of",
    "side_by_side",
    "value",
]

_ABSENT = "–"
# settings that change nothing in what is compared
NO_DIFFERENCE = ("name", "train.seed", "train.seeds", "checkpoint.every", "checkpoint.keep", "metrics")
_MOST_TESTED = 30


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
    comparisons: list[PairComparison]
    sentences: list[str]


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


def setting_of(entry: Entry) -> str:
    """What runs have in common that differ in nothing but the seed."""
    known = {key: repr(value) for key, value in entry.settings.items() if key not in NO_DIFFERENCE}
    return repr(sorted(known.items()))


def _is_repeated(first: Entry, second: Entry) -> bool:
    """Whether both are one setting, trained with the same code and data: no test can tell it from itself."""
    return (setting_of(first), first.data, first.code) == (setting_of(second), second.data, second.code)


def value(entry: Entry, metric: Metric) -> Value:
    """The mean of a metric over the seeds of an entry, and its interval."""
    known = list(entry.metrics.get(metric.name, {}).values())
    if not known:
        return Value(None, None, None)
    if entry.folds is None:
        mean, ends = metric.mean(known)
    else:
        mean, ends = metric.mean(known, entry.folds["ratio"])
        if not metric.name.startswith("val/") or len(known) < entry.folds["count"]:
            ends = None  # models that share examples, on the same test examples, or what is left of them
    return Value(mean, *(ends or (None, None)))


def side_by_side(entries: Sequence[Entry]) -> SideBySide:
    """Compares runs; they are tested in pairs, seed by seed, where their seeds and their test data are the same."""
    names = dict.fromkeys(name for entry in entries for name in (*entry.metrics, *sorted(entry.undefined)))
    judged = {(entry.judged or "").partition("/")[2] for entry in entries}  # which may be of one target
    names = [name for name in names if target_of(name) is None or name.partition("/")[2] in judged]
    rising = frozenset[str]().union(*(entry.rising for entry in entries))
    bounds = {name: ends for entry in entries for name, ends in entry.bounds.items()}
    tested, validated = (
        sorted(name for name in names if name.startswith(part)) for part in ("test/", "val/")
    )
    if all(entry.folds for entry in entries):
        tested = []  # folds are there for the examples that they validate with
    shown, keys = [metric_of(name, rising, bounds) for name in tested or validated], differing(entries)
    metric, of_losses = _judged(entries, shown), any(f"{key}.".startswith("loss.") for key in keys)
    meant = metric
    if of_losses and metric is not None and is_of_loss(metric.name):
        metric = _of_any_loss(shown)
    if metric is None:
        reason = (
            f"the losses differ, and {meant} is of each its own"
            if meant
            else "no metric is there to compare yet"
        )
        return SideBySide([*entries], keys, shown, None, [], [reason])
    comparisons, reason = _tests(entries, metric)
    sentences = [reason] if reason else list(_words(entries, metric, comparisons))
    sentences.extend(average_sentences(entries, metric))
    if metric is not meant:
        sentences.insert(0, f"the losses differ, and {meant} is of each its own, so {metric} decides")
    return SideBySide([*entries], keys, shown, metric, comparisons, sentences)


def _of_any_loss(shown: Sequence[Metric]) -> Metric | None:
    """The metric that decides where the losses differ: one that rises, such as accuracy or r2, which have no unit."""
    others = [metric for metric in shown if not is_of_loss(metric.name)]
    first = [metric for metric in others if metric.rising]
    return next(iter([*first, *others]), None)


def _judged(entries: Sequence[Entry], shown: Sequence[Metric]) -> Metric | None:
    """The metric that decides: the shown twin of what the runs were judged by."""
    for entry in entries:
        for part in ("test/", "val/"):
            name = part + (entry.judged or "").partition("/")[2]
            if metric := next((metric for metric in shown if metric.name == name), None):
                return metric
    return next((metric for metric in shown if metric.name.endswith("/loss")), shown[0] if shown else None)


def _tests(entries: Sequence[Entry], metric: Metric) -> tuple[list[PairComparison], str | None]:
    """The tests of all pairs of runs, or why there are none; averages of models are no part of them."""
    runs = [entry for entry in entries if not entry.average]
    if len(entries) == 1 or (len(runs) > 1 and all(_is_repeated(runs[0], other) for other in runs)):
        return [], "all of these runs are one setting; there is no other to compare it with"
    if len({entry.data for entry in entries}) > 1 and not _on_the_same_examples(entries):
        if all(entry.folds for entry in entries):
            return [], (
                "the folds do not validate with the same examples, so their differences are not tested; train both "
                "with the same data.split_seed, data.test, train.folds and train.repeats"
            )
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
    if len(runs) < 2:
        return [], None
    values = {entry.name: entry.metrics.get(metric.name, {}) for entry in runs}
    if ratios := [entry.folds["ratio"] for entry in runs if entry.folds]:  # all are folds: of the same data
        comparisons = compare_folds(values, max(ratios))
        return comparisons, None if comparisons else "no two runs have a value in every fold"
    repeated = {(a.name, b.name) for a, b in itertools.combinations(runs, 2) if _is_repeated(a, b)}
    comparisons = [pair for pair in compare_all(values, searched) if pair[:2] not in repeated]
    if comparisons:
        return comparisons, None
    if without := [name for name, of_seeds in values.items() if not of_seeds]:
        return [], (
            f"there is no {metric} of {', '.join(map(one_line, without))} (diverged, or not ended), so no difference "
            "can be tested"
        )
    return [], (
        "no two settings have two seeds in common, so no difference can be distinguished from chance; "
        f"train each with the same seeds, as train.seeds={least_seeds(math.comb(len(runs), 2))} does"
    )


def _on_the_same_examples(entries: Sequence[Entry]) -> bool:
    """Whether runs that prepare the data in ways of their own validate and are tested with the same examples."""
    measured: set[tuple[str, ...]] = set()
    for entry in entries:
        try:
            parts = preprocessing.read(entry.runs[0]).parts
        except NnrunError:
            return False
        measured.add(tuple(parts[name].chosen for name in ("val", "test")))
    return len(measured) == 1


def _outlook(pair: PairComparison, metric: Metric, pairs: int) -> str:
    """What more seeds could show where these show nothing."""
    if pair.significant or pair.unit != "seeds":
        return ""
    least = least_p(pair.seeds, pairs)
    never = f"; {pair.seeds} seeds can show none at all (at best {chance(least)})" if least > ALPHA else ""
    if not pair.seeds_needed:
        return never
    return f"{never}; about {pair.seeds_needed} seeds would show one, if it is the {gap(metric, pair.difference)} seen"


def _words(entries: Sequence[Entry], metric: Metric, comparisons: Sequence[PairComparison]) -> Iterator[str]:
    """The best of all and, where that is an average of models, of the runs; and that run against the others."""
    by_name = {entry.name: entry for entry in entries}
    means = {name: mean for name, entry in by_name.items() if (mean := value(entry, metric).mean) is not None}
    best = metric.best(means, means.__getitem__)
    assert best is not None
    yield f"{best} has the best {metric}: {level(metric, means[best])}"
    runs = [entry for entry in entries if not entry.average]
    if by_name[best].average:
        best = metric.best([run.name for run in runs if run.name in means], means.__getitem__)
        if best is None:
            return
        if len(runs) > 1:
            yield f"of the runs, {best} has the best {metric}: {level(metric, means[best])}"
    for pair in comparisons:
        if best in (pair.first, pair.second):
            yield pair_sentence(metric, pair) + _outlook(pair, metric, len(comparisons))
    compared = {name for pair in comparisons if best in (pair.first, pair.second) for name in pair[:2]}
    for entry in runs:
        if entry.name not in compared and not _is_repeated(entry, by_name[best]):
            short = "a fold without a value" if entry.folds else "fewer than two seeds"
            yield f"{entry.name} has {short} in common with {best}, so they are not compared"
    for entry in runs:
        lost = len(entry.seeds) - len(entry.metrics.get(metric.name, {}))
        if lost:
            yield f"{entry.name}: {lost} of {len(entry.seeds)} {entry.unit} diverged; its values are of the others"
