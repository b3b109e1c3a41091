"""The schedules against optax and against numbers on paper."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nnrun.schedule._warmup import warmed_up
from nnrun.schedule.constant import constant
from nnrun.schedule.cosine import cosine
from nnrun.schedule.warmup import warmup

pytestmark = pytest.mark.usefixtures("float64", "quick_compilation")


def values(factor, steps):
    return np.asarray(jax.vmap(factor)(jnp.arange(steps)))


@pytest.mark.parametrize(("total", "final"), [(1, 0.0), (7, 0.0), (50, 0.1), (50, 1.0)])
def test_cosine_is_that_of_optax(total, final):
    with jax.numpy_dtype_promotion("standard"):
        reference = values(optax.cosine_decay_schedule(1.0, total, alpha=final), total + 20)
    np.testing.assert_allclose(values(cosine(total, final), total + 20), reference, rtol=1e-6, atol=1e-7)


def test_cosine_on_paper():
    found = values(cosine(4, 0.2), 7)
    half = np.sqrt(0.5)
    wanted = [1, 0.2 + 0.4 * (1 + half), 0.6, 0.2 + 0.4 * (1 - half), 0.2, 0.2, 0.2]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("final", [0.0, 1e-3, 0.1, 0.3, 0.7, 0.9999999])
def test_cosine_starts_at_1_and_ends_at_final_whatever_the_rounding(final):
    with jax.enable_x64(False):
        factor = cosine(1000, final)
        found = np.asarray(jax.vmap(factor)(jnp.arange(1001)))
    assert found[0] == 1
    assert found[-1] == np.float32(final)
    assert found.max() == 1
    assert (np.diff(found) <= 1.2e-7).all()


def test_constant():
    assert values(constant(), 5).tolist() == [1.0] * 5


def test_warmup_on_paper():
    """Four steps below the full rate, none of them at 0."""
    np.testing.assert_allclose(values(warmup(4), 7), [0.2, 0.4, 0.6, 0.8, 1, 1, 1], rtol=1e-12)


def test_warmup_before_a_schedule_delays_it():
    factor = cosine(6)
    found = values(warmed_up(factor, 3), 12)
    np.testing.assert_allclose(found[:3], [0.25, 0.5, 0.75], rtol=1e-12)
    np.testing.assert_allclose(found[3:], values(factor, 9), rtol=1e-12)


def test_a_warmup_of_0_steps_is_absent():
    factor = constant()
    assert warmed_up(factor, 0) is factor
