"""Newton, Newton-CG, Gauss-Newton and L-BFGS: their parts against matrices, their minima against scipy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from jax import Array, lax
from jax.flatten_util import ravel_pytree
from sklearn.datasets import load_digits

from nnrun.layer.conv import conv
from nnrun.optimizer._flat import flat
from nnrun.optimizer._krylov import conjugate_gradients, gauss_newton_product, hessian_product
from nnrun.optimizer.gauss_newton import gauss_newton
from nnrun.optimizer.lbfgs import Pairs, _with, lbfgs, two_loop
from nnrun.optimizer.newton import newton
from nnrun.optimizer.newton_cg import newton_cg
from nnrun.types import Method, Objective, Tree, ValueAndGradient

pytestmark = pytest.mark.usefixtures("float64")

METHODS = {"newton": newton, "newton_cg": newton_cg, "gauss_newton": gauss_newton, "lbfgs": lbfgs}
ROBUST = ["newton_cg", "gauss_newton", "lbfgs"]  # newton neither searches along its step nor rejects it


class Course(NamedTuple):
    """What is known after each step."""

    params: Tree
    reported: ValueAndGradient
    evaluations: Array

    def until(self, slope: float) -> Course:
        """All up to the first gradient whose largest entry is below `slope`."""
        largest = [np.abs(g).reshape(len(g), -1).max(1) for g in jax.tree.leaves(self.reported.gradient)]
        small = np.max(largest, axis=0) < slope
        assert small.any()
        return jax.tree.map(lambda a: np.asarray(a)[: small.argmax() + 1], self)


def followed(method: Method, objective: Any, params: Tree, steps: int) -> tuple[Tree, Course]:
    """The memory after some steps, and their course."""

    def step(carry, _):
        params, memory, reported = method.step(objective, *carry)
        return (params, memory), Course(params, reported, memory.past.evaluations)

    (_, memory), course = lax.scan(step, (params, method.init(objective, params)), length=steps)
    return memory, course


def run(method: Method, objective: Any, params: Tree, steps: int) -> tuple[Tree, Course]:
    return jax.jit(lambda params: followed(method, objective, params, steps))(params)


def objective_of(
    outputs_of: Callable[[Tree], Array],
    value_of: Callable[[Array], Array],
    penalty_of: Callable[[Tree], Array] = lambda params: jnp.zeros(()),
) -> Objective:
    """Its aux are the parameters at which it was evaluated."""

    def whole(params):
        return value_of(outputs_of(params)) + penalty_of(params), params

    return Objective(whole, jax.value_and_grad(whole, has_aux=True), outputs_of, value_of, penalty_of)


def rosenbrock(x):
    return jnp.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])


ROSENBROCK = objective_of(rosenbrock, lambda r: r @ r)
START = np.array([-1.2, 1.0])


def digits(examples: int, pixels: int, hidden: int, strength: float) -> tuple[Objective, Tree]:
    """Softmax regression on scikit-learn's digits, with a hidden layer or without; and a point to start from."""
    images, labels = load_digits(return_X_y=True)
    x, y = jnp.asarray(images[:examples, :pixels] / 16), jnp.asarray(np.eye(10)[labels[:examples]])
    rng = np.random.default_rng(0)
    layer = lambda a, b: {"w": jnp.asarray(rng.normal(size=(a, b)) / a**0.5), "b": jnp.zeros(b)}  # noqa: E731
    layers = [layer(pixels, hidden), layer(hidden, 10)] if hidden else [layer(pixels, 10)]

    def outputs_of(params):
        z = x
        for i, one in enumerate(params):
            z = (jnp.tanh(z) if i else z) @ one["w"] + one["b"][None]
        return z

    def value_of(z):
        return -(y * jax.nn.log_softmax(z)).sum(1).mean()

    def penalty_of(params):
        return strength / 2 * sum(jnp.square(leaf).sum() for leaf in jax.tree.leaves(params))

    return objective_of(outputs_of, value_of, penalty_of), layers


def scipys(objective: Objective, params: Tree, slope: float = 1e-5) -> Any:
    """What scipy's L-BFGS-B finds where the largest entry of the gradient is below `slope`."""
    x, unravel = ravel_pytree(params)

    @jax.jit
    def function(x):
        (value, _), gradient = objective.gradient(unravel(x))
        return value, ravel_pytree(gradient)[0]

    options = {"ftol": 0, "gtol": slope, "maxiter": 5000, "maxfun": 10_000}
    return scipy.optimize.minimize(function, x, jac=True, method="L-BFGS-B", options=options)


@pytest.fixture(scope="module")
def problem() -> tuple[Objective, Tree]:
    with jax.enable_x64(True):
        return digits(12, 64, 3, 1e-2)


