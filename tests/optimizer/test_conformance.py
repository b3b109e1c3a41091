"""What every optimizer keeps to.  Fed by the folder: a new optimizer is tested the moment its file exists."""

from __future__ import annotations

import inspect
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from nnrun import catalog
from nnrun.catalog import bound
from nnrun.optimizer._first_order import first_order
from nnrun.types import Method

pytestmark = pytest.mark.usefixtures("float64", "quick_compilation")

NAMES = catalog.names("optimizer")
STEPS = 6
RATES = np.logspace(-4, 0, 17)


def tree(seed: int, scale: float = 1.0) -> Any:
    """Parameters or gradients with every kind of node: nested and empty dicts, a tuple, a list, a scalar."""
    rng = np.random.default_rng(seed)
    draw = lambda *shape: jnp.asarray(scale * rng.normal(size=shape))  # noqa: E731
    return {
        "hidden": {"kernel": draw(3, 4), "bias": draw(4)},
        "nothing": {},
        "scalar": draw(),
        "pair": (draw(2), [draw(1, 2, 2)]),
    }


with jax.enable_x64(True):
    PARAMS = tree(0)
    GRADIENTS = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(tree(1 + i) for i in range(STEPS)))


def at(stacked: Any, i: int) -> Any:
    return jax.tree.map(lambda a: jnp.asarray(np.asarray(a)[i]), stacked)


def close(found: Any, wanted: Any, tolerance: float = 1e-12) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), found, wanted)


def kinds(found: Any) -> Any:
    """Shape, dtype and weakness of each leaf: what a carry of scan must keep."""
    return jax.tree.map(lambda a: (a.shape, a.dtype, jax.typeof(a).weak_type), found)


def scanned(transform, params, gradients):
    """Parameters after the gradients one after the other, and the updates."""

    def step(carry, gradient):
        params, state = carry
        update, state = transform.update(gradient, state, params)
        return (optax.apply_updates(params, update), state), update

    (params, state), updates = lax.scan(step, (params, transform.init(params)), gradients)
    return params, updates, state


@pytest.fixture(params=NAMES)
def name(request) -> str:
    return request.param


@pytest.fixture
def transform(make, name) -> optax.GradientTransformation:
    made = make("optimizer", name)
    if isinstance(made, Method):
        pytest.skip(f"{name} takes its own gradients, so there is no transform to look at")
    return made


@pytest.fixture
def knobs(make, name) -> dict[str, float]:
    """The float options and their defaults."""
    function = catalog.find("optimizer", name)
    options = inspect.signature(function).parameters.values()
    given = {option.name: option.default for option in options if option.default is not option.empty}
    return bound.knobs(bound.Bound("optimizer", name, function, given, {}))


def test_state_and_updates_keep_structure_shape_and_dtype(transform):
    state = transform.init(PARAMS)
    update, new = jax.jit(transform.update)(at(GRADIENTS, 0), state, PARAMS)
    assert kinds(update) == kinds(PARAMS)
    assert kinds(new) == kinds(state)


def test_a_tree_without_arrays_is_a_tree(transform):
    for empty in ({}, {"flatten": {}}, ()):
        state = transform.init(empty)
        update, new = transform.update(empty, state, empty)
        assert update == empty
        assert jax.tree.structure(new) == jax.tree.structure(state)


def test_compiles_once(transform):
    traces = 0

    @jax.jit
    def step(gradient, state, params):
        nonlocal traces
        traces += 1
        update, state = transform.update(gradient, state, params)
        return optax.apply_updates(params, update), state

    params, state = PARAMS, transform.init(PARAMS)
    for i in range(STEPS):
        params, state = step(at(GRADIENTS, i), state, params)
    assert traces == 1


def test_scan_is_the_loop_is_jit(transform):
    params, state = PARAMS, transform.init(PARAMS)
    for i in range(3):
        update, state = transform.update(at(GRADIENTS, i), state, params)
        params = optax.apply_updates(params, update)
    found = jax.jit(lambda p, g: scanned(transform, p, g))(PARAMS, jax.tree.map(lambda g: g[:3], GRADIENTS))
    close((found[0], found[2]), (params, state))


def test_lanes_are_each_alone(transform):
    spread = lambda a: jnp.asarray(np.stack([a, -2 * np.asarray(a), np.asarray(a) + 1]))  # noqa: E731
    many = jax.tree.map(spread, (PARAMS, GRADIENTS))
    run = lambda pair: scanned(transform, *pair)  # noqa: E731
    together = jax.jit(jax.vmap(run))(many)
    alone = jax.jit(run)
    for i in range(3):
        close(at(together, i), alone(at(many, i)))


def test_traced_options_are_the_static_ones(make, transform, name, knobs):
    traced = jax.jit(lambda k: scanned(make("optimizer", name, **k), PARAMS, GRADIENTS))
    close(traced(knobs), jax.jit(lambda: scanned(transform, PARAMS, GRADIENTS))())


