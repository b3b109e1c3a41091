from __future__ import annotations

from typing import Annotated

import jax.numpy as jnp
from annotated_types import Ge

from nnrun.options import Fraction, Probability, Rate
from nnrun.types import Reactive

__all__ = ["reduce_on_plateau"]


def reduce_on_plateau(
    metric: str | None = None,
    decay: Fraction = 0.1,
    patience: Annotated[int, Ge(0)] = 10,
    min_delta: Rate = 0.0,
    cooldown: Annotated[int, Ge(0)] = 0,
    final: Probability = 0.0,
) -> Reactive:
    """Reduce on plateau: the rate drops when a validation metric has stopped improving.

    At every evaluation: if the metric is better than the best so far by more than min_delta, it is the best and
    n ← 0, else n ← n + 1 (n stays 0 during a cooldown).  When n > patience: factor ← max(decay · factor, final),
    n ← 0, and a cooldown begins.

    metric      val/loss, val/accuracy, ...; null: what checkpoint.best judges by
    decay       what remains of the rate after a drop, in [0, 1)
    patience    evaluations without an improvement that are waited for: 0, 1, ...
    min_delta   a change that is not larger is no improvement, ≥ 0 (torch's threshold, in its mode abs)
    cooldown    evaluations after a drop that do not count
    final       the factor is never less, in [0, 1]
    The next steps wait for each evaluation.  The state is part of a checkpoint, so resuming is exact.
    Use: where the length of the run is not known.
    Source: torch.optim.lr_scheduler.ReduceLROnPlateau.
    """

    def init():
        return {
            "best": jnp.zeros(()),
            "judged": jnp.array(False),  # whether there is a best
            "waited": jnp.zeros((), jnp.int32),
            "cooling": jnp.zeros((), jnp.int32),
            "factor": jnp.ones(()),
        }

    def react(memory, value):
        better = ~memory["judged"] | (value < memory["best"] - min_delta)
        better &= jnp.isfinite(value)
        cooling = memory["cooling"]
        waited = jnp.where(better | (cooling > 0), 0, memory["waited"] + 1)
        drop = waited > patience
        reduced = jnp.maximum(decay * memory["factor"], final)
        return {
            "best": jnp.where(better, value, memory["best"]),
            "judged": memory["judged"] | better,
            "waited": jnp.where(drop, 0, waited),
            "cooling": jnp.where(drop, cooldown, jnp.maximum(cooling - 1, 0)),
            "factor": jnp.where(drop, reduced, memory["factor"]),
        }

    def factor(memory, step):
        del step
        return memory["factor"]

    return Reactive(init, factor, react, metric)
