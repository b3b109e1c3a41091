"""One member of an ensemble: a checkpoint of a run, or an average that the run kept beside its parameters there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnrun.errors import RunError, one_line
from nnrun.record import checkpoint, preprocessing, provenance
from nnrun.record.checkpoint import Checkpoint, arrays_file, sha256_of
from nnrun.record.pack import is_finite
from nnrun.runner.averaged import check_average
from nnrun.runner.evaluation import load_intact
from nnrun.runner.group import is_fold
from nnrun.storage import fsio

__all__ = ["Member", "make_member", "stored"]

_PREDICTIVE = ("params/", "stats/", "knobs/model/")


class Member(NamedTuple):
    """One checkpoint of one run."""

    folder: Path  # the run
    step: int
    sha256: str  # of its arrays.safetensors: members are ordered by it, whatever order they are named in
    content: str  # SHA-256 of what predictions depend on
    data: str  # digest of the data that the run was trained on; of a fold, of its test part
    origin: bytes  # the run's key and the hash of its spec: members that share it are snapshots of one run
    average: str | None = None  # the average that its parameters are, by name; None: the trained ones
    kept: Path | None = None  # of an average: the folder whose checkpoints hold it as parameters

    @property
    def name(self) -> str:
        """How a table calls it."""
        inside = (
            self.folder.name.startswith(("seed_", "fold_", "member_")) or self.folder.parent.name == "trials"
        )
        folder = f"{self.folder.absolute().parent.name}/{self.folder.name}" if inside else self.folder.name
        return one_line(f"{folder}:{self.step}{f':{self.average}' if self.average else ''}", 80)

    @property
    def place(self) -> str:
        """How a message calls it."""
        average = f", {one_line(self.average, 40)}" if self.average else ""
        return f"{one_line(self.folder)}: step {self.step}{average}"

    def load(self) -> Checkpoint:
        """Its checkpoint; of an average that is stored, with the average as parameters."""
        return load_intact(self.kept or self.folder, str(self.step))


def make_member(folder: Path, content: Checkpoint, average: str | None) -> Member:
    """A checkpoint of a run, or one of its averages, as a member.  Raises RunError if it cannot be one."""
    _check_finite(content, one_line(folder))
    check_average(content, average, one_line(folder))
    about = provenance.read(folder)
    key = content.arrays["key"].tobytes() if "key" in content.arrays else b""
    suffix = f":{average}" if average else ""  # until it is stored, an average has no arrays of its own
    return Member(
        folder=folder,
        step=content.step,
        sha256=sha256_of(arrays_file(folder, content.step)) + suffix,
        content=_digest(_predictive(content.arrays)) + suffix,
        data=_data(folder, str(about.get("data_digest"))),
        origin=key + str(about.get("spec_hash")).encode(),
        average=average,
    )


def _data(folder: Path, digest: str) -> str:
    """What members must have in common: their data or, of folds, which train on different examples, their test part."""
    return f"folds {preprocessing.read(folder).parts['test'].chosen}" if is_fold(folder) else digest


def stored(member: Member, content: Checkpoint, folder: Path) -> Member:
    """Writes a checkpoint with the member's average as parameters into `folder`; returns the member that it is.

    Raises RunError where it is not finite, MachineError.
    """
    _check_finite(content, member.place)
    fsio.make_folders(folder / "checkpoints")
    checkpoint.save(folder / "checkpoints", *content)
    content_digest = _digest(_predictive(content.arrays))
    return member._replace(
        kept=folder, sha256=sha256_of(arrays_file(folder, member.step)), content=content_digest
    )


def _predictive(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those arrays of a checkpoint that its predictions depend on."""
    return {name: array for name, array in sorted(arrays.items()) if name.startswith(_PREDICTIVE)}


def _check_finite(content: Checkpoint, place: str) -> None:
    for name, array in _predictive(content.arrays).items():
        if not is_finite({name: array}):
            raise RunError(f"{place}: step {content.step}: {name} is not finite; name the others")


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
