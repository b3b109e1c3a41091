"""`nnrun reproduce` through the real command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun.record import checkpoint
from nnrun.runner import again

SPEC = """
data: {name: digits, batch_size: 64, examples: 200}
model: {name: mlp, hidden: [8], dropout: 0.2}
optimizer: {name: adam, learning_rate: 1e-3}
train: {duration: 4 epochs, seeds: 2}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, warm: Callable[..., Any]) -> Path:
    folder = tmp_path_factory.mktemp("reproduce")
    (folder / "spec.yaml").write_text(SPEC)
    assert warm("train", "spec.yaml", "--run-dir", "group", "-q", folder=folder).code == 0
    done = warm(
        "train",
        "spec.yaml",
        "train.seeds=1",
        "--from",
        "group/seed_0",
        "--run-dir",
        "after",
        "-q",
        folder=folder,
    )
    assert done.code == 0, done.err
    return folder


@pytest.mark.quick("group-2")
@pytest.mark.parametrize(("name", "runs"), [("group", 2), ("after", 1)])
def test_the_same_run_is_the_same(
    name: str, runs: int, place: Path, warm: Callable[..., Any], keeps_contract: Callable[..., None]
) -> None:
    """A group of seeds; and a run that begins with the weights of another, which is gone by then."""
    if name == "after":
        (place / "group").rename(place / "gone")
    done = warm("reproduce", name, "--run-dir", f"{name}_again", "--json", folder=place)
    if name == "after":
        (place / "gone").rename(place / "group")
    assert (done.code, done.err) == (0, "")
    result = json.loads(done.out)
    keeps_contract("reproduce", result)
    assert result["same"] is True and result["differences"] == [] and result["runs"] == runs
    for file in (place / name).rglob("metrics.jsonl"):
        assert (place / f"{name}_again" / file.relative_to(place / name)).read_bytes() == file.read_bytes()


def test_a_group_without_one_of_its_runs_is_refused(place: Path, warm: Callable[..., Any]) -> None:
    (place / "group/seed_1").rename(place / "aside")
    done = warm("reproduce", "group", "--run-dir", "less", folder=place)
    (place / "aside").rename(place / "group/seed_1")
    assert (done.code, done.err.count("\n")) == (4, 1)
    assert "group/seed_1: this run of the group is missing; put it back" in done.err
    assert not (place / "less").exists()


def test_another_result_is_named_with_its_first_difference(place: Path, warm: Callable[..., Any]) -> None:
    file = place / "after/metrics.jsonl"
    lines = file.read_text().splitlines()
    record = json.loads(lines[1])
    before = record["train/loss"]
    record["train/loss"] = before * 1.5
    file.write_text("\n".join([lines[0], json.dumps(record), *lines[2:]]) + "\n")
    done = warm("reproduce", "after", "--run-dir", "other", "-q", folder=place)
    assert (done.code, done.err) == (7, "")
    assert done.out.splitlines() == [
        "after trained again is not the same:",
        f"step {record['step']}: train/loss was {before * 1.5!r}, is {before!r}",
        f"the largest difference of a metric is {_share(lines, before):.2g} of its largest value, in train/loss",
        "run folder: other",
    ]
    file.write_text("\n".join(lines) + "\n")


def _share(lines: list[str], before: float) -> float:
    """Half of the changed value, against the largest of the changed curve."""
    losses = [json.loads(line)["train/loss"] for line in lines]
    losses[1] = before * 1.5
    return before * 0.5 / max(losses)


def test_arrays_that_differ_are_counted(tmp_path: Path) -> None:
    progress: Any = {
        "best": None,
        "improved": None,
        "best_metrics": {},
        "latest": {},
        "regular": [],
        "complete": True,
    }
    arrays = {"params/a": np.array([1.0, -4.0]), "params/b": np.array([0.5, 2.0]), "params/c": np.zeros(3)}
    changed = {**arrays, "params/a": np.array([1.0, -4.5]), "params/c": np.array([0.0, 0.0, 1e-3])}
    for name, content in (("old", arrays), ("new", changed), ("same", arrays)):
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        (tmp_path / name / "metrics.jsonl").write_text('{"step": 1}\n')
        checkpoint.save(tmp_path / name / "checkpoints", 5, content, progress, 0)
    assert again.compare(tmp_path / "old", tmp_path / "same") == (1, 1, 3, [])
    assert again.compare(tmp_path / "old", tmp_path / "new").differences == [
        "2 of 3 arrays of the checkpoint of step 5 differ, by at most 0.12 of their largest value: params/a, params/c"
    ]


def test_what_has_not_ended_has_no_result(place: Path, warm: Callable[..., Any]) -> None:
    state = place / "after/state.json"
    before = state.read_text()
    state.write_text('{"status": "interrupted", "step": 3}')
    done = warm("reproduce", "after", "--run-dir", "never", folder=place)
    state.write_text(before)
    assert done.code == 4 and not (place / "never").exists()
    assert done.err == (
        "nnrun: after: is interrupted, so there is no result to reproduce; nnrun resume after continues it\n"
    )
