"""Augmentation inside the step: where its randomness comes from, and that it touches training alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun.training import flat, programs
from nnrun.training.order import positions
from nnrun.training.programs import Programs
from nnrun.training.step import initial_state, make_step
from nnrun.types import Batch, Experiment

STEPS = 14  # the 13th batch is short
PLAIN = "model={name: mlp, hidden: [8]}"
ALL = (
    "augment=[{name: random_crop, padding: 1}, horizontal_flip, {name: translate, pixels: 1}, rotate, "
    "{name: cutout, size: 3}, {name: mixup, per: example}]"
)


@pytest.fixture(scope="module", autouse=True)
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def run(compiled: Programs, *cuts: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Trains up to each cut in turn: the arrays of the last state and the rows logged."""
    state, step, rows = compiled.initial(), 0, []
    for cut in cuts:
        state, log = compiled.advance(state, step, cut - step)
        rows.append(compiled.rows(log, cut - step))
        step = cut
    return flat.flatten(state), np.concatenate(rows, axis=1)


def assert_close(a: dict[str, Any], b: dict[str, Any], tolerance: float = 1e-9) -> None:
    assert a.keys() == b.keys()
    for name, array in a.items():
        np.testing.assert_allclose(array, b[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.slow
def test_where_chunks_begin_and_lanes_lie_changes_nothing(experiment: Callable[..., Experiment]) -> None:
    """A run in pieces has the bits of the run in one; seed 6 of a population is the run of seed 6."""
    group = programs.compile_programs(
        experiment("mlp", PLAIN, ALL, "train.seed=5", "train.seeds=2", "train.accumulate=3")
    )
    alone = programs.compile_programs(experiment("mlp", PLAIN, ALL, "train.seed=6"))
    whole, rows = run(alone, STEPS)
    pieces, same_rows = run(alone, 1, 9, STEPS)
    assert [name for name in whole if whole[name].tobytes() != pieces[name].tobytes()] == []
    np.testing.assert_array_equal(rows, same_rows)
    lanes, lane_rows = run(group, STEPS)  # in parts too: a batch is augmented before it is cut
    assert_close(flat.lane(lanes, 1), whole, 1e-8)
    np.testing.assert_allclose(lane_rows[1], rows[0], rtol=1e-8)


def test_what_is_switched_off_changes_no_bit_and_evaluation_is_never_augmented(
    experiment: Callable[..., Experiment],
) -> None:
    off = "augment=[{name: horizontal_flip, p: 0}, {name: rotate, degrees: 0}, {name: mixup, alpha: 0}]"
    plain, idle, busy = (
        programs.compile_programs(experiment("mlp", *augment)) for augment in ([], [off], ["augment=cutmix"])
    )
    one, other = run(plain, STEPS)[0], run(idle, STEPS)[0]
    assert [name for name in one if one[name].tobytes() != other[name].tobytes()] == []
    assert run(busy, STEPS)[0]["params/hidden_1/kernel"].tobytes() != one["params/hidden_1/kernel"].tobytes()
    assert busy.evaluate(busy.initial(), "val") == plain.evaluate(plain.initial(), "val")


def short_batch(made: Experiment, trim: bool) -> Batch:
    """The last batch of the first epoch; trimmed, it has no padding."""
    train, plan = made.dataset.train, made.plan
    rows = positions(plan.seeds[0], len(train.y), plan.batch_size, 12, 1)[0]
    real = rows >= 0
    assert 0 < real.sum() < len(rows)
    picked = rows[real] if trim else np.maximum(rows, 0)
    weight = jnp.ones(len(picked)) if trim else jnp.asarray(real.astype(float))
    return Batch(jnp.asarray(train.x[picked]), jnp.asarray(train.y[picked]), weight)


@pytest.mark.slow
def test_a_short_batch_is_that_batch_without_padding(experiment: Callable[..., Experiment]) -> None:
    made = experiment("mlp", PLAIN, ALL)
    step = make_step(made)
    state = initial_state(
        made, jax.random.key(0), jax.tree.map(lambda knob: jnp.asarray(knob, float), made.knobs)
    )
    padded, trimmed = (jax.jit(step)(state, short_batch(made, trim)) for trim in (False, True))
    assert_close(flat.flatten(padded[0]), flat.flatten(trimmed[0]), 1e-11)
    assert_close(padded[1], trimmed[1], 1e-11)


def test_each_augmentation_has_the_key_of_its_place(experiment: Callable[..., Experiment]) -> None:
    """Stream 2 of the run's key, then the step, then the place in the list; inputs come standardised."""
    made, seen = experiment("mlp", PLAIN), []

    def watch(key: Any, batch: Batch) -> Batch:
        seen.append((jax.random.key_data(key), batch))
        return batch

    made = made._replace(augment=lambda knobs: [watch, watch])
    given = short_batch(made, trim=True)
    state = initial_state(made, jax.random.key(3), made.knobs)._replace(step=jnp.int32(7))
    make_step(made)(state, given)
    for i, (key, batch) in enumerate(seen):
        wanted = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(jax.random.key(3), 2), 7), i)
        np.testing.assert_array_equal(key, jax.random.key_data(wanted))
        data = made.dataset
        x = (np.asarray(given.x, float) - data.shift.astype(float)) / data.scale.astype(float)
        np.testing.assert_allclose(batch.x, x, rtol=1e-12)
    assert len(seen) == 2
