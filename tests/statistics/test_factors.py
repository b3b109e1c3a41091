"""Main effects and interactions: against an analysis of variance by hand, and in how many experiments they err."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from nnrun.statistics.compare import holm
from nnrun.statistics.factors import Cell, Factors, factor_effects
from nnrun.statistics.searches import Searched

OPTIMIZERS, SCHEDULES = ("sgd", "adam"), ("constant", "cosine", "step")


def cells(
    table: np.ndarray, levels: Sequence[Sequence[str]] = (OPTIMIZERS, SCHEDULES)
) -> dict[tuple[str, ...], Cell]:
    """table: an axis for each factor, then the seeds."""
    names = list(itertools.product(*levels))
    rows = table.reshape(len(names), -1).tolist()
    return {name: Cell(dict(enumerate(row))) for name, row in zip(names, rows, strict=True)}


def effects(table: np.ndarray) -> Factors:
    factors = factor_effects(["optimizer", "schedule"], cells(table))
    assert factors
    return factors


def test_effects_are_differences_of_means_over_the_other_factor() -> None:
    table = np.random.default_rng(0).normal(size=(2, 3, 9))
    factors = effects(table)
    assert factors.levels == {"optimizer": OPTIMIZERS, "schedule": SCHEDULES}
    assert factors.means["adam", "step"] == pytest.approx(table[1, 2].mean())
    by_schedule = table.mean(axis=0)
    expected = {
        ("sgd", "adam"): table[0].mean(axis=0) - table[1].mean(axis=0),
        ("constant", "cosine"): by_schedule[0] - by_schedule[1],
        ("constant", "step"): by_schedule[0] - by_schedule[2],
        ("cosine", "step"): by_schedule[1] - by_schedule[2],
    }
    assert [(effect.pair.first, effect.pair.second) for effect in factors.effects] == list(expected)
    for effect, differences in zip(factors.effects, expected.values(), strict=True):
        assert effect.pair.difference == pytest.approx(differences.mean())
        exact = stats.permutation_test(
            (differences,), np.mean, permutation_type="samples", n_resamples=np.inf
        )
        assert effect.pair.p == pytest.approx(exact.pvalue)
        assert not effect.pair.searched


def test_the_interaction_of_two_by_two_is_the_difference_of_differences() -> None:
    """Its p-value is that of flipping the signs of (a − b) − (c − d); the excess is a quarter of it."""
    table = np.random.default_rng(1).normal(size=(2, 2, 8))
    factors = factor_effects(["x", "y"], cells(table, ("ab", "cd")))
    assert factors
    [interaction] = factors.interactions
    contrast = table[0, 0] - table[0, 1] - table[1, 0] + table[1, 1]
    exact = stats.permutation_test((contrast,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert interaction.p == pytest.approx(exact.pvalue)
    assert abs(interaction.excess) == pytest.approx(abs(contrast.mean()) / 4)


def test_the_interaction_is_ordered_as_the_sum_of_squares_of_an_analysis_of_variance() -> None:
    """What is left of a sum of two effects is none; a planted one is found where it is, with its size."""
    random = np.random.default_rng(2)
    rows, columns = np.array([0.0, 3.0]), np.array([0.0, 1.0, -2.0])
    additive = rows[:, None, None] + columns[None, :, None] + random.normal(0, 1e-13, (2, 3, 10))
    noise = random.normal(0, 0.1, (2, 3, 10))
    planted = additive + noise
    planted[1, 2] += 6.0
    assert effects(additive + noise).interactions[0].p > 0.05
    [interaction] = effects(planted).interactions
    assert set(interaction.levels) in ({"adam", "step"}, {"sgd", "step"})
    # A cell that is 6 higher is 6 · (1 − 1/2)(1 − 1/3) = 2 above the sum of the effects that it moves.
    assert abs(interaction.excess) == pytest.approx(2, abs=0.15)
    assert interaction.ends and min(map(abs, interaction.ends)) > 1.5
    assert interaction.significant


def test_all_tests_are_corrected_together() -> None:
    factors = effects(np.random.default_rng(3).normal(size=(2, 3, 10)))
    p = [
        *(effect.pair.p for effect in factors.effects),
        *(interaction.p for interaction in factors.interactions),
    ]
    adjusted = [effect.pair.adjusted for effect in factors.effects]
    adjusted += [interaction.adjusted for interaction in factors.interactions]
    assert adjusted == holm(p) and len(p) == 1 + 3 + 1


def test_under_chance_alone_an_experiment_finds_anything_in_one_of_twenty() -> None:
    random = np.random.default_rng(4)
    found = 0
    for _ in range(150):
        seeds = random.normal(0, 1, 8)  # what a seed does to all cells
        factors = effects(seeds + random.normal(0, 0.3, (2, 3, 8)))
        found += any(effect.pair.significant for effect in factors.effects)
        found += (
            not any(effect.pair.significant for effect in factors.effects)
            and factors.interactions[0].significant
        )
    assert found / 150 <= 0.05 + 2 * (0.05 * 0.95 / 150) ** 0.5


def test_three_factors() -> None:
    table = np.random.default_rng(5).normal(size=(2, 2, 2, 7))
    factors = factor_effects(["x", "y", "z"], cells(table, ("ab", "cd", "ef")))
    assert factors
    assert [effect.factor for effect in factors.effects] == ["x", "y", "z"]
    assert factors.effects[1].pair.difference == pytest.approx(table[:, 0].mean() - table[:, 1].mean())
    assert [interaction.factors for interaction in factors.interactions] == [
        ("x", "y"),
        ("x", "z"),
        ("y", "z"),
    ]
    averaged = table.mean(axis=1)
    contrast = (averaged[0, 0] - averaged[0, 1] - averaged[1, 0] + averaged[1, 1]).mean()
    assert abs(factors.interactions[1].excess) == pytest.approx(abs(contrast) / 4)


def test_nothing_is_said_of_a_table_with_a_hole() -> None:
    full = cells(np.zeros((2, 3, 5)))
    missing = dict(list(full.items())[:-1])
    assert factor_effects(["optimizer", "schedule"], missing) is None
    lonely = {**full, ("adam", "step"): Cell({0: 1.0})}
    assert factor_effects(["optimizer", "schedule"], lonely) is None


def test_only_common_seeds_count() -> None:
    full = cells(np.random.default_rng(6).normal(size=(2, 3, 6)))
    full["sgd", "cosine"].values.pop(4)  # type: ignore[attr-defined]
    factors = factor_effects(["optimizer", "schedule"], full)
    assert factors and {effect.pair.seeds for effect in factors.effects} == {5}


def searched(random: np.random.Generator, trials: int, ahead: float) -> Cell:
    quality = random.normal(ahead, 1, trials)
    order = np.argsort(-quality)
    fresh = {seed: float(quality.max() + random.normal(0, 0.05)) for seed in range(8)}
    return Cell(fresh, Searched(quality[order], [np.full(1, value) for value in quality[order]]))


@pytest.mark.quick(1)
@pytest.mark.parametrize(("ahead", "least", "most"), [(0.0, 0.0, 0.09), (4.0, 0.9, 1.0)])
def test_an_effect_of_methods_knows_the_luck_of_their_searches(
    ahead: float, least: float, most: float
) -> None:
    """Settings differ by seeds alone nearly always; methods that are the same, in at most one of twenty."""
    random = np.random.default_rng(7)
    settings = methods = 0
    for _ in range(60):
        table = {
            (optimizer, schedule): searched(random, 8, ahead * (optimizer == "adam"))
            for optimizer, schedule in itertools.product(OPTIMIZERS, SCHEDULES[:2])
        }
        factors = factor_effects(["optimizer", "schedule"], table)
        assert factors
        pair = factors.effects[0].pair
        assert pair.searched and pair.searches
        settings += pair.significant
        methods += pair.decided
    assert settings / 60 > 0.7
    assert least <= methods / 60 <= most


def test_why_nothing_is_known_of_other_searches() -> None:
    random = np.random.default_rng(8)
    table = {name: searched(random, 8, 0.0) for name in itertools.product(OPTIMIZERS, SCHEDULES)}

    def unknown(changed: Cell) -> str:
        factors = factor_effects(["optimizer", "schedule"], {**table, ("sgd", "cosine"): changed})
        assert factors
        return factors.effects[0].pair.unknown

    cell = table["sgd", "cosine"]
    assert (
        unknown(cell._replace(searched="trials of tpe depend on each other"))
        == "trials of tpe depend on each other"
    )
    assert unknown(cell._replace(searched=None)) == "only some of the settings were searched for"
    assert unknown(searched(random, 7, 0.0)) == "7 different trials are fewer than 8"
