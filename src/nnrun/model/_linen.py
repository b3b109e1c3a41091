"""Flax Linen modules as Layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.core import meta
from jax import Array

from nnrun.model._named import alike, at_precision, flags, outputs_of
from nnrun.types import Layer

__all__ = ["linen_layer"]


def linen_layer(make: Callable[[Array], nn.Module]) -> Layer:
    """The Layer of a Linen module.

    params are the collection of that name, stats all the others.  __call__ learns its mode by the keyword
    arguments that it has: train, training, is_training (any noise or batch statistics), deterministic (no
    noise), use_running_average (stored statistics).  Where one flag of the module's own stands for both, the
    modules of Flax inside it are held to what is asked: without noise their dropout is off, with stored
    statistics their batch norm uses them.
    """

    def init(key, x_shape):
        module = make(key)
        x = jnp.zeros((1, *x_shape))
        keys = {"params": key, "dropout": jax.random.fold_in(key, 1)}
        modes: Any = flags(module.__call__, None, None)
        y, variables = module.init_with_output(keys, x, **modes)
        collections = at_precision(meta.unbox(dict(variables)))
        return collections.pop("params", {}), collections, outputs_of(y, x).shape[1:]

    def apply(params, stats, x, key, weight):
        module = make(jax.random.key(0) if key is None else key)
        keys = {} if key is None else {"dropout": key, "params": jax.random.fold_in(key, 1)}
        modes: Any = flags(module.__call__, key, weight)
        with nn.intercept_methods(_held(key, weight)):
            y, new = module.apply(
                {"params": params, **stats},
                x,
                rngs=keys,
                mutable=[] if weight is None else list(stats),
                **modes,
            )
        return outputs_of(y, x), alike({**stats, **dict(new)}, stats)

    return Layer(init, apply)


def _held(key: Array | None, weight: Array | None) -> Callable[..., object]:
    """Interceptor that switches dropout and batch norm off, whatever the modules around them say."""
    off = {"deterministic": key is None, "use_running_average": weight is None}

    def hold(
        call: Callable[..., object],
        args: tuple,
        kwargs: dict[str, Any],
        context: nn.module.InterceptorContext,
    ):
        module = context.module
        is_flax_layer = (
            type(module).__module__.startswith("flax.linen.") and context.method_name == "__call__"
        )
        for name in off if is_flax_layer else ():
            if off[name] and name in type(module).__dataclass_fields__:
                object.__setattr__(module, name, None)  # it is this call's copy; both set would be refused
                kwargs[name] = True
                args = args[:1] if isinstance(module, nn.BatchNorm | nn.Dropout) else args
        given = args[0] if args else kwargs.get("x")
        norm = is_flax_layer and isinstance(module, nn.BatchNorm)
        if norm and weight is not None and given is not None and len(given) == len(weight):
            wide = weight.reshape(-1, *(1,) * (given.ndim - 1)) > 0
            kwargs.setdefault("mask", wide)  # the padding of a short batch is left out
        return call(*args, **kwargs)

    return hold
