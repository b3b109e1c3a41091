"""Gains of an ensemble and their intervals, recomputed from their definitions."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nnrun.ensemble.gains import Halves, Whole, gains
from nnrun.statistics.metric import Metric

RISING = {"accuracy"}


class Terms:
    """A judge whose two terms are the metrics themselves."""

    def table(self, means: np.ndarray) -> dict[str, np.ndarray]:
        return {"accuracy": means[..., 0], "loss": means[..., 1]}

    def metric(self, name: str) -> Metric:
        return Metric(name, name in RISING)


JUDGE: Any = Terms()


def scores_of(members: int = 4, examples: int = 400, seed: int = 0) -> np.ndarray:
    """(members + 1, 2, examples), the ensemble last and better than all."""
    draw = np.random.default_rng(seed)
    accuracy = (draw.random((members + 1, examples)) < 0.7).astype(float)
    accuracy[-1] = draw.random(examples) < 0.85
    loss = draw.gamma(2.0, 0.3, (members + 1, examples))
    loss[-1] *= 0.8
    return np.stack([accuracy, loss], 1)


def test_gains_are_differences_of_means_and_positive_is_better():
    scores = scores_of()
    result = gains(scores, JUDGE, [2, 0, 1, 3], None)
    means = scores.mean(2)
    over_mean = result["over_mean"]
    assert over_mean["accuracy"]["value"] == pytest.approx(means[-1, 0] - means[:-1, 0].mean())
    assert over_mean["loss"]["value"] == pytest.approx(means[:-1, 1].mean() - means[-1, 1])
    assert result["over_best"]["accuracy"]["value"] == pytest.approx(means[-1, 0] - means[2, 0])
    assert result["over_best"]["loss"]["value"] == pytest.approx(means[2, 1] - means[-1, 1])


def test_without_a_best_member_there_is_no_gain_over_it():
    result = gains(scores_of(), JUDGE, None, None)
    assert result["over_best"] is None
    assert set(result["over_mean"]) == {"accuracy", "loss"}


def test_the_interval_over_examples_is_that_of_a_paired_mean():
    """1.96 standard errors of the mean of the differences example by example."""
    scores = scores_of(examples=1500)
    for name, term, sign in (("accuracy", 0, 1), ("loss", 1, -1)):
        gain = gains(scores, JUDGE, None, None)["over_mean"][name]
        paired = sign * (scores[-1, term] - scores[:-1, term].mean(0))
        half = 1.96 * paired.std() / math.sqrt(len(paired))
        low, high = gain["examples"]
        assert low == pytest.approx(gain["value"] - half, abs=0.15 * half)
        assert high == pytest.approx(gain["value"] + half, abs=0.15 * half)
        assert gain["members"] is gain["both"] is None


def test_halves_give_the_interval_over_members():
    """Ensembles of two of four against their own two members, scaled by √(2 / 2) = 1 and Student's t."""
    scores = scores_of()
    pairs = list(itertools.combinations(range(4), 2))
    draw = np.random.default_rng(1)
    of_halves = np.stack([draw.normal(0.8, 0.02, len(pairs)), draw.normal(0.4, 0.02, len(pairs))], 1)
    result = gains(scores, JUDGE, [3, 1, 0, 2], Halves(pairs, of_halves))
    accuracy = scores.mean(2)[:-1, 0]
    against_mean = of_halves[:, 0] - [accuracy[list(pair)].mean() for pair in pairs]
    gain = result["over_mean"]["accuracy"]
    half = 3.182446 * np.std(against_mean)  # t of 3 degrees of freedom
    assert gain["members"] == pytest.approx([gain["value"] - half, gain["value"] + half])
    # The best of each half is the first of it in the order on validation data.
    rank = {3: 0, 1: 1, 0: 2, 2: 3}
    loss = scores.mean(2)[:-1, 1]
    against_best = [loss[min(pair, key=rank.get)] for pair in pairs] - of_halves[:, 1]
    gain = result["over_best"]["loss"]
    half = 3.182446 * np.std(against_best)
    assert gain["members"] == pytest.approx([gain["value"] - half, gain["value"] + half])


