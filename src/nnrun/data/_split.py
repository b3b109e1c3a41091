"""Which rows of a source are trained on, which validate and which test."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnrun.data._folds import Fold, check_folds, drawn_for_fold, fold_of_rows
from nnrun.data._permutation import permutation
from nnrun.errors import DataError
from nnrun.types import Examples, Source

__all__ = ["split_rows"]


def split_rows(
    source: Source,
    validation: float,
    test: float,
    seed: int,
    examples: int | None = None,
    stratify: bool = False,
    fold: Fold | None = None,
) -> list[tuple[Examples, np.ndarray]]:
    """What to train on, to validate and to test with: from which part of the source, which rows.

    Rows of a group stay together, rows with times follow one another, all others are drawn, labels class by class and,
    with `stratify`, numbers tenth by tenth.  Of a fold, `validation` plays no part: the test part is that without
    folds, and one k-th of the others validates.  Raises DataError where a part would be empty.
    """
    if stratify and source.table.times is not None:
        raise DataError("data.stratify: the parts follow one another in time, data.time says; leave one out")
    total = len(source.train.y)
    labels = source.train.y if source.classes else _tenths(source.train.y, stratify)
    rows = permutation(total, seed)
    validation = 0.0 if fold else validation
    sizes = {"test": 0 if source.test is not None else round(total * test), "val": round(total * validation)}
    _check_sizes(total, sizes["test"], sizes["val"], validation > 0, source.test is not None or test == 0)
    take = _taker(source, labels, seed)
    test_rows, rows = take(rows, labels, sizes["test"])
    if fold is None:
        val_rows, train_rows = take(rows, labels, sizes["val"])
    else:
        val_rows, train_rows = _divide(source, rows, labels, fold, seed)
    if examples is not None:
        _check_examples(examples, len(train_rows), max(2, len(source.classes)))
        train_rows = train_rows if fold is None else drawn_for_fold(train_rows, fold, seed)
        _, train_rows = _take(train_rows, labels, len(train_rows) - examples)
    test_part = source.test
    tested = (source.train, test_rows) if test_part is None else (test_part, np.arange(len(test_part.y)))
    return [(source.train, train_rows), (source.train, val_rows), tested]


def _divide(
    source: Source, rows: np.ndarray, labels: np.ndarray, fold: Fold, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The rows that a fold validates with, and the others."""
    groups, timed = source.table.groups, source.table.times is not None
    check_folds(labels[rows], source.classes, fold.folds, None if groups is None else groups[rows], timed)
    return fold_of_rows(rows, labels, fold, seed, groups)


def _tenths(targets: np.ndarray, stratify: bool) -> np.ndarray:
    """(n,) int32: in which tenth of the targets, ordered by size, each lies; 0 for all unless that is wanted."""
    tenths = np.zeros(len(targets), np.int32)
    if stratify and targets.ndim > 1:
        raise DataError(
            "data.stratify: orders the examples by their target, and there are several; leave it out"
        )
    if stratify:
        tenths[targets.argsort(kind="stable")] = np.arange(len(targets)) * 10 // len(targets)
    return tenths


def _taker(source: Source, labels: np.ndarray, seed: int) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """What takes the rows of a part away: (rows, labels, size) -> those, and the others."""
    groups, times = source.table.groups, source.table.times
    if times is not None:
        return lambda rows, labels, size: _take_last(rows, times, size)
    if groups is not None:
        return lambda rows, labels, size: _take_groups(rows, labels, size, groups, seed)
    return _take


def _take_last(rows: np.ndarray, times: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The last `size` of `rows` in time, and with them those that are as late as the first of these; the others."""
    if not size:
        return rows[:0], rows
    border = np.sort(times[rows])[-size]
    late = times[rows] >= border
    if late.all():
        raise DataError(
            "data.time: too many rows have the first time of a part to split them there; change data.validation or "
            "data.test, or use a finer time"
        )
    return rows[late], rows[~late]


def _take_groups(
    rows: np.ndarray, labels: np.ndarray, size: int, groups: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """About `size` of `rows` as whole groups, with the classes about in proportion, and the others.

    Groups are looked at in an order that the seed draws; each is taken if that brings the counts of the classes nearer
    to their shares.
    """
    if not size:
        return rows[:0], rows
    present, code = np.unique(groups[rows], return_inverse=True)
    counts = np.zeros((len(present), int(labels.max()) + 1))
    np.add.at(counts, (code, labels[rows]), 1)
    wanted = counts.sum(0) * (size / len(rows))
    taken, total = np.zeros(len(present), bool), np.zeros_like(wanted)
    for group in permutation(len(present), seed):
        if ((total + counts[group] - wanted) ** 2).sum() < ((total - wanted) ** 2).sum():
            taken[group], total = True, total + counts[group]
    if not taken.any():
        taken[((counts - wanted) ** 2).sum(1).argmin()] = True
    if taken.all():
        raise DataError(
            f"data.split_by: {len(present)} groups are too few to split; there must be one for each part, or leave it "
            "out"
        )
    chosen = taken[code]
    return rows[chosen], rows[~chosen]


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
