"""What every schedule keeps to.  Fed by the folder."""

from __future__ import annotations

import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun import catalog
from nnrun.catalog import bound
from nnrun.types import Reactive

TOTAL = 40
BEYOND = jnp.arange(3 * TOTAL, dtype=jnp.int32)


@pytest.fixture(params=catalog.names("schedule"))
def name(request) -> str:
    return request.param


@pytest.fixture(params=["float32", "float64"])
def precision(request):
    with jax.enable_x64(request.param == "float64"):
        yield request.param


def course(made):
    """The factor of a schedule as a function of the step; of one that reacts, while it has seen nothing."""
    return (lambda step: made.factor(made.init(), step)) if isinstance(made, Reactive) else made


@pytest.fixture
def factor(make, name, precision):
    del precision
    return course(make("schedule", name))


def test_is_a_factor_over_the_run_and_beyond(factor, precision):
    values = jax.jit(jax.vmap(factor))(BEYOND)
    assert (values.shape, values.dtype) == (BEYOND.shape, precision)
    assert bool(((values >= 0) & (values <= 1)).all())
    assert float(values[:TOTAL].max()) > 0.5  # the learning rate that is written is reached, or nearly


def test_jit_vmap_and_plain_numbers_agree(factor, precision):
    tolerance = 1e-6 if precision == "float32" else 1e-14
    together = jax.vmap(factor)(BEYOND)
    for step in (0, 1, 9, 10, 11, TOTAL - 1, TOTAL, 2 * TOTAL):
        alone = factor(jnp.int32(step))
        assert alone.shape == ()
        np.testing.assert_allclose(alone, together[step], rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(jax.jit(factor)(jnp.int32(step)), alone, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(factor(step), alone, rtol=tolerance, atol=tolerance)


def test_traced_options_are_the_static_ones(make, name, precision):
    function = catalog.find("schedule", name)
    options = inspect.signature(function).parameters.values()
    given = {option.name: option.default for option in options if option.default is not option.empty}
    floats = [key for key in given if bound._is_knob(bound.hints(function)[key], 0.5)]
    knobs = dict.fromkeys(floats, 0.3)
    steps = jnp.arange(TOTAL)
    static = jax.vmap(course(make("schedule", name, **knobs)))(steps)
    traced = jax.jit(lambda k: jax.vmap(course(make("schedule", name, **k)))(steps))(knobs)
    np.testing.assert_allclose(traced, static, rtol=1e-6 if precision == "float32" else 1e-13)


def test_docstring_says_what_it_is_and_names_every_option(name):
    text = catalog.find("schedule", name).__doc__
    assert "Source: " in text
    assert 0 < len(catalog.summary("schedule", name)) <= 90
    missing = [opt for opt in catalog.parameters("schedule", name) if not re.search(rf"\b{opt}\b", text)]
    assert not missing, f"{name}: the docstring says nothing about {missing}"
