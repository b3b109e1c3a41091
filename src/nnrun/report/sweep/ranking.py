"""In which order the alternatives of a sweep stand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nnrun.statistics.metric import Metric

if TYPE_CHECKING:
    from nnrun.report.sweep.rows import AnswerRow

__all__ = ["best_first", "on_fresh_seeds"]


def on_fresh_seeds(rows: Sequence[AnswerRow]) -> bool:
    """Whether fresh seeds rank the alternatives: all that have a value have one there."""
    return all(row.validation_again is not None for row in rows if row.mean is not None)


def best_first(rows: Sequence[AnswerRow], judge: Metric) -> list[AnswerRow]:
    """The alternatives, the best by the metric of the search first."""
    again = on_fresh_seeds(rows)
    return sorted(rows, key=lambda row: _order(row, judge, again))


def _order(row: AnswerRow, judge: Metric, again: bool) -> tuple[bool, bool, float]:
    """Best first: by the validation metric over fresh seeds, in the search until all have them.

    Test data choose nothing.  An alternative of which fresh seeds diverged, or studies chose nothing, is behind those
    that are sound.
    """
    judged = row.validation_again if again else row.validation
    unsound = row.fresh and (row.diverged > 0 or bool(row.lost))
    return row.mean is None, unsound, math.inf if judged is None else -judge.sign * judged
