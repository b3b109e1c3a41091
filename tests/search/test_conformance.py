"""What every search keeps to.  Fed by the folder."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from nnrun import catalog
from nnrun.space import Dimension, Observation, Search

SPACE = (
    Dimension("optimizer.learning_rate", "log", 1e-4, 1.0),
    Dimension("model.dropout", "uniform", 0.0, 0.6),
    Dimension("optimizer.momentum", "choice", values=(0.8, 0.9, 0.99)),
    Dimension("train.accumulate", "int", 1, 4),
)
NEEDS = {"tpe": "optuna"}


@pytest.fixture(params=catalog.names("search"))
def search(request: pytest.FixtureRequest, make: Any) -> Search:
    library = NEEDS.get(request.param)
    if library and importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    return make("search", request.param)


def seen(points: list[tuple[float, ...]]) -> list[Observation]:
    """What a search is told: the first coordinate should be near 0.3, and every seventh trial diverged."""
    return [Observation(point, None if i % 7 == 6 else abs(point[0] - 0.3)) for i, point in enumerate(points)]


def asked(search: Search, batches: list[int], seed: int = 0, space: Any = SPACE) -> list[tuple[float, ...]]:
    points: list[tuple[float, ...]] = []
    for count in batches:
        points += search.ask(space, seed, len(points), count, seen(points))
    return points


def test_points_have_a_coordinate_in_the_unit_interval_for_each_dimension(search: Search) -> None:
    for point in asked(search, [8, 8, 8]):
        assert len(point) == len(SPACE)
        assert all(isinstance(u, float) and 0 <= u < 1 for u in point)
        assert all(dimension.at(u) is not None for dimension, u in zip(SPACE, point, strict=True))


def test_the_same_questions_get_the_same_answers(search: Search) -> None:
    assert asked(search, [8, 8, 8]) == asked(search, [8, 8, 8])


def test_a_sweep_can_grow(search: Search) -> None:
    """What has been proposed stays what it was, whatever comes after it."""
    assert asked(search, [8, 8, 8])[:16] == asked(search, [8, 8])
    if not search.batch:  # it learns nothing, so that the batches do not count
        assert asked(search, [24]) == asked(search, [8, 8, 8])


def test_other_seeds_draw_other_points(search: Search) -> None:
    if search.most:
        pytest.skip("a grid draws nothing")
    assert asked(search, [8]) != asked(search, [8], seed=1)


def test_an_empty_space_has_one_point(search: Search) -> None:
    assert asked(search, [3], space=()) == [(), (), ()]


def test_rungs_are_fractions_of_the_run(search: Search) -> None:
    assert list(search.rungs) == sorted(set(search.rungs))
    assert all(0 < rung < 1 for rung in search.rungs)
    assert 0 < search.keep <= 1
    assert bool(search.rungs) == (search.keep < 1)
