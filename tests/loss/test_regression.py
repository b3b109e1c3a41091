"""absolute_error, huber and quantile: values, slopes at kinks, limits, and metrics against scikit-learn."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, r2_score, root_mean_squared_error

from nnrun.loss.absolute_error import absolute_error
from nnrun.loss.huber import huber
from nnrun.loss.quantile import quantile
from nnrun.loss.squared_error import squared_error

RNG = np.random.default_rng(5)
SHIFT, SCALE = 152.0, 77.0
TARGETS = RNG.normal(size=60) * SCALE + SHIFT
GUESSES = TARGETS + RNG.normal(size=60) * 90
E = np.array([-1e3, -2.5, -1.0, -0.3, 0.0, 1e-9, 0.7, 1.0, 40.0])  # errors, with kinks at 0 and ±1
LOSSES = [absolute_error(SCALE), huber(0.7, SCALE), quantile(0.8, SCALE), squared_error(SCALE)]


def standard(values):
    return jnp.asarray((values - SHIFT) / SCALE)


def with_slopes(loss, errors):
    z, y = jnp.asarray(errors)[:, None], jnp.zeros(len(errors))
    return loss.value(z, y), jax.grad(lambda z: loss.value(z, y).sum())(z)[:, 0]


def bend(loss, error):
    return jax.grad(jax.grad(lambda e: loss.value(e[None, None], jnp.zeros(1))[0]))(jnp.asarray(error))


@pytest.mark.parametrize("loss", LOSSES, ids=["absolute", "huber", "quantile", "squared"])
def test_metrics_are_those_of_sklearn_in_units_of_the_target(float64, loss):
    terms = loss.terms(standard(GUESSES)[:, None], standard(TARGETS))
    found = loss.metrics({name: float(term.mean()) for name, term in terms.items()})
    assert found["rmse"] == pytest.approx(root_mean_squared_error(TARGETS, GUESSES), rel=1e-12)
    assert found["mae"] == pytest.approx(mean_absolute_error(TARGETS, GUESSES), rel=1e-12)
    assert found["r2"] == pytest.approx(r2_score(TARGETS, GUESSES), rel=1e-12)
    assert ("pinball" in found) == (loss.judge == "pinball")
    if "pinball" in found:
        assert found["pinball"] == pytest.approx(mean_pinball_loss(TARGETS, GUESSES, alpha=0.8), rel=1e-12)


def test_what_judges():
    assert [loss.judge for loss in LOSSES] == ["mae", "mae", "pinball", "rmse"]
    assert [loss.curved for loss in LOSSES] == [False, True, False, True]
    assert {loss.rising for loss in LOSSES} == {("r2",)}


def test_absolute_error_is_that_of_torch_with_no_slope_at_0(float64):
    values, slopes = with_slopes(absolute_error(), E)
    np.testing.assert_array_equal(values, np.abs(E))
    np.testing.assert_array_equal(slopes, np.sign(E))


@pytest.mark.parametrize("delta", [0.3, 1.0, 2.5])
def test_huber_is_that_of_torch_and_optax(float64, delta):
    size = np.abs(E)
    values, slopes = with_slopes(huber(delta), E)
    np.testing.assert_allclose(
        values, np.where(size <= delta, E**2 / 2, delta * (size - delta / 2)), rtol=1e-12
    )
    np.testing.assert_allclose(slopes, np.clip(E, -delta, delta), rtol=1e-12)
    np.testing.assert_allclose(values, optax.losses.huber_loss(jnp.asarray(E), delta=delta), rtol=1e-12)


def test_huber_becomes_squared_and_absolute(float64):
    np.testing.assert_allclose(with_slopes(huber(1e6), E), with_slopes(squared_error(), E), rtol=1e-12)
    small = 1e-12
    values, slopes = with_slopes(huber(small), E)
    np.testing.assert_allclose(values / small, np.abs(E), atol=1e-12)
    np.testing.assert_allclose(slopes / small, np.sign(E), rtol=1e-12)


def test_curvature_of_huber(float64):
    assert [float(bend(huber(1.0), e)) for e in (-3.0, -0.5, 0.0, 0.5, 3.0)] == [0, 1, 1, 1, 0]


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_quantile_on_paper(float64, q):
    """z − y = 2 costs 2 (1 − q), z − y = −2 costs 2 q; the slope at 0 is between both."""
    values, slopes = with_slopes(quantile(q), np.array([2.0, -2.0, 0.0]))
    np.testing.assert_allclose(values, [2 * (1 - q), 2 * q, 0], rtol=1e-12)
    np.testing.assert_allclose(slopes, [1 - q, -q, 0.5 - q], rtol=1e-12, atol=1e-15)


def test_the_median_is_half_of_the_absolute_error(float64):
    np.testing.assert_allclose(
        with_slopes(quantile(0.5), E), np.asarray(with_slopes(absolute_error(), E)) / 2, rtol=1e-12
    )


@pytest.mark.parametrize("q", [0.1, 0.25, 0.9])
def test_the_constant_that_costs_least_is_the_quantile(float64, q):
    y = np.sort(RNG.normal(size=41))
    cost = [float(quantile(q).value(jnp.full((41, 1), z), jnp.asarray(y)).mean()) for z in y]
    assert y[int(np.argmin(cost))] == np.quantile(y, q, method="inverted_cdf")


@pytest.mark.parametrize(
    "loss", [absolute_error(), huber(), quantile(0.9)], ids=["absolute", "huber", "quantile"]
)
def test_huge_errors_stay_finite_in_float32(loss):
    values, slopes = with_slopes(loss, np.array([-1e38, 0.0, 1e38], np.float32))
    assert jnp.isfinite(values).all()
    assert jnp.isfinite(slopes).all()


def test_options_may_be_traced(float64):
    z, y = jnp.asarray(E)[:, None], jnp.zeros(len(E))
    for make, option in ((huber, 0.4), (quantile, 0.3)):
        traced = jax.jit(lambda option, make=make: make(option).value(z, y))(option)
        np.testing.assert_allclose(traced, make(option).value(z, y), rtol=1e-14)
