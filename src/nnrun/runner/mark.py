"""The best step of a run so far, and whether another one is better; metrics as checkpoints hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from nnrun.record.pack import MarkEntry
from nnrun.statistics.metric import Metric, Undefined, reasons

__all__ = ["Mark", "is_better", "restored", "stored"]


class Mark(NamedTuple):
    """A step, the value of a metric there, and the validation loss, which decides between equal values."""

    step: int
    value: float
    loss: float | None  # None: not finite

    def entry(self) -> MarkEntry:
        """As JSON."""
        return {"step": self.step, "value": self.value, "loss": self.loss}


def is_better(mark: Mark, than: Mark | None, metric: Metric, margin: float | None = None) -> bool:
    """Whether a mark is better than an earlier one, by more than the margin if there is one.

    than   None: there is no earlier one, and any finite value is better
    Without a margin, the loss decides between equal values.
    """
    if not math.isfinite(mark.value):
        return False
    if than is None:
        return True
    gain = metric.gain(mark.value, than.value)
    if margin is None and gain == 0 and mark.loss is not None:
        return than.loss is None or mark.loss < than.loss
    return gain > (margin or 0.0)


def stored(values: Mapping[str, float]) -> dict[str, float | str]:
    """Metrics as JSON can hold them: those that are finite, and of those that are undefined why."""
    return {name: value for name, value in values.items() if math.isfinite(value)} | reasons(values)


def restored(values: Mapping[str, float | str]) -> dict[str, float]:
    """What `stored` made JSON of."""
    return {name: Undefined(value) if isinstance(value, str) else value for name, value in values.items()}
