"""From a model block to a Layer, whichever library the user's own model comes from."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import jax

from nnrun.build.patches import second_moments_of
from nnrun.catalog import Spec, bound, user_code
from nnrun.catalog.bound import WrongResultError
from nnrun.duration import Clock
from nnrun.errors import first_line
from nnrun.layer._remat import by_blocks
from nnrun.model import _foreign
from nnrun.model._bfloat16 import in_bfloat16
from nnrun.types import Dataset, Layer, Tree

__all__ = ["make_model"]


def make_model(
    spec: Spec, clock: Clock, dataset: Dataset, outputs: int
) -> tuple[Callable[[Tree], Layer], Tree]:
    """The function knobs -> Layer of a spec's model block, and those knobs.

    The user's own function may return a module of Flax or Equinox.  Such a module has no knobs: these libraries
    branch on their options, and keep them in the structure of the module.  Raises SpecError.
    """
    block, moments = spec.model, second_moments_of(dataset)

    def make(knobs: Tree, key: jax.Array) -> object:
        return bound.invoke(block, knobs, clock, outputs=outputs, key=key)

    library = _library(spec, make) if user_code.is_user_name(block.name) else None
    kept = by_blocks if spec.train.remat else lambda layer: layer
    rounded = (lambda layer: in_bfloat16(kept(layer))) if spec.train.precision == "bfloat16" else kept
    if library is None:

        def layer(knobs: Tree) -> Layer:
            return rounded(bound.call(block, knobs, clock, outputs=outputs, second_moments=moments))

        return layer, bound.knobs(block)
    return lambda knobs: rounded(_foreign.adapted(library, lambda key: make(knobs, key))), {}


def _library(spec: Spec, make: Callable[[Tree, jax.Array], object]) -> str | None:
    """The library of what the user's function returns, found out without computing anything; None: a Layer."""
    libraries: list[str | None] = []
    try:
        jax.eval_shape(lambda key: libraries.append(_foreign.library_of(make({}, key))), jax.random.key(0))
    except WrongResultError:
        raise
    except (ValueError, TypeError) as error:
        message = first_line(error)
        raise spec.fail(("model",), f"{spec.model.name}: {message}") from error
    takes_key = "key" in inspect.signature(spec.model.function).parameters
    if wrong := _foreign.asks_for_key(libraries[0], takes_key):
        raise spec.fail(("model",), f"{spec.model.name} {wrong}")
    return libraries[0]
