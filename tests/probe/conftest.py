"""Data sets of a few arrays, as `build` would make them from files, for checks of the data alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from nnrun.preprocessing import FittedColumn, Preprocessing
from nnrun.types import Dataset, Examples

Pair = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="session")
def dataset_of() -> Callable[..., Dataset]:
    """dataset_of(train, val=, test=, classes=, ...): of (x, y) pairs; inputs as they are, shift 0 and scale 1."""

    def make(
        train: Pair,
        val: Pair | None = None,
        test: Pair | None = None,
        classes: Sequence[str] = (),
        label_classes: Sequence[tuple[str, str]] = (),
        columns: Sequence[FittedColumn] = (),
        shift: np.ndarray | float | None = None,
        scale: np.ndarray | float | None = None,
        **more: Any,
    ) -> Dataset:
        parts = [
            Examples(*(train[0][:0], train[1][:0]) if pair is None else pair) for pair in (train, val, test)
        ]
        shape = train[0].shape[1:]
        moved = np.asarray(np.zeros(shape) if shift is None else shift)
        stretched = np.asarray(np.ones(moved.shape) if scale is None else scale)
        several = tuple(f"t{i}" for i in range(train[1].shape[1])) if train[1].ndim > 1 else ()
        fitted = Preprocessing(
            tuple(classes), tuple(columns), shape, str(train[0].dtype), moved, stretched, 0.0, 1.0, {}, several,
            tuple(label_classes),
        )  # fmt: skip
        return Dataset(
            *parts, moved, stretched, np.zeros_like(moved, np.float64), {}, tuple(classes), fitted, **more
        )

    return make
