"""From a source to parts ready for training: split, standardisation, digest.

A pure function of the content and the seed.  Permutations come from the raw stream of the Philox
generator, which NumPy keeps stable between versions; it does not keep the methods of `Generator` stable.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np

from nnrun.data._check import check
from nnrun.data._moments import moments
from nnrun.data._rounding import check_distinct, rounded
from nnrun.data._rows import StoredRows
from nnrun.errors import DataError
from nnrun.types import Dataset, Examples, Source

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["prepare"]

_FLOAT32 = np.dtype(np.float32)
_CHUNK = 1 << 23  # bytes of inputs in memory at a time


def prepare(
    source: Source,
    *,
    validation: float,
    test: float,
    split_seed: int,
    examples: int | None = None,
    room: float = math.inf,
    precision: np.dtype = _FLOAT32,
) -> Dataset:
    """`source` split in three, with the statistics for standardisation and a digest of the content.

    validation  [0, 1) this fraction of what the source trains on is held out; 0: no validation part
    test        (0, 1) likewise for testing; not used where the source has a test part of its own
    split_seed  0 ... 2**64 - 1; the test part depends on it and on `test` only, not on `validation`
    examples    train on this many of the training part only, chosen by split_seed; None: on all of them
    precision   of the run: what float64 inputs and targets are rounded to
    room        bytes: inputs that need more stay where the source has them and are read row by row

    Labels are split class by class (each part has its share of every class, to within one example), and
    every part keeps the order of the source.  Shift and scale come from the training part only.  Raises
    DataError if the source is not sound (`check`), a part would be empty, or `examples` cannot be had.
    """
    split = _split(check(source, "data"), validation, test, split_seed, examples)
    needed = sum(part.x.nbytes / len(part.x) * len(rows) for part, rows in split)
    parts = [_select(part, rows, needed > room) for part, rows in split]
    shift, scale = moments(parts[0].x, source.standardize)
    digest, offset = _digest(parts), np.zeros_like(shift)
    if source.train.x.dtype == np.float64:
        shift, offset = offset, shift
        parts = [_around(offset, part, *chosen, precision) for part, chosen in zip(parts, split, strict=True)]
    dataset = Dataset(
        *parts,
        shift=shift.astype(np.float32),
        scale=_positive(scale.astype(np.float32)),
        target_shift=0.0,
        target_scale=1.0,
        offset=offset,
        targets={},
        classes=source.classes,
        digest=digest,
    )
    return dataset if source.classes else _with_targets(dataset, precision)


def _around(
    offset: np.ndarray, part: Examples, source: Examples, rows: np.ndarray, precision: np.dtype
) -> Examples:
    """A part of the data with its inputs around an offset, rounded to the precision of the run."""
    if isinstance(part.x, np.ndarray):
        x = rounded(part.x, offset, precision)
        check_distinct(part.x, x, "input")
        return part._replace(x=x)
    if not isinstance(source.x, np.ndarray) or isinstance(source.x, np.memmap):
        raise DataError("data: inputs of type float64 cannot be streamed from a file; save them as float32")
    return _select(Examples(rounded(source.x, offset, precision), source.y), rows, streamed=True)


def _positive(scale: np.ndarray) -> np.ndarray:
    """What does not vary is divided by 1."""
    return np.where(scale > 0, scale, np.float32(1))


def _with_targets(dataset: Dataset, precision: np.dtype) -> Dataset:
    """The targets standardised by those of the training part, and as they are in the source."""
    parts = {"train": dataset.train, "val": dataset.val, "test": dataset.test}
    targets = {name: part.y.astype(np.float64) for name, part in parts.items()}
    mean, deviation = (float(value) for value in moments(targets["train"], "image"))
    scale = deviation if deviation > 0 else 1.0
    ready = {name: ((values - mean) / scale).astype(precision) for name, values in targets.items()}
    check_distinct(targets["train"], ready["train"], "targets")
    return dataset._replace(
        **{name: part._replace(y=ready[name]) for name, part in parts.items()},
        target_shift=mean,
        target_scale=scale,
        targets=targets,
    )


def _split(
    source: Source, validation: float, test: float, seed: int, examples: int | None
) -> list[tuple[Examples, np.ndarray]]:
    """What to train on, to validate and to test with: from which part of the source, which rows."""
    total = len(source.train.y)
    labels = source.train.y if source.classes else np.zeros(total, np.int32)
    rows = _permutation(total, seed)
    sizes = {"test": 0 if source.test is not None else round(total * test), "val": round(total * validation)}
    _check_sizes(total, sizes["test"], sizes["val"], validation > 0, source.test is not None)
    test_rows, rows = _take(rows, labels, sizes["test"])
    val_rows, train_rows = _take(rows, labels, sizes["val"])
    if examples is not None:
        _check_examples(examples, len(train_rows), max(2, len(source.classes)))
        _, train_rows = _take(train_rows, labels, len(train_rows) - examples)
    test_part = source.test
    tested = (source.train, test_rows) if test_part is None else (test_part, np.arange(len(test_part.y)))
    return [(source.train, train_rows), (source.train, val_rows), tested]


def _check_sizes(total: int, test: int, val: int, needs_val: bool, has_test: bool) -> None:
    train = total - test - val
    if train >= 1 and (val or not needs_val) and (test or has_test):
        return
    raise DataError(
        f"data: {total} examples would be split into {max(train, 0)} for training, {val} for validation and "
        f"{'the test part of the source' if has_test else f'{test} for testing'}; "
        "change data.validation and data.test so that no part is empty, or use more examples"
    )


def _check_examples(examples: int, available: int, least: int) -> None:
    if examples > available:
        raise DataError(
            f"data.examples: {examples} are wanted, the training part holds {available}; write at most {available}, or "
            "leave it out to train on all of them"
        )
    if examples < least:
        raise DataError(f"data.examples: {examples} are too few; write at least {least}")


def _permutation(count: int, seed: int) -> np.ndarray:
    """0 ... count - 1 in the order of `count` random 64-bit numbers; Philox is keyed by the seed."""
    return np.random.Philox(key=seed).random_raw(count).argsort(kind="stable")


def _take(rows: np.ndarray, labels: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(size,) of `rows` with every class in proportion, and the others; the largest remainders round up.

    A class rounds up last where that would leave it no example.
    """
    classes = labels[rows]
    counts = np.bincount(classes)
    quota = counts * (size / len(rows))
    share = np.floor(quota).astype(np.int64)
    upwards = np.lexsort((share - quota, share + 1 >= counts))[: size - share.sum()]
    share[upwards] += 1
    by_class = classes.argsort(kind="stable")
    rank = np.empty_like(by_class)  # of each row within its class
    rank[by_class] = np.arange(len(rows)) - np.repeat(counts.cumsum() - counts, counts)
    taken = rank < share[classes]
    return rows[taken], rows[~taken]


def _select(examples: Examples, rows: np.ndarray, streamed: bool) -> Examples:
    """These rows, in the order of the source; no copy if it is all of them, in memory already."""
    whole = len(rows) == len(examples.y)
    x = examples.x
    if not streamed and whole and not isinstance(x, (np.memmap, StoredRows)):
        return examples
    rows = np.sort(rows)
    if not isinstance(x, np.ndarray):  # a loader's own
        raise DataError("data: inputs are no array; return a NumPy array, mapped from a file if it is large")
    stored = StoredRows(x, None if whole else rows)
    return Examples(stored if streamed else stored[:], examples.y[rows])


def _digest(parts: Iterable[Examples]) -> str:
    """SHA-256 over type, shape and bytes of every array."""
    digest = hashlib.sha256()
    for part in parts:
        for array in part:
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            rows = max(1, _CHUNK * len(array) // max(1, array.nbytes))
            for start in range(0, len(array), rows):
                digest.update(np.ascontiguousarray(array[start : start + rows]).data)
    return digest.hexdigest()
