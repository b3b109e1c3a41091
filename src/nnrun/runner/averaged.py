"""A checkpoint whose parameters are an average that its run kept beside them: ema, swa, polyak.

Batch-norm statistics belong to the parameters that they were collected with, so those of an average are measured
on training data, as `nnrun evaluate` does it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax

from nnrun.errors import RunError, one_line
from nnrun.record import checkpoint
from nnrun.record.checkpoint import Checkpoint
from nnrun.spec.schema import nearest
from nnrun.training import flat
from nnrun.training.averages import compile_averages
from nnrun.training.feed import Feed, make_feed
from nnrun.types import Experiment, State

__all__ = ["averaged", "check_average"]

_AVERAGE = "average/"
_AVERAGED = ("params/", "stats/")


def averaged(experiment: Experiment, like: State) -> Callable[[Checkpoint, str, str], Checkpoint]:
    """A function (checkpoint, average, place) -> the checkpoint with that average as its parameters.

    like   the state of one run as shapes; where it has batch-norm statistics, the training data must be there
    To be used within the run's precision; programs are compiled when they are first used.  The function raises
    RunError naming `place` where the checkpoint has no such average, or is of another model.
    """
    train = experiment.dataset.train
    feed = make_feed(train) if jax.tree.leaves(like.stats) else Feed(train, None)  # which nothing will fetch

    @functools.cache
    def program(average: str) -> Callable[[State], dict[str, State]]:
        alone = experiment._replace(averages=lambda knobs: {average: experiment.averages(knobs)[average]})
        return compile_averages(alone, like, feed, None)

    def of(content: Checkpoint, average: str, place: str) -> Checkpoint:
        check_average(content, average, place)
        arrays = {n: array for n, array in content.arrays.items() if n.split("/")[0] in State._fields}
        checkpoint.check_structure(arrays, flat.shapes(like), place)
        fresh = flat.flatten(program(average)(flat.unflatten(arrays, like))[average])
        fresh = {name: array for name, array in fresh.items() if name.startswith(_AVERAGED)}
        return content._replace(arrays={**content.arrays, **fresh})

    return of


def check_average(content: Checkpoint, average: str | None, place: str) -> None:
    """Raises RunError naming `place` and the nearest name, unless the checkpoint has that average, or None is asked."""
    known = {name.split("/")[1] for name in content.arrays if name.startswith(_AVERAGE)}
    if average is None or average in known:
        return
    remedy = nearest(average, known) if known else "train with average: ema, or leave it out"
    raise RunError(f"{place}: keeps no average {one_line(average, 40)!r}; {remedy}")
