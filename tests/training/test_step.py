"""A step's noise, and which steps measure norms."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from nnrun.training.loop import compile_chunk
from nnrun.training.start import one_like
from nnrun.training.step import initial_state, make_step
from nnrun.types import Batch, Experiment


def test_every_step_draws_noise_of_its_own(experiment: Callable[..., Experiment]) -> None:
    """From the same parameters on the same batch the loss differs by the step alone; without dropout it does not."""
    for dropout, differs in ((0.3, True), (0.0, False)):
        built = experiment("mlp", f"model.dropout={dropout}")
        step = jax.jit(make_step(built))
        state = initial_state(built, jax.random.key(0), built.knobs)
        train = built.dataset.train
        batch = Batch(jnp.asarray(train.x[:100]), jnp.asarray(train.y[:100]), jnp.ones(100), jnp.bool_(False))
        losses = [float(step(state._replace(step=jnp.int32(n)), batch)[1]["train/loss"]) for n in (5, 6)]
        assert (losses[0] != losses[1]) == differs
        assert losses[0] == float(step(state._replace(step=jnp.int32(5)), batch)[1]["train/loss"])


def test_norms_are_measured_where_a_line_of_metrics_ends(experiment: Callable[..., Experiment]) -> None:
    """After log_every and evaluate_every steps, and after the last one; elsewhere they are not computed."""
    built = experiment(
        "mlp", "train.log_every=4 steps", "train.evaluate_every=6 steps", "train.duration=13 steps"
    )
    train = built.dataset.train
    x, y = jnp.asarray(train.x), jnp.asarray(train.y)
    program = compile_chunk(built, one_like(built), x, y, None, 13)
    state = initial_state(built, jax.random.key(0), built.knobs)
    orders = np.arange(1300, dtype=np.int32).reshape(13, 100) % len(y)
    _, log = program.advance(state, x, y, orders, np.int32(0), np.int32(13))
    norms = np.asarray(log)[:, program.names.index("grad/norm")]
    assert [step + 1 for step in range(13) if norms[step] > 0] == [4, 6, 8, 12, 13]
