"""preprocessing.json: what predictions need of the training data, so that a run folder stands for itself.

    format, sha256                   of the content, so that a changed digit is noticed
    task, classes                    class names by label
    inputs   {shape, dtype, columns: [{name, categories, ...}], shift, scale}
    targets  {shift, scale}           numbers; of several targets lists, beside their names; of several labels the two
                                      classes of each
    parts    {train, val, test: {examples, sha256, chosen}}

Floats are written so that they read back to the same bits.
"""

from __future__ import annotations

from pathlib import Path
from typing import NotRequired, cast

import numpy as np
from typing_extensions import TypedDict

from nnrun.errors import RunError, one_line
from nnrun.preprocessing import PARTS, Date, FittedColumn, Part, Preprocessing
from nnrun.record.names import SPEC
from nnrun.record.pack import seal, unseal
from nnrun.storage import fsio

__all__ = ["PREPROCESSING", "PreprocessingFile", "content", "read", "write"]

PREPROCESSING = "preprocessing.json"
_FORMAT = 2


class _DateEntry(TypedDict):
    parts: list[str]
    origin: str
    format: str | None


class _ColumnEntry(TypedDict):
    name: str
    categories: list[str] | None
    fill: NotRequired[float | str]  # what is not here is as `FittedColumn` has it by default
    indicator: NotRequired[bool]
    rare: NotRequired[list[str]]
    unknown: NotRequired[str]
    date: NotRequired[_DateEntry]
    marks: NotRequired[list[str]]


class _PartEntry(TypedDict):
    examples: int
    sha256: str
    chosen: str


class _Inputs(TypedDict):
    shape: list[int]
    dtype: str
    columns: list[_ColumnEntry]
    shift: list | float  # nested, of the inputs' shape; a number for a shape of ()
    scale: list | float


class _Targets(TypedDict):
    shift: float | list[float]
    scale: float | list[float]
    names: NotRequired[list[str]]  # of several
    classes: NotRequired[list[list[str]]]  # of several labels


class PreprocessingFile(TypedDict):
    """The content of preprocessing.json."""

    format: int
    task: str
    classes: list[str]
    inputs: _Inputs
    targets: _Targets
    parts: dict[str, _PartEntry]
    sha256: NotRequired[str]  # of the rest; added when it is written


def write(folder: Path, fitted: Preprocessing) -> None:
    """Writes the file into a run folder.  Raises MachineError."""
    described: PreprocessingFile = {
        "format": _FORMAT,
        "task": "classification" if fitted.classes or fitted.label_classes else "regression",
        "classes": list(fitted.classes),
        "inputs": {
            "shape": list(fitted.shape),
            "dtype": fitted.dtype,
            "columns": [cast("_ColumnEntry", column.as_dict()) for column in fitted.columns],
            "shift": fitted.shift.tolist(),
            "scale": fitted.scale.tolist(),
        },
        "targets": _described_targets(fitted),
        "parts": {
            name: {"examples": part.examples, "sha256": part.sha256, "chosen": part.chosen}
            for name, part in fitted.parts.items()
        },
    }
    fsio.write_file(folder / PREPROCESSING, seal(described))


def content(folder: Path) -> bytes:
    """The bytes of the file in a run folder.  Raises RunError if it is missing, MachineError."""
    place = folder / PREPROCESSING
    if not place.is_file():
        raise RunError(
            f"{one_line(place)}: missing, and predictions need it (nnrun wrote none before 0.1); restore it, or train "
            f"again: nnrun train {one_line(folder / SPEC)}"
        )
    return fsio.read_file(place)


def read(folder: Path) -> Preprocessing:
    """What the file in a run folder says.  Raises RunError if it is missing, damaged, or of another format."""
    place = folder / PREPROCESSING
    described: PreprocessingFile = unseal(
        content(folder), place, _FORMAT, "restore it from a copy or train again"
    )
    try:
        return _read(described)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"{type(error).__name__} {one_line(error, 80)}"
        raise RunError(
            f"{one_line(place)}: not written by nnrun ({problem}); restore it from a copy"
        ) from error


def _read(described: PreprocessingFile) -> Preprocessing:
    inputs, targets = described["inputs"], described["targets"]
    names = tuple(map(str, targets.get("names", ())))
    return Preprocessing(
        classes=tuple(map(str, described["classes"])),
        columns=tuple(map(_column, inputs["columns"])),
        shape=tuple(map(int, inputs["shape"])),
        dtype=np.dtype(inputs["dtype"]).name,
        shift=np.array(inputs["shift"], np.float64),
        scale=np.array(inputs["scale"], np.float64),
        target_shift=_units(targets["shift"], names),
        target_scale=_units(targets["scale"], names),
        parts={name: Part(**described["parts"][name]) for name in PARTS},
        targets=names,
        label_classes=_label_classes(targets.get("classes", []), names),
    )


def _described_targets(fitted: Preprocessing) -> _Targets:
    shift, scale = (np.asarray(units).tolist() for units in (fitted.target_shift, fitted.target_scale))
    described: _Targets = {"shift": shift, "scale": scale}
    if fitted.targets:
        described["names"] = list(fitted.targets)
    if fitted.label_classes:
        described["classes"] = [list(pair) for pair in fitted.label_classes]
    return described


def _label_classes(pairs: list[list[str]], names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Of each of several labels; () where targets are numbers."""
    if pairs and len(pairs) != len(names):
        raise ValueError(f"{len(names)} targets, and classes of {len(pairs)}")
    return tuple((str(no), str(yes)) for no, yes in pairs)


def _units(number: float | list[float], names: tuple[str, ...]) -> float | np.ndarray:
    """Of one target, or one for each of several."""
    if not names:
        return float(cast("float", number))
    units = np.array(number, np.float64)
    if units.shape != (len(names),):
        raise ValueError(f"{len(names)} targets, and units of shape {units.shape}")
    return units


def _column(entry: _ColumnEntry) -> FittedColumn:
    categories, date = entry["categories"], entry.get("date")
    return FittedColumn(
        entry["name"],
        None if categories is None else tuple(categories),
        fill=entry.get("fill"),
        indicator=entry.get("indicator", False),
        rare=tuple(entry.get("rare", ())),
        unknown=entry.get("unknown", "refuse"),
        date=None if date is None else Date(tuple(date["parts"]), date["origin"], date["format"]),
        marks=tuple(entry.get("marks", ())),
    )