def test_products_are_those_of_the_matrices(problem):
    """Which forward mode makes of the same functions."""
    objective, params = problem
    space = flat(objective, params)
    v = jnp.asarray(np.random.default_rng(1).normal(size=space.x.shape))
    on_vectors = lambda function: lambda x: function(space.unravel(x))  # noqa: E731

    @jax.jit
    def both(v):
        hessian = jax.hessian(lambda x: objective(space.unravel(x))[0])(space.x)
        z = objective.outputs_of(params)
        J = jax.jacfwd(on_vectors(objective.outputs_of))(space.x).reshape(z.size, -1)
        H = jax.hessian(lambda z: objective.value_of(z.reshape(12, 10)))(z.reshape(-1))
        G = J.T @ H @ J + jax.hessian(on_vectors(objective.penalty_of))(space.x)
        found = hessian_product(lambda p: objective(p)[0], params, space)(v)
        return (found, gauss_newton_product(objective, params, space)(v)), (hessian @ v, G @ v)

    found, wanted = both(v)
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


def test_two_loops_multiply_by_the_dense_inverse_of_bfgs():
    """Nocedal & Wright's equation 6.17, from γI, over the last m pairs; pairs of negative curvature are left out."""
    m, n = 4, 6
    rng = np.random.default_rng(0)
    A = np.diag(np.arange(1.0, n + 1))
    pairs = Pairs(jnp.zeros((m, n)), jnp.zeros((m, n)), jnp.zeros(m), jnp.ones(()), jnp.zeros((), jnp.int32))
    kept: list[tuple[np.ndarray, np.ndarray]] = []
    q = rng.normal(size=n)
    store, multiply = jax.jit(_with), jax.jit(two_loop)
    for i in range(11):
        s = rng.normal(size=n)
        y = -s if i % 5 == 4 else A @ s
        pairs = store(pairs, s, y)
        kept += [(s, y)] if s @ y > 0 else []
        s, y = kept[-1]
        H = s @ y / (y @ y) * np.eye(n)
        for s, y in kept[-m:]:
            V = np.eye(n) - np.outer(y, s) / (s @ y)
            H = V.T @ H @ V + np.outer(s, s) / (s @ y)
        np.testing.assert_allclose(multiply(pairs, q), H @ q, rtol=1e-9)
    assert pairs.stored == len(kept) == 9


def test_conjugate_gradients_end_at_the_solution_at_the_limit_or_at_negative_curvature():
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    g = 1e-6 * rng.normal(size=5)  # small, so that the residual must be much smaller
    solve = jax.jit(lambda B, limit: conjugate_gradients(lambda v: B @ v, g, limit))
    convex, bent = (
        (Q * np.array(eigenvalues)) @ Q.T for eigenvalues in ([1.0, 2, 3, 4, 5], [1.0, 2, 3, 4, -5])
    )
    solved = solve(convex, 50)
    np.testing.assert_allclose(convex @ solved.p, -g, atol=1e-3 * np.linalg.norm(g))
    assert solved.products <= 5
    assert solve(convex, 2).products == 2
    early = solve(bent, 50)
    assert early.products < 5
    assert early.p @ g <= 0
    at_once = solve(-convex, 50)
    assert (at_once.products, np.abs(at_once.p).max()) == (1, 0)


@pytest.mark.parametrize("name", METHODS)
def test_no_point_is_evaluated_twice_and_what_is_reported_belongs_to_the_parameters(name):
    """One gradient for each accepted point, the first included: they are counted where they are made."""
    seen: list[tuple[float, ...]] = []

    def gradient(x):
        jax.debug.callback(lambda x: seen.append(tuple(x.tolist())), x)
        return ROSENBROCK.gradient(x)

    objective = ROSENBROCK._replace(gradient=gradient)
    memory, course = run(METHODS[name](), objective, START, 5 if name == "newton" else 12)
    jax.effects_barrier()
    assert len(seen) == memory.past.evaluations
    assert len(set(seen)) == len(seen)
    np.testing.assert_array_equal(course.reported.aux, course.params)
    (values, _), gradients = jax.jit(jax.vmap(ROSENBROCK.gradient))(course.params)
    np.testing.assert_allclose(course.reported.value, values, rtol=1e-9, atol=1e-20)
    np.testing.assert_allclose(course.reported.gradient, gradients, rtol=1e-7, atol=1e-7)
    assert memory.past.evaluation.value == course.reported.value[-1]


def test_newton_takes_one_step_on_a_parabola_and_one_evaluation_for_each_step():
    A, b = np.array([[3.0, 1], [1, 2]]), np.array([1.0, -2])
    parabola = objective_of(lambda x: x, lambda x: x @ A @ x / 2 - b @ x)
    _, course = run(newton(), parabola, START, 2)
    np.testing.assert_allclose(course.params, [np.linalg.solve(A, b)] * 2, rtol=1e-12)
    assert course.evaluations.tolist() == [2, 3]


