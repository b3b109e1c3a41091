"""What every optimizer keeps to.  Fed by the folder: a new optimizer is tested the moment its file exists."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple, get_type_hints

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

pytestmark = pytest.mark.usefixtures("float64")

STEPS = 6
RATES = np.logspace(-4, 1, 21)
NAMES = catalog.names("optimizer")
METHODS = [n for n in NAMES if get_type_hints(catalog.find("optimizer", n))["return"] is Method]
TRANSFORMS = [n for n in NAMES if n not in METHODS]


def tree(seed: int) -> Tree:
    """Parameters or gradients with every kind of node: nested and empty dicts, a tuple, a list, a scalar."""
    rng = np.random.default_rng(seed)
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape))  # noqa: E731
    return {"hidden": {"kernel": draw(3, 4)}, "nothing": {}, "pair": (draw(), [draw(2)])}


with jax.enable_x64(True):
    PARAMS = tree(0)
    GRADIENTS = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(tree(1 + i) for i in range(STEPS)))


def at(stacked: Tree, i: int) -> Tree:
    return jax.tree.map(lambda a: jnp.asarray(np.asarray(a)[i]), stacked)


def cast(found: Tree, dtype: Any) -> Tree:
    return jax.tree.map(lambda a: a.astype(dtype), found)


def close(found: Tree, wanted: Tree, tolerance: float = 1e-12) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), found, wanted)


def kinds(found: Tree) -> Tree:
    """Shape, dtype and weakness of each leaf: what a carry of scan must keep."""
    return jax.tree.map(lambda a: (a.shape, a.dtype, jax.typeof(a).weak_type), found)


def scanned(transform, params, gradients):
    """Parameters after the gradients one after the other, and the state."""

    def step(carry, gradient):
        params, state = carry
        update, state = transform.update(gradient, state, params)
        return (optax.apply_updates(params, update), state), None

    return lax.scan(step, (params, transform.init(params)), gradients)[0]


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
    """Residuals of a smooth, not quadratic objective on any tree."""
    x = jnp.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(params)])
    return x + 0.1 * x**3 + 0.3 * jnp.roll(x, 1) - 1


BENT = least_squares(bent)


def followed(method: Method, params: Tree) -> tuple[Tree, Tree]:
    """Parameters and memory after a few steps on `bent`."""

    def step(carry, _):
        params, memory, _ = method.step(BENT, *carry)
        return (params, memory), None

    return lax.scan(step, (params, method.init(BENT, params)), length=3)[0]


class Subject(NamedTuple):
    """An optimizer and its programs, compiled once for all tests that need them."""

    name: str
    build: Callable[..., Any]  # (inner=..., **options); inner: what a wrapper wraps
    made: Any  # with the options' defaults
    knobs: dict[str, float]  # the float options and their defaults
    traces: list[None]  # one for each time that `step` was traced
    step: Callable[..., Any]  # one step of `made`
    run: Callable[..., Any]  # (knobs, *arguments): several steps, with traced options
    lanes: Callable[..., Any]  # the same with an axis in front of everything


def subject(make: Callable[..., Any], name: str) -> Subject:
    wrapped = [option for option, kind in catalog.entries("optimizer", name).items() if kind == "optimizer"]

    def build(inner: Any = None, **options: Any) -> Any:
        if not wrapped:
            return make("optimizer", name, **options)
        inner = adam() if inner is None else inner
        return catalog.find("optimizer", name)(**dict.fromkeys(wrapped, inner), **options)

    made, traces = build(), []
    function, several = (made.step, followed) if isinstance(made, Method) else (made.update, scanned)

    def step(*args: Any) -> Any:
        traces.append(None)
        return function(*args)

    def run(knobs: dict[str, Any], *args: Any) -> Any:
        return several(build(**knobs), *args)

    fixed = {"static_argnums": 0} if isinstance(made, Method) else {}
    lanes = jax.jit(jax.vmap(run))
    return Subject(name, build, made, knobs_of(name), traces, jax.jit(step, **fixed), jax.jit(run), lanes)


def knobs_of(name: str) -> dict[str, float]:
    function = catalog.find("optimizer", name)
    options = inspect.signature(function).parameters.values()
    given = {option.name: option.default for option in options if option.default is not option.empty}
    return bound.knobs(bound.Bound("optimizer", name, function, given, {}))


@pytest.fixture(scope="module", params=TRANSFORMS)
def transform(request, make) -> Subject:
    return subject(make, request.param)


@pytest.fixture(scope="module", params=METHODS)
def method(request, make) -> Subject:
    return subject(make, request.param)


@pytest.fixture(params=NAMES)
def optimizer(request, make) -> Subject:
    return subject(make, request.param)


def test_state_and_updates_keep_structure_shape_and_dtype(transform):
    state = transform.made.init(PARAMS)
    update, new = transform.step(at(GRADIENTS, 0), state, PARAMS)
    assert kinds(update) == kinds(PARAMS)
    assert kinds(new) == kinds(state)


def test_a_tree_without_arrays_is_a_tree(transform):
    for empty in ({}, {"flatten": {}}, ()):
        state = transform.made.init(empty)
        update, new = transform.made.update(empty, state, empty)
        assert update == empty
        assert jax.tree.structure(new) == jax.tree.structure(state)


def test_compiles_once_and_scan_with_traced_options_is_the_loop_is_eager(transform):
    params, state = PARAMS, transform.made.init(PARAMS)
    eager, _ = transform.made.update(at(GRADIENTS, 0), state, params)
    traced = []
    for i in range(STEPS):
        update, state = transform.step(at(GRADIENTS, i), state, params)
        params = optax.apply_updates(params, update)
        traced.append(len(transform.traces))
        if i == 0:
            close(update, eager)
    assert traced[0] == traced[-1]
    close(transform.run(transform.knobs, PARAMS, GRADIENTS), (params, state))


def test_lanes_of_parameters_gradients_and_options_are_each_alone(transform):
    spread = lambda a: jnp.asarray(np.stack([a, -2 * np.asarray(a), np.asarray(a) + 1]))  # noqa: E731
    knobs = {key: jnp.asarray(value) * jnp.array([1, 0.9, 0.5]) for key, value in transform.knobs.items()}
    many = (knobs, *jax.tree.map(spread, (PARAMS, GRADIENTS)))
    together = transform.lanes(*many)
    for i in range(3):
        close(at(together, i), transform.run(*at(many, i)))


def test_inside_a_chain_and_with_arguments_that_it_does_not_know(transform):
    chain = optax.chain(optax.scale(2.0), transform.made, optax.scale(-0.5))
    state = chain.init(PARAMS)
    found, _ = chain.update(at(GRADIENTS, 0), state, PARAMS, value=jnp.ones(()), unheard_of=None)
    doubled = jax.tree.map(lambda g: 2 * g, at(GRADIENTS, 0))
    wanted, _ = transform.step(doubled, transform.made.init(PARAMS), PARAMS)
    close(found, jax.tree.map(lambda u: -0.5 * u, wanted))


def test_bfloat16_parameters_have_a_float32_memory_and_are_rounded_once(transform):
    half = cast((PARAMS, GRADIENTS), jnp.bfloat16)
    single = cast(half, jnp.float32)
    state, wide = transform.made.init(half[0]), transform.made.init(single[0])
    for i in range(3):
        update, state = transform.step(at(half[1], i), state, half[0])
        wanted, wide = transform.step(at(single[1], i), wide, single[0])
        jax.tree.map(lambda u, w: np.testing.assert_array_equal(u, w.astype(jnp.bfloat16)), update, wanted)
    floats = [leaf.dtype for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    assert set(floats) <= {jnp.dtype("float32")}


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-20, 1e-8, 1e8, 1e15])
def test_updates_are_finite_at_gradients_of_every_size(transform, size):
    params, gradients = cast((PARAMS, GRADIENTS), jnp.float32)
    state = transform.made.init(params)
    for i in range(STEPS):
        gradient = jax.tree.map(lambda g: jnp.float32(size) * g, at(gradients, i))
        update, state = transform.step(gradient, state, params)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((update, state)))


def test_the_first_step_goes_down_and_rate_0_stands_still(transform):
    gradient, state = at(GRADIENTS, 0), transform.made.init(PARAMS)
    update, _ = transform.step(gradient, state, PARAMS)
    pairs = zip(jax.tree.leaves(update), jax.tree.leaves(gradient), strict=True)
    assert sum(np.vdot(u, g) for u, g in pairs) < 0
    if "learning_rate" in transform.knobs:
        update, _ = transform.build(learning_rate=0.0).update(gradient, state, PARAMS)
        assert not any(np.any(u) for u in jax.tree.leaves(update))


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_method_keeps_structure_shape_and_dtype(method, precision):
    params = cast(PARAMS, precision)
    memory = method.made.init(BENT, params)
    new, new_memory, evaluation = jax.eval_shape(lambda *a: method.made.step(BENT, *a), params, memory)
    assert kinds((new, new_memory)) == kinds((params, memory))
    assert kinds(evaluation.gradient) == kinds(params)
    assert (evaluation.value.shape, evaluation.value.dtype) == ((), precision)


def test_a_method_goes_down_and_reports_an_evaluation_at_an_end_of_its_step(method):
    params, _, found = method.step(BENT, PARAMS, method.made.init(BENT, PARAMS))
    ends = [BENT.gradient(end) for end in (PARAMS, params)]
    values = [value for (value, _), _ in ends]
    assert values[1] < values[0]
    (value, aux), gradient = ends[np.argmin([abs(value - found.value) for value in values])]
    close(tuple(found), (value, aux, gradient))


@pytest.mark.quick("lbfgs", "newton")
def test_a_method_compiles_once_and_scan_with_traced_options_is_the_loop_is_eager(method):
    params, memory = PARAMS, method.made.init(BENT, PARAMS)
    eager, _, _ = method.made.step(BENT, params, memory)
    traced = []
    for i in range(3):
        params, memory, _ = method.step(BENT, params, memory)
        traced.append(len(method.traces))
        if i == 0:
            close(params, eager, 1e-9)
    assert traced[0] == traced[-1]
    close(method.run(method.knobs, PARAMS), (params, memory), 1e-9)


def test_lanes_of_a_method_are_each_alone(method):
    spread = lambda a: jnp.asarray(np.stack([a, -2 * np.asarray(a), np.asarray(a) + 1]))  # noqa: E731
    knobs = {key: jnp.asarray(value) * jnp.array([1, 0.9, 0.5]) for key, value in method.knobs.items()}
    many = (knobs, jax.tree.map(spread, PARAMS))
    together = method.lanes(*many)
    for i in range(3):
        close(at(together, i), method.run(*at(many, i)), 1e-9)


def parabolas(x):
    """Of a vector and of a matrix."""
    of_vector = jnp.sqrt(jnp.array([1.0, 10.0])) * (x["bias"] - jnp.array([3.0, -2.0]))
    target = jnp.array([[1.0, 2.0, 3.0], [-1.0, 0.0, 1.0]])
    of_matrix = jnp.array([[3.0, 1.0], [0.0, 1.0]]) @ x["kernel"] - target
    return jnp.concatenate([of_vector, of_matrix.reshape(-1)])


def rosenbrock(x):
    return jnp.sqrt(2) * jnp.array([1.0, 10.0]) * jnp.stack([1 - x[0], x[1] - jnp.square(x[0])])


@pytest.mark.parametrize(("residuals", "start", "steps", "factor"), [
    (parabolas, {"kernel": np.zeros((2, 3)), "bias": np.zeros(2)}, 400, 1e-5),
    (rosenbrock, np.array([-1.2, 1.0]), 2000, 1e-2),
], ids=["parabolas", "rosenbrock"])  # fmt: skip
def test_the_minimum_is_reached(optimizer, residuals, start, steps, factor):
    """At the best rate of a grid, falling to 0 (steps of a fixed length need that); without a rate, sooner."""
    objective = least_squares(residuals)
    wraps = "optimizer" in catalog.entries("optimizer", optimizer.name).values()
    has_rate = "learning_rate" in optimizer.knobs or wraps
    steps = steps if has_rate else steps // 20

    def rated(rate):
        options = {"learning_rate": rate} if "learning_rate" in optimizer.knobs else {}
        made = optimizer.build(momentum(rate), **options)
        return made if isinstance(made, Method) else first_order(made)

    def final(rate):
        def step(carry, t):
            params, memory, _ = rated(rate * (1 - t / steps)).step(objective, *carry)
            return (params, memory), None

        x = jax.tree.map(jnp.asarray, start)
        (x, _), _ = lax.scan(step, (x, rated(rate).init(objective, x)), jnp.arange(steps, dtype=float))
        return objective(x)[0]

    values = jax.jit(jax.vmap(final))(jnp.asarray(RATES if has_rate else RATES[:1]))
    assert jnp.nanmin(values) < factor * objective(start)[0]


@pytest.mark.parametrize("name", NAMES)
def test_docstring_says_what_it_is_and_names_every_option(name):
    text = inspect.getdoc(catalog.find("optimizer", name)) or ""
    assert 0 < len(catalog.summary("optimizer", name)) <= 90
    for line in ("Source", "State", "(Lecture|Use)"):
        assert re.search(rf"^{line}: \S", text, re.MULTILINE), f"{name}: the docstring has no line {line}:"
    missing = [opt for opt in catalog.parameters("optimizer", name) if not re.search(rf"\b{opt}\b", text)]
    assert not missing, f"{name}: the docstring says nothing about {missing}"


@pytest.mark.parametrize(("shape", "which"), [((300, 400), 0), ((120_000,), -1)])
def test_docstring_knows_the_size_of_the_state(optimizer, shape, which):
    """In bytes for each float32 parameter; where there are two numbers, the first is that of matrices."""
    lines = inspect.getdoc(catalog.find("optimizer", optimizer.name)).splitlines()
    line = next((line for line in lines if line.startswith("State: ")), "")
    stated = [int(number) for number in re.findall(r"(\d+) bytes a parameter", line)]
    inner = 8 if "that of inner" in line else 0  # Adam's
    made = optimizer.made
    if isinstance(made, Method) and not stated and not inner:
        return  # in no proportion to the parameters
    init = made.init if not isinstance(made, Method) else lambda params: made.init(BENT, params)
    state = jax.eval_shape(init, {"kernel": jax.ShapeDtypeStruct(shape, jnp.float32)})
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    assert size / 120_000 == pytest.approx((stated[which] if stated else 0) + inner, abs=0.01)
