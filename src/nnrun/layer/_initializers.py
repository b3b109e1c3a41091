"""Initial weights by name: variance 2/fan_in (He), 2/(fan_in + fan_out) (Glorot), 1/fan_in (LeCun).

He et al. 2015, Glorot & Bengio 2010, LeCun et al. 1998.  The normal forms are plain normals, not truncated;
the uniform forms are on ±√(3·variance), which has the same variance.  dirac hands each channel on unchanged, as far as
there are filters, and draws the rest as LeCun (Zagoruyko & Komodakis 2017, "DiracNets").
"""

from __future__ import annotations

import math
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

__all__ = ["Initializer", "initialize"]

Initializer = Literal[
    "he_normal",
    "he_uniform",
    "glorot_normal",
    "glorot_uniform",
    "lecun_normal",
    "lecun_uniform",
    "dirac",
    "zeros",
]


def initialize(name: Initializer, key: Array, shape: tuple[int, ...]) -> Array:
    """Weights of `shape` (..., fan_in, fan_out), the leading axes being a receptive field."""
    field = math.prod(shape[:-2])
    fan_in, fan_out = field * shape[-2], field * shape[-1]
    if name == "zeros":
        return jnp.zeros(shape)
    if name == "dirac":
        rest = math.sqrt(1 / fan_in) * jax.random.normal(key, shape)
        return jnp.concatenate([_unchanged(shape), rest[..., min(shape[-2:]) :]], axis=-1)
    scheme, distribution = name.split("_")
    variance = {"he": 2 / fan_in, "glorot": 2 / (fan_in + fan_out), "lecun": 1 / fan_in}[scheme]
    if distribution == "normal":
        return math.sqrt(variance) * jax.random.normal(key, shape)
    bound = math.sqrt(3 * variance)
    return jax.random.uniform(key, shape, minval=-bound, maxval=bound)


def _unchanged(shape: tuple[int, ...]) -> Array:
    """Weights (..., fan_in, min(fan_in, fan_out)) that put out the first channels as they are."""
    windows = np.zeros((*shape[:-1], min(shape[-2:])))
    windows[tuple((side - 1) // 2 for side in shape[:-2])] = np.eye(shape[-2], windows.shape[-1])
    return jnp.asarray(windows, float)
