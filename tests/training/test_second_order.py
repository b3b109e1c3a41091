"""Second-order methods in a run: batch norm, penalties, populations, and one gradient per accepted point."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import numpy as np
import pytest

from nnrun.training import flat, programs
from nnrun.types import Experiment

STEPS = 4


@pytest.fixture(autouse=True, scope="module")
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@pytest.fixture
def small(experiment: Callable[..., Experiment]) -> Callable[..., Experiment]:
    """A small net with batch norm and a penalty, trained on the whole of iris at each step."""

    def build(*overrides: str) -> Experiment:
        return experiment(
            "mlp",
            "data={name: iris, batch_size: full}",
            "model={name: mlp, hidden: [4], activation: tanh, norm: batch}",
            "penalty={name: l2, strength: 1e-2}",
            "schedule=constant",
            "train={duration: 4 steps, evaluate_every: 4 steps}",
            *overrides,
        )

    return build


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lbfgs", "newton_cg", "gauss_newton"])
def test_members_of_a_population_are_solo_runs_that_go_down(
    name: str, small: Callable[..., Experiment]
) -> None:
    group = programs.compile_programs(small(f"optimizer={name}", "train.seed=3", "train.seeds=2"))
    state, log = group.advance(group.initial(), 0, STEPS)
    rows, lanes = group.rows(log, STEPS), group.unpack(state)
    alone = programs.compile_programs(small(f"optimizer={name}", "train.seed=4"))
    found, own = alone.advance(alone.initial(), 0, STEPS)
    np.testing.assert_allclose(rows[1], alone.rows(own, STEPS)[0], rtol=1e-6, atol=1e-8)
    for path, array in flat.flatten(found).items():
        np.testing.assert_allclose(lanes[1][path], array, rtol=1e-5, atol=1e-6, err_msg=path)
    objective = rows[..., group.names.index("train/loss")] + rows[..., group.names.index("penalty")]
    assert (objective[:, -1] < objective[:, 0]).all()


@pytest.mark.slow
def test_the_statistics_are_those_of_the_accepted_points(small: Callable[..., Experiment]) -> None:
    """What one pass of the whole data through the net with the new parameters makes of those before."""
    import jax.numpy as jnp

    from nnrun.training.step import normalise
    from nnrun.types import Batch

    made = small("optimizer=lbfgs")
    compiled = programs.compile_programs(made)
    before, _ = compiled.advance(compiled.initial(), 0, 1)
    after, _ = compiled.advance(before, 1, 1)
    train = made.dataset.train
    weight = jnp.ones(len(train.y))
    x, _ = normalise(made, Batch(jnp.asarray(train.x), jnp.asarray(train.y), weight))
    _, wanted = made.model(after.knobs).apply(after.params, before.stats, x, None, weight)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-14), after.stats, wanted)
