"""The sets that come with scikit-learn: real data without a network."""

from __future__ import annotations

import numpy as np

from nnrun.data._check import check
from nnrun.types import Examples, Source

__all__ = ["bundled"]


def bundled(name: str, standardize: str, **options: int) -> Source:
    """The table that `sklearn.datasets.load_<name>(**options)` returns, all of it for training.

    Inputs (n, k) float64; int32 labels where scikit-learn names classes, else float64 targets.
    """
    from sklearn import datasets

    content = getattr(datasets, f"load_{name}")(**options)
    classes = tuple(str(label) for label in content.get("target_names", ()))
    y = content.target.astype(np.int32 if classes else np.float64)
    return check(Source(Examples(content.data.astype(np.float64), y), None, classes, standardize), name)
