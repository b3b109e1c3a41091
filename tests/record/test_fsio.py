"""Writes: what the functions leave, how they refuse, and that a failed fsync is final."""

from __future__ import annotations

import errno
import fcntl
import importlib.util
import os
from pathlib import Path

import pytest

from nnrun.errors import MachineError, RunError
from nnrun.storage import disk, fsio
from nnrun.storage.append_file import AppendFile


class OneFailure(disk.System):
    """The named call fails once with this code."""

    def __init__(self, name, code):
        self.code, self.calls = code, 0
        setattr(self, name, self.fail)
        self.real = getattr(disk.System, name)

    def fail(self, *args):
        self.calls += 1
        if self.calls == 1:
            raise OSError(self.code, os.strerror(self.code))
        return self.real(*args)


def names(folder):
    return sorted(child.name for child in folder.iterdir())


def test_write_file_creates_and_replaces_and_leaves_nothing_else(tmp_path):
    for data in (b"one", b"", b"x" * 100_000):
        fsio.write_file(tmp_path / "a", data)
        assert (tmp_path / "a").read_bytes() == data
    assert names(tmp_path) == ["a"]


def test_write_json_is_stable_and_refuses_what_json_lacks(tmp_path):
    fsio.write_json(tmp_path / "a.json", {"b": 1, "a": [1.5, None]})
    fsio.write_json(tmp_path / "b.json", {"a": [1.5, None], "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert (tmp_path / "a.json").read_bytes().endswith(b"}\n")
    with pytest.raises(ValueError, match="JSON"):
        fsio.write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert b"1.5" in (tmp_path / "a.json").read_bytes()


@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename"])
def test_a_failed_write_keeps_the_old_file_and_says_what_to_do(call, tmp_path, monkeypatch):
    fsio.write_file(tmp_path / "a", b"old")
    monkeypatch.setattr(disk, "system", OneFailure(call, errno.ENOSPC))
    with pytest.raises(MachineError, match=r"a: No space left on device; free space"):
        fsio.write_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_make_folder_lets_one_claim_a_name(tmp_path):
    fsio.make_folder(tmp_path / "a")
    with pytest.raises(FileExistsError):
        fsio.make_folder(tmp_path / "a")
    with pytest.raises(MachineError, match="No such file"):
        fsio.make_folder(tmp_path / "b" / "c")


def test_make_folders(tmp_path):
    for _ in range(2):
        fsio.make_folders(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match="a file stands where a folder is needed"):
        fsio.make_folders(tmp_path / "file" / "c")
    with pytest.raises(MachineError, match="a file stands where a folder is needed"):
        fsio.make_folders(tmp_path / "file")


def test_write_folder_appears_whole_and_clears_a_leftover(tmp_path):
    (tmp_path / ".tmp_a").mkdir()
    (tmp_path / ".tmp_a" / "stale").touch()
    fsio.write_folder(tmp_path / "a", {"x": b"1", "y": b"2"})
    assert names(tmp_path) == ["a"]
    assert {p.name: p.read_bytes() for p in (tmp_path / "a").iterdir()} == {"x": b"1", "y": b"2"}


def test_remove_folder_takes_all_but_follows_no_link(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").touch()
    (tmp_path / "a" / "link").symlink_to(tmp_path / "kept")
    (tmp_path / ".trash_a" / "old").mkdir(parents=True)
    fsio.remove_folder(tmp_path / "a")
    assert names(tmp_path) == ["kept"]
    assert names(tmp_path / "kept") == ["file"]
    with pytest.raises(MachineError):
        fsio.remove_folder(tmp_path / "a")


def test_append_file_counts_bytes_and_goes_on_from_an_offset(tmp_path):
    path = tmp_path / "m"
    log = AppendFile(path, keep=0)
    log.write(b"one\n")
    assert log.offset == 4
    log.write(b"two\nthr")
    log.sync()
    log.close()
    log.close()
    log = AppendFile(path, keep=4)
    log.write(b"2\n")
    log.close()
    assert path.read_bytes() == b"one\n2\n"
    assert log.offset == 6


@pytest.mark.parametrize("torn", [b"", b"tor", b"\0" * 200_000])
@pytest.mark.parametrize("lines", [b"", b"a\nb\n", b"x" * 70_000 + b"\n"])
def test_append_file_without_an_offset_keeps_whole_lines(lines, torn, tmp_path):
    (tmp_path / "m").write_bytes(lines + torn)
    log = AppendFile(tmp_path / "m")
    log.write(b"next\n")
    log.close()
    assert (tmp_path / "m").read_bytes() == lines + b"next\n"


def test_append_file_refuses_a_file_that_lost_lines(tmp_path):
    (tmp_path / "m").write_bytes(b"one\n")
    with pytest.raises(RunError, match="has 4 bytes, its checkpoint needs 5"):
        AppendFile(tmp_path / "m", keep=5)
    with pytest.raises(RunError, match="has 0 bytes"):
        AppendFile(tmp_path / "absent", keep=1)
    assert names(tmp_path) == ["m"]


def test_a_failed_fsync_is_never_tried_again(tmp_path, monkeypatch):
    log = AppendFile(tmp_path / "m")
    log.write(b"one\n")
    failing = OneFailure("fsync", errno.EIO)
    monkeypatch.setattr(disk, "system", failing)
    with pytest.raises(MachineError, match="Input/output error"):
        log.sync()
    with pytest.raises(MachineError):  # the kernel would now say yes
        log.sync()
    with pytest.raises(MachineError):
        log.write(b"two\n")
    assert (tmp_path / "m").read_bytes() == b"one\n"


def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "system", OneFailure("fsync", errno.EINVAL))
    fsio.sync_folder(tmp_path)


def test_read_file_tells_damage_from_refusal(tmp_path, monkeypatch):
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(RunError, match="missing"):
            fsio.read_file(path)
    for code, kind in ((errno.EIO, RunError), (errno.EMFILE, MachineError)):

        def refuse(path, code=code):
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
        with pytest.raises(kind):
            fsio.read_file(tmp_path / "a")


def test_the_calls_are_those_of_the_operating_system():
    """In a fresh copy of the module: the tests wait for no disk."""
    fresh = importlib.util.spec_from_file_location("fresh_disk", disk.__file__)
    module = importlib.util.module_from_spec(fresh)
    fresh.loader.exec_module(module)
    names = [name for name in vars(module.System) if not name.startswith("_")]
    assert len(names) >= 10
    for name in names:
        assert getattr(module.System, name) is getattr(fcntl if name == "flock" else os, name)


def test_files_of_one_commit_share_the_fsync_of_their_folder(tmp_path, monkeypatch):
    synced = []

    class Counting(disk.System):
        @staticmethod
        def fsync(descriptor):
            synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(disk, "system", Counting())
    with fsio.one_commit(tmp_path):
        for name in "abc":
            fsio.write_file(tmp_path / name, b"x")
        with fsio.one_commit(tmp_path):
            fsio.write_file(tmp_path / "d", b"x")
    assert [path.is_dir() for path in synced] == [False] * 4 + [True]
    fsio.write_file(tmp_path / "e", b"x")
    assert synced[-1] == tmp_path and len(synced) == 7
