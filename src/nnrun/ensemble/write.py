"""The run folder of an ensemble, which is built under another name, so that it is complete or not there.

    ensemble.json   how it averages; of each member its run, step, weight and the SHA-256 of its arrays
    account.json    what it gained
    predictions/    outputs of each member, the ensemble's predictions, targets: .npy of each part
    member_01/ ...  of an average of predictions: each member as an ordinary run folder with its one checkpoint
    checkpoints/    of an average of parameters: the average

Members are copied, so an ensemble keeps predicting when they are moved, pruned or trained further.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import cast

import jax
import numpy as np

from nnrun.ensemble.ended import write_summary
from nnrun.errors import NnrunError
from nnrun.prediction.combiner import PARAMETERS
from nnrun.prediction.folder import EnsembleRecord, ListedMember
from nnrun.prediction.member import Member
from nnrun.record import checkpoint, preprocessing, provenance, run
from nnrun.record.checkpoint import Checkpoint
from nnrun.record.names import ACCOUNT, ENSEMBLE, METRICS, PROVENANCE, REPORT, RESOLVED, SPEC
from nnrun.record.pack import Progress
from nnrun.record.preprocessing import PREPROCESSING
from nnrun.record.provenance import SpecOrigin
from nnrun.report.ensemble.account import Account, MemberEntry
from nnrun.report.ensemble.page import page, pictures
from nnrun.report.provenance import page_lines
from nnrun.storage import fsio

__all__ = [
    "building",
    "publish",
    "write_average",
    "write_member",
    "write_origin",
    "write_record",
    "write_run",
]

_BUILD = ".tmp_ensemble-"
_OF_SPEC = ("spec_hash", "spec_folder")  # of run.json: those of the first member, whose spec is in the folder


@contextlib.contextmanager
def building(parent: Path) -> Iterator[Path]:
    """A folder to build in, inside `parent`; it is gone afterwards unless it was published."""
    fsio.make_folders(parent)
    for left in parent.glob(f"{_BUILD}*"):
        if left.is_dir() and not _alive(left.name.removeprefix(_BUILD)) and not run.is_locked(left):
            fsio.remove_folder(left)
    folder = parent / f"{_BUILD}{os.getpid()}"
    fsio.make_folder(folder)
    try:
        with run.lock(folder):
            yield folder
    finally:
        if folder.exists():
            with contextlib.suppress(NnrunError):
                fsio.remove_folder(folder)


def _alive(process: str) -> bool:
    """Whether the process that builds there still runs; its folder has no lock for a moment after it is made."""
    if process == str(os.getpid()):  # in a container every process may have the same number
        return False
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def publish(folder: Path, target: Path | None, root: Path) -> Path:
    """Gives what was built its name: `target`, or one of its own in `root`.  Raises RunError, MachineError."""
    path = run.claim_at(target) if target else run.claim(root, "ensemble", datetime.now())
    fsio.rename_folder(folder, path)  # over the empty folder that holds the name
    return path


def write_run(folder: Path, members: Sequence[Member], how: str, account: Account) -> None:
    """The files that make the folder an ordinary run: account, spec, provenance, summary, and state.json at last.

    how       one of the averages
    account   with every number that JSON does not have as a text
    """
    for entry, member in zip(account["members"], members, strict=True):
        if digest := provenance.read(member.folder).get("data_digest"):
            entry["data_digest"] = digest
    fsio.write_json(folder / ACCOUNT, account)
    write_origin(folder, members)
    _draw(folder, account)
    metrics = {f"{account['split']}/{name}": value for name, value in account["ensemble"].items()}
    epochs = max(member["epochs"] for member in account["members"])
    gaps = {f"{account['split']}/{name}": why for name, why in account.get("undefined", {}).items()}
    write_record(folder, members, _record(how, account), epochs, metrics, gaps)


def write_record(
    folder: Path,
    members: Sequence[Member],
    record: EnsembleRecord,
    epochs: float,
    metrics: Mapping[str, float],
    undefined: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """The files that an ensemble predicts with, beside its members and its origin; state.json at last.

    undefined   why metrics have no value, by name
    """
    fsio.write_json(folder / ENSEMBLE, record)
    step = max(member.step for member in members)
    write_summary(folder, members, step, epochs, metrics, undefined)
    run.write_state(folder, "done", step=step)


def write_origin(folder: Path, members: Sequence[Member]) -> None:
    """The spec of the first member, and run.json: this command, this machine, and what all members have in common."""
    _write_spec(folder, members[0])
    device = jax.devices()[0]
    origins = [provenance.read(member.folder) for member in members]
    shared = {name: value for name, value in origins[0].items() if name in _OF_SPEC}
    if len({origin.get("data_digest") for origin in origins}) == 1 and "data_digest" in origins[0]:
        shared["data_digest"] = origins[0]["data_digest"]
    files = [{*origin.get("code", {}).items()} for origin in origins]
    shared["code"] = dict(sorted(set.intersection(*files)))
    origin = provenance.collect(
        {"platform": device.platform, "kind": device.device_kind}, cast(SpecOrigin, shared)
    )
    fsio.write_json(folder / PROVENANCE, origin)


def _draw(folder: Path, account: Account) -> None:
    images = pictures(account)
    fsio.make_folder(folder / "plots")
    for image in images:
        fsio.write_file(folder / "plots" / f"{image.name}.png", image.png)
    origin = page_lines(folder, provenance.read(folder))
    fsio.write_file(folder / REPORT, page(account, images, origin=origin).encode())


def _record(how: str, account: Account) -> EnsembleRecord:
    """The content of ensemble.json."""
    return {
        "format": 1,
        "kind": "parameters" if how in PARAMETERS else "predictions",
        "average": how,
        "members": [_listed(member) for member in account["members"]],
        "temperature": account.get("calibration", {}).get("temperature"),
    }


def _listed(member: MemberEntry) -> ListedMember:
    return {
        "name": member["name"],
        "run": member["run"],
        "step": member["step"],
        "parameters": member["parameters"],
        "sha256": member["sha256"],
        "weight": member["weight"],
    }


def _write_spec(folder: Path, member: Member) -> None:
    for name in (SPEC, RESOLVED):
        fsio.write_file(folder / name, fsio.read_file(member.folder / name))
    fsio.write_file(folder / PREPROCESSING, preprocessing.content(member.folder))


def write_member(folder: Path, member: Member, epochs: float, metrics: Mapping[str, float]) -> None:
    """A member as a run folder of its own: its one checkpoint, and its metrics up to there."""
    content = member.load()
    fsio.make_folder(folder)
    _write_spec(folder, member)
    fsio.write_file(folder / PROVENANCE, fsio.read_file(member.folder / PROVENANCE))
    log = member.folder / METRICS
    logged = fsio.read_file(log)[: content.metrics_offset] if log.exists() else b""
    fsio.write_file(folder / METRICS, logged)
    _save(folder, content._replace(metrics_offset=len(logged)))
    write_summary(folder, [member], member.step, epochs, metrics)
    run.write_state(folder, "done", step=member.step)


def write_average(folder: Path, members: Sequence[Member], arrays: Mapping[str, np.ndarray]) -> None:
    """The checkpoint of an average of parameters, and metrics.jsonl without a line."""
    step = max(member.step for member in members)
    first = members[0].load()
    fsio.write_file(folder / METRICS, b"")
    progress: Progress = {**first.progress, "latest": {}, "best_metrics": {}}
    arrays = {**arrays, "step": np.asarray(step, arrays["step"].dtype)}
    _save(folder, Checkpoint(step, arrays, progress, 0))


def _save(folder: Path, content: Checkpoint) -> None:
    """As the only checkpoint of a run that is done, so that it is its last and its best."""
    fsio.make_folder(folder / "checkpoints")
    progress = content.progress.copy()
    progress.pop("kept", None)
    progress.update({"best": None, "improved": None, "regular": [content.step], "complete": True})
    checkpoint.save(folder / "checkpoints", *content._replace(progress=progress))
