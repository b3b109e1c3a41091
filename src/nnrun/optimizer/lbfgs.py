from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from nnrun.optimizer._evaluate import blank, known
from nnrun.optimizer._flat import flat
from nnrun.optimizer._line_search import line_search
from nnrun.options import Count, Fraction, Positive
from nnrun.types import Evaluation, Method

__all__ = ["lbfgs"]


class Memory(NamedTuple):
    S: Array
    Y: Array
    rho: Array
    gamma: Array
    pairs: Array
    failures: Array
    evaluations: Array
    evaluation: Evaluation


def lbfgs(
    history: Count = 10,
    max_line_search: Count = 20,
    c1: Positive = 1e-4,
    c2: Fraction = 0.9,
    allow_noise: bool = False,
) -> Method:
    """L-BFGS."""

    def init(objective, params):
        space = flat(objective, params)
        n, dtype = space.x.size, space.x.dtype
        S, rho, count = jnp.zeros((history, n), dtype), jnp.zeros(history, dtype), jnp.zeros((), jnp.int32)
        evaluation = blank(space.evaluate, space.x)
        return Memory(S, S, rho, jnp.ones((), dtype), count, count, count, evaluation)

    def step(objective, params, memory):
        space = flat(objective, params)
        x = space.x
        fresh = memory.evaluations == 0 if not allow_noise else jnp.array(True)
        start = known(space.evaluate, x, memory.evaluation, ~fresh)
        g = start.gradient
        p = -two_loop(memory, g)
        p = jnp.where(p @ g < 0, p, -g)
        alpha = jnp.where(memory.pairs == 0, jnp.minimum(1, 1 / jnp.abs(g).sum()), 1)
        found = line_search(space.evaluate, x, p, start, alpha, c1, c2, max_line_search, memory.failures > 1)
        memory = remember(memory, found.x - x, found.evaluation.gradient - g)
        memory = memory._replace(evaluation=found.evaluation, evaluations=memory.evaluations + fresh.astype(jnp.int32) + found.evaluations)
        ev = found.evaluation
        return space.unravel(found.x), memory, Evaluation(ev.value, ev.aux, space.unravel(ev.gradient))

    return Method(init, step, exact=not allow_noise)


def two_loop(memory: Memory, q: Array) -> Array:
    S, Y, rho = memory.S, memory.Y, memory.rho
    m = len(rho)
    def back(q, j):
        i = (memory.pairs - 1 - j) % m
        alpha = rho[i] * (S[i] @ q)
        return q - alpha * Y[i], (i, alpha)

    q, kept = lax.scan(back, q, jnp.arange(m, dtype=jnp.int32))

    def forth(r, kept):
        i, alpha = kept
        beta = rho[i] * (Y[i] @ r)
        return r + (alpha - beta) * S[i], None

    return lax.scan(forth, memory.gamma * q, kept, reverse=True)[0]


def remember(memory: Memory, s: Array, y: Array) -> Memory:
    sy, yy = s @ y, y @ y
    good = sy > float(jnp.finfo(s.dtype).eps) * yy
    i = memory.pairs % len(memory.rho)
    put = lambda a, new: a.at[i].set(jnp.where(good, new, a[i]))
    return memory._replace(
        S=put(memory.S, s),
        Y=put(memory.Y, y),
        rho=put(memory.rho, 1 / sy),
        gamma=jnp.where(good, sy / yy, memory.gamma),
        pairs=memory.pairs + good.astype(jnp.int32),
    )
