"""The objective of a step: in one piece, in parts, and taken apart for Gauss-Newton."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun.layer.dense import dense
from nnrun.loss.cross_entropy import cross_entropy
from nnrun.model._weights import BATCH_NORM
from nnrun.model.mlp import mlp
from nnrun.penalty.l2 import l2
from nnrun.training.objective import StepContext, make_objective
from nnrun.types import Batch, Experiment, Objective

EXAMPLES, PADDING = 11, 3


@pytest.fixture(scope="module", autouse=True)
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def setting(model: Any, noise: Any = None, **changes: Any) -> tuple[StepContext, Any]:
    """A batch of 8 examples and 3 rows of padding, which hold rubbish."""
    rng = np.random.default_rng(0)
    x, y = jnp.asarray(rng.normal(size=(EXAMPLES, 5))), jnp.asarray(rng.integers(0, 4, EXAMPLES), jnp.int32)
    weight = jnp.asarray([1.0] * (EXAMPLES - PADDING) + [0.0] * PADDING)
    params, stats, _ = model.init(jax.random.key(1), (5,))
    made = StepContext(model, cross_entropy(), l2(0.3), stats, Batch(x, y, weight), noise)
    return made._replace(**changes), params


def close(found: Any, wanted: Any) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14), found, wanted)


def test_it_is_the_mean_loss_and_the_penalty() -> None:
    """Against softmax cross-entropy written out."""
    made, params = setting(dense(4))
    value, (_, means) = make_objective(made)(params)
    real = slice(EXAMPLES - PADDING)
    logits = made.batch.x[real] @ params["kernel"] + params["bias"][None]
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits), made.batch.y[real][:, None], 1)
    close(means["loss"], -picked.mean())
    close(value, -picked.mean() + 0.15 * jnp.square(params["kernel"]).sum())


@pytest.mark.quick(2)
@pytest.mark.parametrize("parts", [2, 3, 8, 11])
def test_in_parts_it_is_the_same(parts: int) -> None:
    """Value, aux, both ways to the gradient, and the second derivative."""
    made, params = setting(mlp(4, hidden=[6], activation="tanh"))
    whole, pieces = make_objective(made), make_objective(made, parts)
    along = jax.tree.map(lambda a: jnp.cos(jnp.arange(a.size, dtype=float)).reshape(a.shape), params)

    def everything(objective: Objective) -> Any:
        slope = lambda p: jax.grad(lambda q: objective(q)[0])(p)  # noqa: E731
        curved = jax.vjp(slope, params)[1](along)[0]
        return objective(params), objective.gradient(params), slope(params), curved

    close(jax.jit(lambda: everything(pieces))(), jax.jit(lambda: everything(whole))())


@pytest.mark.parametrize("parts", [1, 3])
def test_it_can_be_taken_apart(parts: int) -> None:
    made, params = setting(mlp(4, hidden=[6]))
    objective = make_objective(made, parts)
    close(
        objective.value_of(objective.outputs_of(params)) + objective.penalty_of(params), objective(params)[0]
    )


def test_each_part_has_noise_of_its_own_and_hands_its_statistics_on() -> None:
    """Against the parts one by one: rows are dealt in turn."""
    made, params = setting(mlp(4, hidden=[6], dropout=0.5, norm=BATCH_NORM), jax.random.key(3))
    (value, (stats, _)), _ = make_objective(made, 2).gradient(params)
    wanted, running = 0.0, made.stats
    for i in range(2):
        rows = [jnp.pad(a, [(0, 1), *[(0, 0)] * (a.ndim - 1)])[i::2] for a in made.batch[:3]]
        key = jax.random.fold_in(jax.random.key(3), jnp.uint32(i))
        outputs, running = made.model.apply(params, running, rows[0], key, rows[2])
        wanted += (rows[2] * made.loss.value(outputs, rows[1])).sum() / (EXAMPLES - PADDING)
    close(value, wanted + made.penalty(params))
    close(stats, running)


def test_a_part_without_examples_leaves_the_statistics_alone() -> None:
    only_two = jnp.asarray([1.0, 1.0] + [0.0] * (EXAMPLES - 2))
    made, params = setting(mlp(4, hidden=[6], norm=BATCH_NORM))
    made = made._replace(batch=made.batch._replace(weight=only_two))
    found = jax.tree.leaves(make_objective(made, 4).gradient(params))
    assert all(bool(jnp.isfinite(a).all()) for a in found)


def test_accumulation_changes_no_result(experiment: Callable[..., Experiment]) -> None:
    """Through a whole run, whose batches of 100 do not divide by 7, and with the short one of 94."""
    from nnrun.training import flat, programs

    last = []
    for parts in (1, 7):
        made = experiment("mlp", "model={name: mlp, hidden: [9]}", f"train.accumulate={parts}", "penalty=l2")
        compiled = programs.compile_programs(made)
        state, log = compiled.advance(compiled.initial(), 0, 15)
        last.append(
            (flat.flatten(state), dict(zip(compiled.names, compiled.rows(log, 15)[0].T, strict=True)))
        )
    for one, other in zip(*last, strict=True):
        for name in one:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-9, atol=1e-12, err_msg=name)
    assert "penalty" in last[0][1]


@pytest.mark.parametrize("parts", [1, 3])
def test_a_weight_counts_as_so_many_rows_of_the_example(parts: int) -> None:
    """Whole weights against the examples repeated; value, gradient, and what Gauss-Newton takes apart."""
    counts = np.array([2, 1, 0, 3, 1, 1, 4, 0, 5, 5, 5])  # of the padding too, which counts for nothing
    weighted, params = setting(dense(4))
    batch = weighted.batch
    repeated = np.repeat(np.arange(EXAMPLES - PADDING), counts[: EXAMPLES - PADDING])
    rows = Batch(batch.x[repeated], batch.y[repeated], jnp.ones(len(repeated)))
    importance = jnp.asarray(counts, float)
    ours = make_objective(weighted._replace(batch=batch._replace(importance=importance)), parts)
    theirs = make_objective(weighted._replace(batch=rows))
    close(ours.gradient(params)[0][0], theirs(params)[0])
    close(ours.gradient(params)[1], theirs.gradient(params)[1])
    close(ours.value_of(ours.outputs_of(params)), theirs.value_of(theirs.outputs_of(params)))
    close(ours(params)[1][1], make_objective(weighted)(params)[1][1])  # the metrics know no weights


def test_a_batch_of_weights_0_adds_nothing() -> None:
    weighted, params = setting(dense(4))
    batch = weighted.batch._replace(importance=jnp.zeros(EXAMPLES))
    value, _ = make_objective(weighted._replace(batch=batch))(params)
    close(value, 0.15 * jnp.square(params["kernel"]).sum())
