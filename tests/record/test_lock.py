"""The lock: one process at a time, freed by any death, never disturbed by those who only ask."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from nnrun.errors import RunError
from nnrun.storage import disk
from nnrun.storage import lock as lock_module
from nnrun.storage.lock import is_locked, lock

HOLD = """
import sys, time
from pathlib import Path
from nnrun.storage.lock import lock
with lock(Path(sys.argv[1])):
    {then}
    print("held", flush=True)
    time.sleep(60)
"""


def start(path, then="pass"):
    command = [sys.executable, "-W", "ignore", "-c", HOLD.format(then=then), str(path)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "held\n"
    return child


def end(child):
    child.kill()
    child.wait()
    child.stdout.close()


class Clock:
    """Time that passes only where the lock sleeps."""

    now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def test_a_second_process_is_told_who_holds_the_run_within_a_second(tmp_path, monkeypatch):
    child, clock = start(tmp_path), Clock()
    monkeypatch.setattr(lock_module, "time", clock)
    try:
        with pytest.raises(RunError, match=rf"in use by process {child.pid} on \S+; wait"), lock(tmp_path):
            pass
        assert 0.1 < clock.now < 1
        assert is_locked(tmp_path)
    finally:
        end(child)
    assert not is_locked(tmp_path)
    with lock(tmp_path):
        assert (tmp_path / "lock").read_text().startswith(f"process {os.getpid()} on ")


def test_the_lock_is_free_once_the_body_ends_in_any_way(tmp_path):
    assert not is_locked(tmp_path)
    with pytest.raises(ZeroDivisionError), lock(tmp_path):
        assert is_locked(tmp_path)
        raise ZeroDivisionError
    with lock(tmp_path), pytest.raises(RunError, match=f"process {os.getpid()} "), lock(tmp_path):
        pass
    assert not is_locked(tmp_path)


@pytest.mark.parametrize(
    "then",
    [
        "import os; os.fork() or (time.sleep(60), os._exit(0))",
        "import subprocess; subprocess.Popen(['sleep', '60'], close_fds=False, stdout=subprocess.DEVNULL)",
    ],
    ids=["fork", "program"],
)
def test_children_that_outlive_the_owner_do_not_hold_its_lock(then, tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", HOLD.format(then=then), str(tmp_path)]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert owner.stdout.readline() == "held\n"
        assert is_locked(tmp_path)
        owner.kill()
        owner.wait()
        # The fork's own copy goes as soon as the child first runs, which may be after the owner's death.
        deadline = time.monotonic() + 30
        while is_locked(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(owner.pid, 0)  # the child is alive
        assert not is_locked(tmp_path)
    finally:
        os.killpg(owner.pid, signal.SIGKILL)
        owner.stdout.close()


def test_a_forked_child_that_leaves_the_block_does_not_free_the_lock(tmp_path):
    then = "import os\n    if os.fork() == 0: sys.exit()\n    os.wait()"
    child = start(tmp_path, then)
    try:
        assert is_locked(tmp_path)
    finally:
        end(child)


def test_asking_does_not_keep_an_owner_from_starting(tmp_path, monkeypatch):
    monkeypatch.setattr(
        lock_module, "_PATIENCE", 60.0
    )  # who asks may be kept from work for longer than half a second
    (tmp_path / "lock").touch()
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            is_locked(tmp_path)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        for _ in range(100):
            with lock(tmp_path):
                pass
    finally:
        stop.set()
        asker.join()


def test_without_flock_two_would_hold_the_run(tmp_path, monkeypatch):
    system = disk.System()
    system.flock = lambda descriptor, operation: None
    monkeypatch.setattr(disk, "system", system)
    with lock(tmp_path), lock(tmp_path):
        pass
