"""From an optimizer block, with the blocks inside it and the common keys, to a Method."""

from __future__ import annotations

import jax
import optax

from nnrun.catalog import bound
from nnrun.catalog.bound import Bound
from nnrun.duration import Clock
from nnrun.optimizer._common import with_common
from nnrun.optimizer._first_order import first_order
from nnrun.types import Method, Tree

__all__ = ["MisfitError", "learning_rate", "make_method"]


class MisfitError(ValueError):
    """A key of an optimizer block that has no meaning there."""

    def __init__(self, path: tuple[str, ...], message: str) -> None:
        self.path = path
        super().__init__(message)


def learning_rate(block: Bound, knobs: Tree) -> jax.Array | float | None:
    """The learning rate of a block, or of the block inside it; None where there is none, as in L-BFGS.

    It is a knob, or the plain 0 that is no knob.
    """
    rate_of_block = _rate_of_block(block, knobs)
    if rate_of_block is not None:
        return rate_of_block
    rates = (learning_rate(inner, knobs[key]) for key, inner in _inner(block).items())
    return next((rate for rate in rates if rate is not None), None)


def _rate_of_block(block: Bound, knobs: Tree) -> jax.Array | float | None:
    """The learning rate that stands in the block itself; None where it has none."""
    if block.options.get("learning_rate") is None:
        return None
    return knobs.get("learning_rate", block.options["learning_rate"])


def make_method(block: Bound, knobs: Tree, factor: jax.Array, clock: Clock) -> Method:
    """The Method of a block, its learning rates times `factor`.  Raises MisfitError."""
    optimizer = _make(block, knobs, factor, clock, ("optimizer",))
    return optimizer if isinstance(optimizer, Method) else first_order(optimizer)


def _make(
    block: Bound, knobs: Tree, factor: jax.Array, clock: Clock, path: tuple[str, ...]
) -> Method | optax.GradientTransformation:
    knobs_of_block, inner = dict(knobs), _inner(block)
    rate_of_block = _rate_of_block(block, knobs)
    if rate_of_block is not None:
        knobs_of_block["learning_rate"] = rate_of_block * factor
    transforms = {
        key: _transform(block_inside, knobs[key], factor, clock, (*path, key))
        for key, block_inside in inner.items()
    }
    outer = block._replace(options={key: v for key, v in block.options.items() if key not in inner})
    optimizer = bound.call(outer, knobs_of_block, clock, **transforms)
    common = {key: knobs_of_block.get(key, value) for key, value in block.common.items()}
    if not isinstance(optimizer, Method):
        rate = learning_rate(block, {**knobs, **knobs_of_block})
        return with_common(optimizer, 0.0 if rate is None else rate, **common)
    if wrong := [key for key, value in block.common.items() if value]:
        where = f"write it inside {next(iter(inner))}" if inner else "leave it out"
        message = f"{block.name} makes its own steps, which {wrong[0]} cannot change; {where}"
        raise MisfitError((*path, wrong[0]), message)
    return optimizer


def _transform(
    block: Bound, knobs: Tree, factor: jax.Array, clock: Clock, path: tuple[str, ...]
) -> optax.GradientTransformation:
    transform = _make(block, knobs, factor, clock, path)
    if isinstance(transform, Method):
        message = f"{block.name} makes its own steps, so nothing can be wrapped around it; write another one"
        raise MisfitError((*path, "name"), message)
    return transform


def _inner(block: Bound) -> dict[str, Bound]:
    return {key: value for key, value in block.options.items() if isinstance(value, Bound)}
