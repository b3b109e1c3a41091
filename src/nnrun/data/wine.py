"""Wine."""

from __future__ import annotations

from nnrun.data._bundled import bundled
from nnrun.options import Standardize
from nnrun.types import Source

__all__ = ["wine"]


def wine(standardize: Standardize = "feature") -> Source:
    """Wine cultivars from 13 chemical measurements: 178 examples, 3 classes.

    standardize  "feature": each input its own mean and deviation

    Source: Aeberhard & Forina 1991 (UCI), as bundled with scikit-learn.
    """
    return bundled("wine", standardize)
