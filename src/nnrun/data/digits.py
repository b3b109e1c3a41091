"""Digits."""

from __future__ import annotations

import numpy as np

from nnrun.data._bundled import bundled
from nnrun.options import Standardize
from nnrun.types import Examples, Source

__all__ = ["digits"]


def digits(standardize: Standardize = "image") -> Source:
    """Handwritten digits, 8x8 grey: 1,797 examples, 10 classes; needs no network.

    standardize  "image": one mean and deviation for all pixels

    Pixels are 0 to 16.  Source: Alpaydin & Kaynak 1998 (UCI), as bundled with scikit-learn.
    """
    source = bundled("digits", standardize)
    x = np.asarray(source.train.x).reshape(-1, 8, 8, 1).astype(np.uint8)
    return source._replace(train=Examples(x, source.train.y))
