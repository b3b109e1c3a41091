"""Best of k, performance profiles and importance, against enumeration, SciPy and by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from nnrun.statistics.budget import best_of_k, expected_best, performance_profile, running_best
from nnrun.statistics.importance import importance

VALUES = [0.3, 0.9, 0.5, 0.5, 0.7, 0.1]


@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_the_expected_best_is_the_mean_over_all_subsets(k: int) -> None:
    subsets = list(itertools.combinations(VALUES, k))
    assert expected_best(VALUES, k, rising=True) == pytest.approx(np.mean([max(s) for s in subsets]))
    assert expected_best(VALUES, k, rising=False) == pytest.approx(np.mean([min(s) for s in subsets]))


def test_more_trials_than_there_are() -> None:
    with pytest.raises(ValueError, match=r"7 out of 6 trials; k must be in 1 \.\.\. 6"):
        expected_best(VALUES, 7, rising=True)


def test_the_expected_best_is_unbiased() -> None:
    """The best of 5 uniform numbers is 5/6 on average; the mean of 2000 estimates from 20 has error 0.0016."""
    random = np.random.default_rng(0)
    found = np.mean([expected_best(random.random(20).tolist(), 5, rising=True) for _ in range(2000)])
    assert found == pytest.approx(5 / 6, abs=0.005)


@pytest.mark.parametrize("rising", [True, False])
def test_the_curve_goes_from_the_mean_to_the_best(rising: bool) -> None:
    curve = best_of_k(VALUES, rising)
    assert [one.k for one in curve] == [1, 2, 3, 4, 5, 6]
    assert curve[0].value == pytest.approx(np.mean(VALUES))
    assert curve[-1].value == pytest.approx(max(VALUES) if rising else min(VALUES))
    assert all((b.value >= a.value) == rising or a.value == b.value for a, b in itertools.pairwise(curve))
    assert all(
        one.low is not None and one.high is not None and one.low <= one.value <= one.high for one in curve
    )


def test_a_long_curve_has_few_points_and_does_not_overflow() -> None:
    curve = best_of_k(np.linspace(0, 1, 3000).tolist(), True)
    assert len(curve) <= 40 and curve[0].k == 1 and curve[-1].k == 3000
    assert curve[-1].value == pytest.approx(1.0)
    assert all(math.isfinite(one.value) for one in curve)


def test_an_adaptive_search_is_told_in_its_order() -> None:
    assert [one.value for one in running_best([0.2, 0.1, 0.5, 0.4], True)] == [0.2, 0.2, 0.5, 0.5]
    assert [one.value for one in running_best([0.2, 0.1, 0.5, 0.4], False)] == [0.2, 0.1, 0.1, 0.1]


def test_a_performance_profile_by_hand() -> None:
    """Ratios to the least cost: a 1, 2, fails; b 2, 1, 1."""
    found = performance_profile({"a": [10, 40, math.inf], "b": [20, 20, 5]})
    assert found["a"] == [(1.0, pytest.approx(1 / 3)), (2.0, pytest.approx(2 / 3))]
    assert found["b"] == [(1.0, pytest.approx(1 / 3)), (1.0, pytest.approx(2 / 3)), (2.0, 1.0)]


def test_a_problem_that_nobody_solves() -> None:
    found = performance_profile({"a": [math.inf, 1.0], "b": [math.inf, 2.0]})
    assert found == {"a": [(1.0, 0.5)], "b": [(2.0, 0.5)]}


def test_importance_of_choices_is_that_of_kruskal_and_wallis() -> None:
    random = np.random.default_rng(4)
    groups = ["relu"] * 7 + ["tanh"] * 6 + ["gelu"] * 7
    values = (np.array([0.0] * 7 + [0.6] * 6 + [0.9] * 7) + random.standard_normal(20)).round(1)
    found = importance("activation", groups, values.tolist())
    h, p = scipy.stats.kruskal(values[:7], values[7:13], values[13:])
    assert found is not None and found.correlation is None
    assert found.explained == pytest.approx((h - 2) / 17)
    assert found.p == pytest.approx(p, abs=0.02)


def test_the_correlation_is_spearmans() -> None:
    random = np.random.default_rng(5)
    rate = random.random(20)
    values = rate + random.standard_normal(20)
    found = importance("rate", rate.tolist(), values.tolist())
    assert found is not None
    assert found.correlation == pytest.approx(scipy.stats.spearmanr(rate, values).statistic)


def test_a_valley_is_important_without_a_correlation() -> None:
    rate = np.linspace(-1, 1, 20)
    found = importance("rate", rate.tolist(), (-(rate**2)).tolist())
    assert found is not None and found.explained > 0.7 and found.p < 0.01
    assert abs(found.correlation or 0.0) < 0.1


def test_what_does_nothing_is_rarely_called_important() -> None:
    """p ≤ 0.05 in at most about 5% of 300 tries (standard deviation 1.3%), and nothing explained on the whole."""
    random = np.random.default_rng(6)
    found = [importance("x", random.random(20).tolist(), random.random(20).tolist()) for _ in range(300)]
    assert np.mean([one.p <= 0.05 for one in found if one]) <= 0.05 + 2 * 0.013
    assert np.median([one.explained for one in found if one]) <= 0.05


def test_where_nothing_can_be_said() -> None:
    assert importance("x", [1, 2, 3, 4, 5], [1.0, 2.0, 3.0, 4.0, 5.0]) is None
    assert importance("x", [1] * 8, list(map(float, range(8)))) is None
    assert importance("x", list(range(8)), [1.0] * 8) is None
