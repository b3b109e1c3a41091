"""Iris."""

from __future__ import annotations

from nnrun.data._bundled import bundled
from nnrun.options import Standardize
from nnrun.types import Source

__all__ = ["iris"]


def iris(standardize: Standardize = "feature") -> Source:
    """Iris flowers from 4 lengths and widths: 150 examples, 3 classes.

    standardize  "feature": each input its own mean and deviation

    Source: Fisher 1936, as bundled with scikit-learn.
    """
    return bundled("iris", standardize)
