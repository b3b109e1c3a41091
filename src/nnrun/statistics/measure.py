"""What a metric of the catalogue is: how good predictions are, in one number, on the host and in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nnrun.errors import SpecError, one_line
from nnrun.statistics.metric import ANY, Bounds, Undefined

__all__ = ["Measure"]


class Measure(NamedTuple):
    """A metric.

    value       what it is: (averages of the terms (k,)) -> number; without terms (predictions, targets) -> number
    rising      whether more is better
    classifies  whether it judges classes, or numbers
    terms       (predictions, targets) -> (n, k) or (n,), for each example by itself: what the value is made of, so that
                a part of the data is gone through piece by piece; None: the value needs all predictions at once
    bounds      the least and the most that it can be, at which its intervals end; (0, 1) is shown in percent
    probabilities   whether its predictions must be probabilities, and not the scores of a hinge loss

    predictions   of classes: probabilities (n, classes), or scores; of numbers: (n,) in the units of the target
    targets       labels (n,), or numbers (n,)
    Where there is no value, it is an `Undefined` that says why.
    """

    value: Callable[..., float]
    rising: bool
    classifies: bool
    terms: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    bounds: Bounds = ANY
    probabilities: bool = False

    def of_averages(self, averages: np.ndarray) -> float:
        """The value from averages of the terms (k,) over examples."""
        return _number(self.value(averages))

    def of_all(self, predictions: np.ndarray, targets: np.ndarray) -> float:
        """The value of a metric without terms, from all predictions at once."""
        return _number(self.value(_read_only(predictions), _read_only(targets)))

    def each(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The terms (n, k) of each example; a metric without terms has k = 0.

        Raises SpecError where a function of the user's own returns another shape.
        """
        count = len(targets)
        if self.terms is None:
            return np.empty((count, 0))
        values = np.asarray(self.terms(_read_only(predictions), _read_only(targets)), np.float64)
        if values.ndim not in (1, 2) or len(values) != count:
            place = _place(self.terms)
            raise SpecError(
                f"{place}terms of {count} examples have the shape {values.shape}; return ({count},) or ({count}, k)"
            )
        return values[:, None] if values.ndim == 1 else values


def _read_only(values: np.ndarray) -> np.ndarray:
    """The same numbers, which a metric cannot change: other metrics are computed from them too."""
    view = np.asarray(values).view()
    view.flags.writeable = False
    return view


def _place(function: Callable[..., object]) -> str:
    """`file:line: ` of a function that has a line."""
    code = getattr(function, "__code__", None)
    return f"{one_line(code.co_filename)}:{code.co_firstlineno}: " if code else ""


def _number(value: float) -> float:
    return value if isinstance(value, Undefined) else float(value)
