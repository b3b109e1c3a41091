"""Models of rates: what a model gives is the logarithm."""

from __future__ import annotations

import jax.numpy as jnp

from nnrun.types import Layer

__all__ = ["with_rates"]


def with_rates(model: Layer) -> Layer:
    """The model with exp(z) for its outputs z, so that all that lies around it sees rates."""

    def apply(params, stats, x, key, weight):
        z, new = model.apply(params, stats, x, key, weight)
        return jnp.exp(z), new

    return model._replace(apply=apply)
