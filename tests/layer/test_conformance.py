"""What every layer keeps to.  Fed by the folder: a new layer is tested the moment its file exists."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from nnrun import catalog
from nnrun.types import Layer

pytestmark = pytest.mark.usefixtures("float64")

NAMES = catalog.names("layer")
SHAPES = [
    (7, 6, 3),
    (5,),
    (3,),
]  # images of odd and even sides, vectors; as many as the guessed layers put out
KEY = jax.random.key(3)
LANES = 3


class Case(NamedTuple):
    """A layer on inputs that it accepts, its parameters not at their start."""

    layer: Layer
    x: jax.Array  # (4, *x_shape)
    params: Any
    stats: Any
    y_shape: tuple[int, ...]


def cases(layer: Layer) -> list[Case]:
    """A case for each of SHAPES that the layer accepts."""
    found = []
    for shape in SHAPES:
        try:
            params, stats, y_shape = layer.init(KEY, shape)
        except ValueError:
            continue
        x = np.random.default_rng(7).normal(size=(4, *shape))
        found.append(Case(layer, jnp.asarray(x), *_moved((params, stats)), y_shape))
    assert found, f"the layer accepts none of the shapes {SHAPES}; add one that it accepts"
    return found


def _moved(tree: Any) -> Any:
    """Away from the start, where biases of 0 and variances of 1 hide mistakes; positive, as variances are."""
    rng = np.random.default_rng(8)
    return jax.tree.map(lambda a: jnp.asarray(np.asarray(a) + 0.1 + rng.random(a.shape)), tree)


@pytest.fixture(params=NAMES)
def case(request, make) -> Case:
    return cases(make("layer", request.param))[0]


@pytest.fixture(params=["training", "evaluation"])
def mode(request) -> tuple[Any, Any]:
    """key and weight."""
    return (KEY, jnp.ones(4)) if request.param == "training" else (None, None)


def close(found, wanted, tolerance=1e-12):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), found, wanted)


@pytest.mark.parametrize("name", NAMES)
def test_shapes_are_as_init_says_and_stats_keep_theirs(make, name):
    for case in cases(make("layer", name)):
        for weight in (None, jnp.ones(4)):
            y, stats = jax.eval_shape(case.layer.apply, case.params, case.stats, case.x, KEY, weight)
            assert y.shape == (4, *case.y_shape)
            assert all(type(side) is int for side in case.y_shape)
            assert jax.tree.structure(stats) == jax.tree.structure(case.stats)
            jax.tree.map(lambda a, b: np.testing.assert_equal((a.shape, a.dtype), (b.shape, b.dtype)),
                         stats, case.stats)  # fmt: skip


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_one_dtype_throughout(make, name, precision):
    with jax.enable_x64(precision == "float64"):
        layer = make("layer", name)
        shape = cases(layer)[0].x.shape[1:]

        def run():
            params, stats, _ = layer.init(KEY, shape)
            return params, stats, layer.apply(params, stats, jnp.ones((4, *shape)), KEY, jnp.ones(4))

        assert {leaf.dtype.name for leaf in jax.tree.leaves(jax.eval_shape(run))} == {precision}


@pytest.mark.parametrize("name", NAMES)
def test_in_bfloat16_activations_have_8_bits_and_statistics_24(make, name):
    with jax.enable_x64(False):
        layer = make("layer", name)
        params, stats, _ = layer.init(KEY, cases(layer)[0].x.shape[1:])
        few = jax.tree.map(lambda a: a.astype(jnp.bfloat16), params)
        x = jnp.ones((4, *cases(layer)[0].x.shape[1:]), jnp.bfloat16)
        for mode in ((KEY, jnp.ones(4)), (None, None)):
            y, after = jax.eval_shape(layer.apply, few, stats, x, *mode)
            assert y.dtype == jnp.bfloat16
            assert {leaf.dtype.name for leaf in jax.tree.leaves(after)} <= {"float32"}


def test_without_noise_the_key_does_not_matter_and_stored_statistics_stay(case):
    layer, x, params, stats, _ = case
    y, kept = layer.apply(params, stats, x, None, None)
    again, _ = layer.apply(params, stats, x, None, None)
    np.testing.assert_array_equal(y, again)
    close(kept, stats, 0)
    alone = [layer.apply(params, stats, x[i : i + 1], None, None)[0] for i in range(4)]
    close(jnp.concatenate(alone), y)  # in evaluation no example sees another


def test_jit_is_eager(case, mode):
    eager = case.layer.apply(case.params, case.stats, case.x, *mode)
    close(jax.jit(case.layer.apply)(case.params, case.stats, case.x, *mode), eager)


def test_initial_weights_depend_on_the_key_alone(case):
    shape = case.x.shape[1:]
    first, again = case.layer.init(KEY, shape), case.layer.init(KEY, shape)
    close(first[:2], again[:2], 0)
    close(jax.jit(lambda key: case.layer.init(key, shape)[:2])(KEY), first[:2], 1e-15)


def test_vmap_is_each_alone(case, mode):
    """A population: every lane its own parameters, statistics, data and key."""
    key, weight = mode
    layer, scale = case.layer, 1 + jnp.arange(LANES) / 10
    spread = lambda a: a[None] * scale.reshape(-1, *(1,) * a.ndim)  # noqa: E731
    lanes = jax.tree.map(spread, (case.params, case.stats, case.x))
    keys = None if key is None else jax.random.split(key, LANES)
    axes = (0, 0, 0, None if key is None else 0, None)
    together = jax.jit(jax.vmap(layer.apply, axes))(*lanes, keys, weight)
    for i in range(LANES):
        params, stats, x = jax.tree.map(lambda a, i=i: a[i], lanes)
        alone = layer.apply(params, stats, x, None if keys is None else keys[i], weight)
        close(jax.tree.map(lambda a, i=i: a[i], together), alone)


def test_gradients_are_those_of_finite_differences(case, mode):
    def total(params, x):
        y = case.layer.apply(params, case.stats, x, *mode)[0]
        return (y * jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)).sum()

    check_grads(jax.jit(total), (case.params, case.x), order=1, modes=["rev"], atol=1e-5, rtol=1e-5)


def test_gradients_are_finite_at_extreme_inputs(case):
    def total(params, x):
        return case.layer.apply(params, case.stats, x, KEY, jnp.ones(4))[0].sum()

    slopes = jax.jit(jax.grad(total, argnums=(0, 1)))
    for value in (0.0, 1e4, -1e4):
        gradients = slopes(case.params, jnp.full_like(case.x, value))
        assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradients))


def test_padding_rows_change_nothing_for_the_others(case):
    weight = jnp.array([1.0, 0.0, 1.0, 0.0])
    real = np.flatnonzero(weight)

    @jax.jit
    def run(params, x):
        def total(params, x):
            y, stats = case.layer.apply(params, case.stats, x, KEY, weight)
            own = weight.reshape(-1, *(1,) * (y.ndim - 1))
            return (own * jnp.sin(y)).sum(), (y[real], stats)

        (_, aux), gradients = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)(params, x)
        return aux, gradients[0], gradients[1][real]

    close(run(case.params, case.x.at[1].mul(-50).at[3].add(9)), run(case.params, case.x), 1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_docstring_says_what_it_is_and_names_every_option(name):
    text = catalog.find("layer", name).__doc__
    assert 0 < len(catalog.summary("layer", name)) <= 90
    missing = [opt for opt in catalog.parameters("layer", name) if not re.search(rf"\b{opt}\b", text)]
    assert not missing, f"{name}: the docstring says nothing about {missing}"
