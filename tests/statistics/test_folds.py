"""The interval and the test over folds, against the formulas by hand, SciPy and a simulation."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from nnrun.statistics.folds import compare_folds, corrected_t_test
from nnrun.statistics.mean import mean_and_interval

VALUES = [1.0, 2.0, 3.0, 4.0, 5.0]


def test_the_interval_is_the_corrected_one_by_hand() -> None:
    """s² = 2.5, five folds of five: 1/5 + 1/4; t is 2.776445 for 4 degrees of freedom."""
    mean, half = mean_and_interval(VALUES, ratio=0.25)
    assert mean == 3.0
    assert half == pytest.approx(2.776445 * (0.45 * 2.5) ** 0.5, rel=1e-6)


def test_without_the_ratio_the_test_is_the_paired_t_test() -> None:
    other = [0.5, 2.5, 2.0, 3.0, 4.5]
    differences = list(np.subtract(VALUES, other))
    assert corrected_t_test(differences, 0.0) == pytest.approx(scipy.stats.ttest_rel(VALUES, other).pvalue)
    t = np.mean(differences) / np.sqrt((1 / 5 + 1 / 4) * np.var(differences, ddof=1))
    assert corrected_t_test(differences, 0.25) == pytest.approx(2 * scipy.stats.t.sf(abs(t), 4))


def test_equal_differences() -> None:
    assert corrected_t_test([0.0, 0.0, 0.0], 0.5) == 1.0
    assert corrected_t_test([0.1, 0.1, 0.1], 0.5) == 0.0


def test_an_interval_without_zero_belongs_to_a_difference_that_is_found() -> None:
    random = np.random.default_rng(1)
    for _ in range(50):
        values = {
            name: dict(enumerate(random.normal(shift, 1, 10))) for name, shift in (("a", 0.0), ("b", 1.5))
        }
        (pair,) = compare_folds(values, 1 / 9)
        assert pair.low is not None and pair.high is not None
        assert (pair.low > 0 or pair.high < 0) == (pair.p < 0.05)
        assert (pair.units, pair.seeds_needed) == ("10 folds", None)


def test_pairs_are_corrected_together_and_need_all_folds() -> None:
    values = {"a": {1: 0.1, 2: 0.2, 3: 0.3}, "b": {1: 0.2, 2: 0.2, 3: 0.5}, "c": {1: 0.4, 2: 0.5, 3: 0.6}}
    pairs = compare_folds(values, 0.5)
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert pairs[1].adjusted == pytest.approx(0.0)
    assert pairs[0].adjusted == pytest.approx(pairs[0].p * 2) or pairs[0].adjusted == pytest.approx(
        pairs[0].p
    )
    assert [pair[:2] for pair in compare_folds({**values, "c": {1: 0.4}}, 0.5)] == [("a", "b")]
