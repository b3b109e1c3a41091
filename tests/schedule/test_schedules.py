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
from nnrun.schedule.cosine_restarts import cosine_restarts
from nnrun.schedule.exponential import exponential
from nnrun.schedule.inverse_sqrt import inverse_sqrt
from nnrun.schedule.inverse_time import inverse_time
from nnrun.schedule.linear import linear
from nnrun.schedule.one_cycle import one_cycle
from nnrun.schedule.polynomial import polynomial
from nnrun.schedule.reduce_on_plateau import reduce_on_plateau
from nnrun.schedule.step_decay import step_decay
from nnrun.schedule.warmup import warmup
from nnrun.schedule.warmup_stable_decay import warmup_stable_decay

pytestmark = pytest.mark.usefixtures("float64")


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


def by_optax(schedule, steps):
    with jax.numpy_dtype_promotion("standard"):
        return values(schedule, steps)


OPTAX = {  # ours, optax's, where they may differ by the rounding of optax's float32 constants
    "step_decay": (step_decay(7, 0.3), optax.exponential_decay(1.0, 7, 0.3, staircase=True)),
    "exponential": (exponential(7, 0.3), optax.exponential_decay(1.0, 7, 0.3)),
    "linear": (linear(50, 0.1), optax.linear_schedule(1.0, 0.1, 50)),
    "polynomial": (polynomial(50, 3.0, 0.1), optax.polynomial_schedule(1.0, 0.1, 3.0, 50)),
    "cosine_restarts": (
        cosine_restarts(70, 10, 2, 0.1),
        optax.sgdr_schedule([
            {"init_value": 1.0, "peak_value": 1.0, "warmup_steps": 0, "decay_steps": n, "end_value": 0.1}
            for n in (10, 20, 40)
        ]),
    ),
    "one_cycle": (one_cycle(50, 0.3), optax.cosine_onecycle_schedule(50, 1.0)),
    "warmup_stable_decay": (
        warmed_up(warmup_stable_decay(45, 20, 0.1), 0),
        optax.join_schedules([optax.constant_schedule(1.0), optax.linear_schedule(1.0, 0.1, 20)], [25]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTAX)
def test_it_is_that_of_optax(name):
    ours, theirs = OPTAX[name]
    np.testing.assert_allclose(values(ours, 70), by_optax(theirs, 70), rtol=2e-6, atol=1e-6)


def test_inverse_time_on_paper():
    """α₀ / (1 + kt) with k = 0.5 / 4."""
    np.testing.assert_allclose(values(inverse_time(4, 0.5), 3), [1, 1 / 1.125, 1 / 1.25], rtol=1e-12)


def test_inverse_sqrt_behind_a_warm_up_is_that_of_the_transformer():
    """min(t^−½, t · W^−1.5) · W^½ for the steps t = 1, 2, ..., W = 10, but for the first rise, which ends at W + 1."""
    t = np.arange(11, 60)
    found = values(warmed_up(inverse_sqrt(10), 10), 59)
    np.testing.assert_allclose(found[10:], np.sqrt(10 / (t - 1)), rtol=1e-12)
    np.testing.assert_allclose(found[:10], np.arange(1, 11) / 11, rtol=1e-12)


@pytest.mark.parametrize(("shape", "half"), [("linear", 0.5), ("cosine", 0.5), ("sqrt", 1 - np.sqrt(0.5))])
def test_the_shapes_of_the_decay_on_paper(shape, half):
    found = values(warmup_stable_decay(20, 8, 0.2, shape), 22)
    assert found[:13].tolist() == [1.0] * 13
    np.testing.assert_allclose(found[[16, 20, 21]], [0.2 + 0.8 * half, 0.2, 0.2], rtol=1e-12)


@pytest.mark.parametrize(
    ("total", "period", "growth", "ends"),
    [
        (70, 10, 2, (10, 30, 70)), (69, 10, 2, (10, 30)), (71, 10, 2, (10, 30, 70)), (25, 10, 1, (10, 20)),
        (20, 10, 1, (10, 20)), (9, 10, 3, ()), (10, 10, 3, (10,)), (130, 10, 3, (10, 40, 130)),
    ],
)  # fmt: skip
def test_the_ends_of_whole_cycles_on_paper(total, period, growth, ends):
    """Cycles of T, gT, g²T, ... steps; one that the run does not finish has no end, and the shape of a whole one."""
    made = cosine_restarts(total, period, growth)
    assert made.ends == ends
    begins = (0, *ends)[-1] if (0, *ends)[-1] < total else (0, *ends)[-2]
    length = period * growth ** (0, *ends).index(begins)
    into = total - 1 - begins
    assert float(made(jnp.int32(total - 1))) == pytest.approx((1 + np.cos(np.pi * into / length)) / 2)


def test_one_cycle_has_its_peak_at_three_tenths_and_begins_at_a_25th():
    found = values(one_cycle(100), 101)
    assert found.argmax() == 30 and found[30] == 1
    np.testing.assert_allclose(found[[0, 15, 65, 100]], [0.04, 0.52, 0.5, 4e-6], rtol=1e-4)


def test_a_cycle_may_rise_at_once_or_to_the_end():
    np.testing.assert_allclose(values(one_cycle(10, 0.0, 0.5, 0.0), 11)[[0, 10]], [1, 0], atol=1e-12)
    np.testing.assert_allclose(values(one_cycle(10, 1.0, 0.5, 0.0), 10)[[0, 5]], [0.5, 0.75], atol=1e-12)


# What torch.optim.lr_scheduler.ReduceLROnPlateau (2.13, threshold_mode abs) makes of these losses from lr 1.
LOSSES = [
    5.0,
    4.0,
    4.0,
    4.0,
    3.95,
    4.0,
    4.0,
    4.0,
    4.0,
    4.0,
    4.0,
    4.0,
    1.0,
    1.0,
    1.0,
    1.0,
    np.nan,
    2.0,
    2.0,
    2.0,
]
PLATEAUS = {
    (0.5, 2, 0.1, 0, 0.0): [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125, 0.125, 0.125, 0.125,
                            0.0625, 0.0625, 0.0625, 0.03125, 0.03125],
    (0.1, 1, 0.0, 2, 0.02): [1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02,
                             0.02, 0.02, 0.02, 0.02],
}  # fmt: skip


@pytest.mark.parametrize("options", PLATEAUS)
def test_reduce_on_plateau_is_that_of_torch(options):
    decay, patience, min_delta, cooldown, final = options
    made = reduce_on_plateau(None, decay, patience, min_delta, cooldown, final)
    memory, found = made.init(), []
    for loss in LOSSES:
        memory = jax.jit(made.react)(memory, jnp.asarray(loss))
        found.append(float(made.factor(memory, jnp.int32(3))))
    np.testing.assert_allclose(found, PLATEAUS[options], rtol=1e-12)


@pytest.mark.parametrize("options", PLATEAUS)
def test_the_table_above_is_what_torch_does(options):
    torch = pytest.importorskip("torch")
    decay, patience, min_delta, cooldown, final = options
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=decay, patience=patience, threshold=min_delta, threshold_mode="abs",
        cooldown=cooldown, min_lr=final,
    )  # fmt: skip
    found = []
    for loss in LOSSES:
        theirs.step(loss)
        found.append(optimizer.param_groups[0]["lr"])
    np.testing.assert_allclose(found, PLATEAUS[options], rtol=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        step_decay,
        exponential,
        inverse_time,
        inverse_sqrt,
        lambda n: cosine_restarts(9, n),
        lambda n: warmup_stable_decay(9, n),
    ],
)
def test_a_duration_of_0_steps_is_refused(make):
    with pytest.raises(ValueError, match="write at least 1 step"):
        make(0)
