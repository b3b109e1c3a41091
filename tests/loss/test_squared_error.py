from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from nnrun.loss.squared_error import squared_error

RNG = np.random.default_rng(2)
SHIFT, SCALE = 152.0, 77.0
TARGETS = RNG.normal(size=60) * SCALE + SHIFT  # in units
GUESSES = TARGETS + RNG.normal(size=60) * 40


def standard(values):
    return jnp.asarray((values - SHIFT) / SCALE)


def metrics(loss, outputs, targets):
    return loss.metrics({name: float(term.mean()) for name, term in loss.terms(outputs, targets).items()})


def test_metrics_are_those_of_sklearn_in_units_of_the_target(float64):
    found = metrics(squared_error(SCALE), standard(GUESSES)[:, None], standard(TARGETS))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(TARGETS, GUESSES), rel=1e-12)
    assert found["mae"] == pytest.approx(mean_absolute_error(TARGETS, GUESSES), rel=1e-12)
    assert found["r2"] == pytest.approx(r2_score(TARGETS, GUESSES), rel=1e-12)
    assert found["loss"] == pytest.approx(np.mean((GUESSES - TARGETS) ** 2) / 2 / SCALE**2, rel=1e-12)


def test_r2_does_not_depend_on_the_unit(float64):
    one, other = (
        metrics(squared_error(s), standard(GUESSES)[:, None], standard(TARGETS)) for s in (1.0, 9.0)
    )
    assert one["r2"] == other["r2"]
    assert other["mae"] == pytest.approx(9 * one["mae"])


def test_value_and_gradient_on_paper():
    loss = squared_error()
    outputs, targets = jnp.array([[3.0], [-1.0]]), jnp.array([1.0, -1.0])
    np.testing.assert_array_equal(loss.value(outputs, targets), [2.0, 0.0])
    np.testing.assert_array_equal(jax.grad(lambda z: loss.value(z, targets).sum())(outputs), [[2.0], [0.0]])


def test_targets_that_are_all_equal_have_no_r2():
    found = metrics(squared_error(), jnp.ones((3, 1)), jnp.zeros(3))
    assert math.isnan(found["r2"])
    assert found["rmse"] == 1


def test_perfect_and_mean_predictions(float64):
    y = standard(TARGETS)
    assert metrics(squared_error(), y[:, None], y)["r2"] == 1
    mean = jnp.full((60, 1), y.mean())
    assert metrics(squared_error(), mean, y)["r2"] == pytest.approx(0, abs=1e-12)


def test_infinite_error_is_reported_as_such():
    found = squared_error().metrics(
        {"loss": math.inf, "absolute": math.inf, "squared": math.inf, "target": 0.0, "target_squared": 1.0}
    )
    assert found["rmse"] == math.inf
    assert found["r2"] == -math.inf


@pytest.mark.parametrize("value", [0.0, 1.7, -0.31, 1000.0])
def test_r2_of_equal_targets_is_undefined(value):
    """Sums of float32 squares leave a variance of rounding errors: it must not be divided by."""
    targets = jnp.full(80, value, jnp.float32)
    outputs = jnp.full((80, 1), value + 0.1, jnp.float32)
    means = {name: float(term.mean()) for name, term in squared_error().terms(outputs, targets).items()}
    assert math.isnan(squared_error().metrics(means)["r2"])
