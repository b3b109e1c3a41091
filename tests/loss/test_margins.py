"""hinge and squared_hinge against loops, optax's binary form and the formulas of torch; scores, not probabilities."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nnrun.loss.hinge import hinge
from nnrun.loss.squared_hinge import squared_hinge

RNG = np.random.default_rng(3)
Z = RNG.normal(size=(30, 5)) * 2
Y = RNG.integers(0, 5, 30)
LABELS = jnp.asarray(Y, jnp.int32)
KINDS = [(hinge, 1), (squared_hinge, 2)]


def by_loops(z, y, margin, power):
    """torch's MultiMarginLoss times the number of classes: values, and its derivative as in torch's source."""
    values, slopes = np.zeros(len(z)), np.zeros_like(z)
    for i, scores in enumerate(z):
        for j in range(len(scores)):
            short = margin - scores[y[i]] + scores[j]
            if j != y[i] and short > 0:
                values[i] += short**power
                slope = 1 if power == 1 else 2 * short
                slopes[i, j] += slope
                slopes[i, y[i]] -= slope
    return values, slopes


def with_slopes(loss, z, labels):
    return loss.value(z, labels), jax.grad(lambda z: loss.value(z, labels).sum())(z)


@pytest.mark.parametrize("margin", [1.0, 0.3])
@pytest.mark.parametrize(("make", "power"), KINDS)
def test_values_and_slopes_are_those_of_loops(float64, make, power, margin):
    for found, wanted in zip(
        with_slopes(make(margin), jnp.asarray(Z), LABELS), by_loops(Z, Y, margin, power), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_two_classes_are_the_binary_hinge_of_optax(float64):
    z, labels = jnp.asarray(Z[:, :2]), LABELS % 2
    with jax.numpy_dtype_promotion("standard"):
        wanted = optax.losses.hinge_loss(z[:, 1] - z[:, 0], 2.0 * labels - 1)
    np.testing.assert_allclose(hinge().value(z, labels), wanted, rtol=1e-12)
    np.testing.assert_allclose(squared_hinge().value(z, labels), wanted**2, rtol=1e-12)


def test_the_example_of_the_course(float64):
    """Scores 3.2, 5.1, −1.7 for a cat: 2.9 + 0; 2.2, 2.5, −3.1 for a frog: 6.3 + 6.6."""
    z, labels = jnp.array([[3.2, 5.1, -1.7], [2.2, 2.5, -3.1]]), jnp.array([0, 2])
    np.testing.assert_allclose(hinge().value(z, labels), [2.9, 12.9], rtol=1e-12)
    np.testing.assert_allclose(squared_hinge().value(z, labels), [2.9**2, 6.3**2 + 6.6**2], rtol=1e-12)


@pytest.mark.parametrize(("make", "power"), KINDS)
def test_beyond_the_margin_and_at_the_kink_there_is_no_pull(make, power):
    z = jnp.array([[3.0, 2.0, -9.0], [7.0, 0.0, 0.0]])
    values, slopes = with_slopes(make(), z, jnp.array([0, 0]))
    assert not values.any()
    assert not slopes.any()


@pytest.mark.parametrize(("make", "power"), KINDS)
def test_a_constant_in_all_scores_changes_nothing(float64, make, power):
    z = jnp.asarray(Z)
    np.testing.assert_allclose(make().value(z + 100, LABELS), make().value(z, LABELS), rtol=1e-11)


@pytest.mark.parametrize(("make", "power"), KINDS)
def test_it_is_convex_in_the_scores(float64, make, power):
    a, b = jnp.asarray(Z), jnp.asarray(Z[::-1].copy())
    ends = (make().value(a, LABELS) + make().value(b, LABELS)) / 2
    assert bool((make().value((a + b) / 2, LABELS) <= ends + 1e-12).all())


@pytest.mark.parametrize(("make", "power"), KINDS)
def test_huge_scores_and_ruled_out_classes_have_finite_slopes(make, power):
    z = jnp.array([[1e18, -1e18, 0.0], [-1e18, 1e18, 3.0], [0.0, 1.0, -jnp.inf]])
    values, slopes = with_slopes(make(), z, jnp.array([0, 0, 0]))
    assert jnp.isfinite(values).all()
    assert jnp.isfinite(slopes).all()


@pytest.mark.parametrize(("make", "power"), KINDS)
def test_outputs_are_scores(make, power):
    loss = make()
    assert (loss.probabilities, loss.classifies, loss.judge, loss.bounds["accuracy"]) == (
        False,
        True,
        "accuracy",
        (0, 1),
    )


def test_only_the_square_has_a_curvature(float64):
    """Two classes at a shortfall of 1: the square's second derivatives are ±2."""
    bend = lambda loss: jax.hessian(lambda z: loss.value(z[None], jnp.array([0]))[0])(jnp.zeros(2))  # noqa: E731
    assert not bend(hinge()).any()
    np.testing.assert_array_equal(bend(squared_hinge()), [[2, -2], [-2, 2]])
    assert (hinge().curved, squared_hinge().curved) == (False, True)
