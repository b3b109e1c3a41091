"""kill -9 at random instants: a resumed run ends in the same bytes as one that was left alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def kill_and_compare(
    spec: Path,
    warm: Callable[..., Any],
    environment: dict[str, str],
    same: Callable[[Path, Path], None],
    kills: int,
) -> None:
    clean = spec.parent / "clean"
    assert warm("train", spec, "--run-dir", clean, "--quiet", folder=spec.parent).code == 0
    driver = Path(__file__).with_name("forked.py")
    command = [sys.executable, str(driver), str(spec), str(spec.parent / "killed"), str(kills), "1", "1.6"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=1500, cwd=spec.parent
    )
    assert done.returncode == 0, done.stderr
    folders = [line for line in done.stdout.splitlines() if line.startswith("/") and "/run-" in line]
    finished = [Path(line) for line in folders if Path(line).is_dir()]
    assert finished
    assert done.stdout.splitlines()[-1] == f"killed {kills}"
    for folder in finished:
        same(clean, folder)


def test_a_few_kills(spec: Path, warm: Any, environment: dict[str, str], same: Any) -> None:
    kill_and_compare(spec, warm, environment, same, kills=3)


@pytest.mark.slow
def test_a_hundred_kills(spec: Path, warm: Any, environment: dict[str, str], same: Any) -> None:
    kill_and_compare(spec, warm, environment, same, kills=100)
