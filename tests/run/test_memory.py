"""What is freed stays with the process, so that the next call of a program finds it."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import os, resource, sys, threading
import numpy as np
if sys.argv[1] == "prepared":
    from nnrun import device
    device.prepare("cpu")

def work():
    for turn in range(6):
        if turn == 1:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        np.empty(50 << 20, np.uint8).fill(1)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_a_large_block_is_not_faulted_in_again(environment: dict[str, str]) -> None:
    """Of five blocks of 50 MiB, one after another in a thread: 12,800 pages each, or fewer that are larger."""
    faults = {}
    for how in ("plain", "prepared"):
        command = [sys.executable, "-c", PROGRAM, how]
        settings = {key: value for key, value in environment.items() if not key.startswith("MALLOC_")}
        done = subprocess.run(command, env=settings, capture_output=True, text=True, check=True)
        faults[how] = int(done.stdout)
    assert faults["prepared"] < 200
    assert faults["prepared"] * 10 < faults["plain"]
