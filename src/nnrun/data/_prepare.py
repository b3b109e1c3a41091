"""From a source to parts ready for training: split, standardisation, digest.

A pure function of the content and the seed.  Permutations come from the raw stream of the Philox
generator, which NumPy keeps stable between versions; it does not keep the methods of `Generator` stable.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping

import numpy as np

from nnrun.data._absent import absent
from nnrun.data._check import check
from nnrun.data._rows import StoredRows
from nnrun.data._standardise import fit, standardised
from nnrun.errors import DataError, RunError
from nnrun.preprocessing import PARTS, Part, Preprocessing, Wanted, change_of
from nnrun.rows import Rows
from nnrun.types import Dataset, Examples, Source

__all__ = ["prepare", "without_data"]

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
    need: Wanted | None = None,
) -> Dataset:
    """`source` split in three, with the statistics for standardisation and a digest of the content.

    validation  [0, 1) this fraction of what the source trains on is held out; 0: no validation part
    test        (0, 1) likewise for testing; not used where the source has a test part of its own
    split_seed  0 ... 2**64 - 1; the test part depends on it and on `test` only, not on `validation`
    examples    train on this many of the training part only, chosen by split_seed; None: on all of them
    precision   of the run: what float64 inputs and targets are rounded to
    room        bytes: inputs that need more stay where the source has them and are read row by row
    need        what a run folder records: statistics are those, not fitted again; a part that is not as it was
                then is refused if it is wanted, and has no content if not

    Labels are split class by class (each part has its share of every class, to within one example), and
    every part keeps the order of the source.  Shift and scale come from the training part only.  Raises
    DataError if the source is not sound (`check`), a part would be empty, or `examples` cannot be had; RunError
    if a wanted part has changed.
    """
    split = _split(check(source, "data"), validation, test, split_seed, examples)
    if source.table.fit is not None:
        source = source.table.fit(np.sort(split[0][1]), need.fitted.columns if need else None)
        split = _split(source, validation, test, split_seed, examples)
    needed = sum(part.x.nbytes / len(part.x) * len(rows) for part, rows in split)
    parts = {name: _select(*chosen, needed > room) for name, chosen in zip(PARTS, split, strict=True)}
    described = {
        name: Part(len(part.y), _digest(part), _digest([np.sort(rows), part.y]))
        for (name, part), (_, rows) in zip(parts.items(), split, strict=True)
    }
    if need is None:
        dataset = standardised(parts, fit(parts["train"], source, described), precision)
    else:
        dataset = standardised(_as_recorded(parts, source, described, need), need.fitted, precision)
    return dataset._replace(about=source.table.about)


def without_data(fitted: Preprocessing, precision: np.dtype = _FLOAT32) -> Dataset:
    """The data of a run as its folder describes them, for a model that predicts for other inputs."""
    reason = "the data that it was trained on were not read"
    return standardised({name: absent(fitted, name, reason) for name in PARTS}, fitted, precision)


def _as_recorded(
    parts: Mapping[str, Examples], source: Source, described: Mapping[str, Part], need: Wanted
) -> dict[str, Examples]:
    """The parts that are as a run folder records them; of the others only shapes, unless they are wanted: RunError."""
    result = {}
    for name, part in parts.items():
        change = change_of(name, source, described[name], need.fitted)
        if change and name in need.parts:
            raise RunError(f"{change} since it was trained; bring the data back as they were, or train again")
        result[name] = absent(need.fitted, name, change) if change else part
    return result


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


def _digest(arrays: Iterable[Rows | np.ndarray]) -> str:
    """SHA-256 over type, shape and bytes of arrays, which are read piece by piece."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        rows = max(1, _CHUNK * len(array) // max(1, array.nbytes))
        for start in range(0, len(array), rows):
            digest.update(np.ascontiguousarray(array[start : start + rows]).data)
    return digest.hexdigest()
