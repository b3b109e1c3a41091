"""What every augmentation keeps to.  Fed by the folder."""

from __future__ import annotations

import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun import catalog
from nnrun.catalog import bound
from nnrun.catalog.bound import Bound
from nnrun.types import Batch

pytestmark = pytest.mark.usefixtures("float64")

EXAMPLES, PADDING = 9, 3
SHAPE = (EXAMPLES, 9, 10, 3)


@pytest.fixture(scope="module", params=catalog.names("augment"))
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def augment(make, name):
    """Compiled once for all tests."""
    return jax.jit(make("augment", name))


def batch(seed: int = 0, dtype: str = "float64", padding: int = 0) -> Batch:
    """Images of noise; rows of padding hold no numbers."""
    rng = np.random.default_rng(seed)
    x, weight = rng.normal(size=SHAPE), np.ones(EXAMPLES)
    x[EXAMPLES - padding :], weight[EXAMPLES - padding :] = np.nan, 0
    y = jnp.asarray(rng.integers(0, 4, EXAMPLES), jnp.int32)
    return Batch(jnp.asarray(x, dtype), y, jnp.asarray(weight, dtype))


def floats(name: str) -> dict[str, float]:
    """The float options of an entry with their defaults."""
    function = catalog.find("augment", name)
    defaults = {key: one.default for key, one in inspect.signature(function).parameters.items()}
    return bound.knobs(Bound("augment", name, function, defaults, {}))


def same(found: Batch, wanted: Batch) -> None:
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_keeps_shapes_dtypes_labels_and_weights(augment, dtype):
    given = batch(dtype=dtype)
    found = augment(jax.random.key(1), given)
    same(found._replace(x=given.x, other=None, share=None), given)
    assert (found.x.shape, found.x.dtype) == (given.x.shape, given.x.dtype)
    if found.other is not None:
        assert (found.other.shape, found.other.dtype) == (given.y.shape, given.y.dtype)
        assert (found.share.shape, found.share.dtype) == (given.y.shape, given.x.dtype)


def test_it_depends_on_the_key_alone(augment):
    given = batch()
    results = [np.asarray(augment(jax.random.key(seed), given).x) for seed in (1, 1, 2, 3, 4)]
    np.testing.assert_array_equal(results[0], results[1])
    assert any(not np.array_equal(results[0], one) for one in results[2:])
    assert all(np.isfinite(one).all() for one in results)


def test_padding_changes_nothing(augment):
    """The first rows of a padded batch become what they become in the short batch, whatever the padding holds."""
    padded, real = batch(padding=PADDING), EXAMPLES - PADDING
    short = jax.tree.map(lambda a: a[:real], padded._replace(closing=None))._replace(closing=True)
    for seed in range(3):
        found = augment(jax.random.key(seed), padded)._replace(closing=None)
        wanted = augment(jax.random.key(seed), short)._replace(closing=None)
        assert bool(jnp.isfinite(found.x[:real]).all())
        same(jax.tree.map(lambda a: a[:real], found), wanted)


def test_lanes_are_each_alone(augment):
    keys = jax.random.split(jax.random.key(5), 4)
    given = batch()
    together = jax.vmap(augment, in_axes=(0, None))(keys, given)
    for i in range(4):
        alone = augment(keys[i], given)
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-12, atol=1e-13),
            together._replace(closing=None),
            alone._replace(closing=None),
        )


def test_each_float_option_is_a_knob_and_off_at_0(make, name):
    """Traced it does the same as written, and 0, written or traced, leaves every bit of the inputs."""
    given, key = batch(), jax.random.key(2)
    for option, value in floats(name).items():

        def run(value, option=option):
            return make("augment", name, **{option: value})(key, given)

        written = jax.jit(lambda value=value: run(value))()
        traced = jax.jit(run)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13), traced(value), written
        )
        same(run(0), given)
        nothing = traced(0.0)
        np.testing.assert_array_equal(nothing.x, given.x)
        assert nothing.share is None or bool((nothing.share == 1).all())


def test_what_is_no_image_is_refused_or_served(make, name):
    """mixup alone is for any inputs."""
    flat = batch()._replace(x=batch().x.reshape(EXAMPLES, -1))
    augment = make("augment", name)
    if name == "mixup":
        assert augment(jax.random.key(0), flat).x.shape == flat.x.shape
        return
    with pytest.raises(ValueError, match="this is for images"):
        augment(jax.random.key(0), flat)


def test_docstring_says_what_it_is_and_names_every_option(name):
    text = catalog.find("augment", name).__doc__
    assert 0 < len(catalog.summary("augment", name)) <= 90
    assert "Source: " in text
    missing = [opt for opt in catalog.parameters("augment", name) if not re.search(rf"\b{opt}\b", text)]
    assert not missing, f"{name}: the docstring says nothing about {missing}"
