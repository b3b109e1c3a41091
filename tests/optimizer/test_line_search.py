"""The line search on the functions of Moré & Thuente 1994, section 5, and where there is nothing to find."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array, lax

from nnrun.optimizer._flat import flat
from nnrun.optimizer._line_search import Accepted, Wolfe, line_search

pytestmark = pytest.mark.usefixtures("float64")

STARTS = np.array([1e-3, 1e-1, 1e1, 1e3])  # the first trials of the paper


def rational(a):
    return -a / (a**2 + 2)


def quintic(a):
    return (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4


def wavy(a, beta=0.01, waves=39):
    middle = (1 - a) ** 2 / (2 * beta) + beta / 2
    kink = jnp.where(a <= 1 - beta, 1 - a, jnp.where(a >= 1 + beta, a - 1, middle))
    return kink + 2 * (1 - beta) / (waves * jnp.pi) * jnp.sin(waves * jnp.pi / 2 * a)


def yanai(a, b1=0.001, b2=0.001):
    gamma = lambda b: (1 + b**2) ** 0.5 - b  # noqa: E731
    return gamma(b1) * jnp.sqrt((1 - a) ** 2 + b2**2) + gamma(b2) * jnp.sqrt(a**2 + b1**2)


def search(phi: Callable[[Array], Array], alpha: Any, wolfe: Wolfe, direction: float = 1.0) -> Accepted:
    """From x = 0 along the direction; aux is the point evaluated."""
    space = flat(lambda x: (phi(x), x), jnp.zeros(()))
    start = space.evaluate(space.x)
    return line_search(space, jnp.full(1, direction), start, alpha, wolfe)


searched = jax.jit(search, static_argnums=0)

CASES = [  # the function and the constants of the paper
    (rational, 0.001, 0.1),
    (quintic, 0.1, 0.1),
    (wavy, 0.1, 0.1),
    (yanai, 0.001, 0.001),
    (partial(yanai, b1=0.01), 0.001, 0.001),
    (partial(yanai, b2=0.01), 0.001, 0.001),
]
FUNCTIONS, C1, C2 = zip(*CASES, strict=True)


def one_of(which: Array, alpha: Array) -> Accepted:
    wolfe = Wolfe(jnp.array(C1)[which], jnp.array(C2)[which], 30)
    return search(lambda a: lax.switch(which, FUNCTIONS, a), alpha, wolfe)


@pytest.fixture(scope="module")
def together() -> Accepted:
    """All functions from all first trials: 24 searches of different lengths as members of a population."""
    with jax.enable_x64(True):
        which, alpha = np.indices((len(CASES), len(STARTS)))
        return jax.jit(jax.vmap(jax.vmap(one_of)))(which, STARTS[alpha])


@pytest.mark.parametrize("which", range(len(CASES)))
def test_both_conditions_hold_from_any_first_trial(which, together):
    """The paper's own search needs up to 12 evaluations."""
    phi, c1, c2 = CASES[which]
    slope = jax.jit(jax.grad(phi))
    down = slope(0.0)
    found = jax.tree.map(lambda a: a[which], together)
    for alpha, value, evaluations in zip(found.alpha, found.evaluation.value, found.evaluations, strict=True):
        assert value == pytest.approx(float(phi(alpha)), rel=1e-12)
        assert value <= phi(0.0) + c1 * alpha * down
        assert abs(slope(alpha)) <= -c2 * down * (1 + 1e-9)
        assert 1 <= evaluations <= 16


def test_members_are_each_alone_and_the_evaluation_is_that_of_the_step_taken(together):
    assert len(set(together.evaluations.ravel().tolist())) > 3
    np.testing.assert_array_equal(together.evaluation.aux, together.alpha)
    np.testing.assert_array_equal(together.x[..., 0], together.alpha)
    run = jax.jit(one_of)
    for which, start in np.ndindex(len(CASES), len(STARTS)):
        alone = run(which, STARTS[start])
        member = jax.tree.map(lambda a, at=(which, start): a[at], together)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), member, alone)


@pytest.mark.parametrize("beyond", [jnp.inf, jnp.nan, -jnp.inf])
def test_what_is_not_finite_is_too_far(beyond):
    cliff = lambda a: jnp.where(a < 1e-3, jnp.square(a - 5e-4), beyond)  # noqa: E731
    found = searched(cliff, 1.0, Wolfe())
    assert 0 < found.alpha < 1e-3
    assert found.evaluation.value < cliff(0.0)
    assert np.isfinite(found.evaluation.gradient).all()


def test_no_step_and_no_evaluation_uphill():
    found = searched(rational, 1.0, Wolfe(), direction=-1.0)
    assert (found.alpha, found.evaluations, found.evaluation.aux) == (0, 0, 0)


def test_no_step_where_the_slope_lies():
    found = searched(lambda a: jnp.where(a > 0, 1.0, -a), 1.0, Wolfe(limit=7))
    assert (found.alpha, found.evaluations, found.evaluation.value) == (0, 7, 0)


def test_at_the_limit_the_lowest_trial_will_do():
    """A slope that never flattens: each trial goes further, and the last is the lowest."""
    found = searched(lambda a: -a, 1.0, Wolfe(limit=5))
    assert found.evaluations == 5
    assert found.alpha == 1 + 4 + 16 + 64 + 256  # each stride is 4 times the last
    assert found.evaluation.value == -found.alpha


def test_slopes_decide_where_rounding_hides_the_decrease():
    """1e6 + (a − 1)² / 2 in float32 is the same number for all a near 1; its slope is not."""

    @jax.custom_jvp
    def hidden(a):
        return 1e6 + 0 * a

    hidden.defjvp(lambda a, da: (hidden(*a), (a[0] - 1) * da[0]))
    with jax.enable_x64(False):
        found = searched(hidden, 0.8, Wolfe())
    assert (found.alpha, found.evaluations) == (pytest.approx(0.8), 1)
