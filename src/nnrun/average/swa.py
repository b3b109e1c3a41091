from __future__ import annotations

from nnrun.average._mean import mean_of
from nnrun.options import Steps
from nnrun.types import Average

__all__ = ["swa"]


def swa(start: Steps, every: Steps) -> Average:
    """SWA: the mean of snapshots taken every so often from a point of the run on.

    m ← m + (x − m) / n  at steps start + every, start + 2·every, ...; before the first it is x itself

    start   when the snapshots begin, such as 75%
    every   how far they are apart, such as 1 epochs
    Use: with a rate that stays high or cycles, so that the snapshots differ.  The statistics of batch norm are
    measured anew for the mean.
    Source: Izmailov et al. 2018, "Averaging weights leads to wider optima and better generalization".
    """
    if every < 1:
        raise ValueError("every: write at least 1 step")
    return mean_of(lambda step: (step > start) & ((step - start) % every == 0))
