"""The folds of a cross-validation: which examples each of several runs validates with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nnrun.data._permutation import permutation
from nnrun.errors import DataError

__all__ = ["Fold", "check_folds", "drawn_for_fold", "fold_of_rows"]

_DRAW = 1 << 120  # in the seed of what `drawn_for_fold` draws: no other of this module reaches it


class Fold(NamedTuple):
    """One fold of a cross-validation.

    number   1 ... folds · repeats; those from folds + 1 on are of another partition
    folds    k ≥ 2 parts of equal size, of which one validates and the others train
    """

    number: int
    folds: int

    @property
    def repeat(self) -> int:
        """Of which partition it is: 0, 1, ..."""
        return (self.number - 1) // self.folds

    @property
    def part(self) -> int:
        """Which part of the partition validates: 0 ... folds − 1."""
        return (self.number - 1) % self.folds


def check_folds(
    labels: np.ndarray, classes: tuple[str, ...], folds: int, groups: np.ndarray | None, timed: bool
) -> None:
    """Raises DataError where the examples cannot be divided into this many folds.

    labels   (n,) of the examples to divide, or zeros for a regression
    groups   (n,) integers, None: there are none
    timed    whether the parts of the data follow one another in time
    """
    if timed:
        raise DataError(
            f"train.folds: got {folds}, but data.time is set: a fold in the middle would be trained on rows that came "
            "after it; leave one of them out"
        )
    if folds > len(labels):
        raise DataError(
            f"train.folds: got {folds}, but there are {len(labels)} examples beside the test part; write at most "
            f"{len(labels)}"
        )
    if groups is not None:
        if (count := len(np.unique(groups))) < folds:
            raise DataError(
                f"train.folds: got {folds}, but data.split_by has {count} groups beside the test part; write at most "
                f"{count}"
            )
        return
    counts = np.bincount(labels, minlength=len(classes))
    for name, count in zip(classes, counts.tolist(), strict=False):
        if count < folds:
            raise DataError(
                f"train.folds: got {folds}, but class '{name}' has {count} examples beside the test part, so a fold "
                "would have none; write fewer folds, or use more examples"
            )


def fold_of_rows(
    rows: np.ndarray, labels: np.ndarray, fold: Fold, seed: int, groups: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The rows that a fold validates with, and those that it trains on.

    rows     to divide, in any order
    labels   by row: the classes, or tenths of targets, of which each fold has its share to within one example
    groups   by row: those of one group are in one fold; the shares are then as near as whole groups allow
    Every row validates in exactly one fold of a partition; the sizes of two folds differ by one at most, but for
    groups.
    """
    rows = np.sort(rows)[permutation(len(rows), seed + (fold.repeat << 64))]
    if groups is None:
        part = np.empty(len(rows), np.int64)
        part[labels[rows].argsort(kind="stable")] = np.arange(len(rows)) % fold.folds
    else:
        part = _parts_of_groups(groups[rows], labels[rows], fold.folds)
    return rows[part == fold.part], rows[part != fold.part]


def drawn_for_fold(rows: np.ndarray, fold: Fold, seed: int) -> np.ndarray:
    """The rows that a fold may train on, in an order of its own, of which some are taken where it trains on few.

    In one order for all folds these would take mostly the same rows, and a mean over the folds would be one over a few
    training sets that are nearly one.
    """
    return rows[permutation(len(rows), seed + _DRAW + (fold.number << 64))]


def _parts_of_groups(groups: np.ndarray, labels: np.ndarray, folds: int) -> np.ndarray:
    """(n,): the part of each example, with its group.

    The groups come from the largest on, equal ones as they are drawn.  Each goes where the fewest examples of its
    classes are, by their share of all of that class; to the smallest part where that is the same.
    """
    _, first, code = np.unique(groups, return_index=True, return_inverse=True)
    counts = np.zeros((len(first), int(labels.max()) + 1))
    np.add.at(counts, (code, labels), 1)
    totals = np.maximum(counts.sum(0), 1)
    held, part_of_group = np.zeros((folds, counts.shape[1])), np.empty(len(first), np.int64)
    for group in np.lexsort((first, -counts.sum(1))):
        crowd = held @ (counts[group] / totals)
        part = np.lexsort((held.sum(1), np.round(crowd, 9)))[0]
        part_of_group[group] = part
        held[part] += counts[group]
    return part_of_group[code]
