"""SIGINT, SIGTERM and SIGHUP at every stage: 130, 143 or 129, one line, and a run that can be resumed."""

from __future__ import annotations

import os
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


def wait_until(happened: Callable[[], bool], child: Any) -> None:
    limit = time.monotonic() + 60
    while not happened():
        assert child.poll() is None, child.err
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


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    ("stage", "signum"),
    [
        ("compiling", signal.SIGTERM), ("compiling", signal.SIGINT), ("training", signal.SIGINT),
        ("training", signal.SIGHUP), ("evaluation", signal.SIGTERM),
    ],
)  # fmt: skip
def test_a_run_is_saved_and_resumable(
    stage: str, signum: signal.Signals, tmp_path: Path, begun: Any, warm: Any
) -> None:
    spec, folder = tmp_path / "spec.yaml", tmp_path / "run"
    spec.write_text(LONG)
    settings = {}
    if stage == "compiling":  # nothing is compiled yet
        settings = {"JAX_COMPILATION_CACHE_DIR": "", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    child = begun("train", spec, "--run-dir", folder, folder=tmp_path, **settings)
    wait_until(lambda: STAGES[stage](folder), child)
    child.send_signal(signum)
    assert child.wait() == 128 + signum
    assert child.err.splitlines()[-1].startswith(
        f"nnrun: interrupted {'while compiling' if stage == 'compiling' else 'at step'}"
    )
    assert "Traceback" not in child.err
    assert run.status(folder) == "interrupted"
    shown = warm("show", folder, "--json", folder=tmp_path).json
    assert shown["status"] == "interrupted"
    # The run is far too long to finish: that it continues is enough.
    child = begun("resume", folder, "--quiet", folder=tmp_path)
    wait_until(lambda: run.read_state(folder)["status"] == "running", child)
    child.send_signal(signal.SIGTERM)
    assert child.wait() == 143
    assert run.read_state(folder)["step"] >= shown["step"]


# Loaded by Python before anything of nnrun: the process sends itself a signal when it begins to import a module.
SIGNAL_AT = """
import os, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["SIGNAL_AT"]:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))

sys.meta_path.insert(0, Finder())
"""
IMPORTS = {"the command line": "nnrun.cli", "jax": "jaxlib.xla_client", "the data": "sklearn"}


@pytest.mark.quick("the command line-SIGINT", "jax-SIGTERM")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("what", IMPORTS)
def test_before_the_run_begins_nothing_is_left(
    what: str, signum: signal.Signals, tmp_path: Path, environment: dict[str, str]
) -> None:
    """While importing, or reading the spec or the data."""
    (tmp_path / "spec.yaml").write_text(LONG)
    (tmp_path / "sitecustomize.py").write_text(SIGNAL_AT)
    places = os.pathsep.join([str(tmp_path), *filter(None, [environment.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "nnrun", "train", "spec.yaml", "--run-dir", "run"],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": places, "SIGNAL_AT": IMPORTS[what], "SIGNAL": str(int(signum))},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (128 + signum, "", "nnrun: interrupted\n")
    assert not (tmp_path / "run").exists()


def test_no_second_owner(tmp_path: Path, begun: Any, warm: Any) -> None:
    """A run that trains cannot be resumed by another process, which says who has it."""
    spec, folder = tmp_path / "spec.yaml", tmp_path / "run"
    spec.write_text(LONG)
    child = begun("train", spec, "--run-dir", folder, folder=tmp_path)
    wait_until(lambda: STAGES["compiling"](folder), child)
    other = warm("resume", folder, folder=tmp_path)
    assert other.code == 4
    assert f"in use by process {child.pid} on " in other.err
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert run.status(folder) == "crashed"
