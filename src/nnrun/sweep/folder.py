"""The folder of a sweep: what is written into it, and how a killed sweep is read back.

sweep.yaml bases/LABEL.yaml     what was asked, overrides applied
sweep.json                      the lines, their spaces, budgets and seeds, for whoever reads the results
batches/NAME.json               which runs train together, before they do; how long it took, afterwards
trials/NAME/ final/NAME/        ordinary run folders
trials.jsonl final.jsonl        one line for each run that has ended
best.yaml leaderboard.csv report.html plots/
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from nnrun import build
from nnrun.catalog import Spec
from nnrun.errors import NnrunError
from nnrun.record import run
from nnrun.record.names import RESOLVED, SPEC, SWEEP, SWEEP_FILE
from nnrun.record.provenance import Provenance
from nnrun.report.sweep.entries import Asked, FinalEntry, SweepDescription, TrialEntry
from nnrun.report.sweep.folder import FORMAT, read_about
from nnrun.runner import session
from nnrun.spec import yaml12
from nnrun.storage import fsio
from nnrun.storage.append_file import AppendFile
from nnrun.sweep.file import SweepFile, read
from nnrun.types import Experiment

__all__ = [
    "Ledger",
    "create",
    "make_run",
    "read_back",
    "rewrite",
    "write_failure",
]

FOLDERS = ("bases", "batches", "trials", "final")


def create(file: SweepFile, about: Asked, run_dir: Path | None, root: Path) -> Path:
    """Creates the folder of a sweep, all of it or nothing.  Raises RunError, MachineError."""
    path = run.claim_at(run_dir) if run_dir else run.claim(root, file.name, datetime.now())
    try:
        for name in FOLDERS:
            fsio.make_folder(path / name)
        for base in file.bases:
            fsio.write_file(path / "bases" / f"{base.label}.yaml", yaml12.dump(base.value).encode())
        rewrite(path, file, about)
        run.write_state(path, "created")
    except NnrunError:
        fsio.remove_folder(path)
        raise
    return path


def rewrite(path: Path, file: SweepFile, about: Asked) -> None:
    """Writes what is asked of a sweep, at its beginning and when its budget grows."""
    text = yaml12.parse(file.text, "sweep").value
    assert isinstance(text, dict)  # it was read before
    text["name"] = file.name
    text["base"] = [f"bases/{base.label}.yaml" for base in file.bases]
    fsio.write_file(path / SWEEP_FILE, yaml12.dump(text).encode())
    folders = {base.label: str(base.path.parent.absolute()) for base in file.bases}
    content: SweepDescription = {"format": FORMAT, **about, "folders": folders}
    fsio.write_json(path / SWEEP, content)


def read_back(folder: Path, overrides: list[str]) -> SweepFile:
    """The sweep file of a folder.  Raises RunError where it is no sweep, SpecError for wrong overrides."""
    about = read_about(folder)
    file = read(folder / SWEEP_FILE, overrides)
    bases = [
        base._replace(path=Path(about["folders"][base.path.stem]) / base.path.name) for base in file.bases
    ]
    return file._replace(bases=bases)


def make_run(path: Path, checked: Spec, experiment: Experiment, begun: Provenance) -> None:
    """Creates the run folder of a trial; one that was not finished, or is of another spec, is made anew."""
    if run.is_run(path) and (path / RESOLVED).is_file():
        resolved = yaml12.dump(build.resolved(checked, experiment)).encode()
        if fsio.read_file(path / RESOLVED) == resolved:
            return
    if path.exists():
        fsio.remove_folder(path)
    session.create(session.Prepared(checked, experiment), path, path.parent, begun)


def write_failure(path: Path, text: str, reason: str) -> None:
    """Leaves behind why a trial could not even begin."""
    if path.exists():
        fsio.remove_folder(path)
    fsio.make_folders(path)
    fsio.write_file(path / SPEC, text.encode())
    run.write_state(path, "failed", reason=reason)


def _line(record: TrialEntry | FinalEntry) -> bytes:
    return json.dumps(record).encode() + b"\n"


class Ledger:
    """A file of JSON lines that is written anew when a sweep continues, from what the run folders say."""

    def __init__(self, path: Path) -> None:
        fsio.write_file(path, b"")
        self._path = path
        self._file = AppendFile(path)

    def add(self, record: TrialEntry | FinalEntry) -> None:
        self._file.write(_line(record))

    def close(self) -> None:
        """Closes the file; `arrange` may still follow."""
        self._file.close()

    def arrange(self, records: Iterable[TrialEntry | FinalEntry]) -> None:
        """Replaces the lines by those of all records in an order that no timing has a part in."""
        self._file.close()
        fsio.write_file(self._path, b"".join(map(_line, records)))
