"""Breast cancer."""

from __future__ import annotations

from nnrun.data._bundled import bundled
from nnrun.options import Standardize
from nnrun.types import Source

__all__ = ["breast_cancer"]


def breast_cancer(standardize: Standardize = "feature") -> Source:
    """Breast tumours from 30 measurements of cell nuclei: 569 examples, 2 classes.

    standardize  "feature": each input its own mean and deviation

    Source: Wolberg, Mangasarian, Street & Street 1995 (UCI), as bundled with scikit-learn.
    """
    return bundled("breast_cancer", standardize)
