from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nnrun.loss.cross_entropy import cross_entropy
from nnrun.loss.focal import focal

RNG = np.random.default_rng(4)
Z = RNG.normal(size=(30, 5)) * 3
Y = RNG.integers(0, 5, 30)
LABELS = jnp.asarray(Y, jnp.int32)
GAMMAS = [0.5, 1.0, 2.0, 5.0]


def slopes(loss, z, labels):
    return jax.grad(lambda z: loss.value(z, labels).sum())(z)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_values_and_slopes_on_paper(float64, gamma):
    """∂L/∂z_k = (∂L/∂p) p (1[k = y] − p_k), ∂L/∂p = gamma (1 − p)^(gamma − 1) log p − (1 − p)^gamma / p."""
    all_p = np.exp(Z) / np.exp(Z).sum(1, keepdims=True)
    p = all_p[np.arange(30), Y]
    by_p = gamma * (1 - p) ** (gamma - 1) * np.log(p) - (1 - p) ** gamma / p
    wanted = (by_p * p)[:, None] * (np.eye(5)[Y] - all_p)
    loss = focal(gamma)
    np.testing.assert_allclose(
        loss.value(jnp.asarray(Z), LABELS), -((1 - p) ** gamma) * np.log(p), rtol=1e-11
    )
    np.testing.assert_allclose(slopes(loss, jnp.asarray(Z), LABELS), wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_two_classes_are_the_sigmoid_form_of_optax(float64, gamma):
    z, labels = jnp.asarray(Z[:, :2]), LABELS % 2
    with jax.numpy_dtype_promotion("standard"):
        wanted = optax.losses.sigmoid_focal_loss(z[:, 1] - z[:, 0], labels.astype(float), gamma=gamma)
    np.testing.assert_allclose(focal(gamma).value(z, labels), wanted, rtol=1e-12, atol=1e-12)


def test_gamma_0_is_cross_entropy_written_and_traced(float64):
    z = jnp.asarray(Z)
    wanted = cross_entropy().value(z, LABELS)
    np.testing.assert_array_equal(focal(0.0).value(z, LABELS), wanted)
    traced = jax.jit(lambda gamma: focal(gamma).value(z, LABELS))(0.0)
    np.testing.assert_allclose(traced, wanted, rtol=1e-13)


def test_what_is_right_counts_less(float64):
    z = jnp.asarray(Z)
    p = np.exp(-np.asarray(cross_entropy().value(z, LABELS)))
    share = np.asarray(focal(2.0).value(z, LABELS) / cross_entropy().value(z, LABELS))
    np.testing.assert_allclose(share, (1 - p) ** 2, rtol=1e-10)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_certain_predictions_have_finite_slopes(gamma):
    """1 − p is 0 in float32, where the derivative of its power below 1 would be infinite."""
    z = jnp.array([[200.0, 0.0, -200.0], [1e30, -1e30, 0.0], [0.0, 0.0, -jnp.inf]])
    for label in (0, 1):
        labels = jnp.full(3, label)
        assert jnp.isfinite(focal(gamma).value(z, labels)).all()
        assert jnp.isfinite(slopes(focal(gamma), z, labels)).all()


def test_it_gives_probabilities():
    assert focal().probabilities
    assert focal().judge == "accuracy"
