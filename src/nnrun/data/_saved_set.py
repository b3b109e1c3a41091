"""A data set as `save_to_disk` of Hugging Face's datasets writes it, read by pyarrow alone.

FOLDER/dataset_dict.json         the names of the splits, each a folder below; or, of one data set without splits,
FOLDER/state.json                the names of the files, in order
FOLDER/dataset_info.json         features: the type of each column
FOLDER/data-00000-of-00002.arrow Arrow's stream format
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from nnrun.data._arrow import Arrow, cells_of, needed
from nnrun.data._column import Table
from nnrun.data._columns import table_of
from nnrun.data._saved_files import AGAIN, MEDIA, is_plain, json_of, rows_of
from nnrun.errors import DataError, MachineError, one_line

__all__ = [
    "SavedTable", "images_of", "is_chosen", "is_saved_set", "only_split", "read_saved", "saved_pieces", "splits_of",
]  # fmt: skip

_DICT, _STATE, _INFO = "dataset_dict.json", "state.json", "dataset_info.json"


class SavedTable(NamedTuple):
    """The rows of a data set, and what its features say of the columns.

    labels   the columns whose cells are names of a ClassLabel
    foreign  column -> what it holds, where that is no cell of a table: images, lists, ...
    """

    table: Table
    labels: frozenset[str]
    foreign: Mapping[str, str]


class _Split(NamedTuple):
    place: str
    rows: Arrow  # a table of pyarrow
    features: Mapping[str, Mapping[str, object]]


def is_saved_set(path: Path) -> bool:
    """Whether a folder is a data set, or a dictionary of splits.  Raises MachineError."""
    return _holds(path, _DICT) or _holds(path, _STATE)


def _holds(folder: Path, name: str) -> bool:
    """Whether there is such a file in the folder.  Raises MachineError where the system does not say."""
    try:
        return (folder / name).is_file()
    except OSError as error:
        raise MachineError(
            f"{one_line(folder)}: cannot be read: {error.strerror or one_line(error)}"
        ) from error


def splits_of(folder: Path) -> dict[str, Path]:
    """The folder of each split; {} where the folder is one data set without splits.  Raises DataError if it is none."""
    place = one_line(folder)
    if _holds(folder, _DICT):
        names = json_of(folder / _DICT).get("splits")
        if not isinstance(names, list) or not names or not all(map(is_plain, names)):
            raise DataError(f"{one_line(folder / _DICT)}: does not list the splits; {AGAIN}")
        return {name: folder / name for name in names}
    if _holds(folder, _STATE):
        return {}
    if not folder.is_dir():
        raise DataError(f"{place}: there is no folder of this name; check the path")
    hint = f"write the folder that save_to_disk was given, which holds {_DICT} or {_STATE}"
    if any(any(folder.glob(pattern)) for pattern in ("*.parquet", "*/*.parquet")):
        hint = f"it holds Parquet files: write data: {{name: parquet}} with the path of one, or {hint}"
    raise DataError(f"{place}: is no data set of Hugging Face's datasets; {hint}")


def read_saved(folders: Sequence[Path], place: str) -> SavedTable:
    """The rows of some splits, one after another, counted from 1.  Raises DataError.

    place   what messages call them
    """
    splits = [_read(folder) for folder in folders]
    first, *rest = splits
    for split in rest:
        _check_joined(first, split)
    columns: dict[str, list[object]] = {name: [] for name in first.features}
    for split in splits:
        for name, cells in columns.items():
            cells += _cells(split.rows.column(name), split.features[name], f"{split.place}: {_named(name)}")
    table = table_of(columns, place)
    untrained = {name: column._replace(trained=False) for name, column in table.columns.items()}
    labels = frozenset(name for name, feature in first.features.items() if _is_label(feature))
    return SavedTable(Table(place, untrained), labels, _foreign(first))


def _check_joined(first: _Split, split: _Split) -> None:
    """Refuses a split with other columns, or that writes one in another way: 0 beside the label no, 1.0 beside 1."""
    ours, theirs = ([f"{name}: {_kind(of)}" for name, of in s.features.items()] for s in (first, split))
    if ours != theirs:
        here = [column for column in theirs if column not in ours] or theirs
        there = [column for column in ours if column not in theirs] or ours
        raise DataError(
            f"{split.place}: its columns ({one_line(', '.join(here), 80)}) are not those of {first.place} "
            f"({one_line(', '.join(there), 80)}); leave one of the splits out of data.splits, or cast it (Dataset.cast)"
        )


def _kind(feature: Mapping[str, object]) -> str:
    dtype = str(feature.get("dtype")).partition("[")[0].removeprefix("large_").removeprefix("u")
    return dtype.rstrip("0123456789") if feature.get("_type") == "Value" else str(feature.get("_type"))


def is_chosen(name: str, features: Sequence[str] | None, exclude: Sequence[str]) -> bool:
    """Whether a column would be a feature, as far as these options of a loader tell."""
    if features is not None:
        return name in features
    return not any(pattern == name or fnmatchcase(name, pattern) for pattern in exclude)


def only_split(folder: Path) -> Path:
    """The folder of the rows.  Raises DataError where there are several splits."""
    splits = splits_of(folder)
    if len(splits) > 1:
        names, first = one_line(", ".join(splits), 120), one_line(next(reversed(splits.values())))
        raise DataError(
            f"{one_line(folder)}: holds the splits {names}; write the folder of one, such as {first}"
        )
    return next(iter(splits.values()), folder)


def images_of(folder: Path) -> list[str]:
    """The names of the columns of images of one data set.  Raises DataError."""
    return [name for name, feature in _features(folder).items() if feature.get("_type") == "Image"]


def saved_pieces(folder: Path, rows: Callable[[int], int]) -> Iterator[Table]:
    """The rows of a data set as tables with its columns, one after another, for a model that is trained already.

    rows   the number of columns -> how many rows a table has, but for the last
    Raises DataError, also where there are several splits.
    """
    split = _read(only_split(folder))
    most = rows(len(split.features))
    for start in range(0, split.rows.num_rows, most):
        piece = split.rows.slice(start, most)
        columns = {
            name: _cells(piece.column(name), feature, f"{split.place}: {_named(name)}", start)
            for name, feature in split.features.items()
        }
        yield table_of(columns, split.place, start + 1)


def _read(folder: Path) -> _Split:
    """One data set, all of its files."""
    place, features = one_line(folder), _features(folder)
    rows = rows_of(folder, features, place)
    if sorted(rows.column_names) != sorted(features):
        raise DataError(
            f"{place}: {_INFO} has the columns {one_line(', '.join(features), 80)}, the files have "
            f"{one_line(', '.join(rows.column_names), 80)}; {AGAIN}"
        )
    if not rows.num_rows:
        raise DataError(f"{place}: holds 0 rows; needed: at least one row of data")
    return _Split(place, rows, {name: features[name] for name in rows.column_names})


def _features(folder: Path) -> dict[str, Mapping[str, object]]:
    """What the columns of one data set are."""
    features = json_of(folder / _INFO).get("features")
    if not isinstance(features, dict) or not features:
        raise DataError(
            f"{one_line(folder / _INFO)}: has no features, which say what the columns are; {AGAIN}"
        )
    return {name: feature if isinstance(feature, dict) else {} for name, feature in features.items()}


def _cells(column: Arrow, feature: Mapping[str, object], place: str, start: int = 0) -> list[object]:
    """The cells of a column: of a ClassLabel its names, "" for -1, which is no label; of media their paths."""
    if _is_label(feature):
        return _label_names(column.to_pylist(), feature.get("names"), place, start)
    if feature.get("_type") in MEDIA:
        return [cell if isinstance(cell, str) else None for cell in column.to_pylist()]
    return cells_of(column, place)


def _label_names(codes: Sequence[object], names: object, place: str, start: int) -> list[object]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{place} is a ClassLabel without names; {AGAIN}")
    known: dict[Any, Any] = {None: None, -1: None, **dict(enumerate(names))}
    for row, code in enumerate(codes, start + 1):
        if code not in known:
            raise DataError(f"{place}, row {row}: {code} is no label of its {len(names)} classes; correct it")
    return [known[code] for code in codes]


def _is_label(feature: Mapping[str, object]) -> bool:
    return feature.get("_type") == "ClassLabel"


def _foreign(split: _Split) -> dict[str, str]:
    """The columns that are no cells of a table, and what they hold."""
    pa, types = needed(split.place, "pyarrow.types")
    held = {}
    for field in split.rows.schema:
        feature = str(split.features[field.name].get("_type"))
        if feature in MEDIA:
            held[field.name] = MEDIA[feature]
        elif isinstance(field.type, pa.BaseExtensionType) or types.is_nested(field.type):
            held[field.name] = "lists or records"
        elif types.is_binary(field.type) or types.is_large_binary(field.type):
            held[field.name] = "bytes"
    return held


def _named(column: str) -> str:
    return f"column '{one_line(column, 40)}'"
