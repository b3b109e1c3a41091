"""The words of a sweep know the luck of its search: by simulation of whole sweeps, from records to verdicts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnrun.report.sweep.findings import answer
from nnrun.report.sweep.folder import (
    AlternativeRecord,
    DimensionRecord,
    FinalRecord,
    SweepRecord,
    TrialRecord,
)
from nnrun.report.sweep.luck import luck
from nnrun.report.sweep.searches import FreshRuns, comparisons
from nnrun.report.sweep.verdict import sentences
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.metric import SHARE, Metric

RATE = DimensionRecord("optimizer.learning_rate", "log", 1e-4, 1.0, ())
KIND = DimensionRecord("model.activation", "choice", None, None, ("relu", "tanh"))
ACCURACY, LOSS = Metric("val/accuracy", True, SHARE), Metric("val/loss", False)


def simulated(
    random: np.random.Generator,
    labels: str,
    trials: int,
    *,
    seeds: int = 10,
    ahead: float = 0.0,
    judge: Metric = ACCURACY,
    dimension: DimensionRecord = RATE,
    adaptive: bool = False,
) -> SweepRecord:
    """A sweep over methods that are all the same, but for the first, which is better by `ahead`.

    The metric falls with the square of the distance from the best rate, 0.012 at the ends; runs differ by 0.0003.
    """
    records: list[TrialRecord] = []
    finals: list[FinalRecord] = []
    tested = judge.name.replace("val", "test")
    for label in labels:
        better = ahead if label == labels[0] else 0.0
        mine = []
        for number in range(trials):
            u = random.random()
            quality = judge.sign * (0.98 + better - 0.05 * (u - 0.45) ** 2)
            values = tuple(quality + random.normal(0, 0.0003, 3))
            tests = tuple(quality + random.normal(0, 0.0003, 3))
            mine.append(
                TrialRecord(
                    f"{label}-{number:03d}", "digits", label, number, f"trials/{label}-{number}",
                    {dimension.path: u}, "done", float(np.mean(values)), values, 10, 1.0, None, 0,
                    {judge.name: values, tested: tests}, "a b",
                )
            )  # fmt: skip
        records += mine
        chosen = max(mine, key=lambda trial: judge.sign * (trial.value or 0.0))
        quality = judge.sign * (0.98 + better - 0.05 * (chosen.settings[dimension.path] - 0.45) ** 2)
        fresh = {name: tuple(quality + random.normal(0, 0.0003, seeds)) for name in (judge.name, tested)}
        finals.append(
            FinalRecord("digits", label, chosen.trial, f"final/{label}", chosen.settings,
                        tuple(range(10_000, 10_000 + seeds)), "done", fresh, 10, 1.0)
        )  # fmt: skip
    alternatives = tuple(AlternativeRecord(label, {}, (dimension,)) for label in labels)
    return SweepRecord(Path("nowhere"), "simulated", judge, "tpe" if adaptive else "random", adaptive, trials, 3,
                       seeds, None, ("digits",), alternatives, tuple(records), tuple(finals))  # fmt: skip


def compared(sweep: SweepRecord) -> list[PairComparison]:
    """The tests of a sweep, as its answer has them."""
    tested = "test/accuracy"
    trials: dict[str, list[TrialRecord]] = {}
    for trial in sweep.trials:
        trials.setdefault(trial.alternative, []).append(trial)
    fresh = {
        final.alternative: FreshRuns(
            final.trial, {seed: value for seed, value in enumerate(final.metrics[tested]) if value}
        )
        for final in sweep.finals
    }
    return comparisons(sweep, trials, fresh, ACCURACY._replace(name=tested))


@pytest.mark.parametrize(
    ("labels", "trials", "sample"),
    [
        ("ab", 8, 100),
        pytest.param("ab", 12, 100, marks=pytest.mark.slow),
        pytest.param("abcdef", 12, 200, marks=pytest.mark.slow),
    ],
)
def test_methods_that_are_the_same_are_seldom_called_different(labels: str, trials: int, sample: int) -> None:
    """The seeds alone call most of them different: they compare the two settings, which do differ."""
    random = np.random.default_rng(trials)
    settings_differ = methods_differ = 0
    for _ in range(sample):
        pairs = compared(simulated(random, labels, trials))
        settings_differ += any(pair.significant for pair in pairs)
        methods_differ += any(pair.decided for pair in pairs)
    assert methods_differ <= 0.05 * sample + 2 * (0.05 * 0.95 * sample) ** 0.5
    assert settings_differ > 0.25 * sample


@pytest.mark.parametrize("judge", [ACCURACY, LOSS])
def test_a_method_that_is_better_is_called_so(judge: Metric) -> None:
    random = np.random.default_rng(0)
    found = answer(simulated(random, "ab", 20, ahead=0.02, judge=judge))
    head, line = sentences(found)
    assert head.startswith("a is the best: test/")
    assert line.startswith("a beats b by ") and "at these settings [" in line and line.endswith("20 trials)")
    [pair] = found.bases[0].comparisons
    assert pair.searches is not None and pair.claim is not None
    low, high = sorted(judge.sign * end for end in (pair.searches.low, pair.searches.high))
    assert 0 < low < 0.02 < high


def test_what_other_searches_could_turn_round_is_no_victory() -> None:
    """With the number of trials that would decide it."""
    random = np.random.default_rng(0)
    found = answer(simulated(random, "ab", 12, ahead=0.0005))
    head, line = sentences(found)
    assert head.startswith("a is ahead on validation data; its test/accuracy is ")
    assert line.startswith("a's chosen setting beats b's by ")
    assert line.endswith("12 trials): another search could turn it round")
    [warning] = [text for text in luck(found.bases[0], found.sweep) if "cannot tell" in text]
    assert warning.startswith("12 trials each cannot tell a from b (about ")
    assert warning.endswith(" would) over other searches, if further ones are like these")


def test_a_search_that_learns_and_too_few_trials_say_nothing_of_other_searches() -> None:
    random = np.random.default_rng(0)
    [_, learned] = sentences(answer(simulated(random, "ab", 20, ahead=0.02, adaptive=True)))
    assert learned.startswith("a's chosen setting beats b's by ")
    assert learned.endswith("; trials of tpe depend on each other, so this says nothing about other searches")
    [_, few] = sentences(answer(simulated(random, "ab", 7, ahead=0.02)))
    assert few.endswith("; 7 different trials are fewer than 8, so this says nothing about other searches")


def test_where_every_choice_was_tried_there_is_no_other_search() -> None:
    sweep = simulated(np.random.default_rng(0), "ab", 2, ahead=0.02, dimension=KIND)
    named = [
        trial._replace(settings={KIND.path: KIND.values[trial.number]}, metrics=trial.metrics)
        for trial in sweep.trials
    ]
    [_, line] = sentences(answer(sweep._replace(trials=tuple(named))))
    assert line.startswith("a beats b by ") and "searches" not in line
    # A random search over more names than it has trials may find others.
    more = KIND._replace(values=("relu", "tanh", "gelu"))
    alternatives = tuple(one._replace(dimensions=(more,)) for one in sweep.alternatives)
    [_, line] = sentences(answer(sweep._replace(trials=tuple(named), alternatives=alternatives)))
    assert line.startswith("a's chosen setting beats b's by ")


def test_what_stops_on_the_way_or_diverges_says_nothing_of_other_searches() -> None:
    sweep = simulated(np.random.default_rng(0), "ab", 12, ahead=0.02)
    stopped = [trial._replace(status="stopped" if trial.number % 2 else "done") for trial in sweep.trials]
    [part] = answer(sweep._replace(trials=tuple(stopped))).bases
    assert part.comparisons[0].unknown == "trials of random depend on each other"
    lost = [
        final._replace(metrics={name: (None, *values[1:]) for name, values in final.metrics.items()})
        for final in sweep.finals
    ]
    [part] = answer(sweep._replace(finals=(sweep.finals[0], lost[1]))).bases
    assert part.comparisons[0].unknown == "1 of the fresh seeds of b diverged"
    assert not part.comparisons[0].decided


def test_only_one_was_searched_for() -> None:
    sweep = simulated(np.random.default_rng(0), "ab", 12, ahead=0.02)
    fixed = sweep.alternatives[0]._replace(dimensions=())
    first = next(trial.trial for trial in sweep.trials)
    trials = tuple(trial for trial in sweep.trials if trial.alternative == "b" or trial.trial == first)
    finals = (sweep.finals[0]._replace(trial=first), sweep.finals[1])
    [_, line] = sentences(
        answer(sweep._replace(alternatives=(fixed, sweep.alternatives[1]), trials=trials, finals=finals))
    )
    assert line.endswith("; only one of the two was searched for, so this says nothing about other searches")


def test_trials_that_were_judged_on_other_examples_are_not_compared() -> None:
    sweep = simulated(np.random.default_rng(0), "ab", 12, ahead=0.02)
    other = [trial._replace(judged_on=f"a {trial.alternative}") for trial in sweep.trials]
    assert answer(sweep._replace(trials=tuple(other))).bases[0].comparisons == []


def test_test_data_choose_nothing() -> None:
    """The best is the best by validation on fresh seeds, whatever the test part says."""
    sweep = simulated(np.random.default_rng(0), "ab", 12)
    values = {"a": (0.97, 0.99), "b": (0.96, 0.995)}
    names = "val/accuracy", "test/accuracy"
    finals = [
        final._replace(
            metrics={
                name: (value,) * 10 for name, value in zip(names, values[final.alternative], strict=True)
            }
        )
        for final in sweep.finals
    ]
    found = answer(sweep._replace(finals=tuple(finals)))
    assert [row.alternative for row in found.bases[0].rows] == ["a", "b"]
    [warning] = [text for text in luck(found.bases[0], found.sweep) if "disagree" in text]
    assert "a is the best by val/accuracy, b by test/accuracy, by 0.50 points" in warning
