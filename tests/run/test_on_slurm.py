"""A sweep as an array of SLURM jobs, on a SLURM that is played: one has to make room, and continues."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("submitit", reason="the extra `slurm` is not installed")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sweep"))
import played_slurm

SWEEP = """
base: tiny.yaml
sweep:
  over: {optimizer.learning_rate: {log: [1e-3, 1e-1]}}
  trials: 3
  final_seeds: 0
  width: 1
"""
BASE = """
name: tiny
data: {name: digits, batch_size: 64, examples: 300}
model: {name: mlp, hidden: [8]}
optimizer: {name: adam, learning_rate: 0.01}
train: {duration: 1500 epochs}
checkpoint: {every: 200 steps, keep: 2}
"""


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def signal_job(slurm: Path, task: int, number: int) -> None:
    """As SLURM does it: all processes of the job but its shell."""
    leader = json.loads(played_slurm.place(slurm, task).read_text())["process"]
    found = subprocess.run(["pgrep", "-g", str(leader)], capture_output=True, text=True, check=True)
    for process in map(int, found.stdout.split()):
        if process != leader:
            os.kill(process, number)


@pytest.mark.slow
def test_a_job_makes_room_and_nothing_is_lost(tmp_path: Path, begun: Any, warm: Any) -> None:
    (tmp_path / "tiny.yaml").write_text(BASE)
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    slurm = tmp_path / "played"
    slurm.mkdir()
    path = f"{played_slurm.install(slurm)}{os.pathsep}{os.environ['PATH']}"
    sweep = begun(
        "sweep",
        "sweep.yaml",
        "--on",
        "slurm:time=5,partition=cpu",
        "--run-dir",
        "out",
        "-q",
        folder=tmp_path,
        PATH=path,
    )
    trial = tmp_path / "out/trials/trial-001"
    while not list(trial.glob("checkpoints/step_*")):
        assert sweep.poll() is None, sweep.err
        time.sleep(0.1)
    signal_job(slurm, 1, signal.SIGUSR2)
    assert sweep.wait() == 0, sweep.err
    assert [file.name.rsplit("-", 1)[0] for file in slurm.glob("requeued-*")] == ["requeued-1"]
    script = (slurm / "sbatch.txt").read_text()
    assert "--array=0-2" in script and "--time=5" in script and "--partition=cpu" in script

    alone = warm("sweep", "sweep.yaml", "--run-dir", "alone", "-q", folder=tmp_path)
    assert alone.code == 0
    for name in ("out", "alone"):
        assert {record["status"] for record in lines(tmp_path / name / "trials.jsonl")} == {"done"}
    for number in range(3):
        runs = [tmp_path / name / f"trials/trial-{number:03d}" for name in ("out", "alone")]
        steps, expected = (lines(run / "metrics.jsonl") for run in runs)
        assert steps == expected  # none is there twice, and none is missing
