"""A run that continues from checkpoints of known steps: between two lines of its metrics, and of seeds that differ."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nnrun.record import run

SPEC = """
data: {name: digits, batch_size: 64, examples: 200}
model: {name: mlp, hidden: [8]}
optimizer: {name: adam, learning_rate: 1e-3}
train: {duration: 30 steps, log_every: 5 steps, evaluate_every: 10 steps}
checkpoint: {every: 7 steps, keep: 9}
"""


def leave(folder: Path, step: int) -> None:
    """The folder of a finished run as one that was killed later than its checkpoint of this step."""
    for checkpoint in (folder / "checkpoints").glob("step_*"):
        if int(checkpoint.name.removeprefix("step_")) > step:
            shutil.rmtree(checkpoint)
    (folder / "summary.json").unlink()
    run.write_state(folder, "running", step=step)


def test_a_line_of_metrics_takes_in_the_steps_before_the_checkpoint(
    tmp_path: Path, warm: Callable[..., Any], same: Callable[[Path, Path], None]
) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    assert warm("train", "spec.yaml", "--run-dir", "whole", "-q", folder=tmp_path).code == 0
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for step in (7, 14):
        shutil.rmtree(cut, ignore_errors=True)
        shutil.copytree(whole, cut)
        leave(cut, step)
        done = warm("resume", "cut", "-q", folder=tmp_path)
        assert done.code == 0, done.err
        same(whole, cut)


def test_seeds_whose_newest_checkpoints_differ_continue_from_the_newest_that_all_have(
    tmp_path: Path, warm: Callable[..., Any], same: Callable[[Path, Path], None]
) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    command = ("train", "spec.yaml", "train.seeds=2", "--run-dir", "whole", "-q")
    assert warm(*command, folder=tmp_path).code == 0
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    shutil.copytree(whole, cut)
    leave(cut / "seed_0", 14)
    leave(cut / "seed_1", 7)
    (cut / "summary.json").unlink()
    run.write_state(cut, "running", step=14)
    done = warm("resume", "cut", "-q", folder=tmp_path)
    assert done.code == 0, done.err
    same(whole, cut)
