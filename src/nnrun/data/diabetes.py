"""Diabetes."""

from __future__ import annotations

from nnrun.data._bundled import bundled
from nnrun.options import Standardize
from nnrun.types import Source

__all__ = ["diabetes"]


def diabetes(standardize: Standardize = "feature") -> Source:
    """Diabetes progression from 10 measurements: 442 examples, regression.

    standardize  "feature": each input its own mean and deviation

    The raw measurements, not scikit-learn's scaled ones, whose scaling has seen the test part.
    Source: Efron, Hastie, Johnstone & Tibshirani 2004, as bundled with scikit-learn.
    """
    return bundled("diabetes", standardize, scaled=False)
