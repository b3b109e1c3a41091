"""Test problems of Moré, Garbow & Hillstrom 1981, "Testing unconstrained optimization software", section 3.

Each is a vector of residuals r(x), a standard start and the local minima of Σ r² that the paper lists, numbered
as there.  Among those left out are the ones that need thousands of steps unless the variables are scaled first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

__all__ = ["PROBLEMS", "Problem"]


class Problem(NamedTuple):
    """residuals x (n,) -> r (m,)"""

    residuals: Callable[[Array], Array]
    start: tuple[float, ...]
    minima: tuple[float, ...]


def counted(m: int) -> Array:
    """1, 2, ..., m"""
    return jnp.arange(1, m + 1, dtype=float)


def rosenbrock(x):
    return jnp.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def freudenstein_roth(x):
    first = -13 + x[0] + ((5 - x[1]) * x[1] - 2) * x[1]
    return jnp.stack([first, -29 + x[0] + ((x[1] + 1) * x[1] - 14) * x[1]])


def brown_badly_scaled(x):
    return jnp.stack([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2])


def beale(x):
    return jnp.array([1.5, 2.25, 2.625]) - x[0] * (1 - x[1] ** counted(3))


def jennrich_sampson(x):
    i = counted(10)
    return 2 + 2 * i - (jnp.exp(i * x[0]) + jnp.exp(i * x[1]))


def helical_valley(x):
    angle = jnp.arctan(x[1] / x[0]) / (2 * jnp.pi) + jnp.where(x[0] < 0, 0.5, 0)
    return jnp.stack([10 * (x[2] - 10 * angle), 10 * (jnp.sqrt(x[0] ** 2 + x[1] ** 2) - 1), x[2]])


def bard(x):
    y = [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39]
    u = counted(15)
    v = 16 - u
    return jnp.array(y) - (x[0] + u / (v * x[1] + jnp.minimum(u, v) * x[2]))


def box(x):
    t = counted(10) / 10
    return jnp.exp(-t * x[0]) - jnp.exp(-t * x[1]) - x[2] * (jnp.exp(-t) - jnp.exp(-10 * t))


def powell_singular(x):
    root = [x[0] + 10 * x[1], 5**0.5 * (x[2] - x[3])]
    return jnp.stack([*root, (x[1] - 2 * x[2]) ** 2, 10**0.5 * (x[0] - x[3]) ** 2])


def wood(x):
    first = [10 * (x[1] - x[0] ** 2), 1 - x[0], 90**0.5 * (x[3] - x[2] ** 2), 1 - x[2]]
    return jnp.stack([*first, 10**0.5 * (x[1] + x[3] - 2), (x[1] - x[3]) / 10**0.5])


def kowalik_osborne(x):
    y = [0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246]
    u = jnp.array([4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])
    return jnp.array(y) - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


def brown_dennis(x):
    t = counted(20) / 5
    return (x[0] + t * x[1] - jnp.exp(t)) ** 2 + (x[2] + x[3] * jnp.sin(t) - jnp.cos(t)) ** 2


def penalty_1(x):
    return jnp.concatenate([1e-5**0.5 * (x - 1), (x @ x - 0.25)[None]])


def variably_dimensioned(x):
    total = (counted(len(x)) * (x - 1)).sum()
    return jnp.concatenate([x - 1, jnp.stack([total, total**2])])


def brown_almost_linear(x):
    return jnp.concatenate([x[:-1] + x.sum() - (len(x) + 1), (x.prod() - 1)[None]])


def discrete_boundary_value(x):
    n = len(x)
    t = counted(n) / (n + 1)
    wide = jnp.pad(x, 1)
    return 2 * x - wide[:-2] - wide[2:] + (x + t + 1) ** 3 / (2 * (n + 1) ** 2)


def broyden_tridiagonal(x):
    wide = jnp.pad(x, 1)
    return (3 - 2 * x) * x - wide[:-2] - 2 * wide[2:] + 1


def broyden_banded(x):
    n = len(x)
    i, j = np.indices((n, n))
    near = jnp.asarray((j >= i - 5) & (j <= i + 1) & (i != j), x.dtype)
    return x * (2 + 5 * x**2) + 1 - near @ (x * (1 + x))


def ramp(n: int) -> np.ndarray:
    """1, 2, ..., n"""
    return np.arange(1, n + 1)


SAG = tuple(ramp(10) / 11 * (ramp(10) / 11 - 1))

PROBLEMS = {
    "1 Rosenbrock": Problem(rosenbrock, (-1.2, 1), (0,)),
    "2 Freudenstein-Roth": Problem(freudenstein_roth, (0.5, -2), (0, 48.9842)),
    "4 Brown, badly scaled": Problem(brown_badly_scaled, (1, 1), (0,)),
    "5 Beale": Problem(beale, (1, 1), (0,)),
    "6 Jennrich-Sampson": Problem(jennrich_sampson, (0.3, 0.4), (124.362,)),
    "7 helical valley": Problem(helical_valley, (-1, 0, 0), (0,)),
    "8 Bard": Problem(bard, (1, 1, 1), (8.21487e-3, 17.4286)),
    "12 Box": Problem(box, (0, 10, 20), (0,)),
    "13 Powell, singular": Problem(powell_singular, (3, -1, 0, 1), (0,)),
    "14 Wood": Problem(wood, (-3, -1, -3, -1), (0,)),
    "15 Kowalik-Osborne": Problem(kowalik_osborne, (0.25, 0.39, 0.415, 0.39), (3.07505e-4, 1.02734e-3)),
    "16 Brown-Dennis": Problem(brown_dennis, (25, 5, -5, -1), (85822.2,)),
    "23 penalty 1": Problem(penalty_1, tuple(ramp(10)), (7.08765e-5,)),
    "25 variably dimensioned": Problem(variably_dimensioned, tuple(1 - ramp(10) / 10), (0,)),
    "27 Brown, almost linear": Problem(brown_almost_linear, (0.5,) * 10, (0, 1)),
    "28 discrete boundary value": Problem(discrete_boundary_value, SAG, (0,)),
    "30 Broyden, tridiagonal": Problem(broyden_tridiagonal, (-1,) * 10, (0,)),
    "31 Broyden, banded": Problem(broyden_banded, (-1,) * 10, (0,)),
}  # fmt: skip
