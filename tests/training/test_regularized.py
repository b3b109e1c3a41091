"""Nets with every regularizer on: chunks, lanes and evaluations are what they are for plain ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun.training import flat, programs
from nnrun.training.programs import Programs
from nnrun.types import Experiment

NETS = {
    "depth": "{name: residual_mlp, width: 6, blocks: 2, inner: 6, dropout: 0.2, dropconnect: 0.2, survival: 0.5}",
    "pooling": "{name: convnet, filters: [3], convs: 1, kernel: 3, hidden: [6], pooling: fractional, "
    "channel_dropout: 0.2, dropconnect: 0.3, dropout: 0.2}",
}
STEPS = 6


@pytest.fixture(scope="module", autouse=True)
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@pytest.fixture(
    scope="module", params=[pytest.param(net, marks=[pytest.mark.slow] * (net == "pooling")) for net in NETS]
)
def compiled(request: pytest.FixtureRequest, experiment: Callable[..., Experiment]) -> list[Programs]:
    """A population of two seeds, and both alone."""
    net = f"model={NETS[request.param]}"
    loss = "loss={name: cross_entropy, label_smoothing: 0.1}"
    common = ("mlp", net, loss, "train.random=fast", "optimizer.max_norm=2")
    group = programs.compile_programs(experiment(*common, "train.seed=5", "train.seeds=2"))
    first = programs.compile_programs(experiment(*common, "train.seed=5"))
    plan = first.experiment.plan._replace(seeds=(6,))  # the same program: a seed is an argument of it
    return [group, first, first.for_lanes(first.experiment._replace(plan=plan))]


def trained(one: Programs, cuts: list[int]) -> list[dict[str, np.ndarray]]:
    """The arrays of each lane after training up to each cut in turn."""
    state, step = one.initial(), 0
    for cut in cuts:
        state, _ = one.advance(state, step, cut - step)
        step = cut
    return one.unpack(state)


def test_lanes_are_solo_runs(compiled: list[Programs]) -> None:
    """Skipped blocks, pooling regions, dropped weights: each seed's own, as it has them alone."""
    for lane, one in zip(trained(compiled[0], [STEPS]), compiled[1:], strict=True):
        [alone] = trained(one, [STEPS])
        for name, array in alone.items():
            np.testing.assert_allclose(lane[name], array, rtol=1e-8, atol=1e-8, err_msg=name)


def test_where_chunks_end_changes_no_bit(compiled: list[Programs]) -> None:
    [whole], [pieces] = trained(compiled[1], [STEPS]), trained(compiled[1], [1, 2, STEPS])
    assert [name for name in whole if whole[name].tobytes() != pieces[name].tobytes()] == []


def test_an_evaluation_is_the_same_every_time(compiled: list[Programs]) -> None:
    state = compiled[1].initial()
    one, again = (compiled[1].evaluate(state, "val") for _ in range(2))
    assert one == again


def test_steps_differ_in_their_noise(compiled: list[Programs]) -> None:
    """The same step number from the same state draws the same noise, another number draws other noise."""
    one = compiled[1]
    arrays = one.unpack(one.initial())[0]

    def after(step: int) -> bytes:
        state = one.pack([arrays])._replace(step=jnp.int32(step))
        state, _ = one.advance(state, 0, 1)
        return flat.flatten(state)["params/output/kernel"].tobytes()

    assert after(0) == after(0) != after(1)
