"""Intervals and tests against SciPy, tables and simulations."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from nnrun.statistics.compare import compare_all, holm, least_seeds, seeds_for
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.gain import resampled
from nnrun.statistics.sign_flips import sign_flip_interval, sign_flip_test


@pytest.mark.parametrize("n", [2, 5, 10, 14])
def test_the_exact_sign_flip_test_is_that_of_scipy(n: int) -> None:
    x = np.random.default_rng(n).normal(0.4, 1.0, n).round(1)  # ties
    done = scipy.stats.permutation_test((x,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_test(x.tolist()) == pytest.approx(done.pvalue, abs=1e-12)


def test_the_random_sign_flip_test_is_near_that_of_scipy() -> None:
    """Two standard errors of two estimates by 20,000 flips at p = 0.05 are 0.0044."""
    x = np.random.default_rng(3).normal(0.6, 1.0, 20)
    done = scipy.stats.permutation_test((x,), np.mean, permutation_type="samples", n_resamples=19_999, rng=0)
    assert 0.01 < done.pvalue < 0.2
    assert sign_flip_test(x.tolist()) == pytest.approx(done.pvalue, abs=0.008)


@pytest.mark.parametrize("n", [6, 9, 14])
def test_the_interval_of_a_difference_holds_what_scipys_test_does_not_reject(n: int) -> None:
    x = np.random.default_rng(n).standard_normal(n) + 0.3
    low, high = sign_flip_interval(x.tolist()) or (np.nan, np.nan)

    def p(shift: float) -> float:
        test = scipy.stats.permutation_test(
            (x - shift,), np.mean, permutation_type="samples", n_resamples=np.inf
        )
        return test.pvalue

    assert p(low - 1e-6) <= 0.05 < p(low + 1e-6)
    assert p(high + 1e-6) <= 0.05 < p(high - 1e-6)


@pytest.mark.quick(2)
@pytest.mark.parametrize(("n", "share"), [(6, 1 - 2 / 64), (10, 1 - 50 / 1024), (20, 0.95)])
def test_the_interval_of_a_difference_covers_it_as_often_as_it_says(n: int, share: float) -> None:
    """1 − 2k / 2ⁿ, for values with heavy tails too; 0.6% is the standard deviation over 1000 samples."""
    random = np.random.default_rng(n)
    samples = random.standard_t(3, (500 if n > 14 else 1000, n))
    ends = np.array([sign_flip_interval(x.tolist()) for x in samples])
    covered = np.mean((ends[:, 0] <= 0) & (ends[:, 1] >= 0))
    assert covered == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("n", [6, 11, 15, 30])
def test_interval_and_test_agree(n: int) -> None:
    random = np.random.default_rng(n)
    rejected = 0
    for shift in np.linspace(0, 3 / np.sqrt(n), 25):
        x = (random.standard_normal(n) + shift).tolist()
        low, high = sign_flip_interval(x) or (np.nan, np.nan)
        assert (sign_flip_test(x) <= 0.05) == (low > 0 or high < 0)
        rejected += low > 0
    assert 0 < rejected < 25


def test_five_differences_have_students_interval_of_a_mean() -> None:
    x = [0.1, 0.3, 0.2, 0.4, 0.6]
    expected = scipy.stats.t.interval(0.95, 4, np.mean(x), scipy.stats.sem(x))
    assert sign_flip_interval(x) == pytest.approx(expected, rel=1e-9)
    assert sign_flip_interval([0.5]) is None


def test_equal_values_are_no_difference_and_the_least_p_is_two_in_all_flips() -> None:
    assert sign_flip_test([0.0] * 6) == 1.0
    assert sign_flip_test([0.1] * 6) == 2 / 64


def test_holm_by_hand() -> None:
    """Sorted 0.01, 0.02, 0.03, 0.5 become 4 · 0.01, 3 · 0.02, 2 · 0.03 and 0.5; none may fall below the one before."""
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.04, 0.03, 0.02]) == pytest.approx([0.06, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_alternatives_that_are_alike_are_rarely_told_apart() -> None:
    """Any false finding among the ten pairs of five names for one method: in at most 5% of sweeps of ten seeds."""
    random = np.random.default_rng(1)
    sweeps = 400
    false = 0
    for _ in range(sweeps):
        values = 0.97 + 0.01 * random.standard_normal((5, 10))
        values += 0.01 * random.standard_normal(10)  # what a seed does to all of them
        found = compare_all({f"method {i}": dict(enumerate(row)) for i, row in enumerate(values.tolist())})
        false += any(pair.significant for pair in found)
    # 5% of 400 are 20; the count's standard deviation is 4.4.
    assert false <= 20 + 2 * 4.4


def test_a_clear_difference_is_found() -> None:
    random = np.random.default_rng(2)
    noise = random.standard_normal(8) * 0.01
    good = {seed: 0.97 + noise[seed] for seed in range(8)}
    bad = {seed: 0.95 + noise[seed] + 0.001 * seed for seed in range(8)}
    [pair] = compare_all({"good": good, "bad": bad})
    assert (pair.first, pair.second, pair.seeds) == ("good", "bad", 8)
    assert pair.difference == pytest.approx(0.02 - 0.0035)
    assert pair.p == pair.adjusted == 2 / 256
    assert pair.low is not None and pair.high is not None and 0 < pair.low < pair.difference < pair.high
    assert pair.significant


def test_only_the_seeds_that_both_finished_count() -> None:
    [pair] = compare_all({"a": {1: 0.5, 2: 0.6, 3: 0.7}, "b": {2: 0.5, 3: 0.5, 4: 0.9}})
    assert pair.seeds == 2
    assert pair.difference == pytest.approx(0.15)
    assert compare_all({"a": {1: 0.5}, "b": {1: 0.4}}) == []


@pytest.mark.parametrize(("pairs", "least"), [(1, 6), (3, 7), (15, 10)])
def test_the_fewest_seeds(pairs: int, least: int) -> None:
    """2 / 2⁶ = 0.031 and 2 / 2⁵ = 0.063; times 3: 2⁷; times 15: 2¹⁰ gives 0.029, 2⁹ 0.059."""
    assert least_seeds(pairs) == least


def test_the_number_of_seeds_is_that_of_the_paired_t_test() -> None:
    """An effect of half a standard deviation at 5% and 80% power takes 34 pairs (Cohen 1988; G*Power)."""
    x = np.array([-1.0, 1.0] * 10)
    x = 0.5 + x / x.std(ddof=1)
    assert seeds_for(x.tolist(), 1) == 34
    assert seeds_for((10 * x).tolist(), 1) == 34
    assert (seeds_for(x.tolist(), 15) or 0) > 34


def test_the_number_of_seeds_at_the_extremes() -> None:
    assert seeds_for([0.5] * 4, 3) == least_seeds(3)
    assert seeds_for([0.0] * 4, 3) is None
    assert seeds_for([1.0, -1.0, 1.0, -0.99999], 1) is None
    assert seeds_for([1.0, 1.001, 0.999], 1) == least_seeds(1)


def test_significance_is_after_the_correction() -> None:
    pair = PairComparison("a", "b", 0.1, 0.05, 0.15, 0.02, 0.06, 8, 9)
    assert not pair.significant


def test_how_often_the_interval_over_examples_and_all_together_hold_the_true_difference() -> None:
    """Two classifiers of 400 examples, alike in most of them; accuracy on all that there could be is 0.9 and 0.87.

    Seeds move the true accuracies of a run by a point.  The interval over examples alone does not know them.
    """
    random = np.random.default_rng(0)
    held = {"examples": 0, "overall": 0, "seeds": 0}
    samples, examples, seeds = 200, 400, 6
    for _ in range(samples):
        difficulty = random.random(examples)  # of each example, the same for both and for all seeds
        correct = {
            label: (difficulty < accuracy + random.normal(0, 0.01, (seeds, 1))).astype(float)
            for label, accuracy in (("a", 0.9), ("b", 0.87))
        }
        scores = np.stack([correct["a"], correct["b"]])  # (2, seeds, examples)
        drawn = resampled(scores, 200).mean(axis=2)
        values = {label: dict(enumerate(rows.mean(axis=1))) for label, rows in correct.items()}
        [pair] = compare_all(values, None, {"a": drawn[:, 0], "b": drawn[:, 1]})
        assert pair.examples and pair.overall and pair.low is not None and pair.high is not None
        held["examples"] += pair.examples[0] <= 0.03 <= pair.examples[1]
        held["overall"] += pair.overall[0] <= 0.03 <= pair.overall[1]
        held["seeds"] += pair.low <= 0.03 <= pair.high
    assert held["overall"] / samples >= 0.93
    assert held["seeds"] / samples <= 0.9
    assert held["examples"] / samples <= 0.9


def test_four_equal_methods_are_seldom_called_different_on_few_examples() -> None:
    """Each has its own luck with 400 examples; seeds hardly differ, so they call most experiments different."""
    random = np.random.default_rng(2)
    significant = decided = 0
    for _ in range(100):
        correct = [
            np.tile(random.random(400) < 0.9, (10, 1)) ^ (random.random((10, 400)) < 0.01) for _ in range(4)
        ]
        drawn = resampled(np.stack(correct).astype(float), 200).mean(axis=2)
        values = {f"m{i}": dict(enumerate(rows.mean(axis=1).tolist())) for i, rows in enumerate(correct)}
        pairs = compare_all(values, None, {f"m{i}": drawn[:, i] for i in range(4)})
        significant += any(pair.significant for pair in pairs)
        decided += any(pair.decided for pair in pairs)
    assert significant > 80
    assert decided <= 9  # two standard deviations above 5


def test_examples_are_not_known_where_a_side_has_none() -> None:
    values = {"a": {0: 0.9, 1: 0.8}, "b": {0: 0.7, 1: 0.6}}
    drawn = np.array([0.8, 0.9])
    [pair] = compare_all(values, None, {"a": drawn})
    assert pair.examples is None
    [pair] = compare_all(values, None, {"a": drawn, "b": drawn[:1]})
    assert pair.examples is None
    # In both draws the first is 0.2 ahead, as in the runs themselves.
    [pair] = compare_all(values, None, {"a": drawn, "b": drawn - 0.2})
    assert pair.examples == pytest.approx((0.2, 0.2))
