"""Files and folders that appear whole or not at all: leftovers, commits, claims, names that are taken."""

from __future__ import annotations

import errno
import json
import math
import os
from pathlib import Path

import pytest

from nnrun.errors import MachineError, RunError
from nnrun.storage import disk, fsio
from nnrun.storage import lock as locks
from nnrun.storage.lock import is_locked, lock


class Counting(disk.System):
    """Remembers which names were brought to the disk, in order, and can refuse a call."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.refused = ""

    def note(self, call: str, path: str | os.PathLike[str]) -> None:
        if call == self.refused:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.events.append((call, Path(path).name))

    def fsync(self, descriptor: int) -> None:
        self.note("fsync", Path(f"/proc/self/fd/{descriptor}").readlink())

    def rename(self, old: Path, new: Path) -> None:
        self.note("rename", new)
        old.rename(new)

    def mkdir(self, path: Path) -> None:
        self.note("mkdir", path)
        path.mkdir()

    def unlink(self, path: Path) -> None:
        self.note("unlink", path)
        path.unlink()


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Counting:
    counting = Counting()
    monkeypatch.setattr(disk, "system", counting)
    return counting


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_file_is_on_the_disk_before_its_name_and_its_name_before_the_call_returns(
    system: Counting, tmp_path: Path
) -> None:
    fsio.write_file(tmp_path / "a", b"1")
    temporary = f".tmp_a.{os.getpid()}"
    assert system.events == [("fsync", temporary), ("rename", "a"), ("fsync", tmp_path.name)]


def test_a_writer_that_changes_its_mind_leaves_the_old_file(system: Counting, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), fsio.writing(path) as put:
        put(b"ne")
        put(b"w")
        assert path.read_bytes() == b"old"
        raise KeyError
    assert names(tmp_path) == ["a"] and path.read_bytes() == b"old"
    with fsio.writing(path) as put:
        put(b"ne")
        put(b"w")
    assert names(tmp_path) == ["a"] and path.read_bytes() == b"new"


def test_json_has_sorted_keys_one_last_newline_and_no_nan(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    fsio.write_json(path, {"b": 1, "a": {"d": [1.5, None], "c": "ü"}})
    text = path.read_text()
    assert (
        text
        == '{\n  "a": {\n    "c": "\\u00fc",\n    "d": [\n      1.5,\n      null\n    ]\n  },\n  "b": 1\n}\n'
    )
    assert json.loads(text) == {"a": {"c": "ü", "d": [1.5, None]}, "b": 1}
    for value in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            fsio.write_json(path, {"a": value})
    assert path.read_text() == text and names(tmp_path) == ["a.json"]


def test_a_commit_syncs_its_folder_once_and_others_as_ever(system: Counting, tmp_path: Path) -> None:
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    inner.mkdir(), outer.mkdir()
    with fsio.one_commit(inner):
        fsio.write_file(inner / "a", b"")
        with fsio.one_commit(inner):  # the outer one does it
            fsio.write_file(inner / "b", b"")
        with fsio.one_commit(outer):
            fsio.write_file(outer / "c", b"")
            assert ("fsync", "outer") not in system.events
            fsio.sync_names(inner)
        assert system.events.count(("fsync", "outer")) == 1
        assert ("fsync", "inner") not in system.events
        fsio.write_file(tmp_path / "d", b"")
        assert system.events[-1] == ("fsync", tmp_path.name)
    assert system.events[-1] == ("fsync", "inner") and system.events.count(("fsync", "inner")) == 1
    fsio.write_file(inner / "e", b"")
    assert system.events.count(("fsync", "inner")) == 2  # the commit is over
    with pytest.raises(KeyError), fsio.one_commit(inner):
        raise KeyError
    fsio.write_file(inner / "f", b"")
    assert system.events.count(("fsync", "inner")) == 3  # one that failed is over too


@pytest.mark.parametrize("refused", ["rename", "fsync"])
def test_a_folder_that_cannot_be_finished_leaves_nothing(
    refused: str, system: Counting, tmp_path: Path
) -> None:
    system.refused = refused
    with pytest.raises(MachineError, match="step_1: Input/output error"):
        fsio.write_folder(tmp_path / "step_1", {"a": b"1", "b": b"2"})
    assert names(tmp_path) == []
    system.refused = ""
    (tmp_path / ".tmp_step_1").mkdir()
    (tmp_path / ".tmp_step_1" / "stale").write_bytes(b"of a crash")
    system.events.clear()
    fsio.write_folder(tmp_path / "step_1", {"a": b"1", "b": b"2"})
    assert names(tmp_path) == ["step_1", "step_1/a", "step_1/b"]
    assert [event for event in system.events if event[0] != "unlink"] == [
        ("mkdir", ".tmp_step_1"), ("fsync", "a"), ("fsync", "b"), ("fsync", ".tmp_step_1"), ("rename", "step_1"),
        ("fsync", tmp_path.name),
    ]  # fmt: skip


def test_a_removed_folder_is_renamed_before_the_first_file_goes(system: Counting, tmp_path: Path) -> None:
    for name in ("step_1", ".trash_step_1", ".tmp_step_2", ".trash_step_3"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"")
    fsio.remove_folder(tmp_path / "step_1")
    assert system.events == [
        ("unlink", "file"),  # of the leftover of an earlier crash
        ("rename", ".trash_step_1"), ("fsync", tmp_path.name), ("unlink", "file"),
    ]  # fmt: skip
    system.events.clear()
    fsio.remove_folder(tmp_path / ".tmp_step_2")
    fsio.remove_folder(tmp_path / ".trash_step_3")
    assert system.events == [("unlink", "file")] * 2  # they have such a name already
    assert names(tmp_path) == []
    with pytest.raises(MachineError, match="step_1"):
        fsio.remove_folder(tmp_path / "step_1")


def test_names_that_are_taken_and_names_that_are_gone(system: Counting, tmp_path: Path) -> None:
    fsio.make_folder(tmp_path / "a")
    assert system.events == [("mkdir", "a"), ("fsync", tmp_path.name)]
    with pytest.raises(FileExistsError):
        fsio.make_folder(tmp_path / "a")
    with pytest.raises(MachineError, match="the folder is gone"):
        fsio.make_folder(tmp_path / "absent" / "b")
    (tmp_path / "a" / "file").write_bytes(b"")
    fsio.rename_folder(tmp_path / "a", tmp_path / "b")
    assert names(tmp_path) == ["b", "b/file"] and system.events[-1] == ("fsync", tmp_path.name)
    with pytest.raises(MachineError, match="/a: No such file"):
        fsio.rename_folder(tmp_path / "a", tmp_path / "c")
    system.events.clear()
    fsio.remove_file(tmp_path / "b" / "file")
    fsio.remove_file(tmp_path / "b" / "file")  # gone already
    assert names(tmp_path) == ["b"] and system.events == [("unlink", "file"), ("fsync", "b")] * 2


def test_missing_folders_are_made_from_the_top_and_a_file_in_the_way_is_named(
    system: Counting, tmp_path: Path
) -> None:
    fsio.make_folders(tmp_path / "a" / "b" / "c")
    assert [event for event in system.events if event[0] == "mkdir"] == [
        ("mkdir", name) for name in ("a", "b", "c")
    ]
    system.events.clear()
    fsio.make_folders(tmp_path / "a" / "b" / "c")
    assert system.events == []
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MachineError, match="file: Not a directory; a file stands where a folder is needed"):
        fsio.make_folders(tmp_path / "file")


def test_reading_tells_a_missing_file_from_a_damaged_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    assert fsio.read_file(tmp_path / "file") == b"content"
    for path in (tmp_path / "absent", tmp_path / "file" / "below", tmp_path):
        with pytest.raises(RunError, match="this file is missing; restore it from a copy"):
            fsio.read_file(path)
    with pytest.raises(MachineError, match="choose a shorter name"):
        fsio.read_file(tmp_path / ("n" * 300))


def test_a_lock_names_its_owner_and_nothing_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_PATIENCE", 0.0)
    assert not is_locked(tmp_path) and names(tmp_path) == []  # asking makes no file
    (tmp_path / "lock").write_text("process 123456789 on a host with a very long name" * 3)
    with lock(tmp_path):
        owner = (tmp_path / "lock").read_text()
        assert owner == f"process {os.getpid()} on {os.uname().nodename}\n"
        assert is_locked(tmp_path)
        with pytest.raises(RunError, match=f"in use by process {os.getpid()} on .*; wait until it ends"):
            lock(tmp_path).__enter__()
        assert is_locked(tmp_path)  # the refused one has not freed it
        with lock(tmp_path, "worker"):  # another name is another lock
            assert names(tmp_path) == ["lock", "worker"]
    assert not is_locked(tmp_path) and not locks._held
    assert names(tmp_path) == ["lock", "worker"]  # they stay
    with pytest.raises(KeyError), lock(tmp_path):
        raise KeyError
    assert not is_locked(tmp_path)
