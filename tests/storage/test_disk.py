"""System calls and what they share: remedies, short writes, torn lines, deletion that follows no link."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest

from nnrun.errors import MachineError, RunError
from nnrun.storage import disk, fsio
from nnrun.storage.append_file import AppendFile


class Reluctant(disk.System):
    """A system that takes few bytes at a time, and whose calls fail where a test says so."""

    def __init__(self, takes: int = 3, failing: str = "", number: int = errno.ENOSPC) -> None:
        self.takes, self.failing, self.number = takes, failing, number
        self.sizes: list[int] = []
        self.closed: list[int] = []
        self.synced: list[str] = []

    def _fail(self, name: str) -> None:
        if name == self.failing:
            raise OSError(self.number, os.strerror(self.number))

    def write(self, descriptor: int, data: memoryview) -> int:
        self._fail("write")
        self.sizes.append(len(data))
        return os.write(descriptor, data[: self.takes])

    def fsync(self, descriptor: int) -> None:
        self._fail("fsync")
        self.synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    def close(self, descriptor: int) -> None:
        self.closed.append(descriptor)
        os.close(descriptor)
        self._fail("close")

    def rename(self, old: Path, new: Path) -> None:
        self._fail("rename")
        old.rename(new)


def installed(monkeypatch: pytest.MonkeyPatch, system: Reluctant) -> Reluctant:
    monkeypatch.setattr(disk, "system", system)
    return system


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "free space on this disk"), (errno.EDQUOT, "disk quota"), (errno.EACCES, "permissions"),
        (errno.EPERM, "permissions"), (errno.EROFS, "writable disk"), (errno.EIO, "may be failing"),
        (errno.EMFILE, "ulimit -n"), (errno.ENFILE, "close programs"), (errno.ENOLCK, "local disk"),
        (errno.ENOTSUP, "local disk"), (errno.EBUSY, "check the disk and the folder"),
    ],
    ids=lambda value: errno.errorcode[value] if isinstance(value, int) else "",
)  # fmt: skip
def test_an_error_names_the_place_the_cause_and_the_remedy(number: int, words: str) -> None:
    with pytest.raises(MachineError) as raised, disk.blame(Path("runs/a\nb")):
        raise OSError(number, os.strerror(number))
    place, cause, remedy = str(raised.value).replace("; ", ": ", 1).split(": ", 2)
    assert place == r"runs/a\nb"  # on one line
    assert cause == os.strerror(number)
    assert words in remedy


def test_real_failures_have_the_remedy_that_fits(tmp_path: Path) -> None:
    """The errors are those of this operating system, not made up."""
    (tmp_path / "file").write_bytes(b"")
    for path, words in (
        (tmp_path / ("n" * 300), "choose a shorter name"),
        (tmp_path / "absent" / "name", "the folder is gone"),
        (tmp_path / "file" / "name", "a file stands where a folder is needed"),
        (tmp_path, "check the disk and the folder"),  # a folder
    ):
        with pytest.raises(MachineError, match=words), disk.blame(path):
            disk.open_new(path)
    with pytest.raises(MachineError, match="only words; check"), disk.blame(tmp_path):
        raise OSError("only words")  # without a number
    with pytest.raises(ValueError, match="as it is"), disk.blame(tmp_path):
        raise ValueError("as it is")


def test_what_the_system_does_not_take_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = installed(monkeypatch, Reluctant(takes=3))
    disk.write_new(tmp_path / "a", b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"
    assert system.sizes == [10, 7, 4, 1]
    assert system.synced == ["a"] and len(system.closed) == 1
    disk.write_new(tmp_path / "a", b"xy")
    assert (tmp_path / "a").read_bytes() == b"xy"  # the longer content is gone
    system.sizes.clear()
    disk.write_new(tmp_path / "empty", b"")
    assert system.sizes == [] and (tmp_path / "empty").read_bytes() == b""


@pytest.mark.parametrize("failing", ["write", "fsync"])
def test_a_descriptor_is_closed_whatever_happens(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    system = installed(monkeypatch, Reluctant(failing=failing))
    with pytest.raises(OSError, match="No space"):
        disk.write_new(tmp_path / "a", b"content")
    with pytest.raises(MachineError):
        fsio.write_file(tmp_path / "b", b"content")
    assert len(system.closed) == 2
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_error_of_the_body_goes_before_that_of_the_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = installed(monkeypatch, Reluctant(failing="close", number=errno.EIO))
    with pytest.raises(KeyError, match="body"), disk.closing(os.open(tmp_path, os.O_RDONLY)):
        raise KeyError("body")
    with pytest.raises(OSError, match="Input/output"), disk.closing(os.open(tmp_path, os.O_RDONLY)):
        pass
    assert len(system.closed) == 2


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EIO, errno.ENOSPC])
def test_only_a_missing_operation_of_a_folder_is_passed_over(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = installed(monkeypatch, Reluctant(failing="fsync", number=number))
    if number in (errno.EINVAL, errno.ENOTSUP):
        disk.sync_folder(tmp_path)
    else:
        with pytest.raises(OSError, match=os.strerror(number)):
            disk.sync_folder(tmp_path)
    assert len(system.closed) == 1


def test_a_file_is_no_folder_to_sync(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        disk.sync_folder(tmp_path / "file")


def test_deleting_takes_the_link_and_not_what_it_points_to(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "kept").write_text("kept")
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").write_text("")
    (folder / "inner" / "to_folder").symlink_to(outside, target_is_directory=True)
    (folder / "to_file").symlink_to(outside / "deep" / "kept")
    (folder / "to_nothing").symlink_to(tmp_path / "nowhere")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    disk.delete(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert (outside / "deep" / "kept").read_text() == "kept"


@pytest.mark.parametrize("block", [1, 2, 3, 7, 64])
def test_whole_lines_end_at_the_last_newline_however_it_is_looked_for(block: int, tmp_path: Path) -> None:
    draw, path = random.Random(0), tmp_path / "lines"
    texts = [b"", b"\n", b"torn", b"\n\n", b"a\ntorn", b"a\n", b"\ntorn"]
    texts += [bytes(draw.choices(b"ab\n", weights=[5, 5, 1], k=draw.randrange(40))) for _ in range(30)]
    for text in texts:
        path.write_bytes(text)
        assert disk.whole_lines(path, block) == text.rfind(b"\n") + 1, text


def test_a_growing_file_counts_what_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = installed(monkeypatch, Reluctant(takes=2))
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\nto")
    log = AppendFile(path)
    assert log.offset == 8 and path.read_bytes() == b"one\ntwo\n"
    assert system.synced == [tmp_path.name]  # its name is on the disk before anything counts on it
    log.write(b"three\n")
    assert log.offset == 14 and path.read_bytes() == b"one\ntwo\nthree\n"
    log.sync()
    assert system.synced == [tmp_path.name, "log"]
    log.close()
    log.close()
    assert system.closed.count(system.closed[-1]) >= 1 and len(system.closed) == 2  # the folder, the file
    with pytest.raises(MachineError, match="closed, perhaps by an earlier error; open it again"):
        log.write(b"x")
    with pytest.raises(MachineError, match="closed"):
        log.sync()
    assert log.offset == 14


@pytest.mark.parametrize(
    ("keep", "left"), [(0, b""), (4, b"one\n"), (6, b"one\ntw"), (9, b"one\ntwo\nt"), (10, b"one\ntwo\nto")]
)
def test_a_growing_file_is_cut_to_what_its_checkpoint_counts_on(
    keep: int, left: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\nto")
    log = AppendFile(path, keep=keep)
    log.write(b"!")
    assert path.read_bytes() == left + b"!" and log.offset == keep + 1
    log.close()
    path.write_bytes(b"one\ntwo\nto")
    with pytest.raises(RunError, match="has 10 bytes, its checkpoint needs 11; restore it"):
        AppendFile(path, keep=11)
    assert path.read_bytes() == b"one\ntwo\nto"  # nothing is lost by asking


def test_after_a_failed_write_the_file_is_closed_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = installed(monkeypatch, Reluctant(takes=100))
    log = AppendFile(tmp_path / "log")
    log.write(b"one\n")
    system.failing = "write"
    with pytest.raises(MachineError, match="No space left on device; free space on this disk"):
        log.write(b"two\n")
    assert log.offset == 4
    system.failing = ""
    with pytest.raises(MachineError, match="closed"):
        log.write(b"two\n")
    assert AppendFile(tmp_path / "log", keep=log.offset).offset == 4
