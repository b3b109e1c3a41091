"""Averages of parameters: one checkpoint made of several of the same structure.

"Model soups" (Wortsman et al. 2022) are averages of runs that were fine-tuned from one; snapshots of one run
lie as close together (Izmailov et al. 2018).  Independent runs do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from nnrun.errors import RunError, one_line
from nnrun.statistics.metric import Metric

__all__ = ["Mixture", "Tried", "alike", "greedy", "uniform"]

_AVERAGED = ("params/", "average/")  # a mean of running averages is one too
Arrays = Mapping[str, np.ndarray]


class Mixture:
    """The running sum of checkpoints, in float64: memory does not grow with their number."""

    def __init__(self) -> None:
        self.count, self._sums, self._first = 0, {}, {}

    def plus(self, arrays: Arrays) -> Mixture:
        """The mixture with one more; this one does not change."""
        larger = Mixture()
        larger.count, larger._first = self.count + 1, self._first or arrays
        averaged = (name for name in arrays if name.startswith(_AVERAGED) and arrays[name].dtype.kind == "f")
        larger._sums = {
            name: self._sums.get(name, 0.0) + arrays[name].astype(np.float64) for name in averaged
        }
        return larger

    def mean(self) -> dict[str, np.ndarray]:
        """The arrays of the average; those that are no parameters are the first checkpoint's."""
        means = {
            name: (total / self.count).astype(self._first[name].dtype) for name, total in self._sums.items()
        }
        return {**self._first, **means}


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
    return {
        name: f"{array.dtype.name} {list(array.shape)}"
        for name, array in sorted(
            arrays.items(), key=lambda item: (not item[0].startswith("params/"), item[0])
        )
        if name.startswith((*_AVERAGED, "stats/"))
    }


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
        value, loss = judge(arrays, candidate.count)
        score = metric.sign * value
        enters = not tried or score >= best
        tried.append(Tried(member, enters, value, loss))
        if enters:
            mixture, soup, best = candidate, arrays, score
    return soup, tried
