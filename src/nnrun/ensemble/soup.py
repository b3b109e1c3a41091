"""Averages of parameters: one checkpoint made of several of the same structure.

"Model soups" (Wortsman et al. 2022) are averages of runs that were fine-tuned from one; snapshots of one run
lie as close together (Izmailov et al. 2018).  Independent runs do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from nnrun.errors import RunError, one_line
from nnrun.record.pack import is_float
from nnrun.statistics.metric import Metric

__all__ = ["Mixture", "Tried", "alike", "greedy", "uniform"]

_AVERAGED = ("params/", "average/")  # a mean of running averages is one too
Arrays = Mapping[str, np.ndarray]


class Mixture(NamedTuple):
    """The running sum of checkpoints: memory does not grow with their number.

    first   the arrays of the first one
    sums    of the parameters, float64
    """

    members: int = 0
    first: Arrays = {}  # noqa: RUF012  (a NamedTuple's default, never changed)
    sums: Arrays = {}  # noqa: RUF012

    def plus(self, arrays: Arrays) -> Mixture:
        """The mixture with one more."""
        sums = {
            name: self.sums.get(name, 0.0) + array.astype(np.float64)
            for name, array in arrays.items()
            if name.startswith(_AVERAGED) and is_float(array.dtype)
        }
        return Mixture(self.members + 1, self.first or arrays, sums)

    def mean(self) -> dict[str, np.ndarray]:
        """The arrays of the average; those that are no parameters are the first checkpoint's."""
        means = {
            name: (sums / self.members).astype(self.first[name].dtype) for name, sums in self.sums.items()
        }
        return {**self.first, **means}


def alike(first: Arrays, first_name: str, second: Arrays, second_name: str) -> None:
    """Raises RunError naming the first leaf that differs and both shapes, unless both have one structure."""
    first_forms, second_forms = _forms(first), _forms(second)
    for name in (*first_forms, *second_forms):
        if first_forms.get(name) != second_forms.get(name):
            raise RunError(
                f"{second_name}: {one_line(name)} is {second_forms.get(name, 'absent')}, in {first_name} it is "
                f"{first_forms.get(name, 'absent')}; parameters of one structure only can be averaged, predictions "
                "of all: --average probabilities"
            )


def _forms(arrays: Arrays) -> dict[str, str]:
    names = [name for name in arrays if name.startswith((*_AVERAGED, "stats/"))]
    names.sort(key=lambda name: (not name.startswith("params/"), name))
    return {name: f"{arrays[name].dtype.name} {list(arrays[name].shape)}" for name in names}


def uniform(members: Iterable[Arrays]) -> dict[str, np.ndarray]:
    """The mean of the parameters of all members, added in their order."""
    mixture = Mixture()
    for arrays in members:
        mixture = mixture.plus(arrays)
    return mixture.mean()


class Tried(NamedTuple):
    """A member that was tried in a greedy soup."""

    member: int
    entered: bool
    value: float  # of the judging metric on validation, of the soup with it
    loss: float


def greedy(
    order: Iterable[int],
    load: Callable[[int], Arrays],
    judge: Callable[[dict[str, np.ndarray], int], tuple[float, float]],
    metric: Metric,
) -> tuple[dict[str, np.ndarray], list[Tried]]:
    """Greedy soup (Wortsman et al. 2022, recipe 1): members enter in order while they do not make it worse.

    order   positions of the members, the best on validation first
    load    the arrays of a member
    judge   arrays of an average, how many are in it -> value of the judging metric on validation, loss
    metric  the judging one
    Returns the arrays of the soup, and the members tried.
    """
    mixture, soup, best = Mixture(), {}, -np.inf
    tried: list[Tried] = []
    for member in order:
        candidate = mixture.plus(load(member))
        arrays = candidate.mean()
        value, loss = judge(arrays, candidate.members)
        score = metric.sign * value
        enters = not tried or score >= best
        tried.append(Tried(member, enters, value, loss))
        if enters:
            mixture, soup, best = candidate, arrays, score
    return soup, tried
