from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Gt, Lt

from nnrun.statistics.measure import Measure
from nnrun.statistics.metric import SIZE

__all__ = ["pinball"]

Level = Annotated[float, Gt(0), Lt(1)]


def pinball(q: Level) -> Measure:
    """Pinball loss of a quantile, in the units of the target: what `loss: quantile` makes least.

    mean of max(q (y − z), (1 − q)(z − y))

    q   the quantile, in (0, 1); 0.5 gives half of mae
    Source: Koenker & Bassett 1978, "Regression quantiles"; as sklearn.metrics.mean_pinball_loss.
    """

    def terms(predictions, targets):
        return np.maximum(q * (targets - predictions), (1 - q) * (predictions - targets))

    return Measure(lambda averages: averages[0], rising=False, classifies=False, terms=terms, bounds=SIZE)
