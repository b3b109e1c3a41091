from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nnrun.loss.binary_cross_entropy import binary_cross_entropy
from nnrun.loss.cross_entropy import cross_entropy

RNG = np.random.default_rng(6)
Z = RNG.normal(size=40) * 4
Y = RNG.integers(0, 2, 40).astype(np.float64)


def value_of(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(binary_cross_entropy().value(jnp.asarray(z)[:, None], jnp.asarray(y)))


def test_values_and_slopes_are_those_of_bce_with_logits(float64):
    p = 1 / (1 + np.exp(-Z))
    np.testing.assert_allclose(value_of(Z, Y), -Y * np.log(p) - (1 - Y) * np.log(1 - p), rtol=1e-9)
    with jax.numpy_dtype_promotion("standard"):
        theirs = optax.losses.sigmoid_binary_cross_entropy(jnp.asarray(Z), jnp.asarray(Y))
    np.testing.assert_allclose(value_of(Z, Y), theirs, rtol=1e-12)
    slopes = jax.grad(lambda z: binary_cross_entropy().value(z[:, None], jnp.asarray(Y)).sum())(
        jnp.asarray(Z)
    )
    np.testing.assert_allclose(slopes, p - Y, rtol=1e-9)


def test_it_is_cross_entropy_of_two_classes(float64):
    both = jnp.stack([jnp.zeros(40), jnp.asarray(Z)], axis=1)
    theirs = cross_entropy().value(both, jnp.asarray(Y, jnp.int32))
    np.testing.assert_allclose(value_of(Z, Y), theirs, rtol=1e-12)


@pytest.mark.parametrize("size", [50.0, 800.0])
def test_what_is_sure_and_wrong_costs_its_log_odds(size):
    np.testing.assert_allclose(value_of(np.array([size, -size]), np.array([0.0, 1.0])), size)
    np.testing.assert_allclose(value_of(np.array([size, -size]), np.array([1.0, 0.0])), 0, atol=1e-20)


def test_targets_between_0_and_1_are_blends_of_both(float64):
    """As mixup has them: share · L(z, 1) + (1 − share) · L(z, 0)."""
    share = RNG.uniform(size=40)
    blend = share * value_of(Z, np.ones(40)) + (1 - share) * value_of(Z, np.zeros(40))
    np.testing.assert_allclose(value_of(Z, share), blend, rtol=1e-12)