def test_smaller_halves_are_scaled_down():
    """Two of five: √(2 / 3) of their spread."""
    scores = scores_of(members=5)
    pairs = list(itertools.combinations(range(5), 2))
    of_halves = np.tile([0.8, 0.4], (len(pairs), 1))
    gain = gains(scores, JUDGE, None, Halves(pairs, of_halves))["over_mean"]["accuracy"]
    accuracy = scores.mean(2)[:-1, 0]
    against = 0.8 - np.array([accuracy[list(pair)].mean() for pair in pairs])
    half = 2.776445 * math.sqrt(2 / 3) * np.std(against)  # t of 4 degrees of freedom
    assert gain["members"] == pytest.approx([gain["value"] - half, gain["value"] + half])


def test_both_adds_half_widths_in_quadrature_and_holds_the_others():
    scores = scores_of()
    pairs = list(itertools.combinations(range(4), 2))
    halves = Halves(pairs, np.random.default_rng(2).normal(0.6, 0.05, (len(pairs), 2)))
    for gain in gains(scores, JUDGE, [0, 1, 2, 3], halves)["over_best"].values():
        below = math.hypot(gain["value"] - gain["examples"][0], gain["value"] - gain["members"][0])
        above = math.hypot(gain["examples"][1] - gain["value"], gain["members"][1] - gain["value"])
        assert gain["both"] == pytest.approx([gain["value"] - below, gain["value"] + above])


def test_the_same_predictions_gain_nothing_with_certainty():
    scores = np.repeat(scores_of()[:1], 5, axis=0)
    for gain in gains(scores, JUDGE, [0, 1, 2, 3], None)["over_best"].values():
        assert gain["value"] == 0
        assert gain["examples"] == [0, 0]


def test_the_intervals_do_not_depend_on_chance():
    assert gains(scores_of(), JUDGE, [0, 1, 2, 3], None) == gains(scores_of(), JUDGE, [0, 1, 2, 3], None)


def test_a_metric_that_is_no_mean_of_terms_is_resampled_as_it_is():
    """The root of the mean of squares: its gain is no mean of gains."""
    judge: Any = SimpleNamespace(
        table=lambda means: {"rmse": np.sqrt(means[..., 0])}, metric=lambda name: Metric(name, False)
    )
    squares = np.random.default_rng(3).gamma(1.0, 1.0, (3, 1, 200))
    gain = gains(squares, judge, None, None)["over_mean"]["rmse"]
    roots = np.sqrt(squares.mean(2))[:, 0]
    assert gain["value"] == pytest.approx(roots[:2].mean() - roots[2])
    assert gain["examples"][0] < gain["value"] < gain["examples"][1]


def test_a_metric_of_all_predictions_at_once_is_resampled_over_examples_alone():
    """It is in no table of terms, so nothing is known of it over the choice of members."""
    draw = np.random.default_rng(4)
    values = draw.normal(0.8, 0.05, 5)
    drawn = values + draw.normal(0, 0.02, (300, 5))
    judge: Any = SimpleNamespace(table=JUDGE.table, metric=lambda name: Metric(name, name != "loss"))
    pairs = list(itertools.combinations(range(4), 2))
    halves = Halves(pairs, draw.normal(0.6, 0.05, (len(pairs), 2)))
    result = gains(scores_of(), judge, [2, 0, 1, 3], halves, Whole({"auroc": values}, {"auroc": drawn}))
    gain = result["over_best"]["auroc"]
    assert gain["value"] == pytest.approx(values[4] - values[2])
    np.testing.assert_allclose(gain["examples"], np.quantile(drawn[:, 4] - drawn[:, 2], [0.025, 0.975]))
    assert gain["members"] is None and gain["both"] is None
    assert result["over_best"]["loss"]["both"] is not None
