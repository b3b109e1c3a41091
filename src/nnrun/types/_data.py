"""What is learnt from: files' content, parts of it, batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jax import Array

from nnrun.preprocessing import About, FittedColumn, Preprocessing, TableFacts
from nnrun.rows import Rows

__all__ = ["Augmentation", "Batch", "Dataset", "Examples", "Source"]


class Batch(NamedTuple):
    """The examples of one step."""

    x: Array  # (n, *shape) as stored
    y: Array  # (n,) int32 labels or (n,) float targets; (n, k) of several
    weight: Array  # (n,) 1 for an example, 0 for padding
    closing: Array | bool = True  # () whether a line of metrics ends here, so that norms are wanted
    other: Array | None = None  # (n,) like y: second targets, where examples are blended with others
    turn: Array | None = None  # (n,) uint32: a random number of each example's own, plus the epoch
    share: Array | None = None  # (n,) in [0, 1]: loss = share · L(z, y) + (1 − share) · L(z, other)
    importance: Array | None = None  # (n,) how much an example counts in what is minimised; None: the same


Augmentation = Callable[[Array, Batch], Batch]  # (key, batch) -> batch, inputs standardised, in training only


class Examples(NamedTuple):
    """Inputs and targets of a part of the data, on the host."""

    x: np.ndarray | Rows  # (n, *shape) uint8 or floats; a Rows if it is streamed
    y: np.ndarray  # (n,) int32 labels, or (n,) floats: targets; of several (n, k) floats


class Source(NamedTuple):
    """What a data loader returns: the files' content, not yet split."""

    train: Examples
    test: Examples | None  # None: one is cut from train
    classes: tuple[str, ...]  # class names by label; () for regression
    standardize: str  # "feature": each input its own mean and deviation; "image": one for all; "none"
    columns: tuple[FittedColumn, ...] = ()  # of a table: the features that the inputs are made of
    table: TableFacts = TableFacts()  # what it knows as a table
    targets: tuple[
        str, ...
    ] = ()  # names of several targets; () where there is one, or they are to be counted
    # Of several labels, each of which is a target of 0 or 1: its two classes; () where targets are numbers.
    label_classes: tuple[tuple[str, str], ...] = ()


class Dataset(NamedTuple):
    """Data ready for training.  The program computes (x - shift) / scale; targets are standardised already."""

    train: Examples
    val: Examples
    test: Examples
    shift: np.ndarray  # () or (*shape) float32, from the training part only
    scale: np.ndarray  # like shift, > 0
    offset: np.ndarray  # like shift, float64: what was subtracted from float64 inputs before rounding; else 0
    targets: dict[
        str, np.ndarray
    ]  # of a regression, by part: (n,) or (n, k) float64 in their own units; {} for labels
    classes: tuple[str, ...]
    fitted: Preprocessing  # the same in float64, units of targets, digests of the parts: what the run's folder records
    about: tuple[About, ...] = ()  # the columns of a table in words
    notes: tuple[str, ...] = ()  # lines for people about the data, shown before anything trains
    weights: np.ndarray | None = None  # (n,) float64, of the training part, of mean 1; None: all the same
    rows: Mapping[
        str, np.ndarray
    ] = {}  # by part: (n,) rising positions in what the source trains or tests with
    files: Mapping[
        str, Sequence[str]
    ] = {}  # by part: (n,) where each example lies, below the folder of its part; {} where examples are no files
