"""Averages in a run: what they are, what they are evaluated with, and that schedules react to evaluations."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import numpy as np
import pytest

from nnrun.training import flat, programs, shards
from nnrun.training.chunks import chunks
from nnrun.training.programs import Programs
from nnrun.types import Examples, Experiment

AVERAGES = "average=[{name: ema, decay: 0.8}, {name: swa, start: 4 steps, every: 3 steps}, ema]"


@pytest.fixture(autouse=True, scope="module")
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def trained(experiment: Callable[..., Experiment]) -> tuple[Programs, list]:
    """A net with batch norm and dropout, and its state after each of 10 steps."""
    compiled = programs.compile_programs(experiment("mlp", AVERAGES))
    states = [compiled.initial()]
    for i in range(10):
        states.append(compiled.advance(states[-1], i, 1)[0])
    return compiled, states


def test_they_average_the_parameters_after_each_step(trained: tuple[Programs, list]) -> None:
    compiled, states = trained
    kernels = np.array([np.asarray(state.params["hidden_1"]["kernel"]) for state in states])
    averaged = compiled.averages(states[10])
    assert set(averaged) == {"ema", "swa", "ema_2"}
    weights = 0.8 ** np.arange(10)[::-1]
    wanted = np.einsum("t,tij->ij", weights, kernels[1:]) / weights.sum()
    np.testing.assert_allclose(averaged["ema"].params["hidden_1"]["kernel"], wanted, rtol=1e-12)
    snapshots = kernels[[7, 10]].mean(0)
    np.testing.assert_allclose(averaged["swa"].params["hidden_1"]["kernel"], snapshots, rtol=1e-12)


def test_batch_statistics_are_measured_for_the_average(trained: tuple[Programs, list]) -> None:
    """Close to the mean and variance of what enters the layer over the training data, as the average sees it."""
    compiled, states = trained
    state = compiled.averages(states[10])["ema"]
    data = compiled.experiment.dataset
    x = ((data.train.x - data.shift) / data.scale).reshape(len(data.train.y), -1).astype(float)
    entering = x @ np.asarray(state.params["hidden_1"]["kernel"])
    stats = next(one for one in jax.tree.leaves(state.stats, is_leaf=lambda s: "mean" in s))
    np.testing.assert_allclose(stats["mean"], entering.mean(0), atol=0.25 * entering.std())
    np.testing.assert_allclose(stats["var"], entering.var(0), rtol=0.35)
    raw = next(one for one in jax.tree.leaves(states[10].stats, is_leaf=lambda s: "mean" in s))
    far = np.abs(np.asarray(raw["var"]) / entering.var(0) - 1).mean()
    near = np.abs(np.asarray(stats["var"]) / entering.var(0) - 1).mean()
    assert near < far / 3  # after ten steps the collected ones are still mostly their start


@pytest.mark.slow
def test_data_sorted_by_class_make_no_difference_to_that(experiment: Callable[..., Experiment]) -> None:
    made = experiment("mlp", "average={name: ema, decay: 0.8}")
    order = np.argsort(made.dataset.train.y, kind="stable")
    data = made.dataset._replace(train=Examples(*(part[order] for part in made.dataset.train)))
    compiled = programs.compile_programs(made._replace(dataset=data))
    state = compiled.averages(compiled.advance(compiled.initial(), 0, 10)[0])["ema"]
    x = ((data.train.x - data.shift) / data.scale).reshape(len(data.train.y), -1).astype(float)
    entering = x @ np.asarray(state.params["hidden_1"]["kernel"])
    stats = next(one for one in jax.tree.leaves(state.stats, is_leaf=lambda s: "mean" in s))
    np.testing.assert_allclose(stats["mean"], entering.mean(0), atol=0.08 * entering.std())
    np.testing.assert_allclose(stats["var"], entering.var(0), rtol=0.2)


def test_they_are_evaluated_under_their_own_names(trained: tuple[Programs, list]) -> None:
    compiled, states = trained
    found = compiled.evaluate(states[10], "val")[0]
    assert {"val/accuracy", "val/ema/accuracy", "val/ema_2/loss", "val/swa/loss"} <= set(found)
    alone = compiled.averages(states[10])["swa"]._replace(average={})
    wanted = compiled.evaluator.means(compiled.evaluator.run(alone, 0), 0)
    assert found["val/swa/loss"] == wanted[compiled.evaluator.names.index("loss")]


def test_training_is_that_without_averages(trained, experiment: Callable[..., Experiment]) -> None:
    _, states = trained
    plain = programs.compile_programs(experiment("mlp"))
    state, _ = plain.advance(plain.initial(), 0, 10)
    wanted = flat.flatten(state)
    found = flat.flatten(states[10])
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-10, atol=1e-12, err_msg=name)


PLATEAU = "schedule={name: reduce_on_plateau, metric: val/accuracy, patience: 0, decay: 0.5, warmup: 3 steps}"


@pytest.mark.quick(1)
@pytest.mark.parametrize("cores", [1, 2])
def test_a_plateau_lowers_the_rate_of_each_lane_for_itself(
    cores: int, experiment: Callable[..., Experiment]
) -> None:
    """Against the rule by hand, from the metrics of each lane."""
    made = experiment(
        "mlp",
        PLATEAU,
        "train.seeds=3",
        "train.evaluate_every=2 steps",
        "train.duration=30 steps",
        "optimizer.learning_rate=0.1",
    )
    compiled = shards.compile_shards(made, cores=cores)
    column = compiled.names.index("learning_rate")
    best, factor = np.full(3, -np.inf), np.ones(3)
    drops = 0
    for chunk in chunks(compiled, compiled.initial(), 0, compiled.experiment.plan.steps):
        steps = np.arange(chunk.step - chunk.rows.shape[1], chunk.step)
        rise = np.minimum((steps + 1) / 4, 1)
        np.testing.assert_allclose(chunk.rows[:, :, column], 0.1 * rise[None] * factor[:, None], rtol=1e-12)
        if chunk.metrics and chunk.metrics[0]:
            found = np.array([one["val/accuracy"] for one in chunk.metrics])
            drops += (found <= best).sum()
            factor = np.where(found > best, factor, factor / 2)
            best = np.maximum(best, found)
    assert drops > 3
    assert len(set(factor)) > 1
