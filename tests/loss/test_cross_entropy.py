from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nnrun.loss.cross_entropy import cross_entropy

RNG = np.random.default_rng(1)
LOGITS = RNG.normal(size=(20, 5)) * 10
LABELS = jnp.asarray(RNG.integers(0, 5, 20), jnp.int32)


def test_is_that_of_optax_with_its_gradient(float64):
    z = jnp.asarray(LOGITS)
    with jax.numpy_dtype_promotion("standard"):
        reference = optax.softmax_cross_entropy_with_integer_labels
        wanted, slope = reference(z, LABELS), jax.grad(lambda z: reference(z, LABELS).sum())(z)
    loss = cross_entropy()
    np.testing.assert_allclose(loss.value(z, LABELS), wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(jax.grad(lambda z: loss.value(z, LABELS).sum())(z), slope, atol=1e-12)


def test_on_paper(float64):
    """Logits log 1, log 2, log 5 are probabilities 1/8, 2/8, 5/8."""
    z = jnp.log(jnp.array([[1.0, 2.0, 5.0]] * 3))
    value = cross_entropy().value(z, jnp.array([0, 1, 2]))
    np.testing.assert_allclose(value, np.log([8, 4, 8 / 5]), rtol=1e-12)


@pytest.mark.parametrize("smoothing", [0.1, 0.9])
def test_smoothed_labels(float64, smoothing):
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    q = (1 - smoothing) * np.eye(5)[np.asarray(LABELS)] + smoothing / 5
    wanted = -(q * np.log(p)).sum(1)
    np.testing.assert_allclose(
        cross_entropy(smoothing).value(jnp.asarray(LOGITS), LABELS), wanted, rtol=1e-12
    )
    traced = jax.jit(lambda s: cross_entropy(s).value(jnp.asarray(LOGITS), LABELS))(smoothing)
    np.testing.assert_allclose(traced, wanted, rtol=1e-12)


def test_a_smoothing_that_is_traced_as_0_is_none(float64):
    traced = jax.jit(lambda s: cross_entropy(s).value(jnp.asarray(LOGITS), LABELS))(0.0)
    np.testing.assert_allclose(traced, cross_entropy().value(jnp.asarray(LOGITS), LABELS), rtol=1e-14)


def test_huge_logits_give_a_finite_loss():
    z = jnp.array([[1e30, -1e30, 0.0], [3e38, 0.0, -3e38]])
    np.testing.assert_array_equal(cross_entropy().value(z, jnp.array([0, 0])), [0, 0])
    slope = jax.grad(lambda z: cross_entropy().value(z, jnp.array([1, 1])).sum())(z)
    assert jnp.isfinite(slope).all()


def test_a_class_ruled_out_by_a_model_does_no_harm():
    z = jnp.array([[0.0, 0.0, -jnp.inf]])
    np.testing.assert_allclose(cross_entropy().value(z, jnp.array([1])), np.log([2.0]), rtol=1e-6)


def test_accuracy_is_the_share_of_right_labels():
    loss = cross_entropy()
    hits = loss.terms(jnp.asarray(LOGITS, jnp.float32), LABELS)["accuracy"]
    np.testing.assert_array_equal(hits, LOGITS.argmax(1) == np.asarray(LABELS))
    assert loss.metrics({"loss": 1.0, "accuracy": 0.25}) == {"loss": 1.0, "accuracy": 0.25}
    assert (loss.judge, loss.rising, loss.classifies) == ("accuracy", ("accuracy",), True)
