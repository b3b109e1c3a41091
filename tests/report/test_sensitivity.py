"""What would change a verdict: each line where it should be, and only there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
from nnrun.report.sweep.ranges import undrawn
from nnrun.report.sweep.reached import Reached
from nnrun.report.sweep.sensitivity import sensitivity
from nnrun.statistics.metric import SHARE, Metric

RATE = DimensionRecord("optimizer.learning_rate", "log", 1e-4, 1.0, ())
JUDGE, TESTED = Metric("val/accuracy", True, SHARE), "test/accuracy"


def lines(
    qualities: dict[str, list[float]],
    finals: dict[str, list[float]],
    rates: dict[str, list[float]] | None = None,
    **changes: Any,
) -> list[str]:
    """Of a sweep whose trials have these qualities, and whose chosen ones these values on fresh seeds."""
    records, ends = [], []
    for label, values in qualities.items():
        settings = (rates or {}).get(label) or np.geomspace(1e-4, 1, len(values)).tolist()
        mine = [
            TrialRecord(f"{label}-{i}", "digits", label, i, f"trials/{label}-{i}", {RATE.path: rate}, "done", value,
                        (value,), 10, 1.0, None, 0, {JUDGE.name: (value,), TESTED: (value,)}, "a b")
            for i, (value, rate) in enumerate(zip(values, settings, strict=True))
        ]  # fmt: skip
        records += mine
        chosen = max(mine, key=lambda trial: trial.value or 0.0)
        fresh = tuple(finals[label])
        ends.append(
            FinalRecord("digits", label, chosen.trial, f"final/{label}", chosen.settings, tuple(range(len(fresh))),
                        "done", {JUDGE.name: fresh, TESTED: fresh}, 10, 1.0)
        )  # fmt: skip
    alternatives = tuple(AlternativeRecord(label, {}, (RATE,)) for label in qualities)
    sweep = SweepRecord(Path("nowhere"), "s", JUDGE, "random", False, 8, 1, 8, None, ("digits",), alternatives,
                        tuple(records), tuple(ends))  # fmt: skip
    result = answer(sweep._replace(**changes))
    return list(sensitivity(result.bases[0], result.sweep))


EVEN = [0.90, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97]
STEADY = [0.970, 0.971, 0.972, 0.973, 0.974, 0.975, 0.976, 0.977]


def test_nothing_changes_a_clear_verdict() -> None:
    worse = [value - 0.2 for value in EVEN]
    assert lines({"a": EVEN, "b": worse}, {"a": STEADY, "b": [v - 0.2 for v in STEADY]}) == []


def test_one_seed_less() -> None:
    """Two small differences are behind: 8 of 2⁸ sign flips reach as far, and without one of those ahead 8 of 2⁷."""
    base = np.array(STEADY)
    ahead = base + np.array([-3, -1, 15, 18, 29, 22, 19, 16]) / 1000
    found = lines({"a": EVEN, "b": EVEN}, {"a": [*ahead], "b": [*base]})
    assert (
        found[0] == "without seed 2, or any of 5 further ones, a and b would show no significant difference"
    )
    # All ahead: 2 of 2⁷ without any of them.
    found = lines({"a": EVEN, "b": EVEN}, {"a": [*(base + 0.01)], "b": [*base]})
    assert not any("without seed" in line for line in found)


def test_one_trial_less() -> None:
    alone = [*[0.5] * 7, 0.97]
    found = lines({"a": alone, "b": EVEN}, {"a": [v + 0.01 for v in STEADY], "b": STEADY})
    assert (
        found[0] == "without its best trial a would have test/accuracy 50.00% (a-0), behind the 97.35% of b"
    )


def test_half_of_the_trials() -> None:
    """Of eight trials one is good: half of the trials have it in half of the cases."""
    alone = [*[0.5] * 7, 0.99]
    found = lines({"a": alone, "b": EVEN}, {"a": [v + 0.01 for v in STEADY], "b": STEADY})
    assert found[1] == "with half of the trials (4 each) b would be expected to lead"
    late = [*[0.968] * 7, 0.99]
    found = lines({"a": late, "b": EVEN}, {"a": [v + 0.01 for v in STEADY], "b": STEADY})
    # The best of four has 0.968 + 0.022 / 2; b's best of eight is 0.97.
    assert found[-1].startswith(
        "the best of 8 trials of a is 1.10 points better than what 4 would be expected to find"
    )
    assert "its lead in the search is 2.00 points" in found[-1]


def test_another_target(monkeypatch: pytest.MonkeyPatch) -> None:
    from nnrun.report.sweep import rows

    steps = {"a": 500.0, "b": 200.0}
    monkeypatch.setattr(
        rows, "reached", lambda folder, judge, target: Reached(8, 8, steps[folder.name], None)
    )
    worse = [value - 0.2 for value in EVEN]
    found = lines({"a": EVEN, "b": worse}, {"a": STEADY, "b": [v - 0.2 for v in STEADY]}, target=0.5)
    assert found == ["judged by steps to the target, b is first (200 steps, a 500)"]


def test_a_region_that_was_never_drawn() -> None:
    """Eight rates in the lower half of the logarithm: a chance of 9 / 2⁸ at most."""
    low = np.geomspace(1e-4, 1e-2, 8).tolist()
    worse = [value - 0.2 for value in EVEN]
    found = lines({"a": EVEN, "b": worse}, {"a": STEADY, "b": [v - 0.2 for v in STEADY]}, {"a": low})
    assert found == [
        "a: none of its 8 trials has optimizer.learning_rate between 0.01 and 1, 50% of the range"
    ]


def test_such_gaps_are_seldom_called_unusual() -> None:
    random = np.random.default_rng(0)
    for dimension in (RATE, DimensionRecord("model.dropout", "uniform", 0.0, 0.5, ())):
        unusual = 0
        for _ in range(1000):
            u = random.random(10)
            drawn = 1e-4 * 1e4**u if dimension.kind == "log" else 0.5 * u
            unusual += undrawn(dimension, drawn.tolist()) is not None
        assert 10 <= unusual <= 65  # of 1,000, at a level of 5%
    assert undrawn(DimensionRecord("a", "choice", None, None, (1, 2)), [1.0]) is None
    assert undrawn(RATE, []) is None
