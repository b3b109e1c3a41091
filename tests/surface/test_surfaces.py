"""What every surface keeps to, fed by the folder, and their minima from the literature."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun import catalog

pytestmark = pytest.mark.usefixtures("float64")

MINIMA = {
    "beale": [(3, 0.5)],
    "rosenbrock": [(1, 1)],
    "himmelblau": [(3, 2), (-2.805118, 3.131312), (-3.779310, -3.283186), (3.584428, -1.848127)],
    "long_valley": [(0, 0)],
    "saddle": [(0, 2**0.5), (0, -(2**0.5))],
    "rastrigin": [(0, 0)],
    "noisy_quadratic": [(0, 0)],
}


@pytest.fixture(params=catalog.names("surface"))
def name(request) -> str:
    return request.param


@pytest.fixture
def surface(make, name):
    return make("surface", name)


def test_the_least_value_is_where_the_literature_has_it(surface, name):
    for x in MINIMA[name]:
        at = jnp.asarray(x, float)
        np.testing.assert_allclose(surface.value(at), surface.floor, atol=1e-9)
        np.testing.assert_allclose(jax.grad(surface.value)(at), 0, atol=2e-4)
        assert bool((jnp.linalg.eigvalsh(jax.hessian(surface.value)(at)) > 0).all())
        (left, right), (bottom, top) = surface.window
        assert left < x[0] < right
        assert bottom < x[1] < top


def test_nothing_in_the_window_is_lower(surface):
    (left, right), (bottom, top) = surface.window
    x, y = jnp.meshgrid(jnp.linspace(left, right, 101), jnp.linspace(bottom, top, 101))
    values = jax.vmap(surface.value)(jnp.stack([x.ravel(), y.ravel()], 1))
    assert float(values.min()) >= surface.floor


def test_a_race_has_something_to_do(surface):
    (left, right), (bottom, top) = surface.window
    assert left <= surface.start[0] <= right
    assert bottom <= surface.start[1] <= top
    start = float(surface.value(jnp.asarray(surface.start)))
    assert surface.floor < surface.goal < start
    assert surface.noise >= 0


def test_docstring_says_what_it_is_and_names_every_option(name):
    text = catalog.find("surface", name).__doc__
    assert 0 < len(catalog.summary("surface", name)) <= 90
    assert "Source: " in text
    assert all(re.search(rf"\b{option}\b", text) for option in catalog.parameters("surface", name))
