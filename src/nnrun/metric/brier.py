from __future__ import annotations

import numpy as np

from nnrun.statistics.measure import Measure

__all__ = ["brier"]


def brier() -> Measure:
    """Brier score: the mean squared distance of probabilities from what happened.

    Σₖ (pₖ − [k = y])²; of two classes half of it, which is (p₁ − y)².
    Source: Brier 1950, "Verification of forecasts expressed in terms of probability"; as
    sklearn.metrics.brier_score_loss.
    """

    def terms(predictions, labels):
        happened = labels[:, None] == np.arange(predictions.shape[1])
        distance = np.square(predictions - happened).sum(1)
        return distance / 2 if predictions.shape[1] == 2 else distance

    return Measure(
        lambda averages: averages[0],
        rising=False,
        classifies=True,
        terms=terms,
        probabilities=True,
        bounds=(0.0, 2.0),
    )
