"""A population over the optimizer's own numbers is one program, and each lane is the run that its numbers give."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun.training import flat, programs
from nnrun.types import Experiment

STEPS = 15
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


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_lane_is_the_solo_run(name: str, experiment: Callable[..., Experiment]) -> None:
    spread = OPTIMIZERS[name]

    def block(i: int) -> str:
        return f"optimizer={{name: {name}, {', '.join(f'{key}: {values[i]}' for key, values in spread.items())}}}"

    more = ("model={name: mlp, hidden: [8]}", "average={name: ema, decay: 0.9}")
    group = programs.compile_programs(experiment("mlp", block(0), *more, "train.seed=5", "train.seeds=3"))
    state = group.initial()
    knobs = {**state.knobs, "optimizer": {key: jnp.asarray(values) for key, values in spread.items()}}
    state, _ = group.advance(state._replace(knobs=knobs), 0, STEPS)
    lanes = group.unpack(state)
    for i in range(3):
        alone = programs.compile_programs(experiment("mlp", block(i), *more, f"train.seed={5 + i}"))
        wanted = flat.flatten(alone.advance(alone.initial(), 0, STEPS)[0])
        assert lanes[i].keys() == wanted.keys()
        for path, array in wanted.items():
            np.testing.assert_allclose(lanes[i][path], array, rtol=1e-9, atol=1e-10, err_msg=path)
