"""SIGINT, SIGTERM and SIGHUP at every stage: 130, 143 or 129, one line, and a run that can be resumed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nnrun.record import run

LONG = """
data: {name: digits, batch_size: 64}
model: {name: mlp, hidden: [16], dropout: 0.3}
optimizer: {name: adam}
train: {duration: 4000 epochs, evaluate_every: 1 epoch}
checkpoint: {every: 1 minute}
"""


def start(spec: Path, folder: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "nnrun", "train", str(spec), "--run-dir", str(folder)]
    before = signal.signal(
        signal.SIGHUP, signal.SIG_DFL
    )  # whoever runs the tests may ignore it; a child inherits that
    try:
        return subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=spec.parent,
        )
    finally:
        signal.signal(signal.SIGHUP, before)


def wait_until(happened: Callable[[], bool], child: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + 60
    while not happened():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < limit
        time.sleep(0.005)


STAGES: dict[str, Callable[[Path], bool]] = {
    "compiling": lambda folder: run.is_run(folder) and run.status(folder) == "running",
    "training": lambda folder: (
        (folder / "metrics.jsonl").exists() and (folder / "metrics.jsonl").stat().st_size > 999
    ),
    "evaluation": lambda folder: (
        (folder / "timing.jsonl").exists() and (folder / "timing.jsonl").stat().st_size > 99
    ),
}


@pytest.mark.parametrize(
    ("stage", "signum"),
    [
        ("compiling", signal.SIGTERM), ("compiling", signal.SIGINT), ("training", signal.SIGINT),
        ("training", signal.SIGHUP), ("evaluation", signal.SIGTERM),
    ],
)  # fmt: skip
def test_a_run_is_saved_and_resumable(
    stage: str, signum: signal.Signals, tmp_path: Path, environment: dict[str, str], nnrun: Any
) -> None:
    spec, folder = tmp_path / "spec.yaml", tmp_path / "run"
    spec.write_text(LONG)
    if stage == "compiling":  # nothing is compiled yet
        environment = {**environment, "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "programs")}
    child = start(spec, folder, environment)
    wait_until(lambda: STAGES[stage](folder), child)
    child.send_signal(signum)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 128 + signum
    assert err.splitlines()[-1].startswith(
        f"nnrun: interrupted {'while compiling' if stage == 'compiling' else 'at step'}"
    )
    assert "Traceback" not in err
    assert run.status(folder) == "interrupted"
    shown = nnrun("show", folder, "--json").json
    assert shown["status"] == "interrupted"
    # The run is far too long to finish: that it continues is enough.
    child = subprocess.Popen(
        [sys.executable, "-m", "nnrun", "resume", str(folder), "--quiet"], env=environment, cwd=tmp_path
    )
    step = shown["step"]
    wait_until(lambda: run.read_state(folder)["status"] == "running", child)
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=30) == 143
    assert run.read_state(folder)["step"] >= step


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("seconds", [0.25, 0.5, 0.8])
def test_before_the_run_begins_nothing_is_left(
    seconds: float, signum: signal.Signals, tmp_path: Path, environment: dict[str, str]
) -> None:
    """While importing, reading the spec or the data."""
    spec, folder = tmp_path / "spec.yaml", tmp_path / "run"
    spec.write_text(LONG)
    child = start(spec, folder, environment)
    time.sleep(seconds)
    child.send_signal(signum)
    _, err = child.communicate(timeout=30)
    assert child.returncode in (128 + signum, -signum)  # on a busy machine, Python itself is not up yet
    assert "Traceback" not in err
    assert not folder.exists() or run.status(folder) == "interrupted"


def test_no_second_owner(tmp_path: Path, environment: dict[str, str], nnrun: Any) -> None:
    """A run that trains cannot be resumed by another process, which says who has it."""
    spec, folder = tmp_path / "spec.yaml", tmp_path / "run"
    spec.write_text(LONG)
    child = start(spec, folder, environment)
    try:
        wait_until(lambda: STAGES["compiling"](folder), child)
        other = nnrun("resume", folder)
        assert other.code == 4
        assert f"in use by process {child.pid} on " in other.err
    finally:
        child.kill()
        child.communicate()
    assert run.status(folder) == "crashed"
