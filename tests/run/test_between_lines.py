"""A run that continues from a checkpoint between two lines of its metrics, at a known step."""

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


def test_the_averages_of_a_line_take_in_the_steps_before_the_checkpoint(
    tmp_path: Path, warm: Callable[..., Any], same: Callable[[Path, Path], None]
) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    assert warm("train", "spec.yaml", "--run-dir", "whole", "-q", folder=tmp_path).code == 0
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for step in (7, 14):
        shutil.rmtree(cut, ignore_errors=True)
        shutil.copytree(whole, cut)
        for checkpoint in (cut / "checkpoints").glob("step_*"):
            if int(checkpoint.name.removeprefix("step_")) > step:
                shutil.rmtree(checkpoint)
        (cut / "summary.json").unlink()
        run.write_state(cut, "interrupted", step=step)
        done = warm("resume", "cut", "-q", folder=tmp_path)
        assert done.code == 0, done.err
        same(whole, cut)
