from __future__ import annotations

from typing import Annotated, Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from nnrun.optimizer._elementwise import rounded_once
from nnrun.options import Count, EntryMark, Probability

__all__ = ["lookahead"]

Inner = Annotated[Any, EntryMark("optimizer")]


def lookahead(inner: Inner, every: Count = 5, alpha: Probability = 0.5) -> optax.GradientTransformation:
    """Lookahead: every k steps, back to a point between the start and the end of those steps.

    x ← the step of `inner`;  after steps k, 2k, ...:  s ← s + α(x − s),  x ← s,  from s = x at the start

    inner   the optimizer that makes the fast steps, a block: {name: adam, learning_rate: 1e-3}
    every   k = 1, 2, ...: fast steps to one slow step
    alpha   α in [0, 1]: how much of the way the slow weights s follow
    State: that of inner and 4 bytes a parameter (s)
    Use: when an optimizer oscillates around a good point.
    Source: Zhang et al. 2019, "Lookahead optimizer: k steps forward, 1 step back", Algorithm 1.
    """

    def init(params):
        return {
            "inner": inner.init(params),
            "slow": jax.tree.map(jnp.copy, params),
            "t": jnp.zeros((), jnp.int32),
        }

    def update(updates, state, params=None, **extra):
        if params is None:
            raise ValueError("lookahead needs the parameters; call update(updates, state, params)")
        fast, memory = optax.with_extra_args_support(inner).update(updates, state["inner"], params, **extra)
        t = state["t"] + 1
        due = t % every == 0

        def follow(s: Array, x: Array, u: Array) -> Array:
            return jnp.where(due, s + jnp.asarray(alpha, s.dtype) * (x + u - s), s)

        slow = jax.tree.map(follow, state["slow"], params, fast)
        change = jax.tree.map(lambda s, x, u: jnp.where(due, s - x, u), slow, params, fast)
        return change, {"inner": memory, "slow": slow, "t": t}

    return rounded_once(optax.GradientTransformationExtraArgs(init, update))
