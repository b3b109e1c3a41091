"""Sends runs to trackers, once or while they train.

Whatever a tracker raises ends the sending to that tracker and nothing else: the run and the other trackers continue.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from nnrun.errors import RunError, one_line
from nnrun.record import checkpoint, metrics, run
from nnrun.record.names import (
    ENSEMBLE,
    METRICS,
    PROVENANCE,
    REPORT,
    RESOLVED,
    SPEC,
    SUMMARY,
    SWEEP,
    TRACKING_LOCK,
)
from nnrun.record.preprocessing import PREPROCESSING
from nnrun.record.provenance import Provenance
from nnrun.report import reports
from nnrun.report.content import origin_of
from nnrun.report.entry import flat
from nnrun.report.provenance import origin_lines
from nnrun.report.summary import read_summary
from nnrun.spec import yaml12
from nnrun.storage import fsio
from nnrun.storage.lock import lock
from nnrun.track import state
from nnrun.track.state import Sent
from nnrun.tracking import Record, Row, Session, Tracker

__all__ = ["runs_in", "send"]

_EVERY = 2.0  # seconds between two looks at a run that trains
_BEGINS = 600.0  # seconds in which a run that was created begins to train
_OVER = ("done", "diverged", "failed")
_BESIDE = ("step",)
_AT_ONCE = 200  # lines of metrics
_TEXTS = (SPEC, RESOLVED, SUMMARY, PROVENANCE)


def runs_in(folder: Path) -> list[Path]:
    """The runs that are sent: those of a group, or the run itself.  Raises RunError where there is none."""
    if (folder / ENSEMBLE).is_file() or (folder / SWEEP).is_file():
        what = "an ensemble" if (folder / ENSEMBLE).is_file() else "a sweep"
        raise RunError(f"{one_line(folder)}: is {what}; name one of the runs in it")
    members = run.members(folder) or [folder]
    if not all((path / RESOLVED).is_file() for path in members):
        raise RunError(f"{one_line(folder)}: is no run or group of runs; name one of the runs in it")
    return members


def send(
    folder: Path, trackers: Mapping[str, Tracker], follow: bool, with_model: bool = True
) -> dict[str, dict[str, Sent]]:
    """Sends a run, or each run of a group, to trackers: what they do not have yet.

    trackers    by the text that they were asked for with
    follow      until the runs are over, or nobody trains them any longer
    with_model  whether the checkpoint that is the best by validation is sent too
    Returns what each tracker has of each run: name of the run -> text -> Sent.
    """
    with contextlib.ExitStack() as stack:
        for path in runs_in(folder):
            _hold(stack, path, follow)
        sendings = [_Sending(path, folder, trackers, with_model) for path in runs_in(folder)]
        _send_all(folder, sendings, follow)
    return {sending.folder.name: sending.sent for sending in sendings}


def _hold(stack: contextlib.ExitStack, path: Path, waits: bool) -> None:
    """Holds the record of a run for this process, so that no line is sent by two.

    waits   for the process that sends it still, such as that of the run before it was resumed; else RunError
    """
    until = time.monotonic() + (_BEGINS if waits else 0.0)
    while True:
        try:
            return stack.enter_context(lock(path, TRACKING_LOCK))
        except RunError:
            if time.monotonic() >= until:
                raise


def _send_all(folder: Path, sendings: Sequence[_Sending], follow: bool) -> None:
    begun = time.monotonic()
    while True:
        status = run.status(folder)
        waits = status == "created" and time.monotonic() - begun < _BEGINS
        trains = follow and (status == "running" or waits)
        for sending in sendings:
            sending.send_new()
        if not trains:
            break
        time.sleep(_EVERY)
    for sending in sendings:
        sending.finish()


class _Sending:
    """One run on its way to its trackers."""

    def __init__(self, folder: Path, group: Path, trackers: Mapping[str, Tracker], with_model: bool) -> None:
        self.folder, self.with_model = folder, with_model
        known = state.read(folder)
        fresh: Sent = {"id": None, "step": 0, "ended": False, "problem": None}
        self.sent: dict[str, Sent] = {**known}
        for text in trackers:
            self.sent[text] = {**known.get(text, fresh), "problem": None}
        self._trackers = dict(trackers)
        self._record = _record(folder, "" if group == folder else group.name)
        self._sessions: dict[str, Session] = {}

    def send_new(self) -> None:
        """Lines of metrics that are new since the last look."""
        records = metrics.read(self.folder / METRICS)
        for text in list(self._trackers):
            new = [record for record in records if record.get("step", 0) > self.sent[text]["step"]]
            if new:
                self._guarded(text, new)
        state.write(self.folder, self.sent)

    def _guarded(self, text: str, new: Sequence[Mapping[str, float]]) -> None:
        try:
            session = self._session(text)
            for i in range(0, len(new), _AT_ONCE):
                rows = [(int(record["step"]), _values(record)) for record in new[i : i + _AT_ONCE]]
                session.log(rows)
                self.sent[text]["step"], self.sent[text]["ended"] = rows[-1][0], False
                state.write(self.folder, self.sent)  # what is sent twice would be there twice
        except (Exception, SystemExit) as error:  # of a library that we do not know
            self._drop(text, error)

    def finish(self) -> None:
        """Files, and how it ended, to each tracker that does not know it yet."""
        status = run.status(self.folder)
        status = status if status in _OVER else "interrupted"
        for text in list(self._trackers):
            if self.sent[text]["ended"]:
                continue
            try:
                session = self._session(text)
                if status in _OVER:
                    session.log(_results(self.folder, self.sent[text]["step"]))
                    with tempfile.TemporaryDirectory() as place:
                        for file, name in _files(self.folder, Path(place), self.with_model):
                            session.file(file, name)
                session.end(status)
                self.sent[text]["ended"] = status in _OVER
            except (Exception, SystemExit) as error:
                self._drop(text, error)
        state.write(self.folder, self.sent)

    def _session(self, text: str) -> Session:
        if text not in self._sessions:
            session = self._trackers[text].begin(self._record, self.sent[text]["id"], self.folder)
            self._sessions[text] = session
            self.sent[text]["id"] = session.id
            state.write(self.folder, self.sent)  # at once: a record that is forgotten would be made twice
        return self._sessions[text]

    def _drop(self, text: str, error: BaseException) -> None:
        del self._trackers[text]
        self.sent[text]["problem"] = one_line(f"{type(error).__name__}: {error}", 100)
        if text in self._sessions:
            with contextlib.suppress(Exception, SystemExit):
                self._sessions[text].end("interrupted")


def _values(record: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in record.items() if name not in _BESIDE}


def _results(folder: Path, step: int) -> list[Row]:
    """The metrics of the best step under best/, those of the test part among them; [] where there are none."""
    summary = read_summary(folder)
    if "metrics" not in summary:
        return []
    best = summary["metrics"]["best"]
    parts = ("val/", "test/")
    values = {
        f"best/{name}": value
        for name, value in best.items()
        if name.startswith(parts) and isinstance(value, (int, float))
    }
    return [(step, values)] if values else []


def _record(folder: Path, group: str) -> Record:
    file = folder / RESOLVED
    tree = yaml12.parse(fsio.read_file(file), str(file))
    if tree.problems or not isinstance(tree.value, dict):
        raise RunError(f"{one_line(file)}: damaged; restore it from a copy")
    name = folder.name if not group else f"{group}-{folder.name}"
    return Record(name, group, flat(tree.value), _about(origin_of(folder)))


def _about(origin: Provenance) -> dict[str, str]:
    """`from`, `weights` and `on`, as `nnrun show` says them."""
    return {line.split()[0]: " ".join(line.split()[1:]) for line in origin_lines(origin)}


def _files(folder: Path, place: Path, with_model: bool) -> Iterator[tuple[Path, str]]:
    """What belongs to a record beside numbers: the spec, the summary, curves, a report, the model."""
    for name in _TEXTS:
        if (folder / name).is_file():
            yield folder / name, name
    subjects = reports.subjects_of([folder])
    if subjects[0].lines:
        reports.write_picture(place / "curves.png", subjects, [])
        yield place / "curves.png", "curves.png"
        reports.write(place / REPORT, reports.page_of([str(folder)], [folder], folder.parent, {}))
        yield place / REPORT, REPORT
    if with_model:
        yield from _model(folder, place)


def _model(folder: Path, place: Path) -> Iterator[tuple[Path, str]]:
    """The arrays of the best checkpoint, and what predictions need beside them."""
    steps = checkpoint.steps(folder / "checkpoints")
    if not steps:
        return
    best = checkpoint.load(checkpoint.step_folder(folder / "checkpoints", steps[-1])).progress["best"]
    step = best["step"] if best and best["step"] in steps else steps[-1]
    for file in sorted(checkpoint.step_folder(folder / "checkpoints", step).iterdir()):
        yield file, f"model/{file.name}"
    if (folder / PREPROCESSING).is_file():
        yield folder / PREPROCESSING, f"model/{PREPROCESSING}"
