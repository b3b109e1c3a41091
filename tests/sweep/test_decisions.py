"""Who continues at a rung, who takes whose state, and what a trial is worth: pure functions of hand-made files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnrun.search.halving import halving
from nnrun.search.population import population
from nnrun.space import Dimension, Search
from nnrun.statistics.metric import Metric
from nnrun.sweep.file import BaseSpec
from nnrun.sweep.over import Alternative
from nnrun.sweep.stages import (
    best_until,
    losers_among,
    pairs_of,
    ranking,
    rung_steps,
    rung_value,
    survivors,
)
from nnrun.sweep.trials import Arm, Trial, trial_at

RISING, FALLING = Metric("val/accuracy", True), Metric("val/loss", False)
SPACE = (Dimension("optimizer.learning_rate", "uniform", 0.0, 1.0),)


def arm_of(label: str = "sgd", folder: str = "") -> Arm:
    return Arm(BaseSpec("digits", Path("b.yaml"), {}, {}), Alternative(label, {}, SPACE, {}), folder)


def trials_of(count: int, label: str = "sgd", folder: str = "") -> list[Trial]:
    return [trial_at(arm_of(label, folder), i, (0.5,)) for i in range(count)]


def valued(trials: list[Trial], *values: float | None) -> dict[str, float | None]:
    return {trial.name: value for trial, value in zip(trials, values, strict=True)}


def plan_of(steps: int, every: int) -> Any:
    return SimpleNamespace(steps=steps, evaluate_every=every)


def search_of(*rungs: float) -> Search:
    return Search(ask=lambda *arguments: [], rungs=rungs)


@pytest.mark.parametrize(
    ("rungs", "steps", "every", "expected"),
    [
        ((0.1, 0.3, 0.9), 100, 10, [10, 30, 90]),
        ((0.1, 0.3, 0.9), 100, 25, [25, 50]),  # up to the next evaluation; 100 is the end, no rung
        ((0.01, 0.02), 100, 50, [50]),  # two rungs at one step are one
        ((0.5,), 10, 10, []),
        ((0.1,), 100, 1, [10]),
        ((0.3,), 10, 1, [3]),  # 0.3 · 10 is 3.0000000000000004
        ((), 100, 1, []),
    ],
)
def test_rungs_stand_at_evaluations_before_the_end(
    rungs: tuple[float, ...], steps: int, every: int, expected: list[int]
):
    assert rung_steps(search_of(*rungs), plan_of(steps, every)) == expected


@pytest.mark.parametrize(
    ("eta", "first", "rungs"), [(3, 0.1, [100, 300, 900]), (2, 0.25, [250, 500]), (4, 0.5, [500])]
)
def test_the_rungs_of_halving(eta: int, first: float, rungs: list[int]):
    assert rung_steps(halving(eta, first), plan_of(1000, 1)) == rungs


def test_the_rungs_of_a_population_divide_the_run():
    assert rung_steps(population(intervals=4), plan_of(200, 1)) == [50, 100, 150]


def test_the_best_share_survives_at_least_one():
    trials = trials_of(9)
    values = valued(trials, *(i / 10 for i in range(9)))
    assert survivors(trials, values, RISING, 1 / 3) == {"sgd-006", "sgd-007", "sgd-008"}
    assert survivors(trials, values, FALLING, 1 / 3) == {"sgd-000", "sgd-001", "sgd-002"}
    assert survivors(trials[:2], values, RISING, 1 / 3) == {"sgd-001"}


def test_equal_trials_survive_by_number():
    trials = trials_of(4)
    assert survivors(trials, valued(trials, 0.5, 0.5, 0.5, 0.5), RISING, 0.5) == {"sgd-000", "sgd-001"}
    assert [trial.number for trial in ranking(trials, valued(trials, 0.1, 0.5, 0.5, 0.1), RISING)] == [
        1,
        2,
        0,
        3,
    ]


def test_each_arm_is_halved_on_its_own():
    """An alternative is not stopped because another one is better."""
    good, bad = trials_of(3, "adam"), trials_of(3, "sgd")
    values = valued(good, 0.9, 0.8, 0.7) | valued(bad, 0.3, 0.2, 0.1)
    assert survivors([*good, *bad], values, RISING, 1 / 3) == {"adam-000", "sgd-000"}
    first_base, second_base = trials_of(2, "sgd", "a/"), trials_of(2, "sgd", "b/")
    values = valued(first_base, 0.9, 0.8) | valued(second_base, 0.2, 0.3)
    assert survivors([*first_base, *second_base], values, RISING, 0.5) == {"a/sgd-000", "b/sgd-001"}


def test_a_trial_without_a_value_does_not_survive():
    trials = trials_of(3)
    assert survivors(trials, valued(trials, None, 0.1, None), RISING, 1.0) == {"sgd-001"}
    assert survivors(trials, valued(trials, None, None, None), RISING, 1.0) == set()


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(-1, 1)), min_size=1, max_size=30),
    st.floats(0.05, 1.0),
    st.booleans(),
)
def test_survivors_are_never_worse_than_losers(values: list[float | None], keep: float, rising: bool):
    trials, metric = trials_of(len(values)), Metric("m", rising)
    by_name = valued(trials, *values)
    names = survivors(trials, by_name, metric, keep)
    known = [value for value in values if value is not None]
    assert len(names) == min(len(known), max(1, math.ceil(len(trials) * keep - 1e-9)))
    inside = [by_name[name] for name in names]
    outside = [value for name, value in by_name.items() if name not in names and value is not None]
    assert all(not metric.better(loser, survivor) for survivor in inside for loser in outside)


def names(pairs: list[tuple[Trial, Trial]]) -> list[tuple[int, int]]:
    return [(loser.number, winner.number) for loser, winner in pairs]


def test_the_worst_take_the_state_of_the_best():
    trials = trials_of(10)
    values = valued(trials, *(i / 10 for i in range(10)))
    assert names(pairs_of(trials, values, RISING, 0.2)) == [(0, 9), (1, 8)]
    assert names(pairs_of(trials, values, FALLING, 0.2)) == [(9, 0), (8, 1)]
    assert names(pairs_of(trials, values, RISING, 0.0)) == []


def test_whoever_diverged_starts_again_from_the_best():
    """They have nothing to continue from, so they are losers even where there are more of them than the share."""
    trials = trials_of(5)
    values = valued(trials, None, 0.5, None, 0.9, None)
    assert names(pairs_of(trials, values, RISING, 0.2)) == [(0, 3), (2, 3), (4, 3)]
    assert names(pairs_of(trials, valued(trials, *[None] * 5), RISING, 0.2)) == []


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(-1, 1)), min_size=2, max_size=20), st.floats(0.0, 0.5))
def test_a_winner_is_no_loser_and_not_worse_than_its_loser(values: list[float | None], share: float):
    trials = trials_of(len(values))
    by_name = valued(trials, *values)
    pairs = pairs_of(trials, by_name, RISING, share)
    losers, winners = {loser.name for loser, _ in pairs}, {winner.name for _, winner in pairs}
    assert len(losers) == len(pairs)
    assert not losers & winners
    for loser, winner in pairs:
        value = by_name[loser.name]
        assert value is None or value <= (by_name[winner.name] or 0.0)


@pytest.mark.parametrize(
    ("trials", "share", "losers"), [(10, 0.2, 2), (9, 0.2, 1), (4, 0.2, 0), (10, 0.3, 3), (0, 0.5, 0)]
)
def test_how_many_lose(trials: int, share: float, losers: int):
    assert losers_among(trials, share) == losers


# Values from metrics files


def logged(folder: Path, *rows: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_the_best_value_up_to_a_step(tmp_path):
    rows = [{"step": 10 * (i + 1), "val/loss": value} for i, value in enumerate((0.5, 0.2, 0.4, 0.1))]
    folder = logged(tmp_path, *rows)
    assert best_until(folder, FALLING, 30) == 0.2
    assert best_until(folder, FALLING, 40) == 0.1
    assert best_until(folder, Metric("val/loss", True), 30) == 0.5
    assert best_until(folder, FALLING, 5) is None
    assert best_until(folder, RISING, 40) is None


def test_an_infinite_value_on_the_way_is_not_the_best_and_does_no_harm(tmp_path):
    """The best step of a run is judged in the same way."""
    rows = [{"step": 10 * (i + 1), "val/loss": value} for i, value in enumerate(("Infinity", 0.3, "NaN"))]
    assert best_until(logged(tmp_path, *rows), FALLING, 30) == 0.3
    assert best_until(logged(tmp_path, *rows), FALLING, 10) is None


def test_a_trial_is_worth_the_mean_of_its_seeds(tmp_path):
    folders = [
        logged(tmp_path / str(i), {"step": 10, "val/loss": value}) for i, value in enumerate((0.1, 0.4))
    ]
    assert rung_value(folders, FALLING, 10) == pytest.approx(0.25)
    folders.append(logged(tmp_path / "2", {"step": 10, "train/loss": 1.0}))
    assert rung_value(folders, FALLING, 10) is None
