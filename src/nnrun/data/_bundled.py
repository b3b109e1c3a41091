"""The sets that come with scikit-learn: real data without a network."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from nnrun.data._check import check
from nnrun.types import Examples, Source

__all__ = ["bundled"]

BundledTable = tuple[np.ndarray, np.ndarray, tuple[str, ...]]  # inputs, targets, names of the classes


def bundled(name: str, standardize: str, **options: int) -> Source:
    """The table that `sklearn.datasets.load_<name>(**options)` returns, all of it for training.

    Inputs (n, k) float64; int32 labels where scikit-learn names classes, else float64 targets.
    """
    x, y, classes = _labelled_rows(name) or _loaded(name, **options)
    y = y.astype(np.int32 if classes else np.float64)
    return check(Source(Examples(x.astype(np.float64), y), None, classes, standardize), name)


def _loaded(name: str, **options: int) -> BundledTable:
    """The table from scikit-learn's function."""
    from sklearn import datasets

    content = getattr(datasets, f"load_{name}")(**options)
    return content.data, content.target, tuple(str(label) for label in content.get("target_names", ()))


def _labelled_rows(name: str) -> BundledTable | None:
    """The same from scikit-learn's file, without its slow import; None where the file is not there.

    NAME.csv and NAME_data.csv begin with `rows,columns,class,class,...`; NAME.csv.gz has rows only, and its labels
    are the names.  The last column is the label.
    """
    package = importlib.util.find_spec("sklearn")
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent / "datasets" / "data"
    for file in (folder / f"{name}.csv", folder / f"{name}_data.csv"):
        if file.is_file():
            with file.open() as lines:
                classes = tuple(next(lines).strip().split(",")[2:])
                rows = np.loadtxt(lines, delimiter=",")
            return rows[:, :-1], rows[:, -1], classes
    if not (file := folder / f"{name}.csv.gz").is_file():
        return None
    rows = np.loadtxt(file, delimiter=",")
    return rows[:, :-1], rows[:, -1], tuple(str(int(label)) for label in np.unique(rows[:, -1]))
