"""Initial weights by name: variance 2/fan_in (He), 2/(fan_in + fan_out) (Glorot), 1/fan_in (LeCun).

He et al. 2015, Glorot & Bengio 2010, LeCun et al. 1998.  The normal forms are plain normals, not truncated;
the uniform forms are on ±√(3·variance), which has the same variance.
"""

from __future__ import annotations

import math
from typing import Literal

import jax
from jax import Array

__all__ = ["Initializer", "initialize"]

Initializer = Literal[
    "he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "lecun_normal", "lecun_uniform", "zeros"
]


def initialize(name: Initializer, key: Array, shape: tuple[int, ...]) -> Array:
    """Weights of `shape` (..., fan_in, fan_out), the leading axes being a receptive field."""
    field = math.prod(shape[:-2])
    fan_in, fan_out = field * shape[-2], field * shape[-1]
    if name == "zeros":
        return jax.numpy.zeros(shape)
    scheme, distribution = name.split("_")
    variance = {"he": 2 / fan_in, "glorot": 2 / (fan_in + fan_out), "lecun": 1 / fan_in}[scheme]
    if distribution == "normal":
        return math.sqrt(variance) * jax.random.normal(key, shape)
    bound = math.sqrt(3 * variance)
    return jax.random.uniform(key, shape, minval=-bound, maxval=bound)
