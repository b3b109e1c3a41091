"""The intervals of an ensemble's gain against formulas and enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from nnrun.statistics import gain
from nnrun.statistics.gain import over_members, resampled, resamples, spread, subsets, together


def test_bootstrap_samples_have_as_many_examples():
    blocks = list(resamples(30, 120))
    assert sum(len(block) for block in blocks) == 120
    assert all((block.sum(1) == 30).all() for block in blocks)
    counts = np.concatenate(blocks)
    # A Poisson-like count: mean 1, variance 1 − 1/n; the share of examples left out is (1 − 1/n)ⁿ.
    assert counts.mean() == pytest.approx(1)
    assert (counts == 0).mean() == pytest.approx((1 - 1 / 30) ** 30, abs=0.03)


def test_the_bootstrap_of_a_mean_has_its_standard_error():
    scores = np.random.default_rng(0).normal(size=(1, 1, 400))
    means = resampled(scores, 1000)[:, 0, 0]
    assert means.std() == pytest.approx(scores.std() / math.sqrt(400), rel=0.08)
    assert means.mean() == pytest.approx(scores.mean(), abs=0.01)


def test_predictors_share_their_samples():
    scores = np.random.default_rng(0).normal(size=(2, 3, 50))
    scores[1] = scores[0] + 1
    found = resampled(scores, 20)
    assert found.shape == (20, 2, 3)
    np.testing.assert_allclose(found[:, 1] - found[:, 0], 1)


def test_subsets():
    assert subsets(5, 2, 24) == list(itertools.combinations(range(5), 2))
    drawn = subsets(12, 6, 50)
    assert len(set(drawn)) == 50 == len(drawn)
    assert all(len(one) == 6 and list(one) == sorted(set(one)) for one in drawn)
    assert drawn == subsets(12, 6, 50)


def test_halves_estimate_the_variance_of_a_mean():
    """For a mean of M numbers, the spread over halves is its standard error: s / √M, exactly."""
    x = np.random.default_rng(5).normal(size=8)
    means = [x[list(some)].mean() for some in subsets(8, 4, 1000)]
    assert np.var(means) == pytest.approx(x.var(ddof=1) / 8)


@pytest.mark.parametrize("members", [4, 5, 8])
def test_the_interval_of_a_mean_over_members_is_students(members: int):
    x, size = np.random.default_rng(members).normal(size=members), members // 2
    means = np.array([x[list(subset)].mean() for subset in subsets(members, size, 1000)])
    _, high = scipy.stats.t.interval(0.95, members - 1, 0.0, scipy.stats.sem(x))
    assert over_members(means, members, size) == pytest.approx(high, rel=1e-9)


def test_fewer_halves_give_a_wider_interval():
    """Their variance, over k − 1, has an error too, so t has fewer degrees of freedom: 1 / (1/9 + 1/12) = 5.14."""
    values = np.random.default_rng(0).normal(size=12)
    expected = scipy.stats.t.ppf(0.975, 1 / (1 / 9 + 1 / 12)) * values.std(ddof=1)
    assert over_members(values, 10, 5) == pytest.approx(expected)
    assert over_members(np.append(values, np.nan), 10, 5) == pytest.approx(expected)
    assert math.isnan(over_members(np.full(12, np.nan), 10, 5))


@pytest.mark.parametrize(("members", "most"), [(4, 100), (5, 100), (10, 100), (10, 12)])
def test_the_interval_over_members_covers_the_gain_as_often_as_it_says(members: int, most: int):
    """Of 1500 ensembles whose members err by 1 + noise on ten examples; the gain over the mean member.

    By quantiles of the halves it was 72% of four members.
    """
    errors = 1 + np.random.default_rng(members).normal(size=(1500, members, 10))

    def gain_of(subset: list[int]) -> np.ndarray:
        return (errors[:, subset] ** 2).mean((1, 2)) - (errors[:, subset].mean(1) ** 2).mean(1)

    halves = np.stack([gain_of(list(subset)) for subset in subsets(members, members // 2, most)], 1)
    gains = gain_of(list(range(members)))
    half_widths = np.array([over_members(row, members, members // 2) for row in halves])
    expected = 1 - 1 / members  # the mean over draws of Σ(zᵢ − z̄)² / M, with a variance of 1
    assert 0.925 <= np.mean(np.abs(gains - expected) <= half_widths) <= 0.97


def test_spread_and_together():
    assert spread([0.0] * 50 + [1.0] * 50) == pytest.approx((0.5, 0.5))
    assert spread([math.nan] + [0.0] * 50 + [1.0] * 50) == pytest.approx((0.5, 0.5))
    assert all(map(math.isnan, spread([math.nan])))
    found = together(2.0, {"examples": (0.3, 0.6), "members": (0.4, 0.8)})
    assert found["examples"] == pytest.approx([1.7, 2.6])
    assert found["both"] == pytest.approx([1.5, 3.0])
    assert together(2.0, {"examples": (0.3, 0.6), "members": None})["both"] is None


def test_few_resamples_at_a_time_are_the_same_resamples(monkeypatch):
    whole = np.concatenate(list(resamples(40, 13)))
    monkeypatch.setattr(gain, "_BYTES", 3 * 8 * 40)
    blocks = list(resamples(40, 13))
    assert [len(block) for block in blocks] == [3, 3, 3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    monkeypatch.setattr(gain, "_BYTES", 1)
    assert len(next(resamples(40, 13))) == 1
