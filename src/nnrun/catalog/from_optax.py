"""Optimizers of optax as catalogue functions: `optimizer: {name: "optax:lamb", learning_rate: 1e-3}`.

Their signatures are written for Python: rates may be functions, masks may be trees.  What YAML can write is
kept, with a type from the default value; the rest keeps its default.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

from annotated_types import Ge

from nnrun.options import FixedMark, Rate

__all__ = ["from_optax"]

# optax may look at the value, which a knob does not show
_Fixed = Annotated[float, FixedMark()]
_OptionalFixed = Annotated[float | None, FixedMark()]
_OptionalRate = Annotated[float | None, Ge(0)]


def from_optax(function: Callable) -> Callable:
    """A function with the options of optax's that YAML can write, and types to check them by.

    Raises LookupError for what is no optimizer, or cannot be had without an option that YAML cannot write.
    """
    name = getattr(function, "__name__", "?")
    parameters = inspect.signature(function).parameters
    if not any("learning_rate" in key for key in parameters):
        raise LookupError(
            f"optax.{name} has no learning_rate, so it is no optimizer; see optax's list of them"
        )
    kept: dict[str, inspect.Parameter] = {}
    for key, parameter in parameters.items():
        hint = _hint(parameter)
        if hint is not None:
            kept[key] = inspect.Parameter(
                key, inspect.Parameter.KEYWORD_ONLY, default=parameter.default, annotation=hint
            )
        elif parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD:
            raise LookupError(
                f"optax.{name} needs {key}, which YAML cannot write; wrap it in a function of yours"
            )

    def made(**options: Any) -> Any:
        return function(**options)

    made.__name__, made.__doc__ = name, function.__doc__
    made.__annotations__ = {key: parameter.annotation for key, parameter in kept.items()}
    made.__dict__["__signature__"] = inspect.Signature(list(kept.values()))
    return made


def _hint(parameter: inspect.Parameter) -> Any:
    """The type of an option, None for one that YAML cannot write."""
    default, written = parameter.default, str(parameter.annotation)
    if "learning_rate" in parameter.name:
        return _OptionalRate if default is None else Rate
    if isinstance(default, bool):
        return bool
    if isinstance(default, int) and "float" not in written:
        return int
    if isinstance(default, (int, float)):
        return _Fixed
    if default is None and "float" in written and "Callable" not in written:
        return _OptionalFixed
    if default is parameter.empty and written in ("int", "<class 'int'>"):
        return int
    if default is parameter.empty and ("float" in written or "ArrayLike" in written):
        return _Fixed
    return None
