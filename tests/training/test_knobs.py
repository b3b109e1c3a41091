"""A population over numbers of optimizers and regularizers is one program; each lane is the run that they give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun.training.order import positions
from nnrun.training.step import initial_state, make_step
from nnrun.types import Batch, Experiment, State

STEPS = 8
OPTIMIZERS = {
    "adam": {
        "learning_rate": [1e-3, 3e-3, 1e-2], "b1": [0.5, 0.9, 0.95], "b2": [0.9, 0.99, 0.999],
        "eps": [1e-8, 1e-4, 1e-2], "weight_decay": [0.01, 0.1, 0.3], "clip_norm": [0.1, 1.0, 10.0],
    },
    "nesterov": {"learning_rate": [0.01, 0.03, 0.1], "momentum": [0.5, 0.8, 0.9], "clip_value": [0.01, 0.1, 1.0]},
    "rmsprop": {"learning_rate": [1e-3, 3e-3, 1e-2], "decay": [0.5, 0.9, 0.99], "eps": [1e-8, 1e-4, 1e-2]},
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def start(made: Experiment) -> State:
    knobs = jax.tree.map(lambda value: jnp.asarray(value, float), made.knobs)
    return initial_state(made, jax.random.key(made.plan.seeds[0]), knobs)


def batches(made: Experiment) -> Batch:
    """The first batches of a run, with a leading axis of steps."""
    train, plan = made.dataset.train, made.plan
    rows = positions(plan.seeds[0], len(train.y), plan.batch_size, 0, STEPS)
    ones = jnp.ones(rows.shape)
    return Batch(jnp.asarray(train.x[rows]), jnp.asarray(train.y[rows]), ones, jnp.full(STEPS, False))


@pytest.mark.quick("adam")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_lane_is_the_solo_run(name: str, experiment: Callable[..., Experiment]) -> None:
    spread = OPTIMIZERS[name]

    def build(i: int) -> Experiment:
        block = ", ".join([f"name: {name}", *(f"{key}: {values[i]}" for key, values in spread.items())])
        return experiment(
            "mlp", "model={name: mlp, hidden: [8]}", f"optimizer={{{block}}}", f"train.seed={5 + i}"
        )

    made = [build(i) for i in range(3)]
    assert all(set(one.knobs["optimizer"]) == set(spread) for one in made)
    assert_lanes_are_solo_runs(made)


RATES = {
    "model.dropout": [0.1, 0.3, 0.6], "model.dropconnect.rate": [0.5, 0.1, 0.3],
    "model.survival.p_last": [0.9, 0.5, 0.7],
    "augment.alpha": [0.2, 1.0, 4.0], "optimizer.max_norm": [0.5, 1.0, 3.0], "loss.label_smoothing": [0.2, 0.1, 0.05],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("mask", ["batch", "example"])
def test_a_population_over_the_rates_of_all_regularizers(
    mask: str, experiment: Callable[..., Experiment]
) -> None:
    records = f"dropconnect: {{rate: 0.5, mask: {mask}}}, survival: {{p_last: 0.5, mask: {mask}}}"
    net = f"{{name: residual_mlp, width: 8, blocks: 2, inner: 8, {records}}}"

    def build(i: int) -> Experiment:
        rates = [f"{key}={values[i]}" for key, values in RATES.items()]
        mixed = f"augment={{name: mixup, per: {mask}}}"
        return experiment("mlp", f"model={net}", mixed, "loss=cross_entropy", *rates, f"train.seed={5 + i}")

    made = [build(i) for i in range(3)]
    for key, values in RATES.items():
        block, *options = key.split(".")
        knobs: list[Any] = [one.knobs[block][0] if block == "augment" else one.knobs[block] for one in made]
        for option in options:
            knobs = [knob[option] for knob in knobs]
        assert knobs == values
    assert_lanes_are_solo_runs(made)


def assert_lanes_are_solo_runs(made: list[Experiment]) -> None:
    """Trains all in one program of the first, and each alone."""
    step = make_step(made[0])  # all of what they differ in is in their states

    def run(state: State, several: Batch) -> Any:
        return jax.lax.scan(step, state, several)[0]

    stack = lambda *trees: jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)  # noqa: E731
    starts, given = [start(one) for one in made], [batches(one) for one in made]
    together = jax.jit(jax.vmap(run))(stack(*starts), stack(*given))
    alone = jax.jit(run)
    for i in range(len(made)):
        wanted = alone(starts[i], given[i])
        own = jax.tree.map(lambda leaf, i=i: leaf[i], together._replace(key=None))
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10),
            own._asdict(),
            wanted._replace(key=None)._asdict(),
        )
    assert alone._cache_size() == 1
