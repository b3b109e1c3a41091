"""Runs nnrun commands in forked children of a process that has imported everything, and kills some of them.

    python forked.py SPEC FOLDER KILLS SEED LONGEST

Starts and resumes runs of SPEC in FOLDER, kills KILLS of them with SIGKILL after up to LONGEST seconds, lets
each run end, and prints the folders of the finished runs.  Forking saves the imports: a hundred kills take a
minute or two.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import jax  # noqa: F401 - the children find it imported

from nnrun import cli, device, signals  # noqa: F401
from nnrun.runner import driver, evaluation  # noqa: F401


def spawn(*arguments: str) -> int:
    """A child that runs a command; it never returns there."""
    child = os.fork()
    if child == 0:
        signals.install()
        sys.argv = ["nnrun", *arguments]
        cli.main()
    return child


def ended(child: int, seconds: float) -> int | None:
    """The exit code if the child ends within some seconds, else None."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    return None


def one_run(spec: str, folder: Path, kills: int, chance: random.Random, longest: float) -> int:
    """One run to its end; returns how many times it was killed."""
    killed = 0
    while True:
        begun = (folder / "state.json").exists()
        command = ["resume", str(folder)] if begun else ["train", spec, "--run-dir", str(folder)]
        if not begun and folder.exists():  # killed before the folder was a run: nothing to resume
            folder.rename(folder.with_name(f"{folder.name}-stillborn-{killed}"))
        child = spawn(*command, "--quiet")
        code = ended(child, chance.uniform(0.0, longest) if killed < kills else 100.0)
        if code is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            killed += 1
        elif code != 0:
            sys.exit(f"exit code {code} of {command}")
        else:
            return killed


def main() -> None:
    spec, folder, kills, seed, longest = sys.argv[1:]
    chance, left, runs = random.Random(int(seed)), int(kills), 0
    while left > 0:
        target = Path(folder) / f"run-{runs}"
        left -= one_run(spec, target, min(left, 12), chance, float(longest))
        print(target, flush=True)
        runs += 1
    print(f"killed {int(kills) - left}")


if __name__ == "__main__":
    main()
