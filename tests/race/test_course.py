"""The path of a method over a surface."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from nnrun.optimizer._first_order import first_order
from nnrun.optimizer.adam import adam
from nnrun.optimizer.sgd import sgd
from nnrun.race.entrants import LECTURE, entrant, surface
from nnrun.race.trajectory import RATES, first_step_to_stay, run
from nnrun.surface.long_valley import long_valley
from nnrun.surface.noisy_quadratic import noisy_quadratic

pytestmark = pytest.mark.usefixtures("float64", "quick_compilation")

STEPS = 60


def test_sgd_over_a_valley_on_paper():
    """x ← (1 − α) x and y ← (1 − 100 α) y."""
    path = run(long_valley(), "sgd", lambda rate: first_order(sgd(rate)), np.array([0.015]), STEPS, 0)
    t = np.arange(STEPS + 1)
    expected = np.stack([-9.0 * 0.985**t, 0.8 * (-0.5) ** t], 1)
    np.testing.assert_allclose(path.points, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(path.values, (expected[:, 0] ** 2 + 100 * expected[:, 1] ** 2) / 2, rtol=1e-9)
    assert path.learning_rate == 0.015


def test_the_best_rate_of_all_is_taken():
    """Against every rate for itself: paths inside the window first, then the steps, then the end."""
    rates = np.array([1e-3, 5e-3, 0.019, 0.0195, 0.05])
    make = lambda rate: first_order(sgd(rate))  # noqa: E731
    best = run(long_valley(), "sgd", make, rates, 400, 0)
    alone = [run(long_valley(), "sgd", make, np.array([rate]), 400, 0) for rate in rates]
    steps = {path.learning_rate: path.steps for path in alone if path.steps is not None}
    assert best.steps == min(steps.values())
    assert steps[best.learning_rate] == best.steps
    assert np.isnan(alone[-1].points[-1]).all()  # a rate beyond 0.02 diverges


def test_a_path_that_leaves_is_worse_than_a_slow_one():
    """Adam at rate 100 overshoots the window on its first step; at 1e-6 it hardly moves."""
    trajectory = run(
        long_valley(), "adam", lambda rate: first_order(adam(rate)), np.array([1e-6, 100.0]), STEPS, 0
    )
    assert trajectory.learning_rate == 1e-6


def test_noise_is_the_same_for_all_and_depends_on_the_seed():
    make = lambda rate: first_order(sgd(rate))  # noqa: E731
    first, second = (run(noisy_quadratic(1.0), "sgd", make, np.array([0.05]), STEPS, seed) for seed in (1, 1))
    np.testing.assert_array_equal(first.points, second.points)
    third = run(noisy_quadratic(1.0), "sgd", make, np.array([0.05]), STEPS, 2)
    assert (first.points[1:] != third.points[1:]).all()
    quiet = run(noisy_quadratic(0.0), "sgd", make, np.array([0.05]), STEPS, 1)
    noise = (quiet.points[1] - first.points[1]) / 0.05
    assert 0.01 < np.abs(noise).max() < 5


@pytest.mark.parametrize(("values", "goal", "expected"), [
    ([3.0, 2.0, 1.0, 0.5], 1.0, 2), ([3.0, 0.5, 2.0, 0.5], 1.0, 3), ([0.1, 0.1], 1.0, 0),
    ([3.0, 0.5, 2.0], 1.0, None), ([3.0, 0.5, np.nan], 1.0, None),
])  # fmt: skip
def test_a_path_is_settled_where_it_stays(values, goal, expected):
    assert first_step_to_stay(np.array(values), goal) == expected


@pytest.mark.parametrize("name", LECTURE)
def test_the_methods_of_the_lecture_choose_among_all_rates(name, tmp_path):
    assert entrant(name, tmp_path, 10).rates is RATES


def test_a_written_rate_is_kept_and_inner_ones_are_found(tmp_path):
    fixed = entrant("{name: adam, learning_rate: 0.1}", tmp_path, STEPS)
    path = run(long_valley(), fixed.label, fixed.make, fixed.rates, STEPS, 0)
    expected = run(long_valley(), "adam", lambda rate: first_order(adam(rate)), np.array([0.1]), STEPS, 0)
    np.testing.assert_allclose(path.points, expected.points, rtol=1e-9)
    assert path.learning_rate == 0.1
    assert entrant("{name: lookahead, inner: adam}", tmp_path, STEPS).rates is RATES
    assert entrant("lbfgs", tmp_path, STEPS).rates is None


def test_a_free_rate_is_the_rate_tried(tmp_path):
    free = entrant("{name: momentum, momentum: 0.5}", tmp_path, STEPS)
    fixed = entrant("{name: momentum, momentum: 0.5, learning_rate: 0.003}", tmp_path, STEPS)
    first = run(long_valley(), "", free.make, np.array([0.003]), STEPS, 0)
    second = run(long_valley(), "", fixed.make, fixed.rates, STEPS, 0)
    np.testing.assert_allclose(first.points, second.points, rtol=1e-12)


def test_an_optimizer_and_a_surface_of_ones_own(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import optax\nfrom nnrun.types import Surface\n"
        "def slow(learning_rate: float = 0.1):\n    return optax.sgd(learning_rate / 2)\n"
        "def bowl():\n"
        "    return Surface(lambda x: (x**2).sum(), (1., 1.), ((-2., 2.), (-2., 2.)), 1e-3, 0., 0.)\n"
    )
    custom = entrant("{name: 'mine:slow', learning_rate: 0.5}", tmp_path, STEPS)
    bowl = surface("mine:bowl", tmp_path)
    path = run(bowl, custom.label, custom.make, custom.rates, 5, 0)
    np.testing.assert_allclose(path.points[:, 0], 0.5 ** jnp.arange(6.0))
