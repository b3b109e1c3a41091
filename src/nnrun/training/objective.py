"""What a step minimises: the mean loss of a batch plus the penalties, in one piece or in parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from nnrun.training.columns import beside
from nnrun.types import Batch, Layer, Loss, Objective, Tree

__all__ = ["StepContext", "make_objective"]


class StepContext(NamedTuple):
    """All that an objective depends on beside the parameters."""

    model: Layer
    loss: Loss
    penalty: Callable[[Tree], Array]
    stats: Tree
    batch: Batch  # with inputs and targets as the model and the loss want them
    noise: Array | None  # a key


def make_objective(context: StepContext, parts: int = 1) -> Objective:
    """The objective params -> value, (stats, means); means {name: () or (m,)} are the loss's terms averaged.

    parts   how many pieces the batch is cut into, which are evaluated one after another.  With k pieces the
            activations of a k-th of the batch are in memory.  The value is the same but for what looks at the
            batch as a whole: batch norm sees the pieces one by one, and so does noise.
            `gradient` sums the gradients of the pieces; differentiating the objective evaluates each twice.
    """
    if parts == 1:
        return _whole(context)
    return _in_parts(context, parts)


def _piece(
    context: StepContext, examples: Array, mass: Array
) -> Callable[..., tuple[Array, tuple[Tree, Tree]]]:
    """(params, stats, batch, noise) -> share of the mean loss over `mass`, (stats, shares of means over `examples`)."""

    def piece(params, stats, batch, noise):
        outputs, stats = context.model.apply(params, stats, batch.x, noise, batch.weight)
        value = (_counted(batch) * _for_targets(context.loss.value, outputs, batch)).sum() / mass
        terms = _for_targets(context.loss.terms, outputs, batch)
        means = {name: (beside(batch.weight, term) * term).sum(0) / examples for name, term in terms.items()}
        return value, (stats, means)

    return piece


def _for_targets(function: Callable[[Array, Array], Tree], outputs: Array, batch: Batch) -> Tree:
    """function(outputs, targets) of each example; where it has two targets, both values by their shares."""
    values = function(outputs, batch.y)
    if batch.other is None or batch.share is None:
        return values
    share = batch.share

    def blended(a: Array, b: Array) -> Array:
        return beside(share, a) * a + (1 - beside(share, a)) * b

    return jax.tree.map(blended, values, function(outputs, batch.other))


def _counted(batch: Batch) -> Array:
    """(n,) how much each example counts in what is minimised; 0 for padding."""
    return batch.weight if batch.importance is None else batch.weight * batch.importance


def _mass(loss: Loss, batch: Batch, examples: Array) -> Array:
    """What the sum of the losses of a batch is divided by: its examples, or the sum of their weights."""
    if loss.weight is None and batch.importance is None:
        return examples
    counted = _counted(batch)
    if loss.weight is not None:
        outputs = jnp.zeros((len(batch.y), 1), batch.weight.dtype)  # of which only the type counts
        counted = counted * _for_targets(loss.weight, outputs, batch)
    mass = counted.sum()
    return (
        mass if batch.importance is None else jnp.where(mass > 0, mass, 1.0)
    )  # a batch of weights 0 adds nothing


def _whole(context: StepContext) -> Objective:
    batch = context.batch
    examples = batch.weight.sum()
    mass = _mass(context.loss, batch, examples)
    piece = _piece(context, examples, mass)

    def whole(params):
        value, aux = piece(params, context.stats, batch, context.noise)
        return value + context.penalty(params), aux

    def outputs_of(params):
        return context.model.apply(params, context.stats, batch.x, context.noise, batch.weight)[0]

    def value_of(outputs):
        return (_counted(batch) * _for_targets(context.loss.value, outputs, batch)).sum() / mass

    gradient = jax.value_and_grad(whole, has_aux=True)
    return Objective(whole, gradient, outputs_of, value_of, context.penalty)


def _in_parts(context: StepContext, parts: int) -> Objective:
    batch = context.batch
    examples = batch.weight.sum()
    mass = _mass(context.loss, batch, examples)
    piece = _piece(context, examples, mass)
    leaves = batch.x, batch.y, batch.weight, batch.other, batch.share, batch.importance
    cut = jax.tree.map(lambda a: _cut(a, parts), leaves)
    rows = (jnp.arange(parts, dtype=jnp.uint32), *cut)

    def part(row):
        _, x, y, weight, second_targets, share, importance = row
        return Batch(x, y, weight, other=second_targets, share=share, importance=importance)

    def noise(i):
        return None if context.noise is None else jax.random.fold_in(context.noise, i)

    def whole(params):
        @jax.checkpoint
        def evaluate(stats, row):
            value, (stats, means) = piece(params, stats, part(row), noise(row[0]))
            return (value, means), stats

        (value, means), stats = _sum_over(evaluate, context.stats, rows)
        return value + context.penalty(params), (stats, means)

    def gradient(params):
        def evaluate(stats, row):
            result = jax.value_and_grad(piece, has_aux=True)(params, stats, part(row), noise(row[0]))
            (value, (stats, means)), slope = result
            return (value, means, slope), stats

        (value, means, slope), stats = _sum_over(evaluate, context.stats, rows)
        extra, pull = jax.value_and_grad(context.penalty)(params)
        return (value + extra, (stats, means)), jax.tree.map(jnp.add, slope, pull)

    def outputs_of(params):
        @jax.checkpoint
        def outputs(row):
            batch_part = part(row)
            return context.model.apply(params, context.stats, batch_part.x, noise(row[0]), batch_part.weight)[
                0
            ]

        parts_of_outputs = lax.map(outputs, rows)
        return parts_of_outputs.reshape(-1, *parts_of_outputs.shape[2:])

    def value_of(outputs):
        flat = part(jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), (None, *cut)))
        return (_counted(flat) * _for_targets(context.loss.value, outputs, flat)).sum() / mass

    return Objective(whole, gradient, outputs_of, value_of, context.penalty)


def _sum_over(
    evaluate: Callable[[Tree, Tree], tuple[Tree, Tree]], stats: Tree, rows: Tree
) -> tuple[Tree, Tree]:
    """The sum of evaluate(stats, row) -> found, stats over all rows; each row continues with the stats before it."""

    def add(carry, row):
        total, stats = carry
        terms, stats = evaluate(stats, row)
        return (jax.tree.map(jnp.add, total, terms), stats), None

    shapes = jax.eval_shape(evaluate, stats, jax.tree.map(lambda a: a[0], rows))[0]
    zero = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
    return lax.scan(add, (zero, stats), rows)[0]


def _cut(a: Array, parts: int) -> Array:
    """a (n, ...) -> (parts, ⌈n / parts⌉, ...), every parts-th row to a piece, zeros where rows are missing.

    Rows are dealt in turn, so that the padding at the end of a short batch is spread over the pieces.
    """
    filled = jnp.pad(a, [(0, -a.shape[0] % parts), *[(0, 0)] * (a.ndim - 1)])
    return filled.reshape(-1, parts, *a.shape[1:]).swapaxes(0, 1)
