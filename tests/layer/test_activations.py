"""Activations against the formulas of torch's documentation, written in NumPy with their derivatives by hand."""

from __future__ import annotations

from typing import get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun import catalog
from nnrun.layer._activations import Activation, activation_layer
from nnrun.layer.dropconnect import dropconnect
from nnrun.layer.elu import elu
from nnrun.layer.leaky_relu import leaky_relu
from nnrun.layer.mish import mish
from nnrun.layer.relu import relu
from nnrun.layer.sigmoid import sigmoid
from nnrun.layer.silu import silu
from nnrun.layer.softplus import softplus

X = np.concatenate([np.random.default_rng(0).normal(size=200) * 4, [-700.0, -30.0, -1e-9, 0.0, 1e-9, 20.0]])


def logistic(x):
    return 1 / (1 + np.exp(-x))


def soft(x):
    return np.log1p(np.exp(x))


def bent(x):
    """The derivative of mish."""
    t = np.tanh(soft(x))
    return t + x * (1 - t**2) * logistic(x)


# the layer, torch's formula, its derivative in torch
CASES = {
    "sigmoid": (sigmoid(), logistic, lambda x: logistic(x) * (1 - logistic(x))),
    "leaky_relu": (leaky_relu(), lambda x: np.where(x > 0, x, 0.01 * x), lambda x: np.where(x > 0, 1, 0.01)),
    "leaky_relu 0.3": (leaky_relu(0.3), lambda x: np.where(x > 0, x, 0.3 * x), lambda x: np.where(x > 0, 1, 0.3)),
    "elu": (elu(), lambda x: np.where(x > 0, x, np.expm1(x)), lambda x: np.where(x > 0, 1, np.exp(x))),
    "elu 0.5": (
        elu(0.5), lambda x: np.where(x > 0, x, 0.5 * np.expm1(x)), lambda x: np.where(x > 0, 1, 0.5 * np.exp(x))
    ),
    "silu": (silu(), lambda x: x * logistic(x), lambda x: logistic(x) * (1 + x * (1 - logistic(x)))),
    "softplus": (softplus(), soft, logistic),
    "mish": (mish(), lambda x: x * np.tanh(soft(x)), bent),
}  # fmt: skip


def function(layer):
    return lambda x: layer.apply({}, {}, x, None, None)[0]


def at(layer, values, dtype=float):
    """Values, slopes."""
    x = jnp.asarray(values, dtype)
    return function(layer)(x), jax.grad(lambda x: function(layer)(x).sum())(x)


@pytest.mark.parametrize("case", CASES)
def test_values_and_slopes_are_those_of_torch(float64, case):
    layer, value, slope = CASES[case]
    found, slopes = at(layer, X)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(found, value(X), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(slopes, slope(X), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_nothing_overflows_in_float32(case):
    values, slopes = at(CASES[case][0], [-1e38, -200.0, 0.0, 200.0, 1e38], jnp.float32)
    assert jnp.isfinite(values).all()
    assert jnp.isfinite(slopes).all()


def test_on_paper(float64):
    zero = [0.0]
    assert at(sigmoid(), zero)[0] == 0.5
    np.testing.assert_allclose(at(softplus(), zero)[0], np.log(2), rtol=1e-15)
    assert at(silu(), zero)[1] == 0.5
    np.testing.assert_allclose(at(mish(), zero)[1], 0.6, rtol=1e-14)  # tanh(log 2) = 3/5
    assert at(elu(2.0), [-1e3])[0] == -2
    assert at(relu(), [-1e-300])[0] == at(leaky_relu(0.0), [-1e-300])[0] == 0


def test_curvature_at_0(float64):
    """softplus″ = σ(1 − σ) = 1/4; (x t)″ = 2 t′ at 0: silu 2/4, mish 1 − (3/5)² = 0.64."""
    for layer, wanted in ((softplus(), 0.25), (silu(), 0.5), (mish(), 0.64)):
        found = jax.grad(jax.grad(lambda x, layer=layer: function(layer)(x)))(0.0)
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_least_values_are_as_documented(float64):
    for layer, place, least in ((silu(), -1.278, -0.279), (mish(), -1.192, -0.309)):
        x = np.linspace(-10, 10, 200_001)
        y = np.asarray(function(layer)(jnp.asarray(x)))
        assert (round(x[y.argmin()], 3), np.ceil(-y.min() * 1000) / 1000) == (place, -least)


def test_options_may_be_traced(float64):
    for make, option in ((leaky_relu, 0.2), (elu, 0.7)):
        traced = jax.jit(lambda option, make=make: function(make(option))(jnp.asarray(X)))(option)
        np.testing.assert_allclose(traced, function(make(option))(jnp.asarray(X)), rtol=1e-14)


@pytest.mark.parametrize("name", get_args(Activation))
def test_a_name_is_the_layer_of_that_name(name):
    x = jnp.linspace(-3, 3, 13)
    wanted = function(catalog.find("layer", name)())(x)
    np.testing.assert_array_equal(function(activation_layer(name))(x), wanted)
    assert abs(np.asarray(wanted) - np.asarray(x)).max() > 0.01


def test_dropconnect_knows_the_same_names():
    """Its annotation is written out, because the schema reads it from the source text."""
    assert get_args(get_type_hints(dropconnect)["activation"]) == ("none", *get_args(Activation))
