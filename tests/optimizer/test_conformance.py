"""What every optimizer keeps to.  Fed by the folder: a new optimizer is tested the moment its file exists."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import Array, lax

from nnrun import catalog
from nnrun.catalog import bound
from nnrun.optimizer._first_order import first_order
from nnrun.optimizer.adam import adam
from nnrun.optimizer.momentum import momentum
from nnrun.types import Method, Objective, Tree

pytestmark = pytest.mark.usefixtures("float64", "quick_compilation")

NAMES = catalog.names("optimizer")
STEPS = 6
RATES = np.logspace(-4, 1, 21)


def tree(seed: int) -> Tree:
    """Parameters or gradients with every kind of node: nested and empty dicts, a tuple, a list, a scalar."""
    rng = np.random.default_rng(seed)
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape))  # noqa: E731
    return {
        "hidden": {"kernel": draw(3, 4), "bias": draw(4)},
        "nothing": {},
        "scalar": draw(),
        "pair": (draw(2), [draw(1, 2, 2)]),
    }


with jax.enable_x64(True):
    PARAMS = tree(0)
    GRADIENTS = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(tree(1 + i) for i in range(STEPS)))


def at(stacked: Tree, i: int) -> Tree:
    return jax.tree.map(lambda a: jnp.asarray(np.asarray(a)[i]), stacked)


def close(found: Tree, wanted: Tree, tolerance: float = 1e-12) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), found, wanted)


def kinds(found: Tree) -> Tree:
    """Shape, dtype and weakness of each leaf: what a carry of scan must keep."""
    return jax.tree.map(lambda a: (a.shape, a.dtype, jax.typeof(a).weak_type), found)


def scanned(transform, params, gradients):
    """Parameters after the gradients one after the other, the updates, and the state."""

    def step(carry, gradient):
        params, state = carry
        update, state = transform.update(gradient, state, params)
        return (optax.apply_updates(params, update), state), update

    (params, state), updates = lax.scan(step, (params, transform.init(params)), gradients)
    return params, updates, state


def least_squares(residuals: Callable[[Tree], Array]) -> Objective:
    """The objective ½ Σ r², r (n,) the residuals."""

    def value_of(r):
        return jnp.square(r).sum() / 2

    def whole(params):
        r = residuals(params)
        return value_of(r), {"worst": jnp.abs(r).max()}

    gradient = jax.value_and_grad(whole, has_aux=True)
    return Objective(whole, gradient, residuals, value_of, lambda params: jnp.zeros(()))


def bent(params: Tree) -> Array:
    """Residuals of a smooth, convex, not quadratic objective on any tree."""
    x = jnp.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(params)])
    return x + 0.1 * x**3 + 0.3 * jnp.roll(x, 1) - 1


def wrapped(name: str) -> list[str]:
    """The options that hold another optimizer."""
    return [option for option, kind in catalog.entries("optimizer", name).items() if kind == "optimizer"]


@pytest.fixture(params=NAMES)
def name(request) -> str:
    return request.param


@pytest.fixture
def build(make, name) -> Callable[..., optax.GradientTransformation | Method]:
    """build(inner=..., **options): the optimizer; `inner` is the one that a wrapper wraps."""

    def made(inner: Any = None, **options: Any) -> optax.GradientTransformation | Method:
        if not wrapped(name):
            return make("optimizer", name, **options)
        inner = adam() if inner is None else inner
        return catalog.find("optimizer", name)(**dict.fromkeys(wrapped(name), inner), **options)

    return made


@pytest.fixture
def transform(build, name) -> optax.GradientTransformation:
    made = build()
    if isinstance(made, Method):
        pytest.skip(f"{name} takes its own gradients, so there is no transform to look at")
    return made


@pytest.fixture
def method(build, name) -> Method:
    made = build()
    if not isinstance(made, Method):
        pytest.skip(f"{name} is a transform, which other tests look at")
    return made


@pytest.fixture
def knobs(name) -> dict[str, float]:
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


def test_traced_options_are_the_static_ones(build, transform, knobs):
    traced = jax.jit(lambda k: scanned(build(**k), PARAMS, GRADIENTS))
    close(traced(knobs), jax.jit(lambda: scanned(transform, PARAMS, GRADIENTS))())


def test_a_population_of_options_is_one_program(build, knobs, transform):
    del transform
    spread = {key: jnp.asarray(value) * jnp.array([1, 0.9, 0.5]) for key, value in knobs.items()}
    run = lambda k: scanned(build(**k), PARAMS, GRADIENTS)[0]  # noqa: E731
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


def test_the_first_step_goes_down_and_rate_0_stands_still(build, transform, knobs):
    gradient = at(GRADIENTS, 0)
    update, _ = jax.jit(lambda: transform.update(gradient, transform.init(PARAMS), PARAMS))()
    pairs = zip(jax.tree.leaves(update), jax.tree.leaves(gradient), strict=True)
    assert sum(np.vdot(u, g) for u, g in pairs) < 0
    if "learning_rate" in knobs:
        still = build(learning_rate=0.0)
        _, updates, _ = jax.jit(lambda: scanned(still, PARAMS, GRADIENTS))()
        assert not any(np.any(u) for u in jax.tree.leaves(updates))


def loop(method: Method, params: Tree, steps: int) -> tuple[Tree, Tree, Array]:
    """Parameters and memory after some steps on `bent`, and the values on the way."""
    objective = least_squares(bent)

    def step(carry, _):
        params, memory, evaluation = method.step(objective, *carry)
        return (params, memory), evaluation.value

    (params, memory), values = lax.scan(step, (params, method.init(objective, params)), length=steps)
    return params, memory, values


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_method_keeps_structure_shape_and_dtype(method, precision):
    params = jax.tree.map(lambda a: a.astype(precision), PARAMS)
    objective = least_squares(bent)
    memory = method.init(objective, params)
    new, new_memory, evaluation = jax.eval_shape(lambda p, m: method.step(objective, p, m), params, memory)
    assert kinds((new, new_memory)) == kinds((params, memory))
    assert kinds(evaluation.gradient) == kinds(params)
    assert (evaluation.value.shape, evaluation.value.dtype) == ((), precision)


def test_a_method_goes_down_and_reports_an_evaluation_at_an_end_of_its_step(method):
    objective = least_squares(bent)
    step = jax.jit(lambda params: method.step(objective, params, method.init(objective, params)))
    params, _, found = step(PARAMS)
    assert objective(params)[0] < objective(PARAMS)[0]
    end = (
        params
        if abs(objective(params)[0] - found.value) < abs(objective(PARAMS)[0] - found.value)
        else PARAMS
    )
    (value, aux), gradient = objective.gradient(end)
    close(tuple(found), (value, aux, gradient))


def test_a_method_compiles_once_and_jit_is_eager_is_scan(method):
    objective, traces = least_squares(bent), 0

    @jax.jit
    def step(params, memory):
        nonlocal traces
        traces += 1
        return method.step(objective, params, memory)

    params, memory = PARAMS, method.init(objective, PARAMS)
    eager, _, _ = method.step(objective, params, memory)
    for i in range(3):
        params, memory, _ = step(params, memory)
        if i == 0:
            close(params, eager, 1e-9)
    assert traces == 1
    close(jax.jit(lambda: loop(method, PARAMS, 3))()[:2], (params, memory), 1e-9)


def test_lanes_of_a_method_are_each_alone(method):
    spread = lambda a: jnp.asarray(np.stack([a, -2 * np.asarray(a), np.asarray(a) + 1]))  # noqa: E731
    many = jax.tree.map(spread, PARAMS)
    run = lambda params: loop(method, params, 4)  # noqa: E731
    together, alone = jax.jit(jax.vmap(run))(many), jax.jit(run)
    for i in range(3):
        close(at(together, i), alone(at(many, i)), 1e-9)


def test_traced_options_of_a_method_are_the_static_ones(build, method, knobs):
    traced = jax.jit(lambda k: loop(build(**k), PARAMS, 3))
    close(traced(knobs), jax.jit(lambda: loop(method, PARAMS, 3))(), 1e-9)


def parabola(x):
    return jnp.sqrt(jnp.array([1.0, 10.0])) * (x - jnp.array([3.0, -2.0]))


def matrix_parabola(x):
    return (jnp.array([[3.0, 1.0], [0.0, 1.0]]) @ x - jnp.array([[1.0, 2.0, 3.0], [-1.0, 0.0, 1.0]])).reshape(
        -1
    )


def rosenbrock(x):
    return jnp.sqrt(2) * jnp.array([1.0, 10.0]) * jnp.stack([1 - x[0], x[1] - jnp.square(x[0])])


@pytest.mark.parametrize(("surface", "start", "steps", "factor"), [
    (parabola, np.zeros(2), 400, 1e-6),
    (matrix_parabola, np.zeros((2, 3)), 400, 1e-6),
    (rosenbrock, np.array([-1.2, 1.0]), 2000, 1e-2),
])  # fmt: skip
def test_the_minimum_is_reached(build, name, knobs, surface, start, steps, factor):
    """At the best rate of a grid, falling to 0 (steps of a fixed length need that); without a rate, sooner."""
    objective = least_squares(surface)
    has_rate = "learning_rate" in knobs or bool(wrapped(name))
    steps = steps if has_rate else steps // 20

    def rated(rate):
        options = {"learning_rate": rate} if "learning_rate" in knobs else {}
        made = build(momentum(rate), **options)
        return made if isinstance(made, Method) else first_order(made)

    def final(rate):
        def step(carry, t):
            params, memory, _ = rated(rate * (1 - t / steps)).step(objective, *carry)
            return (params, memory), None

        x = jnp.asarray(start)
        (x, _), _ = lax.scan(step, (x, rated(rate).init(objective, x)), jnp.arange(steps, dtype=float))
        return objective(x)[0]

    values = jax.jit(jax.vmap(final))(jnp.asarray(RATES if has_rate else RATES[:1]))
    assert jnp.nanmin(values) < factor * objective(jnp.asarray(start))[0]


def test_docstring_says_what_it_is_and_names_every_option(name):
    text = inspect.getdoc(catalog.find("optimizer", name)) or ""
    assert 0 < len(catalog.summary("optimizer", name)) <= 90
    for line in ("Source", "State", "(Lecture|Use)"):
        assert re.search(rf"^{line}: \S", text, re.MULTILINE), f"{name}: the docstring has no line {line}:"
    missing = [opt for opt in catalog.parameters("optimizer", name) if not re.search(rf"\b{opt}\b", text)]
    assert not missing, f"{name}: the docstring says nothing about {missing}"


@pytest.mark.parametrize(("shape", "which"), [((300, 400), 0), ((120_000,), -1)])
def test_docstring_knows_the_size_of_the_state(build, name, shape, which):
    """In bytes for each float32 parameter; where there are two numbers, the first is that of matrices."""
    line = next(
        line for line in inspect.getdoc(catalog.find("optimizer", name)).splitlines() if "State: " in line
    )
    stated = [int(number) for number in re.findall(r"(\d+) bytes a parameter", line)]
    inner = 8 if wrapped(name) and "that of inner" in line else 0  # Adam's
    made = build(adam())
    if isinstance(made, Method) and not stated and not inner:
        pytest.skip(f"the state of {name} is not in proportion to the parameters: {line.strip()}")
    params = {"kernel": jax.ShapeDtypeStruct(shape, jnp.float32)}
    init = made.init if not isinstance(made, Method) else lambda p: made.init(least_squares(bent), p)
    state = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(jax.eval_shape(init, params)))
    assert state / 120_000 == pytest.approx((stated[which] if stated else 0) + inner, abs=0.01)
