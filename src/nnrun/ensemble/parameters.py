"""Averages of parameters as models: their batch-norm statistics measured anew, their metrics, their soup."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from nnrun.ensemble.line import POINTS, along, barrier
from nnrun.ensemble.member import Member
from nnrun.ensemble.models import Model, block_of, state_of
from nnrun.ensemble.scores import Judge, targets_of
from nnrun.ensemble.soup import Mixture, Tried, alike, greedy, uniform
from nnrun.errors import RunError, one_line
from nnrun.record.checkpoint import Checkpoint
from nnrun.training import flat
from nnrun.training.averages import compile_statistics
from nnrun.training.feed import make_feed
from nnrun.training.outputs import essential

__all__ = ["ParameterAverager", "check_alike", "independent", "make_averager"]

Arrays = Mapping[str, np.ndarray]


class ParameterAverager(NamedTuple):
    """What is needed to average parameters and to look at the result.  To be used within the model's precision.

    refresh   arrays -> the same with batch-norm statistics measured on training data
    """

    model: Model
    judge: Judge
    members: Sequence[Member]
    refresh: Callable[[Arrays], dict[str, np.ndarray]]
    tick: Callable[[], None]

    def load(self, index: int) -> dict[str, np.ndarray]:
        """The arrays of a member."""
        member = self.members[index]
        return member.load().arrays

    def outputs(self, arrays: Arrays, part: str) -> np.ndarray:
        """Predictions (n, ...) for a part of the data."""
        state = state_of(self.model, Checkpoint(0, dict(arrays), {}, 0), "the average")
        return self.model.outputs(state, getattr(self.model.experiment.dataset, part).x, self.tick)

    def metrics(self, arrays: Arrays, part: str) -> dict[str, float]:
        """Metrics on a part of the data, statistics as they are."""
        y = getattr(self.model.experiment.dataset, part).y
        terms = self.judge.terms(self.outputs(arrays, part), targets_of(self.model, y))
        return self.judge.metrics(terms.mean(1))

    def soup(
        self, how: str, order: Sequence[int] | None, name: str
    ) -> tuple[dict[str, np.ndarray], list[Tried]]:
        """The average of all members (`parameters`), or of those that enter (`greedy`).

        order   the members, the best on validation first
        name    the metric that judges on validation
        """
        if how == "parameters" or order is None:
            averaged = uniform(self.load(i) for i in range(len(self.members)))
            return self._refreshed(averaged, len(self.members)), []

        def judged(arrays: dict[str, np.ndarray], count: int) -> tuple[float, float]:
            metrics = self.metrics(self._refreshed(arrays, count), "val")
            return metrics[name], metrics["loss"]

        soup, tried = greedy(order, self.load, judged, self.judge.metric(name))
        return self._refreshed(soup, sum(step.entered for step in tried)), tried

    def _refreshed(self, arrays: Arrays, count: int) -> dict[str, np.ndarray]:
        """An average of one member is that member, its statistics too."""
        return self.refresh(arrays) if count > 1 else dict(arrays)

    def curve(self, order: Sequence[int] | None, part: str) -> list[dict[str, Any]]:
        """Metrics of the average of the first member, the first two, ...: one average of each size.

        order   the members, the best on validation first; None: as they stand
        """
        mixture, points = Mixture(), []
        for size, index in enumerate(order or range(len(self.members)), 1):
            mixture = mixture.plus(self.load(index))
            metrics = self.metrics(self._refreshed(mixture.mean(), size), part)
            same = {name: {"mean": value, "low": value, "high": value} for name, value in metrics.items()}
            points.append({"members": size, "subsets": 1, **same})
        return points

    def line(self, pair: tuple[int, int], part: str, points: int = POINTS) -> dict[str, Any]:
        """Metrics along the line between two members, and how high the barrier of the loss is."""

        def measure(arrays: dict[str, np.ndarray]) -> dict[str, float]:
            return self.metrics(self.refresh(arrays), part)

        points_on_line = along(self.load(pair[0]), self.load(pair[1]), measure, points)
        names = [self.members[i].name for i in pair]
        return {"between": names, "split": part, "line": points_on_line, "height": barrier(points_on_line)}


def make_averager(
    model: Model, judge: Judge, members: Sequence[Member], tick: Callable[[], None]
) -> ParameterAverager:
    """Compiles what averages of parameters need."""
    like = essential(model.like)
    experiment = model.experiment
    if not jax.tree.leaves(like.stats):
        return ParameterAverager(model, judge, members, lambda arrays: dict(arrays), tick)
    statistics = compile_statistics(experiment, like, make_feed(experiment.dataset.train), None)

    def refresh(arrays: Arrays) -> dict[str, np.ndarray]:
        state = state_of(model, Checkpoint(0, dict(arrays), {}, 0), "the average")
        fresh = state._replace(stats=statistics(state.params, state.stats, state.knobs))
        refreshed = flat.flatten(fresh)
        tick()
        return {
            name: refreshed[name] if name.startswith("stats/") else array for name, array in arrays.items()
        }

    return ParameterAverager(model, judge, members, refresh, tick)


def check_alike(members: Sequence[Member]) -> None:
    """Raises RunError naming the first leaf, or the first option of the model, that differs.

    Numbers with a fraction may differ: rates of dropout change no net that has learned with them.
    """
    first = members[0].load().arrays
    block = block_of(members[0].folder, "model")
    for member in members[1:]:
        alike(first, members[0].name, member.load().arrays, member.name)
        block_of_member = block_of(member.folder, "model")
        for name in dict.fromkeys((*block, *block_of_member)):
            expected, actual = block.get(name), block_of_member.get(name)
            if _without_fractions(expected) != _without_fractions(actual):
                raise RunError(
                    f"{member.name}: model.{name} is {one_line(actual, 40)}, in {members[0].name} it is "
                    f"{one_line(expected, 40)}; parameters of one model only can be averaged, predictions of all: "
                    "--average probabilities"
                )


def _without_fractions(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_fractions(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_without_fractions(entry) for entry in value]
    return None if isinstance(value, float) else value


def independent(members: Sequence[Member]) -> tuple[int, int] | None:
    """Two members of different runs; None: all are snapshots of one run."""
    stranger = next((i for i, member in enumerate(members) if member.origin != members[0].origin), None)
    return None if stranger is None else (0, stranger)
