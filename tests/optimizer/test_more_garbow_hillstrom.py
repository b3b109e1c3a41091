"""Second-order methods from the standard starts of a standard set: the minima of the paper's table, and scipy's.

All problems are branches of one objective, padded to one size, so that every method is compiled once.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from jax import Array, lax

from nnrun.optimizer.gauss_newton import gauss_newton
from nnrun.optimizer.lbfgs import lbfgs
from nnrun.optimizer.newton_cg import newton_cg
from nnrun.types import Method, Objective

pytestmark = pytest.mark.usefixtures("float64")


def _problems() -> dict[str, Any]:
    found = importlib.util.spec_from_file_location("mgh", Path(__file__).with_name("mgh.py"))
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module.PROBLEMS


PROBLEMS = _problems()
METHODS: dict[str, Method] = {"lbfgs": lbfgs(), "newton_cg": newton_cg(), "gauss_newton": gauss_newton()}
SIZE = max(len(problem.start) for problem in PROBLEMS.values())
RESIDUALS, STEPS, FLAT = 20, 1000, 1e-8


def padded(a: Any, size: int) -> Array:
    a = jnp.asarray(a, float)
    return jnp.pad(a, (0, size - len(a)))


def residuals(which: Array, x: Array) -> Array:
    """Of one of the problems; recomputed in gradients, so that a branch saves nothing for the others."""

    def branch(problem: Any) -> Callable[[Array], Array]:
        return jax.checkpoint(lambda x: padded(problem.residuals(x[: len(problem.start)]), RESIDUALS))

    return lax.switch(which, [branch(problem) for problem in PROBLEMS.values()], x)


def objective(which: Array) -> Objective:
    def value_of(r):
        return r @ r

    def whole(x):
        return value_of(residuals(which, x)), ()

    gradient = jax.value_and_grad(whole, has_aux=True)
    return Objective(whole, gradient, lambda x: residuals(which, x), value_of, lambda x: jnp.zeros(()))


def minimised(method: Method, which: Array, x: Array) -> tuple[Array, Array, Array]:
    """The value at a point with a small gradient, that gradient's norm, and how many evaluations it took."""
    problem = objective(which)

    def body(carry):
        (x, memory), _, step = carry
        x, memory, found = method.step(problem, x, memory)
        return (x, memory), (found.value, jnp.linalg.norm(found.gradient)), step + 1

    def goes_on(carry):
        _, (_, slope), step = carry
        return (slope > FLAT) & (step < STEPS)

    start = ((x, method.init(problem, x)), (jnp.inf, jnp.inf), 0)
    (_, memory), (value, slope), _ = lax.while_loop(goes_on, body, start)
    return value, slope, memory.past.evaluations


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, tuple[float, float, int]]]:
    """What each method finds for each problem."""
    every = {}
    with jax.enable_x64(True):
        for name, method in METHODS.items():
            run = jax.jit(lambda which, x, method=method: minimised(method, which, x))
            results = [run(i, padded(problem.start, SIZE)) for i, problem in enumerate(PROBLEMS.values())]
            every[name] = {key: tuple(map(float, one)) for key, one in zip(PROBLEMS, results, strict=True)}
    return every


@pytest.mark.quick(24)
@pytest.mark.parametrize("key", PROBLEMS)
@pytest.mark.parametrize("name", METHODS)
def test_a_minimum_of_the_table_is_found(name, key, found):
    value, slope, _ = found[name][key]
    assert any(value == pytest.approx(minimum, rel=1e-5, abs=1e-10) for minimum in PROBLEMS[key].minima)
    assert slope <= FLAT


@pytest.fixture(scope="module")
def rivals() -> dict[str, Callable[[int, np.ndarray], Any]]:
    """scipy's own method of each kind: (which, start) -> its result."""
    with jax.enable_x64(True):
        pair = lambda which, x: (residuals(which, x), jax.jacrev(residuals, 1)(which, x))  # noqa: E731
        system = jax.jit(pair).lower(0, padded((), SIZE)).compile()

    def parts(which: int, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        r, J = system(which, np.pad(x, (0, SIZE - len(x))))
        return np.asarray(r), np.asarray(J)[:, : len(x)]

    def minimize(kind: str, options: dict[str, Any], which: int, start: np.ndarray) -> Any:
        def function(x):
            r, J = parts(which, x)
            return r @ r, 2 * J.T @ r

        return scipy.optimize.minimize(function, start, jac=True, method=kind, options=options)

    def least_squares(which: int, start: np.ndarray) -> Any:
        r, J = (lambda x, i=i: parts(which, x)[i] for i in (0, 1))
        return scipy.optimize.least_squares(r, start, J, method="lm", gtol=FLAT, ftol=1e-15)

    return {
        "lbfgs": partial(minimize, "L-BFGS-B", {"ftol": 0, "gtol": FLAT}),
        "newton_cg": partial(minimize, "Newton-CG", {"maxiter": 300}),
        "gauss_newton": least_squares,
    }


@pytest.mark.quick("gauss_newton")
@pytest.mark.filterwarnings("ignore")  # scipy's, where it gives up
@pytest.mark.parametrize("name", METHODS)
def test_evaluations_are_counted_and_about_as_many_as_scipys(name, found, rivals):
    """Over all problems together: on one the one is luckier, on another the other."""
    theirs = [rivals[name](i, np.array(p.start, float)).nfev for i, p in enumerate(PROBLEMS.values())]
    ours = [evaluations for _, _, evaluations in found[name].values()]
    assert sum(ours) <= 1.3 * sum(theirs)
