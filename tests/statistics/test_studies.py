"""The test over studies: against scipy, against enumeration by hand, and in how many experiments it errs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from nnrun.statistics.compare import holm
from nnrun.statistics.factors import Cell, factor_effects
from nnrun.statistics.studies import (
    compare_studies,
    least_studies,
    studies_for,
    study_comparison,
    study_interval,
    study_test,
)


def gap(a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.mean(a, axis=axis) - np.mean(b, axis=axis)


@pytest.mark.parametrize("n", [2, 3, 4, 6])
def test_p_is_the_larger_one_of_two_known_tests(n: int) -> None:
    random = np.random.default_rng(n)
    for shift in (0.0, 1.0, 3.0):
        a, b = random.normal(shift, 1, n), random.normal(0, 2, n)
        exact = stats.permutation_test((a, b), gap, n_resamples=np.inf, vectorized=True).pvalue
        welch = stats.ttest_ind(a, b, equal_var=False).pvalue
        assert study_test(a.tolist(), b.tolist()) == pytest.approx(max(exact, welch))


def test_many_studies_are_dealt_at_random() -> None:
    """Beyond eight studies p has a standard deviation of at most 0.004, and one set of values has one p."""
    random = np.random.default_rng(0)
    a, b = random.normal(0.8, 1, 9), random.normal(0, 1, 9)
    p = study_test(a.tolist(), b.tolist())
    exact = stats.permutation_test((a, b), gap, n_resamples=np.inf, vectorized=True).pvalue
    welch = stats.ttest_ind(a, b, equal_var=False).pvalue
    assert p == pytest.approx(max(exact, welch), abs=0.012)
    assert p == study_test(a.tolist(), b.tolist())
    assert study_test(b.tolist(), a.tolist()) == pytest.approx(p, abs=0.012)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 10])
def test_the_interval_holds_the_shifts_that_the_test_keeps(n: int) -> None:
    random = np.random.default_rng(n)
    for _ in range(20):
        a, b = random.normal(1, 1, n), random.normal(0, 0.5, n)
        low, high = study_interval(a.tolist(), b.tolist())
        width = high - low
        # Below four studies the test rejects nothing, and the interval is Welch's.
        welch = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
        assert low <= welch.low + 1e-9 and high >= welch.high - 1e-9
        if n < 4:
            assert (low, high) == pytest.approx((welch.low, welch.high))
            continue
        for shift, kept in ((low - 0.01 * width, False), (low + 0.01 * width, True), (high - 0.01 * width, True),
                            (high + 0.01 * width, False)):  # fmt: skip
            assert (study_test((a - shift).tolist(), b.tolist()) > 0.05) == kept


def test_four_studies_must_not_overlap() -> None:
    """2 / C(8, 4) = 0.0286 is the only p-value below 5%: all of one above all of the other."""
    a, b = [1.0, 1.1, 1.2, 1.3], [0.0, 0.1, 0.2, 0.3]
    assert study_test(a, b) == pytest.approx(2 / math.comb(8, 4))
    assert study_test([*a[:3], 0.25], b) > 0.05
    assert study_interval(a, b)[0] == pytest.approx(
        1.0 - 0.3
    )  # the least of the first less the greatest of the second


def test_values_without_spread() -> None:
    assert study_test([1.0] * 4, [1.0] * 4) == 1.0
    assert study_test([1.0] * 4, [0.5] * 4) == pytest.approx(2 / 70)
    assert study_interval([1.0] * 4, [0.5] * 4) == pytest.approx((0.5, 0.5))
    assert study_test([1e9 + 1, 1e9, 1e9 + 2, 1e9], [1e9, 1e9 + 1, 1e9 + 2, 1e9]) == 1.0


@pytest.mark.parametrize(("pairs", "studies"), [(1, 4), (2, 5), (3, 5), (6, 5), (7, 6), (15, 6), (28, 7)])
def test_the_fewest_studies_that_can_decide(pairs: int, studies: int) -> None:
    assert least_studies(pairs) == studies
    assert 2 * pairs / math.comb(2 * studies, studies) <= 0.05
    assert 2 * pairs / math.comb(2 * studies - 2, studies - 1) > 0.05


def test_how_many_studies_would_tell() -> None:
    """Against the table of Cohen: two sides of 17 for a difference of one deviation, power 80%."""
    a = [0.0, 2.0 * math.sqrt(0.5)]  # standard deviation 1
    assert studies_for([x + 1.0 for x in a], a, 1) == 17
    assert studies_for(a, a, 1) is None
    assert studies_for([1.0, 1.0], [0.0, 0.0], 1) == 4
    assert studies_for([x + 30 for x in a], a, 6) == least_studies(6)


@pytest.mark.parametrize("spread", [1.0, 0.0], ids=["alike", "one always finds the same"])
@pytest.mark.parametrize("n", [4, 5, 6])
def test_equal_methods_are_seldom_called_different(n: int, spread: float) -> None:
    """Permutation alone would call four searched studies and four fixed ones different in 2 / 2⁴ = 12.5% of cases."""
    random = np.random.default_rng(n)
    false = np.mean(
        [
            study_test(random.normal(0, 1, n).tolist(), random.normal(0, spread, n).tolist()) <= 0.05
            for _ in range(600)
        ]
    )
    assert false <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 600)


def values_of(table: np.ndarray) -> dict[str, dict[int, float]]:
    return {f"m{i}": dict(enumerate(map(float, row), start=1)) for i, row in enumerate(table)}


def test_all_pairs_are_corrected_together() -> None:
    values = values_of(np.random.default_rng(1).normal(size=(4, 6)) + np.array([[0], [0], [0], [9]]))
    pairs = compare_studies(values, looks=2)
    assert [pair[:2] for pair in pairs] == [(f"m{i}", f"m{j}") for i in range(4) for j in range(i + 1, 4)]
    assert [pair.adjusted for pair in pairs] == holm([pair.p for pair in pairs], 2)
    assert all(pair.studies == pair.seeds == 6 and pair.units == "6 studies" for pair in pairs)
    decided = [pair[:2] for pair in pairs if pair.decided]
    assert decided == [("m0", "m3"), ("m1", "m3"), ("m2", "m3")]
    assert all(pair.claim == pair.verdict == pair.adjusted for pair in pairs)


def test_the_examples_are_added_to_the_interval_of_studies() -> None:
    random = np.random.default_rng(2)
    values = values_of(random.normal(0, 0.1, (2, 6)) + np.array([[1.0], [0.0]]))
    [alone] = compare_studies(values)
    spread = {"m0": 1 + random.normal(0, 0.05, 1000), "m1": np.zeros(1000)}
    [pair] = compare_studies(values, resamples=spread)
    assert (
        alone.decided
        and pair.decided
        and pair.examples
        and pair.overall
        and alone.overall == (alone.low, alone.high)
    )
    assert pair.overall[0] < (alone.low or 0.0) and pair.overall[1] > (alone.high or 0.0)
    wide = {"m0": 1 + random.normal(0, 2, 1000), "m1": np.zeros(1000)}
    [open_pair] = compare_studies(values, resamples=wide)
    assert open_pair.significant and not open_pair.decided and not open_pair.over_examples


def test_what_says_nothing_of_a_method_decides_nothing() -> None:
    values = values_of(np.array([[9.0, 9, 9, 9, 9, 9], [0, 0, 0, 0, 0, 1], [4, 4, 4, 4, 4, 5]]))
    pairs = compare_studies(values, {"m0": "1 of the fresh seeds of m0 diverged"})
    assert [pair.decided for pair in pairs] == [False, False, True]
    assert pairs[0].unknown == "1 of the fresh seeds of m0 diverged" and pairs[0].claim is None
    del values["m1"][3]  # a study without a value: the others are compared
    assert [pair.studies for pair in compare_studies(values)] == [5, 6, 5]


def test_plain_data_say_studies_only_where_there_are_some() -> None:
    pair = study_comparison("a", "b", [1.0, 2, 3, 4], [5.0, 6, 7, 8], 1)
    assert pair.as_data()["studies"] == 4
    assert "studies" not in pair._replace(studies=None).as_data()


def cells_of(table: np.ndarray) -> dict[tuple[str, ...], Cell]:
    """table (2, 3, studies)"""
    return {
        (row, column): Cell(dict(enumerate(table[i, j].tolist(), start=1)))
        for i, row in enumerate("ab")
        for j, column in enumerate("xyz")
    }


def test_the_effect_of_a_factor_is_the_test_of_its_means_in_each_study() -> None:
    table = np.random.default_rng(3).normal(size=(2, 3, 5))
    factors = factor_effects(["row", "column"], cells_of(table), studies=True)
    assert factors and factors.studies
    averaged = {
        ("a", "b"): (table[0].mean(axis=0), table[1].mean(axis=0)),
        ("x", "y"): (table[:, 0].mean(axis=0), table[:, 1].mean(axis=0)),
    }
    for effect in factors.effects:
        if effect.pair[:2] in averaged:
            first, second = averaged[effect.pair[:2]]
            assert effect.pair.p == pytest.approx(study_test(first.tolist(), second.tolist()))
            assert effect.pair.studies == 5
    p = [effect.pair.p for effect in factors.effects] + [
        interaction.p for interaction in factors.interactions
    ]
    assert [effect.pair.adjusted for effect in factors.effects] == holm(p)[: len(factors.effects)]


def test_factors_that_do_nothing_are_seldom_found() -> None:
    random = np.random.default_rng(4)
    sweeps = [
        factor_effects(["r", "c"], cells_of(random.normal(size=(2, 3, 6))), studies=True) for _ in range(300)
    ]
    false = [any(effect.pair.decided for effect in factors.effects) for factors in sweeps if factors]
    assert np.mean(false) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)
    shifted = random.normal(size=(2, 3, 6)) + np.array([3.0, 0.0])[:, None, None]
    factors = factor_effects(["r", "c"], cells_of(shifted), studies=True)
    assert factors and factors.effects[0].pair.decided
