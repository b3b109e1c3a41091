"""Averages of parameters as models: their batch-norm statistics measured anew, their metrics, their soup."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from nnrun.ensemble.blend import Blend
from nnrun.ensemble.line import POINTS, along, barrier
from nnrun.ensemble.scores import Scored, single
from nnrun.ensemble.soup import Mixture, Tried, alike, greedy, uniform
from nnrun.errors import RunError, one_line
from nnrun.prediction.member import Member
from nnrun.prediction.models import block_of, state_of
from nnrun.preprocessing import Preprocessing
from nnrun.record import preprocessing
from nnrun.report.ensemble.account import Barrier, Point
from nnrun.report.entry import flat as settings_of
from nnrun.training import flat
from nnrun.training.averages import compile_statistics
from nnrun.training.feed import make_feed
from nnrun.training.outputs import essential
from nnrun.types import State, Tree

__all__ = ["ParameterAverager", "check_alike", "independent", "line_ends", "make_averager"]

Arrays = Mapping[str, np.ndarray]


class ParameterAverager(NamedTuple):
    """Averages the members' parameters and judges the result.  To be used within the model's precision.

    refresh   arrays -> the same with batch-norm statistics measured on training data
    """

    scored: Scored
    members: Sequence[Member]
    refresh: Callable[[Arrays], dict[str, np.ndarray]]
    tick: Callable[[], None]

    def outputs(self, arrays: Arrays, part: str) -> np.ndarray:
        """Predictions (n, ...) for a part of the data."""
        model = self.scored.model
        return model.outputs(_state(self.scored, arrays), model.part(part).x, self.tick)

    def blend(self, how: str, arrays: Arrays, tried: Sequence[Tried]) -> Blend:
        """The predictions of an average of parameters, as those of an ensemble of one."""
        model, count = self.scored.model, len(self.members)
        entered = [step.member for step in tried if step.entered] or range(count)
        weights = [1 / len(entered) if i in entered else 0.0 for i in range(count)]
        combiner, means = single(how, model.kind), {}
        for part in self.scored.predicted.parts:
            outputs = self.outputs(arrays, part)
            means[part] = outputs if model.kind == "numbers" else combiner.mean([outputs], [1.0])
        return Blend(combiner, weights, means)

    def metrics(self, arrays: Arrays, part: str) -> dict[str, float]:
        """Metrics on a part of the data, statistics as they are."""
        return self.scored.judge.measured(self.outputs(arrays, part), self.scored.model.targets(part))

    def soup(self, how: str) -> tuple[dict[str, np.ndarray], list[Tried]]:
        """The average of all members (`parameters`), or of those that enter (`greedy`)."""
        order, by = self.scored.order, self.scored.by
        if how == "parameters" or order is None:
            averaged = uniform(member.load().arrays for member in self.members)
            return self._refreshed(averaged, len(self.members)), []

        def judged(arrays: dict[str, np.ndarray], count: int) -> tuple[float, float]:
            metrics = self.metrics(self._refreshed(arrays, count), "val")
            return metrics[by], metrics["loss"]

        soup, tried = greedy(order, self._load, judged, self.scored.judge.metric(by))
        return self._refreshed(soup, sum(step.entered for step in tried)), tried

    def _load(self, index: int) -> dict[str, np.ndarray]:
        return self.members[index].load().arrays

    def _refreshed(self, arrays: Arrays, count: int) -> dict[str, np.ndarray]:
        """The average of one member is that member with its own statistics."""
        return self.refresh(arrays) if count > 1 else dict(arrays)

    def curve(self, part: str) -> list[Point]:
        """Metrics of the average of the best member on validation, of the best two, ...: one average of each size."""
        mixture = Mixture()
        points: list[Point] = []
        for size, index in enumerate(self.scored.order or range(len(self.members)), 1):
            mixture = mixture.plus(self._load(index))
            metrics = self.metrics(self._refreshed(mixture.mean(), size), part)
            same = {name: {"mean": value, "low": value, "high": value} for name, value in metrics.items()}
            points.append({"members": size, "subsets": 1, **same})
        return points

    def line(self, part: str, points: int = POINTS) -> Barrier:
        """Metrics along the line between two members, and how high the barrier of the loss is."""

        def measure(arrays: dict[str, np.ndarray]) -> dict[str, float]:
            return self.metrics(self.refresh(arrays), part)

        a, b = line_ends(self.members, self.scored.order)
        line = along(self._load(a), self._load(b), measure, points)
        names = [self.members[i].name for i in (a, b)]
        return {"between": names, "split": part, "line": line, "height": barrier(line)}


def make_averager(scored: Scored, members: Sequence[Member], tick: Callable[[], None]) -> ParameterAverager:
    """What averages of parameters need; programs are compiled when they are first used.

    tick   called after each batch
    """
    experiment, like = scored.model.experiment, essential(scored.model.like)
    if not jax.tree.leaves(like.stats):
        return ParameterAverager(scored, members, lambda arrays: dict(arrays), tick)

    @functools.cache
    def statistics() -> Callable[[Tree, Tree, Tree], Tree]:
        return compile_statistics(experiment, like, make_feed(experiment.dataset.train), None)

    def refresh(arrays: Arrays) -> dict[str, np.ndarray]:
        state = _state(scored, arrays)
        fresh = flat.flatten(state._replace(stats=statistics()(state.params, state.stats, state.knobs)))
        tick()
        return {name: fresh[name] if name.startswith("stats/") else array for name, array in arrays.items()}

    return ParameterAverager(scored, members, refresh, tick)


def _state(scored: Scored, arrays: Arrays) -> State:
    return state_of(scored.model, arrays, "the average")


def check_alike(members: Sequence[Member]) -> None:
    """Raises RunError naming the first leaf, or the first option of the model, that differs.

    Numbers with a fraction may differ: the rate of dropout changes nothing in a net that is trained.
    """
    first, fitted = members[0].load().arrays, preprocessing.read(members[0].folder)
    block = settings_of(block_of(members[0].folder, "model"))
    for member in members[1:]:
        alike(first, members[0].name, member.load().arrays, member.name)
        if not _standardise_alike(fitted, preprocessing.read(member.folder)):
            raise RunError(
                f"{member.name}: its inputs are standardised in another way than those of {members[0].name} (see "
                "data.standardize); only predictions of such runs can be averaged: --average probabilities"
            )
        block_of_member = settings_of(block_of(member.folder, "model"))
        for name in dict.fromkeys((*block, *block_of_member)):
            expected, actual = block.get(name), block_of_member.get(name)
            if _without_fractions(expected) != _without_fractions(actual):
                raise RunError(
                    f"{member.name}: model.{name} is {one_line(actual, 40)}, in {members[0].name} it is "
                    f"{one_line(expected, 40)}; parameters of one model only can be averaged, predictions of all: "
                    "--average probabilities"
                )


def _standardise_alike(a: Preprocessing, b: Preprocessing) -> bool:
    """Whether two models get the same numbers for the same inputs."""
    return (a.columns, a.dtype) == (b.columns, b.dtype) and all(
        x.shape == y.shape and (x == y).all() for x, y in ((a.shift, b.shift), (a.scale, b.scale))
    )


def _without_fractions(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _without_fractions(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_without_fractions(entry) for entry in value]
    return None if isinstance(value, float) else value


def independent(members: Sequence[Member]) -> tuple[int, int] | None:
    """Two members of different runs; None: all are snapshots of one run."""
    return next(((0, i) for i, member in enumerate(members) if member.origin != members[0].origin), None)


def line_ends(members: Sequence[Member], order: Sequence[int] | None) -> tuple[int, int]:
    """The two members that a line is drawn between: the best and the next of another run, or else the best two."""
    best, *others = order or range(len(members))
    return best, next((i for i in others if members[i].origin != members[best].origin), others[0])