def test_a_population_of_options_is_one_program(make, name, knobs, transform):
    del transform
    spread = {key: jnp.asarray(value) * jnp.array([1, 0.9, 0.5]) for key, value in knobs.items()}
    run = lambda k: scanned(make("optimizer", name, **k), PARAMS, GRADIENTS)[0]  # noqa: E731
    together, alone = jax.jit(jax.vmap(run))(spread), jax.jit(run)
    for i in range(3):
        close(at(together, i), alone(at(spread, i)))


def test_inside_a_chain_and_with_arguments_that_it_does_not_know(transform):
    chain = optax.chain(optax.scale(2.0), transform, optax.scale(-0.5))
    state = chain.init(PARAMS)
    found, _ = jax.jit(chain.update)(at(GRADIENTS, 0), state, PARAMS, value=jnp.ones(()), unheard_of=None)
    doubled = jax.tree.map(lambda g: 2 * g, at(GRADIENTS, 0))
    wanted, _ = transform.update(doubled, transform.init(PARAMS), PARAMS)
    close(found, jax.tree.map(lambda u: -0.5 * u, wanted))


def test_bfloat16_parameters_have_a_float32_memory_and_are_rounded_once(transform):
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (PARAMS, GRADIENTS))
    single = jax.tree.map(lambda a: a.astype(jnp.float32), half)
    state, wide = transform.init(half[0]), transform.init(single[0])
    step = jax.jit(transform.update)
    for i in range(3):
        update, state = step(at(half[1], i), state, half[0])
        wanted, wide = step(at(single[1], i), wide, single[0])
        jax.tree.map(lambda u, w: np.testing.assert_array_equal(u, w.astype(jnp.bfloat16)), update, wanted)
    floats = [leaf.dtype for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    assert set(floats) <= {jnp.dtype("float32")}


def test_updates_are_finite_at_gradients_of_every_size(transform):
    params, gradients = jax.tree.map(lambda a: a.astype(jnp.float32), (PARAMS, GRADIENTS))
    sizes = jnp.array([0.0, 1e-30, 1e-20, 1e-8, 1e8, 1e15], jnp.float32)
    run = lambda size: scanned(transform, params, jax.tree.map(lambda g: size * g, gradients))[1]  # noqa: E731
    updates = jax.jit(jax.vmap(run))(sizes)
    assert all(np.isfinite(update).all() for update in jax.tree.leaves(updates))


def test_the_first_step_goes_down_and_rate_0_stands_still(make, name, transform, knobs):
    gradient = at(GRADIENTS, 0)
    update, _ = jax.jit(lambda: transform.update(gradient, transform.init(PARAMS), PARAMS))()
    pairs = zip(jax.tree.leaves(update), jax.tree.leaves(gradient), strict=True)
    assert sum(np.vdot(u, g) for u, g in pairs) < 0
    if "learning_rate" in knobs:
        still = make("optimizer", name, learning_rate=0.0)
        _, updates, _ = jax.jit(lambda: scanned(still, PARAMS, GRADIENTS))()
        assert not any(np.any(u) for u in jax.tree.leaves(updates))


def parabola(x):
    return (jnp.array([1.0, 10.0]) * jnp.square(x - jnp.array([3.0, -2.0]))).sum() / 2


def rosenbrock(x):
    return jnp.square(1 - x[0]) + 100 * jnp.square(x[1] - jnp.square(x[0]))


@pytest.mark.parametrize(("surface", "start", "steps", "factor"), [
    (parabola, (0.0, 0.0), 400, 1e-6),
    (rosenbrock, (-1.2, 1.0), 2000, 1e-2),
])  # fmt: skip
def test_the_minimum_is_approached(make, name, knobs, surface, start, steps, factor):
    """At the best learning rate of a grid (1e-4 to 1, four a decade), or as it is where it has none."""

    def final(options):
        made = make("optimizer", name, **options)
        method = made if isinstance(made, Method) else first_order(made)
        objective = lambda x: (surface(x), ())  # noqa: E731

        def step(carry, _):
            params, memory, _ = method.step(objective, *carry)
            return (params, memory), None

        x = jnp.array(start)
        (x, _), _ = lax.scan(step, (x, method.init(objective, x)), length=steps)
        return surface(x)

    grid = {"learning_rate": RATES} if "learning_rate" in knobs else {}
    values = jax.jit(jax.vmap(final, axis_size=len(RATES)))(grid)
    assert jnp.nanmin(values) < factor * surface(jnp.array(start))


def test_docstring_says_what_it_is_and_names_every_option(name):
    text = catalog.find("optimizer", name).__doc__
    assert 0 < len(catalog.summary("optimizer", name)) <= 90
    assert "Source: " in text
    missing = [opt for opt in catalog.parameters("optimizer", name) if not re.search(rf"\b{opt}\b", text)]
    assert not missing, f"{name}: the docstring says nothing about {missing}"
