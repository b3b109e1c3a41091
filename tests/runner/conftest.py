"""Plans, recorders and run folders as the runner leaves them, without a program that trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun.record import checkpoint, run
from nnrun.record.pack import WINDOW
from nnrun.runner.recorder import Recorder
from nnrun.storage import fsio
from nnrun.types import Plan

COLUMNS = ("train/loss", "learning_rate", "gradient_norm")
PLAN = Plan(
    name="mine", model="mlp", precision="float32", seeds=(0,), steps=20, steps_per_epoch=5, batch_size=8,
    log_every=4, evaluate_every=4, checkpoint_every=4, checkpoint_seconds=None, keep=2, judge="val/accuracy",
    patience=0, patience_metric=None, min_delta=0.0, rising=("accuracy",), bounds={"accuracy": (0.0, 1.0)},
    reacts_to=None, accumulate=1,
)  # fmt: skip


@pytest.fixture(scope="session")
def planned() -> Callable[..., Plan]:
    """planned(steps=8, ...): a plan of 20 steps in lines of 4, with other entries."""
    return lambda **changes: PLAN._replace(**changes)


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Callable[..., Recorder]]:
    """recording(folder="run", plan=..., start_checkpoint=...): a recorder, closed in the end."""
    opened: list[Recorder] = []

    def begin(folder: str = "run", plan: Plan = PLAN, **options: Any) -> Recorder:
        path = tmp_path / folder
        path.mkdir(parents=True, exist_ok=True)
        columns = options.pop("columns", COLUMNS)
        to_metrics = options.pop("to_metrics", lambda mean: dict(mean))
        opened.append(Recorder(path, plan, columns, to_metrics, **options))
        return opened[-1]

    yield begin
    for recorder in opened:
        recorder.close()


@pytest.fixture(scope="session")
def rows_of() -> Callable[..., np.ndarray]:
    """rows_of(first, last): rows of the steps first to last, whose loss is the step."""

    def make(first: int, last: int) -> np.ndarray:
        steps = np.arange(first, last + 1, dtype=np.float64)
        return np.stack([steps, steps / 100, steps * 1000], axis=1)

    return make


@pytest.fixture
def run_at(tmp_path: Path) -> Callable[..., Path]:
    """run_at(name, status, steps=(4, 8), spec=""): a run folder with checkpoints, whose arrays are their step."""

    def make(
        name: str, status: str = "running", steps: tuple[int, ...] = (), spec: str = "", step: int = 0
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        run.write_state(folder, status, step=step or max(steps, default=0))
        if spec:
            fsio.write_file(folder / "resolved.yaml", spec.encode())
        if steps:
            (folder / "checkpoints").mkdir(exist_ok=True)
        for number in steps:
            arrays = {"params/w": np.full(3, number, np.float32), WINDOW: np.zeros((0, 3))}
            progress: Any = {
                "best": None, "improved": None, "best_metrics": {}, "latest": {}, "regular": [], "complete": False
            }  # fmt: skip
            checkpoint.save(folder / "checkpoints", number, arrays, progress, 0)
        return folder

    return make
