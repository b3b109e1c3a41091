"""The form in which we write Nesterov momentum against the look-ahead form of the paper, step by step."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from nnrun.optimizer.nesterov import nesterov
from nnrun.optimizer.sgd import sgd

pytestmark = pytest.mark.usefixtures("float64")

RHO = 0.9
STEPS = 60
A = np.random.default_rng(0).normal(size=(6, 4))
START = np.array([2.0, -1.0, 0.5, 3.0])
CONSTANT = np.full(STEPS, 0.02)
FALLING = 0.02 * (1 - np.arange(STEPS) / STEPS)


def gradient(x: np.ndarray) -> np.ndarray:
    """Of f(x) = Σ log cosh(Ax) + Σ x⁴/20, which is not quadratic."""
    return A.T @ np.tanh(A @ x) + x**3 / 5


def looking_ahead(rates: np.ndarray, rescaled: bool = False) -> np.ndarray:
    """The points at which the look-ahead form takes gradients, (steps + 1, 4).

    rescaled   whether the velocity is scaled with the rate from one step to the next
    """
    theta, w, before, points = START, np.zeros(4), rates[0], []
    for rate in rates:
        points.append(theta + RHO * w)
        step = RHO * w - rate * gradient(theta + RHO * w)
        theta = theta + step
        w = step + (rate / before - 1) * RHO * w if rescaled else step
        before = rate
    return np.stack([*points, theta + RHO * w])


def ours(rates: np.ndarray, make=lambda rate: nesterov(rate, RHO)) -> np.ndarray:
    """Our parameters, (steps + 1, 4)."""
    x = jnp.asarray(START)
    state, path = make(0.0).init(x), [START]
    for rate in rates:
        update, state = make(float(rate)).update(jnp.asarray(gradient(np.asarray(x))), state)
        x = x + update
        path.append(np.asarray(x))
    return np.stack(path)


def test_our_parameters_are_the_points_that_are_looked_at():
    np.testing.assert_allclose(ours(CONSTANT), looking_ahead(CONSTANT), rtol=1e-12, atol=1e-14)


def test_a_changing_rate_scales_the_whole_velocity():
    """The look-ahead form keeps what earlier, larger rates put into the velocity."""
    path = ours(FALLING)
    np.testing.assert_allclose(path, looking_ahead(FALLING, rescaled=True), rtol=1e-12, atol=1e-14)
    difference = np.abs(path - looking_ahead(FALLING)).max(1)
    assert difference[1] == 0
    assert difference.max() > 1e-3


def test_without_momentum_it_is_sgd():
    np.testing.assert_array_equal(ours(FALLING, lambda rate: nesterov(rate, 0.0)), ours(FALLING, sgd))
