"""Specs of each kind of run, and what must be equal to the last byte."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nnrun.record import checkpoint

SPECS = {
    "mlp": """
data: {name: digits, batch_size: 64}
model: {name: mlp, hidden: [16], dropout: 0.3, dropconnect: 0.2}
optimizer: {name: adam, learning_rate: 1e-3, max_norm: 2}
train: {duration: 12 epochs, log_every: 7 steps}
checkpoint: {every: 11 steps, keep: 2}
""",
    "lenet": """
data: {name: digits, batch_size: 64}
model: {name: lenet, filters: [4, 6], kernel: 3, hidden: [16], norm: batch, dropout: 0.2}
augment: [{name: translate, pixels: 1}, mixup]
optimizer: {name: momentum, learning_rate: 0.05, weight_decay: 1e-3, clip_norm: 1}
schedule: {name: cosine, warmup: 10%}
average: {name: ema, decay: 0.9}
metrics: [f1, auroc, {name: recall, label: 3}]
train: {duration: 4 epochs, log_every: 7 steps, early_stopping: {patience: 40 epochs, metric: val/recall_3}}
checkpoint: {every: 1 epoch, keep: 2, best: val/ema/auroc}
""",
    "population": """
data: {name: digits, batch_size: 64}
model: {name: mlp, hidden: [16], dropout: 0.3}
optimizer: {name: adam, learning_rate: 1e-3}
schedule: {name: reduce_on_plateau, patience: 0, metric: val/accuracy}
train: {duration: 8 epochs, seeds: 3, random: fast, log_every: 7 steps,
        early_stopping: {patience: 3 epochs, min_delta: 0.02}}
checkpoint: {every: 11 steps, keep: 2}
""",
    "snapshots": """
data: {name: digits, batch_size: 64, bootstrap: true}
model: {name: mlp, hidden: [16], dropout: 0.3}
optimizer: {name: nesterov, learning_rate: 0.1}
schedule: {name: cosine_restarts, period: 27 steps, warmup: 5 steps}
train: {duration: 7 epochs, seeds: 2, log_every: 7 steps}
checkpoint: {every: 11 steps, keep: cycle_ends}
""",
}

LONGEST = 1.6  # seconds from the start of a command until it is killed: most of what it takes to its end


@pytest.fixture(params=sorted(SPECS))
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A spec of each kind of run in turn, as a file."""
    path = tmp_path / f"{request.param}.yaml"
    path.write_text(SPECS[request.param])
    return path


def content(folder: Path) -> dict[str, bytes]:
    """What must be equal to the last byte: the metrics and the last checkpoint of every run in the folder."""
    found = {}
    for metrics in sorted(folder.rglob("metrics.jsonl")):
        name = metrics.parent.relative_to(folder).as_posix()
        found[f"{name}/metrics"] = metrics.read_bytes()
        place = metrics.parent / "checkpoints"
        last = checkpoint.steps(place)[-1]
        ends = checkpoint.load(place / f"step_{last:08d}").progress.get("kept", [])  # of a schedule's cycles
        for step in {last, *ends}:
            for file in sorted((place / f"step_{step:08d}").iterdir()):
                found[f"{name}/{step}/{file.name}"] = file.read_bytes()
        found[f"{name}/summary"] = (metrics.parent / "summary.json").read_bytes()
    return found


@pytest.fixture(scope="session")
def same() -> Callable[[Path, Path], None]:
    """same(a, b): asserts that two finished run folders hold the same bytes."""

    def check(a: Path, b: Path) -> None:
        one, other = content(a), content(b)
        assert one.keys() == other.keys()
        assert [name for name in one if one[name] != other[name]] == []

    return check


@pytest.fixture
def killed(begun: Callable[..., Any]) -> Callable[..., list[Path]]:
    """killed(spec, folder, kills, seed, NAME="value"): the folders of runs that were killed and continued to their end.

    They are killed at random instants; NAME is a variable of the environment.
    """

    def to_the_end(spec: Path, folder: Path, kills: int, chance: random.Random, settings: dict) -> int:
        """One run; returns how many times it was killed."""
        killed = 0
        while True:
            is_run = (folder / "state.json").exists()
            command = ["resume", folder] if is_run else ["train", spec, "--run-dir", folder]
            if not is_run and folder.exists():  # killed before the folder was a run: nothing to resume
                folder.rename(folder.with_name(f"{folder.name}-stillborn-{killed}"))
            child = begun(*command, "--quiet", folder=spec.parent, **settings)
            if killed < kills:
                limit = time.monotonic() + chance.uniform(0.0, LONGEST)
                while child.poll() is None and time.monotonic() < limit:
                    time.sleep(0.002)
                if child.poll() is None:
                    child.send_signal(signal.SIGKILL)
                    killed += 1
            code = child.wait()
            if code != -signal.SIGKILL:
                assert code == 0, child.err
                return killed

    def runs(spec: Path, folder: Path, kills: int, seed: int, **settings: str) -> list[Path]:
        chance, left, finished = random.Random(seed), kills, []
        while left > 0:
            finished.append(folder / f"run-{len(finished)}")
            left -= to_the_end(spec, finished[-1], min(left, 12), chance, settings)
        return finished

    return runs
