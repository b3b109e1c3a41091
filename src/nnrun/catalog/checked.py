"""A spec that has been checked: functions with their options, and the sections."""

from __future__ import annotations

from pathlib import Path as FileSystemPath
from typing import Any, NamedTuple

from nnrun import spec
from nnrun.catalog import bound, user_code
from nnrun.catalog.bound import Bound
from nnrun.errors import SpecError
from nnrun.spec import models, schema
from nnrun.spec.plain import Block
from nnrun.spec.problem import Path, Problems, error_at

__all__ = ["Spec", "imported_files", "is_own", "unread", "user_files", "user_names"]

_UNREAD = "unread"  # the name of a data block whose loader is not wanted


class Spec(NamedTuple):
    """A checked spec: functions with their options, and the sections."""

    name: str
    data: Bound
    model: Bound
    loss: Bound
    optimizer: Bound
    schedule: Bound
    augment: list[Bound]
    penalty: list[Bound]
    average: list[Bound]
    metrics: list[Bound]
    train: spec.TrainSection
    checkpoint: spec.CheckpointSection
    document: spec.Document
    track: list[str]  # the trackers that a run is sent to, each as --track takes it

    @property
    def reads_data(self) -> bool:
        """Whether its data can be read: not where their loader, which is the user's own, was not imported."""
        return self.data.name != _UNREAD

    def fail(self, path: Path, message: str) -> SpecError:
        """The error for a mistake that shows only when the parts meet, at the place of `path`."""
        return error_at(path, message, self.document.places)


def is_own(block: Block) -> bool:
    """Whether a block names the user's own function."""
    return user_code.is_user_name(str(block["name"]))


def unread(document: spec.Document) -> Bound:
    """Stands for a data block whose loader is not wanted: its options, and the keys that the plan is made of."""
    options: dict[str, Any] = dict(document.blocks["data"])
    written = {key: options[key] for key in ("batch_size", "bootstrap", "sampling") if key in options}
    common = schema.check(spec.COMMON["data"], written, Problems({}))
    return Bound("data", _UNREAD, unread, options, models.values(common) if common else {})


def user_names(spec: Spec) -> set[str]:
    """The names `module:function` in a spec, those of inner blocks included."""
    outer = [getattr(spec, key) for key in spec.document.blocks]
    outer += [block for key in spec.document.lists for block in getattr(spec, key)]
    blocks = [inner for block in outer for inner in bound.walk(block)]
    return {block.name for block in blocks if user_code.is_user_name(block.name)}


def user_files(spec: Spec) -> list[FileSystemPath]:
    """The files beside the spec that hold the user's own functions of this spec, each once, sorted."""
    files = {user_code.module_file(name, spec.document.folder) for name in user_names(spec)}
    return sorted(file for file in files if file is not None)


def imported_files(spec: Spec) -> list[FileSystemPath]:
    """The user's modules of a spec, and those beside them that they have imported."""
    files = user_files(spec)
    return sorted({*files, *user_code.neighbour_files(spec.document.folder)}) if files else []
