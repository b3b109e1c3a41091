"""A sample of the data as the model sees them, and the names of its features."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from nnrun.preprocessing import Column
from nnrun.types import Batch, Dataset, Examples

__all__ = ["Sample", "batch_of", "feature_names", "groups_of_inputs", "sample_of"]


class Sample(NamedTuple):
    """Examples of a part.

    rows   (n,) rising positions in the part
    z      (n, *shape) float64, standardised: (x − shift) / scale
    y      (n,) labels, or standardised targets
    """

    rows: np.ndarray
    z: np.ndarray
    y: np.ndarray


def sample_of(dataset: Dataset, part: str, most: int) -> Sample:
    """At most so many examples of train, val or test, drawn without replacement, always the same ones."""
    examples: Examples = getattr(dataset, part)
    count = len(examples.y)
    rows = np.arange(count)
    if count > most:
        rows = np.sort(np.random.default_rng(0).choice(count, most, replace=False))
    z = (examples.x[rows].astype(np.float64) - dataset.shift) / dataset.scale
    return Sample(rows, z, examples.y[rows])


def batch_of(dataset: Dataset, rows: np.ndarray) -> Batch:
    """These examples of the training part as a batch, as stored."""
    train = dataset.train
    return Batch(jnp.asarray(train.x[rows]), jnp.asarray(train.y[rows]), jnp.ones(len(rows)))


def groups_of_inputs(dataset: Dataset) -> list[tuple[str, slice, Column | None]]:
    """The features: name, inputs it became, and its column in a table; of vectors without names one for each."""
    start, groups = 0, []
    for column in dataset.fitted.columns:
        groups.append((column.name, slice(start, start + column.width), column))
        start += column.width
    if groups:
        return groups
    width = int(np.prod(dataset.fitted.shape))
    return [(f"input {i}", slice(i, i + 1), None) for i in range(width)]


def feature_names(dataset: Dataset, which: np.ndarray) -> list[str]:
    """The names of the features that have any of these inputs, (inputs,) bool."""
    return [name for name, inputs, _ in groups_of_inputs(dataset) if which[inputs].any()]
