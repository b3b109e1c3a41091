"""What one failing system call may leave: a MachineError, a good checkpoint, a run that can continue."""

from __future__ import annotations

import errno
import os
import shutil

import numpy as np
import pytest

from nnrun.errors import MachineError
from nnrun.record import checkpoint, metrics, run
from nnrun.storage import disk
from nnrun.storage.append_file import AppendFile


def lines_at(step):
    return b"".join(metrics.line({"step": s, "train/loss": 1 / s}) for s in range(1, step + 1))


def go_on(folder, log, steps):
    for step in steps:
        log.write(metrics.line({"step": step, "train/loss": 1 / step}))
        log.sync()
        checkpoint.save(folder / "checkpoints", step, {"w": np.full(9, step)}, {}, log.offset)
        checkpoint.prune(folder / "checkpoints", keep=2)


class Failing(disk.System):
    """Fails the call of one number, once."""

    def __init__(self, number, code):
        self.left, self.code, self.failed = number, code, None

    def __getattribute__(self, name):
        call = object.__getattribute__(self, name)
        if name.startswith("_") or name in ("left", "code", "failed"):
            return call
        if name == "fsync":
            call = lambda descriptor: None  # noqa: E731 - real ones take the test's time

        def guarded(*args):
            self.left -= 1
            if self.left == -1:
                self.failed = name
                if name == "close":
                    os.close(*args)
                raise OSError(self.code, os.strerror(self.code))
            return call(*args)

        return guarded


def two_steps(folder):
    """A resumed run that makes steps 2 and 3."""
    with run.lock(folder):
        found = checkpoint.load_latest(folder / "checkpoints", pytest.fail)
        assert found is not None
        run.write_state(folder, "running")
        log = AppendFile(folder / "metrics.jsonl", keep=found.metrics_offset)
        go_on(folder, log, range(found.step + 1, 4))
        log.close()
        run.write_state(folder, "done")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES], ids=errno.errorcode.get)
def test_each_failing_call_is_a_machine_error_and_leaves_a_good_checkpoint(code, tmp_path, monkeypatch):
    start, folder = tmp_path / "start", tmp_path / "run"
    monkeypatch.setattr(disk, "system", Failing(-1, code))
    (start / "checkpoints").mkdir(parents=True)
    log = AppendFile(start / "metrics.jsonl", keep=0)
    go_on(start, log, [1])
    log.close()
    seen = set()
    for number in range(1000):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(start, folder)
        system = Failing(number, code)
        monkeypatch.setattr(disk, "system", system)
        try:
            two_steps(folder)
        except MachineError as error:
            assert os.strerror(code) in str(error) and "\n" not in str(error)
        if system.failed is None:
            break
        seen.add(system.failed)
        found = checkpoint.load_latest(folder / "checkpoints", pytest.fail)
        assert found is not None and found.step >= 1
        two_steps(folder)  # and the next start brings the run to its end
        assert checkpoint.steps(folder / "checkpoints")[-1] == 3
        assert (folder / "metrics.jsonl").read_bytes() == lines_at(3)
        assert run.status(folder) == "done"
    assert number > 60
    assert seen == {
        "open",
        "write",
        "fsync",
        "close",
        "rename",
        "mkdir",
        "flock",
        "unlink",
        "rmdir",
        "ftruncate",
    }