def test_newton_goes_to_a_saddle_and_newton_cg_goes_past_it():
    saddle = objective_of(lambda x: x, lambda x: x[0] ** 2 - x[1] ** 2 + x[1] ** 4)
    end = lambda method, steps: run(method, saddle, np.array([0.5, 0.1]), steps)[1].params[-1]  # noqa: E731
    np.testing.assert_allclose(end(newton(), 8), [0, 0], atol=1e-9)
    np.testing.assert_allclose(end(newton_cg(), 20), [0, 0.5**0.5], atol=1e-6)


def test_newton_refuses_a_hessian_that_is_too_large():
    params = {"w": jax.ShapeDtypeStruct((100, 100), jnp.float32)}
    function = lambda params: (params["w"].sum(), ())  # noqa: E731
    with pytest.raises(ValueError, match=r"10,000 parameters .* 0.745 GiB.* 4,096; use newton_cg or lbfgs"):
        jax.eval_shape(lambda params: newton().init(function, params), params)
    jax.eval_shape(lambda params: newton(max_parameters=10_000).init(function, params), params)


@pytest.fixture(scope="module")
def regression() -> tuple[Objective, Tree, Any, Any]:
    """Logistic regression on half of each image, and its only minimum; from zero, near enough for Newton's step."""
    with jax.enable_x64(True):
        objective, params = digits(100, 32, 0, 1e-2)
        params = jax.tree.map(jnp.zeros_like, params)
        return objective, params, scipys(objective, params, 1e-8), scipys(objective, params)


@pytest.mark.parametrize(
    ("name", "steps"), [("newton", 10), ("newton_cg", 10), ("gauss_newton", 12), ("lbfgs", 150)]
)
def test_logistic_regression_has_the_minimum_that_scipy_finds(name, steps, regression):
    objective, params, wanted, rough = regression
    _, course = run(METHODS[name](), objective, params, steps)
    assert course.reported.value[-1] == pytest.approx(wanted.fun, rel=1e-9)
    last = jax.tree.map(lambda a: a[-1], course.params)
    np.testing.assert_allclose(ravel_pytree(last)[0], wanted.x, atol=1e-5)
    assert course.until(1e-5).evaluations[-1] <= round(1.2 * rough.nfev)


@pytest.fixture(scope="module")
def net() -> tuple[Objective, Tree, Any]:
    """A net, and one of its minima; each method ends in another, and chance decides how soon."""
    with jax.enable_x64(True):
        objective, params = digits(100, 64, 12, 1e-4)
        return objective, params, scipys(objective, params, 5e-5)


# Gauss-Newton takes many short steps at the end: what it is asked is a decade and a fifth behind.
# L-BFGS is compared where scipy's stops: its last steps to a smaller gradient are a matter of luck for both.
NETS = [("newton_cg", 50, 1e-5, 1.05), ("gauss_newton", 250, 1e-4, 1.2), ("lbfgs", 250, 5e-5, 1.05)]


@pytest.mark.slow  # which minimum is found, and how soon, hangs on rounding
@pytest.mark.parametrize(("name", "steps", "slope", "share"), NETS)
def test_a_net_comes_about_as_low_as_with_scipy_in_less_than_twice_the_evaluations(
    name, steps, slope, share, net
):
    objective, params, wanted = net
    _, course = run(METHODS[name](), objective, params, steps)
    reached = course.until(slope)
    assert reached.reported.value[-1] <= share * wanted.fun
    assert reached.evaluations[-1] < 2 * wanted.nfev


@pytest.mark.parametrize("name", ["newton", "gauss_newton"])  # one for each kind of product
def test_convolutions_which_have_no_forward_mode(name):
    rng = np.random.default_rng(0)
    images, targets = jnp.asarray(rng.normal(size=(4, 5, 5, 1))), jnp.asarray(rng.normal(size=(4, 2)))
    layer = conv(2, stride=2)
    kernel, stats, _ = layer.init(jax.random.key(0), (5, 5, 1))

    def outputs_of(params):
        y, _ = layer.apply(params, stats, images, None, None)
        return jnp.tanh(y).mean((1, 2))

    objective = objective_of(outputs_of, lambda z: jnp.square(z - targets).mean())
    if jax.default_backend() == "cpu":
        with pytest.raises(TypeError, match="forward-mode"):
            jax.jvp(outputs_of, (kernel,), (kernel,))
    method = newton(damping=0.1) if name == "newton" else METHODS[name]()
    _, course = run(method, objective, kernel, 2)
    assert course.reported.value[1] < course.reported.value[0] < objective(kernel)[0]


