"""The examples that an estimator is given, as a data set whose inputs are standardised before the program sees them.

A data set of a spec is standardised by its program, in which mean and deviation are constants.  Here they are not, so
that one program serves every fold and every data set of one size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from nnrun import build
from nnrun.catalog import Spec
from nnrun.data._absent import Absent
from nnrun.preprocessing import Preprocessing, TableFacts
from nnrun.types import Dataset, Examples, Source

__all__ = ["Given", "dataset_for", "standardised", "with_unit_scale"]


class Given(NamedTuple):
    """What `fit` got, checked.

    x         (n, inputs) float64
    y         (n,) int32 labels, or float64; of several targets (n, k)
    weights   (n,) float64 > 0; None: all the same
    classes   how many there are; 0: a regression
    labels    as `fit` got them, in the order of the classes
    """

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None
    classes: int
    labels: tuple[str, ...] = ()

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """What the archive of a run holds."""
        return {"x": self.x, "y": self.y} | ({} if self.weights is None else {"w": self.weights})


def dataset_for(checked: Spec, given: Given) -> Dataset:
    """The data set of a run, inputs standardised.  To be used within its precision.  Raises DataError."""
    standardize = checked.data.options.get("standardize", "feature")
    source = Source(
        Examples(given.x, given.y),
        None,
        tuple(map(str, range(given.classes))),
        standardize,
        table=TableFacts(weights=given.weights),
    )
    dataset = build.dataset_of(checked, source)
    fitted = dataset.fitted
    if given.weights is not None:
        rows = dataset.rows["train"]
        fitted = _by_weight(fitted, checked, given.x[rows], given.y[rows], given.weights[rows])
    parts = {
        name: Examples(
            standardised(given.x[rows], fitted, dataset.train.x.dtype),
            _targets(given.y[rows], dataset, fitted),
        )
        for name, rows in dataset.rows.items()
        if name != "test"
    }
    return with_unit_scale(dataset._replace(fitted=fitted, **parts))


def _by_weight(
    fitted: Preprocessing, checked: Spec, x: np.ndarray, y: np.ndarray, weights: np.ndarray
) -> Preprocessing:
    """With the mean and deviation that rows repeated so often as they weigh would have."""
    kind = checked.data.options.get("standardize", "feature")
    if kind != "none":
        axis, counts = (
            (0, weights) if kind == "feature" else (None, np.broadcast_to(weights[:, None], x.shape))
        )
        shift = np.average(x, axis=axis, weights=counts)
        spread = np.sqrt(np.average((x - shift) ** 2, axis=axis, weights=counts))
        fitted = fitted._replace(
            shift=np.asarray(shift), scale=np.where(spread.astype(np.float32) > 0, spread, 1.0)
        )
    if fitted.classes:
        return fitted
    mean = np.average(y, axis=0, weights=weights)
    if build.wants_counts(checked):  # which are not moved: their unit is their mean
        return _with_units(fitted, np.zeros_like(mean), mean)
    deviation = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weights))
    return _with_units(fitted, mean, np.where(deviation > 0, deviation, 1.0))


def _with_units(fitted: Preprocessing, shift: np.ndarray, scale: np.ndarray) -> Preprocessing:
    """With these units of the target, (), or of several, (k,)."""
    if not fitted.targets:
        return fitted._replace(target_shift=float(shift), target_scale=float(scale))
    return fitted._replace(target_shift=shift, target_scale=scale)


def _targets(y: np.ndarray, dataset: Dataset, fitted: Preprocessing) -> np.ndarray:
    """As the loss takes them: labels, or numbers in units of their deviation."""
    if fitted.classes:
        return y
    return fitted.from_units(y).astype(dataset.train.y.dtype)


def standardised(x: np.ndarray, fitted: Preprocessing, precision: np.dtype) -> np.ndarray:
    """Inputs (n, inputs) float64 around their mean in units of their deviation, in the precision of the run.

    The deviation has the digits that a program of any run gets.
    """
    return ((x - fitted.shift).astype(precision) / fitted.scale.astype(np.float32).astype(precision)).astype(
        precision
    )


def with_unit_scale(dataset: Dataset) -> Dataset:
    """A data set whose inputs are standardised already, or absent: the program takes them as they are."""
    fitted, shape = dataset.fitted, np.shape(dataset.shift)
    zero = np.zeros(shape, np.float32)
    numbers: Mapping[str, np.ndarray] = {} if fitted.classes else dataset.targets
    return dataset._replace(
        shift=zero,
        scale=np.ones(shape, np.float32),
        offset=zero.astype(np.float64),
        targets={name: y for name, y in numbers.items() if not isinstance(y, Absent)},
    )
