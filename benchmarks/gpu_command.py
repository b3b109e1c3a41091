"""Runs through the command line as processes of their own, and what they leave behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

_SLOWEST = 150.0  # seconds of one command


def filled(text: str, **values: object) -> str:
    """The spec with its words in capitals replaced."""
    for name, value in values.items():
        text = text.replace(name, str(value))
    return text


def write_images(path: Path, examples: int, shape: tuple[int, int, int]) -> None:
    """Random images (examples, *shape) uint8 of ten classes that differ in brightness, as an npz file."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, examples).astype(np.int32)
    x = rng.integers(0, 156, (examples, *shape)) + 10 * y.reshape(-1, 1, 1, 1)
    np.savez(path, x=x.astype(np.uint8), y=y)


class Command(NamedTuple):
    """A command that has ended."""

    code: int
    errors: str
    seconds: float

    @property
    def warnings(self) -> list[str]:
        """What nnrun warned about."""
        lines = self.errors.splitlines()
        return [line for line in lines if line.startswith("nnrun: warning:")]

    def check(self) -> Command:
        """Raises RuntimeError if the command failed."""
        if self.code:
            raise RuntimeError(f"exit code {self.code}: {self.errors.strip()[-400:]}")
        return self


def nnrun(
    folder: Path,
    *arguments: object,
    cache: str = "cache",
    until: Callable[[], bool] | None = None,
    sends: int = signal.SIGKILL,
    **settings: str,
) -> Command:
    """Runs a command in the folder; once `until` is true, it gets a signal."""
    errors = folder / f"errors-{time.monotonic_ns()}"
    began = time.monotonic()
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "nnrun", *map(str, arguments)],
            cwd=folder,
            env={**os.environ, "XDG_CACHE_HOME": str(folder / cache), **settings},
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
        while process.poll() is None:
            if until and until():
                process.send_signal(sends)
                until = None
            if time.monotonic() - began > _SLOWEST:
                process.kill()
            time.sleep(0.003)
    return Command(process.returncode, errors.read_text(), time.monotonic() - began)


def newest_step(run: Path) -> int:
    """The step of the newest checkpoint; −1 where there is none."""
    return max(
        (int(path.name[5:]) for path in run.glob("checkpoints/step_*") if path.name[5:].isdigit()), default=-1
    )


def losses(run: Path) -> list[float]:
    """The training loss of each line of metrics."""
    return [json.loads(line)["train/loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]
