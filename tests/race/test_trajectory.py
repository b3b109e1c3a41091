"""The path of a method over a surface."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from nnrun.errors import SpecError
from nnrun.optimizer._first_order import first_order
from nnrun.optimizer.adam import adam
from nnrun.optimizer.sgd import sgd
from nnrun.race.entrants import LECTURE, entrant, surface
from nnrun.race.trajectory import RATES, first_step_to_stay, run
from nnrun.surface.long_valley import long_valley
from nnrun.surface.noisy_quadratic import noisy_quadratic
from nnrun.types import Surface

pytestmark = pytest.mark.usefixtures("float64")

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
    """Against every rate for itself: the steps first, then the end."""
    rates = np.array([1e-3, 5e-3, 0.019, 0.0195, 0.05])
    make = lambda rate: first_order(sgd(rate))  # noqa: E731
    best = run(long_valley(), "sgd", make, rates, 400, 0)
    alone = [run(long_valley(), "sgd", make, np.array([rate]), 400, 0) for rate in rates]
    steps = {path.learning_rate: path.steps for path in alone if path.steps is not None}
    assert best.steps == min(steps.values())
    assert steps[best.learning_rate] == best.steps
    assert np.isnan(alone[-1].points[-1]).all()  # a rate beyond 0.02 diverges


def test_a_path_may_leave_the_window_and_come_back():
    """On (x² + y²) / 2 a point becomes (1 − rate) times itself: at rate 1.5 it leaves at (−0.5, −0.5)."""
    window = ((-0.1, 1.1), (-0.1, 1.1))
    bowl = Surface(lambda x: (x**2).sum() / 2, (1.0, 1.0), window, goal=1e-3, floor=0.0, noise=0.0)
    path = run(bowl, "sgd", lambda rate: first_order(sgd(rate)), np.array([0.1, 1.5, 2.5]), STEPS, 0)
    assert (path.learning_rate, path.steps) == (1.5, 5)  # 4⁻⁵ < 0.001 < 4⁻⁴
    np.testing.assert_allclose(path.points[:, 0], (-0.5) ** np.arange(STEPS + 1))


@pytest.mark.parametrize("steps", [5, STEPS])  # 5: it is still finite
def test_a_path_that_diverges_is_worse_than_a_slow_one(steps: int):
    """At 0.05 the long valley's y becomes −4 times itself at every step."""
    make = lambda rate: first_order(sgd(rate))  # noqa: E731
    assert run(long_valley(), "sgd", make, np.array([1e-6, 0.05]), steps, 0).learning_rate == 1e-6


def beale_slope(x: float, y: float) -> np.ndarray:
    """By hand, of (1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)²."""
    a, b, c = 1.5 - x + x * y, 2.25 - x + x * y**2, 2.625 - x + x * y**3
    along_x = 2 * (a * (y - 1) + b * (y**2 - 1) + c * (y**3 - 1))
    return np.array([along_x, 2 * x * (a + 2 * b * y + 3 * c * y**2)])


def steps_over_beale(rate: float, rho: float) -> int | None:
    """v ← ρv + g, x ← x − rate v: after how many of 300 steps the value stays at 0.001; None: it does not."""
    point, velocity, last_above = np.array([1.0, 1.5]), np.zeros(2), 0
    for t in range(1, 301):
        velocity = rho * velocity + beale_slope(*point)
        point = point - rate * velocity
        x, y = point
        value = (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2
        if not value < 1e12:
            return None
        if value > 1e-3:
            last_above = t
    return last_above + 1 if last_above < 300 else None


@pytest.mark.parametrize(("name", "rho", "expected"), [("sgd", 0.0, 183), ("momentum", 0.9, 96)])
def test_the_default_race_against_plain_loops(name: str, rho: float, expected: int, tmp_path):
    """The first of all rates to arrive, wherever its path went; momentum's leaves the picture and comes back."""
    steps = {rate: steps_over_beale(rate, rho) for rate in np.logspace(-5, 1, 49)}
    arrived = {rate: count for rate, count in steps.items() if count is not None}
    racer, place = entrant(name, tmp_path, 300), surface("beale", tmp_path)
    path = run(place, racer.label, racer.make, racer.rates, 300, 0)
    assert path.steps == min(arrived.values()) == expected
    assert arrived[path.learning_rate] == path.steps
    if name == "momentum":
        low, high = np.array(place.window).T
        inside = ((path.points >= low) & (path.points <= high)).all(1)
        assert inside[0] and not inside.all() and inside[-1]


def test_momentum_at_a_rate_between_those_tried(tmp_path):
    racer = entrant("{name: momentum, learning_rate: 0.003}", tmp_path, 300)
    path = run(surface("beale", tmp_path), racer.label, racer.make, racer.rates, 300, 0)
    assert path.steps == steps_over_beale(0.003, 0.9) == 108


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


def test_what_compares_gradients_does_not_race_where_they_are_rounded(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="rounds them to bfloat16"):
        entrant("lbfgs", tmp_path, STEPS, rounded=True)
    assert entrant("{name: lbfgs, allow_noise: true}", tmp_path, STEPS, rounded=True).rates is None
    assert entrant("adam", tmp_path, STEPS, rounded=True).rates is RATES
