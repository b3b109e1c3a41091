"""Members whose parameters are an average that their run has kept: ema, swa, polyak.

Batch-norm statistics belong to the parameters that they were collected with, so those of an average are measured
on training data, as `nnrun evaluate` does it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import jax

from nnrun.ensemble.member import Member, check_average, stored
from nnrun.ensemble.models import Model, by_model, open_model
from nnrun.ensemble.predict import Counting
from nnrun.record import checkpoint
from nnrun.record.checkpoint import Checkpoint
from nnrun.runner import session
from nnrun.training import flat
from nnrun.training.averages import compile_averages
from nnrun.training.feed import Feed, make_feed
from nnrun.types import State

__all__ = ["averaged", "stored_averages"]

_AVERAGED = ("params/", "stats/")


def averaged(model: Model) -> Callable[[Checkpoint, str, str], Checkpoint]:
    """A function (checkpoint, average, place) -> the checkpoint with that average as its parameters.

    To be used within the model's precision; programs are compiled when they are first used.  The function raises
    RunError naming `place` where the checkpoint has no such average, or is of another model.
    """
    experiment, like = model.experiment, model.like
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


def stored_averages(members: Sequence[Member], folder: Path, counting: Counting) -> list[Member]:
    """The members by rising SHA-256, each average stored in `folder` as parameters.

    Raises RunError, Interrupted.
    """
    averages = [(member, member.average) for member in members if member.average]
    if not averages:
        return list(members)
    result = [member for member in members if not member.average]
    with counting("averages of runs", len(averages)) as tick:
        for group in by_model([member.folder for member, _ in averages]):
            model = open_model(averages[group[0]][0].folder, lambda _: None, ["train"])  # `predict` will warn
            with session.precision(model.precision):
                of = averaged(model)
                for i in group:
                    member, average = averages[i]
                    content = of(member.load(), average, member.name)
                    result.append(stored(member, content, folder / f"{i + 1:02d}"))
                    tick()
    return sorted(result, key=lambda member: member.sha256)
