"""A sample of the data as the model sees them, and the names of its features."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from nnrun.preprocessing import PARTS, FittedColumn
from nnrun.types import Batch, Dataset, Examples

__all__ = [
    "PARTS",
    "Sample",
    "batch_of",
    "feature_names",
    "groups_of_inputs",
    "is_image",
    "is_labelled",
    "labels_of",
    "looked_at",
    "pieces_of",
    "sample_of",
]

_LOOKED_AT, _FEWEST, _NUMBERS = 256, 32, 200_000  # with the model: most and least, and inputs of all together

_PIECE = 8 << 20  # bytes of inputs in memory at a time


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
    """At most this many examples of train, val or test, drawn without replacement, always the same ones."""
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


def looked_at(dataset: Dataset) -> np.ndarray:
    """Positions of some training examples, fewer where they are large, since all activations are kept."""
    count, width = len(dataset.train.y), int(np.prod(dataset.fitted.shape))
    most = int(np.clip(_NUMBERS // width, _FEWEST, _LOOKED_AT))
    return np.sort(np.random.default_rng(0).choice(count, min(most, count), replace=False))


def groups_of_inputs(dataset: Dataset) -> list[tuple[str, slice, FittedColumn | None]]:
    """The features: name, inputs it became, and its column in a table; of vectors without names one for each."""
    start, groups = 0, []
    for column in dataset.fitted.columns:
        groups.append((column.name, slice(start, start + column.width), column))
        start += column.width
    if groups:
        return groups
    width = int(np.prod(dataset.fitted.shape))
    return [(f"input {i}", slice(i, i + 1), None) for i in range(width)]


def is_image(dataset: Dataset) -> bool:
    """Whether inputs are pixels, of which some never vary: images, or vectors standardised as one."""
    return len(dataset.fitted.shape) > 1 or (np.ndim(dataset.shift) == 0 and not dataset.fitted.columns)


def pieces_of(examples: Examples) -> Iterator[np.ndarray]:
    """The inputs, some at a time."""
    count = len(examples.y)
    rows = max(1, _PIECE * count // max(1, examples.x.nbytes))
    for start in range(0, count, rows):
        yield examples.x[start : start + rows]


def is_labelled(dataset: Dataset) -> bool:
    """Whether targets are labels, one or several."""
    return bool(dataset.classes or dataset.fitted.label_classes)


def labels_of(sample: Sample) -> np.ndarray:
    """(n, k) int32: the labels of the examples, k = 1 where there is one."""
    return sample.y.reshape(len(sample.y), -1).astype(np.int32)


def feature_names(dataset: Dataset, which: np.ndarray) -> list[str]:
    """The names of the features that have any of these inputs, (inputs,) bool."""
    return [name for name, inputs, _ in groups_of_inputs(dataset) if which[inputs].any()]