def test_a_plain_function_has_its_hessian_for_the_matrix_of_gauss_newton():
    """From where the Hessian is indefinite, with a tree that has empty nodes and scalars."""

    def function(params):
        a, b = params["a"], params["deep"]["b"][0]
        return jnp.cos(a) + (b - a) ** 2, a

    params = {"a": jnp.asarray(0.3), "none": {}, "deep": {"b": jnp.array([2.0])}}
    _, course = run(gauss_newton(), function, params, 30)
    assert course.reported.value[-1] == pytest.approx(-1, abs=1e-9)
    assert course.params["a"][-1] == pytest.approx(np.pi, abs=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_parameters_of_several_dtypes_keep_them_and_the_memory_has_the_widest(name):
    function = lambda p: (jnp.square(p["a"].astype(float)).sum() + jnp.square(p["b"]).sum(), p["a"])  # noqa: E731
    params = {"a": jnp.ones(3, jnp.bfloat16), "b": jnp.ones((), float)}
    memory = jax.eval_shape(lambda p: METHODS[name]().init(function, p), params)
    new, after, reported = jax.eval_shape(partial(METHODS[name]().step, function), params, memory)
    kinds = lambda tree: jax.tree.map(lambda a: (a.shape, a.dtype), tree)  # noqa: E731
    assert kinds(new) == kinds(reported.gradient) == kinds(params)
    assert kinds(after) == kinds(memory)
    assert kinds(memory.past.evaluation.gradient) == ((4,), jnp.dtype(float))


JAGGED = {
    "steps": lambda x: jnp.floor(4 * jnp.abs(x)).sum() + 1e-3 * x.sum(),  # slopes that promise too much
    "edge": lambda x: jnp.where(x[0] < 0.9, -jnp.log(1 - x[0]) + x @ x, -jnp.inf),
    "kink": lambda x: jnp.abs(x).sum(),
    "flat": lambda x: jnp.ones(()) + 0 * x.sum(),
    "bottomless": lambda x: -jnp.exp(x).sum(),
}


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", ROBUST)
def test_where_there_is_no_minimum_to_find_all_stays_finite_and_nothing_rises(name):
    """Members of a population: a function each."""

    def member(which):
        function = lambda x: (lax.switch(which, list(JAGGED.values()), x), ())  # noqa: E731
        return followed(METHODS[name](), function, jnp.array([0.8, -0.61]), 30)

    together = jax.jit(jax.vmap(member))(np.arange(len(JAGGED)))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(together))
    values = np.asarray(together[1].reported.value)
    assert (np.diff(values, axis=1) <= 1e-15).all()
    flat = list(JAGGED).index("flat")
    assert together[1].evaluations[flat, -1] == (31 if name == "gauss_newton" else 1)


@pytest.mark.parametrize("name", ROBUST)
def test_in_float32_the_minimum_is_reached_and_kept_while_other_members_move(name):
    """One member starts at the minimum, and nothing moves it."""
    with jax.enable_x64(False):
        starts = jnp.array([[-1.2, 1], [1, 1], [3, -2]])
        memory, course = jax.jit(jax.vmap(lambda x: followed(METHODS[name](), ROSENBROCK, x, 100)))(starts)
    assert course.params.dtype == course.reported.value.dtype == jnp.float32
    np.testing.assert_allclose(course.params[:, -1], np.ones((3, 2)), atol=1e-3)
    np.testing.assert_array_equal(course.params[1], np.ones((100, 2)))
    if name in ("newton_cg", "lbfgs"):
        assert memory.past.evaluations[1] == 1


@pytest.mark.parametrize("name", METHODS)
def test_noise_is_refused_by_the_method_unless_it_is_allowed_and_then_each_batch_is_seen_anew(name):
    """A step begins with an evaluation of its own batch, and reports one of it."""
    build = partial(METHODS[name], **({"damping": 0.1} if name == "newton" else {}))
    assert build().exact
    method = build(allow_noise=True)
    assert not method.exact
    rng = np.random.default_rng(0)
    inputs, targets = jnp.asarray(rng.normal(size=(10, 8, 3))), jnp.asarray(rng.normal(size=(10, 8)))

    def on(batch):
        x, y = batch
        return lambda w: (jnp.square(jnp.tanh(x @ w) - y).mean(), x[0, 0])

    def step(carry, batch):
        params, memory = carry
        params, memory, found = method.step(on(batch), params, memory)
        return (params, memory), found

    first = jax.tree.map(lambda a: a[0], (inputs, targets))
    start = (jnp.zeros(3), method.init(on(first), jnp.zeros(3)))
    (params, memory), found = jax.jit(lambda carry: lax.scan(step, carry, (inputs, targets)))(start)
    assert np.isfinite(params).all()
    assert memory.past.evaluations >= 2 * 10
    np.testing.assert_array_equal(found.aux, inputs[:, 0, 0])
