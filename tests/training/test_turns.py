"""The turns of examples: random over examples and runs, one further each epoch, wherever the examples lie."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from nnrun.training import flat, programs
from nnrun.training.step import initial_state, make_step
from nnrun.training.turns import turns
from nnrun.types import Batch, Experiment

MANY = 4000


def images(dtype: str) -> jax.Array:
    """Images of which many differ in one pixel, by one."""
    x = np.zeros((MANY, 5, 4, 3))
    x.reshape(MANY, -1)[np.arange(MANY), np.arange(MANY) % 60] = 1 + np.arange(MANY) // 60
    return jnp.asarray(x, dtype)


def of(x: jax.Array, epoch: int = 0, seed: int = 0) -> np.ndarray:
    return np.asarray(turns(jax.random.key(seed), x, jnp.int32(epoch)))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_half_of_the_examples_have_an_odd_turn_and_all_have_the_next_one_an_epoch_later(dtype: str) -> None:
    x = images(dtype)
    first = of(x)
    assert stats.binomtest(int((first % 2).sum()), MANY, 0.5).pvalue > 1e-3
    assert len(np.unique(first)) > MANY - 10
    for epoch in (1, 2, 7):
        np.testing.assert_array_equal(of(x, epoch) - first, epoch)


def test_another_run_has_other_turns_that_tell_nothing_of_these() -> None:
    x = images("uint8")
    agree = int((of(x) % 2 == of(x, seed=1) % 2).sum())
    assert stats.binomtest(agree, MANY, 0.5).pvalue > 1e-3


def test_a_turn_is_that_of_the_example_wherever_it_stands() -> None:
    x, order = images("uint8"), np.random.default_rng(0).permutation(MANY)
    np.testing.assert_array_equal(of(x[order]), of(x)[order])
    np.testing.assert_array_equal(of(x[7:9]), of(x)[7:9])


def test_float64_has_turns_of_its_own() -> None:
    with jax.enable_x64(True):
        x = jnp.asarray(np.random.default_rng(0).normal(size=(MANY, 3)))
        near = jnp.asarray(np.nextafter(np.asarray(x), 9))
        assert stats.binomtest(int((of(x) % 2 == of(near) % 2).sum()), MANY, 0.5).pvalue > 1e-3


def test_the_step_hands_them_to_augmentations(experiment: Callable[..., Experiment]) -> None:
    """At the same examples in the first and in the second epoch, of which a step knows nothing but its number."""
    built = experiment("mlp")
    seen: list[np.ndarray] = []

    def look(key: jax.Array, batch: Batch) -> Batch:
        assert batch.turn is not None
        jax.debug.callback(lambda turn: seen.append(np.asarray(turn)), batch.turn)
        return batch

    step = make_step(built._replace(augment=lambda knobs: [look]))
    knobs = jax.tree.map(lambda k: jnp.asarray(k, float), built.knobs)
    train = built.dataset.train
    batch = Batch(jnp.asarray(train.x[:20]), jnp.asarray(train.y[:20]), jnp.ones(20))
    for done in (0, built.plan.steps_per_epoch - 1, built.plan.steps_per_epoch):
        state = initial_state(built, jax.random.key(0), knobs)._replace(step=jnp.int32(done))
        step(state, batch)
        jax.effects_barrier()
    np.testing.assert_array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(seen[2] - seen[0], 1)


def test_where_the_data_lie_changes_no_bit(experiment: Callable[..., Experiment]) -> None:
    runs = []
    for stream in ("false", "true"):
        flips = ("augment=[{name: random_crop, padding: 1}, alternating_flip]", "model=linear")
        built = programs.compile_programs(experiment("mlp", *flips, f"data.stream={stream}"))
        state, _ = built.advance(built.initial(), 0, 13)
        state, _ = built.advance(state, 13, 5)
        runs.append(flat.flatten(state))
    assert [name for name in runs[0] if runs[0][name].tobytes() != runs[1][name].tobytes()] == []
