"""The course of a schedule over a run, to look at."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from nnrun import catalog
from nnrun.catalog import bound
from nnrun.duration import Clock
from nnrun.errors import SpecError, one_line
from nnrun.schedule._warmup import warmed_up
from nnrun.types import Reactive

__all__ = ["factors"]


def factors(text: str, folder: Path, clock: Clock, count: int) -> np.ndarray:
    """The factor of a schedule, `cosine` or `{name: step_decay, every: 25%}`, at `count` points of a run.

    Raises SpecError where it is wrong, or depends on what evaluations find.
    """
    block = catalog.bind_one("schedule", text, folder)
    warmup = block.common["warmup"].steps(clock)
    try:
        schedule = bound.call(block, bound.knobs(block), clock, total=max(1, clock.total - warmup))
    except (ValueError, bound.WrongResultError) as error:
        raise SpecError(f"{one_line(text, 60)}: {error}") from None
    if isinstance(schedule, Reactive):
        raise SpecError(f"{block.name}: its course depends on what evaluations find; there is none to plot")
    steps = jnp.linspace(0, clock.total - 1, count).round().astype(jnp.int32)
    return np.asarray(jax.vmap(warmed_up(schedule, warmup))(steps))
