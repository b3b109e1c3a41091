from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from nnrun.options import Count, Probability, Steps
from nnrun.schedule._check import at_least_one
from nnrun.schedule._cycles import Cycles

__all__ = ["cosine_restarts"]


def cosine_restarts(total: int, period: Steps, growth: Count = 1, final: Probability = 0.0) -> Cycles:
    """Cosine with restarts: falls to `final` along half a cosine, jumps back to 1, and again.

    factor = final + (1 − final) · (1 + cos(π · t / T)) / 2,  t steps into a cycle of T

    total    steps of the run, without the warm-up
    period   duration T of the first cycle, such as 10 epochs
    growth   how many times longer each cycle is than the one before: 1, 2, ...
    final    factor at the end of a cycle, in [0, 1]
    Use: the states at the ends of the cycles make a snapshot ensemble; `checkpoint.keep: cycle_ends` keeps them.
    Source: Loshchilov & Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", equation 5.
    """
    at_least_one("period", period)
    starts = _starts(total, period, growth)
    ends = np.array([*starts[1:], starts[-1] + period * growth ** (len(starts) - 1)])
    lengths = ends - starts

    def factor(step):
        t = jnp.asarray(step, float)
        cycle = (t >= jnp.asarray(starts, float)).sum() - 1
        into, length = t - jnp.asarray(starts, float)[cycle], jnp.asarray(lengths, float)[cycle]
        return final + (1 - final) * (1 + jnp.cos(jnp.pi * jnp.minimum(into / length, 1.0))) / 2

    return Cycles(factor, tuple(int(end) for end in ends if end <= total))


def _starts(total: int, period: int, growth: int) -> np.ndarray:
    """The first steps of the cycles that begin within the run."""
    starts = [0]
    while starts[-1] + period * growth ** (len(starts) - 1) < total:
        starts.append(starts[-1] + period * growth ** (len(starts) - 1))
    return np.array(starts)
