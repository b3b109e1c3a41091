"""What each search proposes, against what it is defined to be."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nnrun.space import Dimension, Observation, draws

LINE = (Dimension("x", "uniform", 0.0, 1.0),)
PLANE = (Dimension("x", "uniform", 0.0, 1.0), Dimension("y", "uniform", 0.0, 1.0))


def test_random_draws_are_uniform_and_independent(make: Any) -> None:
    """Kolmogorov-Smirnov in each coordinate, and no correlation between them or with the trial before."""
    points = np.array(make("search", "random").ask(PLANE, 7, 0, 4000, []))
    for column in points.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
        assert abs(np.corrcoef(column[1:], column[:-1])[0, 1]) < 0.05
    assert abs(np.corrcoef(points.T)[0, 1]) < 0.05


def test_a_further_dimension_changes_none_of_the_others(make: Any) -> None:
    search = make("search", "random")
    assert [point[:1] for point in search.ask(PLANE, 0, 0, 5, [])] == search.ask(LINE, 0, 0, 5, [])


def test_purposes_draw_apart() -> None:
    assert draws(0, 1, 4) != draws(0, 1, 4, stream=1) != draws(1, 1, 4, stream=1)


def test_halton_is_spread_more_evenly_than_chance(make: Any) -> None:
    """The discrepancy of 64 points, against the mean of random ones."""
    points = np.array(make("search", "halton").ask(PLANE, 0, 0, 64, []))
    random = [
        stats.qmc.discrepancy(np.array(make("search", "random").ask(PLANE, s, 0, 64, []))) for s in range(20)
    ]
    assert stats.qmc.discrepancy(points) < 0.4 * np.mean(random)


def test_a_grid_is_every_combination(make: Any) -> None:
    space = (
        Dimension("x", "choice", values=("a", "b")),
        Dimension("y", "int", 1, 3),
        Dimension("z", "log", 1e-2, 1),
    )
    search = make("search", "grid", points=3)
    assert search.most(space) == 18
    points = search.ask(space, 0, 0, 18, [])
    found = [tuple(d.at(u) for d, u in zip(space, point, strict=True)) for point in points]
    assert found == list(itertools.product(("a", "b"), (1, 2, 3), (0.01, 0.1, 1.0)))


def test_halving_keeps_one_in_eta_at_geometric_rungs(make: Any) -> None:
    search = make("search", "halving", eta=3, first=1 / 9)
    assert search.rungs == pytest.approx((1 / 9, 1 / 3))
    assert search.keep == pytest.approx(1 / 3)
    assert make("search", "halving", eta=2, first=0.125).rungs == pytest.approx((0.125, 0.25, 0.5))


def test_a_population_moves_a_little_or_draws_anew(make: Any) -> None:
    search = make("search", "population", reach=0.1, resample=0.25)
    space = (*LINE, Dimension("m", "choice", values=(1, 2, 3)))
    assert search.rungs == pytest.approx(tuple(i / 10 for i in range(1, 10)))
    assert search.keep == pytest.approx(0.8)
    assert search.explore(space, (0.5, 0.9), (0.3, 0.75, 0.9, 0.2)) == pytest.approx(
        (0.55, 0.2)
    )  # moved; drawn
    assert search.explore(space, (0.5, 0.9), (0.1, 0.75, 0.9, 0.2)) == pytest.approx(
        (0.75, 0.2)
    )  # both drawn
    assert search.explore(LINE, (0.99,), (0.9, 0.999))[0] < 1


def test_tpe_finds_the_minimum_of_a_bowl_sooner_than_chance(make: Any) -> None:
    pytest.importorskip("optuna")
    search = make("search", "tpe", startup=10, batch=5)

    def best(seed: int) -> float:
        seen: list[Observation] = []
        while len(seen) < 40:
            points = search.ask(PLANE, seed, len(seen), 5, seen)
            seen += [Observation(point, (point[0] - 0.7) ** 2 + (point[1] - 0.2) ** 2) for point in points]
        return min(one.value or 0.0 for one in seen)

    chance = [
        min((x - 0.7) ** 2 + (y - 0.2) ** 2 for x, y in make("search", "random").ask(PLANE, s, 0, 40, []))
        for s in range(10)
    ]
    assert np.median([best(seed) for seed in range(5)]) < 0.5 * np.median(chance)


def test_tpe_without_optuna_says_what_to_install(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(ValueError, match=r'pip install "nnrun\[search\]", or write random or halton'):
        make("search", "tpe")
