"""The sets that come with scikit-learn: real data without a network."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnrun.data._check import check
from nnrun.errors import DataError, one_line
from nnrun.types import Examples, Source

__all__ = ["bundled"]


class _Table(NamedTuple):
    """A table as scikit-learn has it: inputs (n, k), targets (n,), names of the classes, if there are any."""

    x: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...] = ()


def bundled(name: str, standardize: str, **options: int) -> Source:
    """The table that `sklearn.datasets.load_<name>(**options)` returns, all of it for training.

    Inputs (n, k) float64; int32 labels where scikit-learn names classes, else float64 targets.
    """
    table = _known(name) or _loaded(name, **options)
    y = table.y.astype(np.int32 if table.classes else np.float64)
    return check(Source(Examples(table.x.astype(np.float64), y), None, table.classes, standardize), name)


def _loaded(name: str, **options: int) -> _Table:
    """The table from scikit-learn's function."""
    try:
        from sklearn import datasets
    except ImportError as error:
        raise DataError(
            f"{name}: comes with scikit-learn, which cannot be imported: {one_line(error)}; pip install scikit-learn"
        ) from None
    content = getattr(datasets, f"load_{name}")(**options)
    return _Table(
        content.data, content.target, tuple(str(label) for label in content.get("target_names", ()))
    )


def _named_classes(content: bytes) -> _Table:
    """A file that begins with `rows,columns,class,class,...`, and whose last column is the label."""
    lines = BytesIO(content)
    classes = tuple(next(lines).decode().strip().split(",")[2:])
    rows = np.loadtxt(lines, delimiter=",")
    return _Table(rows[:, :-1], rows[:, -1], classes)


def _numbered_classes(content: bytes) -> _Table:
    """A compressed file of rows alone, whose last column is the label and the name of its class."""
    rows = np.loadtxt(_uncompressed(content), delimiter=",")
    return _Table(rows[:, :-1], rows[:, -1], tuple(str(int(label)) for label in np.unique(rows[:, -1])))


def _inputs_and_targets(inputs: bytes, targets: bytes) -> _Table:
    """Two compressed files of numbers."""
    return _Table(np.loadtxt(_uncompressed(inputs)), np.loadtxt(_uncompressed(targets)))


def _uncompressed(content: bytes) -> BytesIO:
    import gzip

    return BytesIO(gzip.decompress(content))


# name -> files of scikit-learn with their SHA-256, and how they are read: importing scikit-learn is slow.
_FILES: dict[str, tuple[dict[str, str], Callable[..., _Table]]] = {
    "breast_cancer": (
        {"breast_cancer.csv": "fed3eb72d0575ef6192293f5093c6e801b1476b577d0386bf4455504522172ed"},
        _named_classes,
    ),
    "diabetes": (
        {
            "diabetes_data_raw.csv.gz": "7fc0ded571454b1982210d3bb43f0aca44eae01a0b8654a3b24022bdb6b38009",
            "diabetes_target.csv.gz": "8e53f65eb811df43c206f3534bb3af0e5fed213bc37ed6ba36310157d6023803",
        },
        _inputs_and_targets,
    ),
    "digits": (
        {"digits.csv.gz": "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"},
        _numbered_classes,
    ),
    "iris": (
        {"iris.csv": "f13ffa8fdd56fd8e6c8d16d4081a3fbd3114bcd0aae4256c43205169cd9d1449"},
        _named_classes,
    ),
    "wine": (
        {"wine_data.csv": "10e8a802908b34f86e5da8ce962f3c806694bc98450a18f61851af59f324bede"},
        _named_classes,
    ),
}


def _known(name: str) -> _Table | None:
    """The same from scikit-learn's files, if they are there and are those that are known; else None."""
    package = importlib.util.find_spec("sklearn")
    if package is None or package.origin is None:
        return None
    digests, read = _FILES[name]
    files = [Path(package.origin).parent / "datasets" / "data" / file for file in digests]
    if not all(file.is_file() for file in files):
        return None
    contents = [file.read_bytes() for file in files]
    if [hashlib.sha256(content).hexdigest() for content in contents] != [*digests.values()]:
        return None
    return read(*contents)
