"""What every average keeps to.  Fed by the folder."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun import catalog
from nnrun.average.ema import ema
from nnrun.average.polyak import polyak
from nnrun.average.swa import swa

pytestmark = pytest.mark.usefixtures("float64")

STEPS = 40


@pytest.fixture(params=catalog.names("average"))
def name(request) -> str:
    return request.param


@pytest.fixture
def average(make, name):
    return make("average", name)


def path():
    """Parameters after each of 40 steps: a scalar that climbs and a vector that turns, and an empty layer."""
    t = jnp.arange(1, STEPS + 1, dtype=float)
    return {"a": 5 + t / 10, "deep": {"b": jnp.stack([jnp.cos(t), jnp.sin(t)], 1)}, "empty": {}}


def at(tree, i):
    return jax.tree.map(lambda a: a[i], tree)


def course(average, tree=None):
    """The average after each step."""
    tree = path() if tree is None else tree

    def step(memory, pair):
        params, t = pair
        memory = average.update(memory, params, t)
        return memory, average.value(memory, params)

    steps = jnp.arange(1, STEPS + 1, dtype=jnp.int32)
    return jax.jit(lambda: jax.lax.scan(step, average.init(at(tree, 0)), (tree, steps)))()[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_keeps_structure_shape_and_dtype(average, dtype):
    params = jax.tree.map(lambda a: a.astype(dtype), at(path(), 0))
    memory = average.init(params)
    new = average.update(memory, params, jnp.int32(11))
    kinds = lambda tree: jax.tree.map(lambda a: (a.shape, a.dtype), tree)  # noqa: E731
    assert kinds(new) == kinds(memory)
    assert kinds(average.value(new, params)) == kinds(params)


def test_the_average_of_what_stands_still_is_that(average):
    still = jax.tree.map(lambda a: jnp.broadcast_to(a[:1], a.shape), path())
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-13), course(average, still), still)


def test_it_lies_between_the_extremes_and_lags(average):
    climbing, found = path()["a"], course(average)["a"]
    assert bool((found >= climbing[0] - 1e-9).all())
    assert found[-1] < climbing[-1]
    assert bool((jnp.diff(found) > -1e-12).all())


def test_lanes_are_each_alone(average):
    many = jax.tree.map(lambda a: jnp.stack([a, -a, a * 3]), path())
    together = jax.vmap(lambda tree: course(average, tree))(many)
    for i in range(3):
        alone = course(average, at(many, i))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), at(together, i), alone)


def test_docstring_says_what_it_is_and_names_every_option(name):
    text = catalog.find("average", name).__doc__
    assert 0 < len(catalog.summary("average", name)) <= 90
    assert "Source: " in text
    missing = [opt for opt in catalog.parameters("average", name) if not re.search(rf"\b{opt}\b", text)]
    assert not missing, f"{name}: the docstring says nothing about {missing}"


def test_ema_is_the_weighted_mean_of_all_steps():
    """Weights 0.9^(t − i), written out."""
    x = np.asarray(path()["a"])
    weights = 0.9 ** np.arange(STEPS)[::-1]
    np.testing.assert_allclose(course(ema(0.9))["a"][-1], weights @ x / weights.sum(), rtol=1e-13)


def test_ema_is_the_bias_corrected_one_of_optax():
    import optax

    reference = optax.ema(0.97, debias=True)
    state = reference.init(at(path(), 0))
    with jax.numpy_dtype_promotion("standard"):
        for i in range(STEPS):
            wanted, state = reference.update(at(path(), i), state)
    found = at(course(ema(0.97)), -1)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), found, wanted)


def test_ema_with_warm_up_begins_with_a_short_memory():
    x, m, w = np.asarray(path()["a"]), 0.0, 0.0
    found = course(ema(0.6, warmup=True))["a"]
    for t in range(1, STEPS + 1):
        d = min(0.6, t / (t + 9))
        m, w = d * m + (1 - d) * x[t - 1], d * w + (1 - d)
        np.testing.assert_allclose(found[t - 1], m / w, rtol=1e-13)


def test_polyak_is_the_mean_from_a_step_on():
    x, found = np.asarray(path()["a"]), course(polyak(30))["a"]
    np.testing.assert_allclose(found[:30], x[:30], rtol=1e-14)
    np.testing.assert_allclose(found[-1], x[30:].mean(), rtol=1e-13)


def test_swa_is_the_mean_of_the_snapshots():
    """After steps 20, 30 and 40; before the first it is the parameters themselves."""
    x, found = np.asarray(path()["a"]), course(swa(10, 10))["a"]
    np.testing.assert_allclose(found[18], x[18], rtol=1e-14)
    np.testing.assert_allclose(found[28], x[19], rtol=1e-14)
    np.testing.assert_allclose(found[39], x[[19, 29, 39]].mean(), rtol=1e-13)
