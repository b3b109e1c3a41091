"""What every penalty keeps to, fed by the folder, and their values by hand."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun import catalog
from nnrun.penalty.l1 import l1
from nnrun.penalty.l2 import l2

pytestmark = pytest.mark.usefixtures("float64")

PARAMS = {
    "hidden": {"kernel": np.array([[1.0, -2.0], [0.0, 3.0]]), "bias": np.array([7.0, 7.0])},
    "norm": {"scale": np.array([9.0]), "bias": np.array([9.0])},
    "flatten": {},
}


@pytest.fixture(params=catalog.names("penalty"))
def name(request) -> str:
    return request.param


def test_it_is_a_number_that_grows_with_the_weights(make, name):
    penalty = make("penalty", name)
    params = jax.tree.map(jnp.asarray, PARAMS)
    value = jax.jit(penalty)(params)
    assert value.shape == ()
    assert penalty(jax.tree.map(lambda a: 2 * a, params)) > value > 0
    assert penalty({}) == 0


def test_the_strength_is_a_knob(make, name):
    params = jax.tree.map(jnp.asarray, PARAMS)
    traced = jax.jit(lambda s: make("penalty", name, strength=s)(params))
    np.testing.assert_allclose(traced(0.7), make("penalty", name, strength=0.7)(params), rtol=1e-14)


def test_docstring_says_what_it_is_and_names_every_option(name):
    text = catalog.find("penalty", name).__doc__
    assert 0 < len(catalog.summary("penalty", name)) <= 90
    assert "Source: " in text
    missing = [opt for opt in catalog.parameters("penalty", name) if not re.search(rf"\b{opt}\b", text)]
    assert not missing


@pytest.mark.parametrize(("penalty", "value", "slope"), [
    (lambda: l2(0.5), 0.25 * 14, 0.5 * PARAMS["hidden"]["kernel"]),
    (lambda: l1(0.5), 0.5 * 6, 0.5 * np.sign(PARAMS["hidden"]["kernel"])),
])  # fmt: skip
def test_value_and_gradient_by_hand(penalty, value, slope):
    penalty = penalty()
    params = jax.tree.map(jnp.asarray, PARAMS)
    np.testing.assert_allclose(penalty(params), value)
    gradient = jax.grad(penalty)(params)
    np.testing.assert_allclose(gradient["hidden"]["kernel"], slope)
    assert not gradient["hidden"]["bias"].any()
    assert not gradient["norm"]["scale"].any()
