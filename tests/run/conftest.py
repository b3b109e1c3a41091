"""Specs of each kind of run, and what must be equal to the last byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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
train: {duration: 4 epochs, log_every: 7 steps, early_stopping: {patience: 40 epochs}}
checkpoint: {every: 1 epoch, keep: 2}
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
