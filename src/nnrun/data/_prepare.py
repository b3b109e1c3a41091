"""From a source to parts ready for training: split, standardisation, digest.

A pure function of the content and the seed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from nnrun.data._absent import absent
from nnrun.data._check import check
from nnrun.data._counts import check_counts
from nnrun.data._folds import Fold
from nnrun.data._row_columns import scaled_weights
from nnrun.data._rows import StoredRows
from nnrun.data._split import split_rows
from nnrun.data._standardise import fit, standardised
from nnrun.data._unlearned import with_unlearned
from nnrun.errors import DataError, RunError, one_line
from nnrun.preprocessing import PARTS, About, Part, Preprocessing, Wanted, change_of
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
    stratify: bool = False,
    room: float = math.inf,
    precision: np.dtype = _FLOAT32,
    need: Wanted | None = None,
    fold: Fold | None = None,
    positive: bool = False,
) -> Dataset:
    """`source` split in three, with the statistics for standardisation and a digest of the content.

    validation  [0, 1) this fraction of what the source trains on is held out; 0: no validation part
    test        (0, 1) likewise for testing; not used where the source has a test part of its own
    split_seed  0 ... 2**64 - 1; the test part depends on it and on `test` only, not on `validation`
    examples    train on this many of the training part only, chosen by split_seed; None: on all of them
    precision   of the run: what float64 inputs and targets are rounded to
    stratify    numbers are split so that each part has its share of every tenth of them, as labels are anyway
    room        bytes: inputs that need more stay where the source has them and are read row by row
    need        what a run folder records: statistics are those, not fitted again; a part that is not as it was
                then is refused if it is wanted, and has no content if not
    fold        of a cross-validation, which decides the validation part; None: `validation` does
    positive    whether the loss takes counts, which must be ≥ 0 and are not standardised but divided by their mean

    Labels are split class by class (each part has its share of every class, to within one example) unless the source
    has groups or times, and every part keeps the order of the source.  Shift and scale are of the training part.
    Raises DataError if the source is not sound (`check`), a part would be empty, or `examples` cannot be had; RunError
    if a wanted part has changed.
    """
    how = {"validation": validation, "test": test, "seed": split_seed}
    how |= {"examples": examples, "stratify": stratify, "fold": fold}
    source = check(source, "data")
    split = split_rows(source, **how)
    trained = np.sort(split[0][1])
    if source.table.fit is not None:
        source = source.table.fit(trained, need.fitted.columns if need else None)
        split = split_rows(source, **how)
    _check_classes(source, trained)
    weights, scaled = _weights(source, trained)
    needed = sum(part.x.nbytes / len(part.x) * len(rows) for part, rows in split)
    parts = {name: _select(*chosen, needed > room) for name, chosen in zip(PARTS, split, strict=True)}
    rows = {name: np.sort(chosen) for name, (_, chosen) in zip(PARTS, split, strict=True)}
    described = _described(parts, rows, weights)
    if need is None and positive and not source.classes:
        check_counts(parts, rows, source)
    if need is None:
        dataset = standardised(parts, fit(parts["train"], source, described, positive), precision)
    else:
        dataset = standardised(_as_recorded(parts, source, described, need), need.fitted, precision)
    about = _in_words(source, parts["train"])
    files = _files(source, rows)
    return dataset._replace(about=about, notes=source.table.notes, weights=scaled, rows=rows, files=files)


def _files(source: Source, rows: Mapping[str, np.ndarray]) -> dict[str, Sequence[str]]:
    """The files of the examples of each part, where they are files."""
    if not source.table.files:
        return {}
    train, *tests = source.table.files
    of_part = {name: tests[0] if tests and name == "test" else train for name in rows}
    return {name: [of_part[name][row] for row in chosen.tolist()] for name, chosen in rows.items()}


def _weights(source: Source, trained: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The weights of the training part as the source has them, and scaled."""
    if source.table.weights is None:
        return None, None
    weights = source.table.weights[trained]
    return weights, scaled_weights(weights)


def _in_words(source: Source, train: Examples) -> tuple[About, ...]:
    """The columns of a table, with what the training part does not say of them."""
    about = source.table.about
    return with_unlearned(about, source.columns, train.x[:]) if about and source.columns else about


def _described(
    parts: Mapping[str, Examples], rows: Mapping[str, np.ndarray], weights: np.ndarray | None
) -> dict[str, Part]:
    """What tells whether the parts are as they were; those of the training part count its weights."""
    described = {
        name: Part(len(part.y), _digest(part), _digest([rows[name], part.y])) for name, part in parts.items()
    }
    if weights is not None:
        weighted = _digest([*parts["train"], weights])
        described["train"] = described["train"]._replace(sha256=weighted)
    return described


def _check_classes(source: Source, trained: np.ndarray) -> None:
    """Refuses a training part of one class, which a split by groups or by time may leave; of labels, that of each."""
    labels = source.train.y[trained]
    if not (source.classes or source.label_classes):
        return
    remedy = "use more examples"
    if source.table.times is not None:
        remedy = "make data.validation and data.test smaller, or leave data.time out"
    elif source.table.groups is not None:
        remedy = "change data.split_seed, or leave data.split_by out"
    if source.classes and (labels == labels[0]).all():
        raise DataError(
            f"data: every example of the training part is of class '{source.classes[labels[0]]}', from which nothing "
            f"is learned of the others; {remedy}"
        )
    if not source.label_classes:
        return
    lines = [
        f"data: every example of the training part has the label '{one_line(target, 40)}' {pair[int(first)]}, from "
        f"which nothing is learned of {pair[1 - int(first)]}; {remedy}, or leave the label out"
        for target, pair, column, first in zip(
            source.targets, source.label_classes, labels.T, labels[0], strict=True
        )
        if (column == first).all()
    ]
    if lines:
        raise DataError("\n".join(lines))


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
