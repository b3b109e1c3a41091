"""Out-of-fold predictions: for every example beside the test part, by the fold that was not trained on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nnrun.errors import RunError, Warn, one_line
from nnrun.prediction.by_member import Counting
from nnrun.prediction.folds import warn_of_best
from nnrun.prediction.output import Prediction, row_column
from nnrun.prediction.predict import predict_part
from nnrun.record import run
from nnrun.runner.group import members

__all__ = ["out_of_fold"]


def out_of_fold(folder: Path, which: str, warn: Warn, counting: Counting) -> Prediction:
    """What each fold of a cross-validation predicts for its validation part, in the order of the data.

    which   last, best, or a step
    Its column `row` counts the examples of the data from 0.  With repeats, each example has the mean of as many
    predictions.  Raises RunError where a fold has not ended or diverged, and what `predict_part` raises.
    """
    folds = members(folder)
    for fold in folds:
        if (status := run.status(fold)) != "done":
            raise RunError(
                f"{one_line(fold)}: {status}, so its examples have no prediction; name a fold that is done"
            )
    warn_of_best(which, warn)
    parts = [predict_part(fold, "val", which, warn, counting) for fold in folds]
    # The same rows come once in each repeat.
    rows, first, place = np.unique(
        np.concatenate([part.rows for part in parts if part.rows is not None]),
        return_index=True,
        return_inverse=True,
    )
    values = np.concatenate([part.values for part in parts])
    total = np.zeros((len(rows), *values.shape[1:]))
    np.add.at(total, place, values)
    return parts[0]._replace(
        values=total * (len(rows) / len(values)),
        targets=np.concatenate([part.targets for part in parts if part.targets is not None])[first],
        kept=[row_column(rows)],
        rows=rows,
    )
