"""Which file of a run folder is missing or cannot be read: each is broken in turn."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nnrun.report.damage import damaged_checkpoints, damaged_file, lost_best_step

SPEC = b"data: {name: digits}\n"


def whole(folder: Path) -> Path:
    """A run that is done, with all its files."""
    folder.mkdir(parents=True)
    (folder / "state.json").write_text('{"status": "done", "step": 20}')
    (folder / "summary.json").write_text('{"status": "done", "metrics": {"best": {}}}')
    (folder / "tags.json").write_text('{"tags": ["a"]}')
    (folder / "resolved.yaml").write_bytes(SPEC)
    (folder / "run.json").write_text(json.dumps({"spec_hash": hashlib.sha256(SPEC).hexdigest()}))
    (folder / "metrics.jsonl").write_text('{"step": 1}\n')
    return folder


def cut(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text('{"status": "do')


def lose(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda folder: None, None),
        (cut("state.json"), "state.json"),
        (lose("state.json"), "state.json"),
        (cut("summary.json"), "summary.json"),
        (lose("summary.json"), "summary.json missing"),
        (cut("tags.json"), "tags.json"),
        (lose("tags.json"), None),  # a run needs none
        (cut("run.json"), "run.json"),
        (lose("run.json"), None),  # it says nothing of its spec, and is believed
        (lose("resolved.yaml"), "resolved.yaml missing"),
        (lambda folder: (folder / "resolved.yaml").write_bytes(SPEC + b"#"), "resolved.yaml"),
        (lambda folder: (folder / "metrics.jsonl").write_text("{nonsense}\n"), "metrics.jsonl"),
        (lose("metrics.jsonl"), None),  # before the first line there is none
    ],
)
def test_the_file_is_named(break_it: Callable[[Path], object], said: str | None, tmp_path: Path) -> None:
    folder = whole(tmp_path / "run")
    break_it(folder)
    assert damaged_file(folder) == said


def test_a_run_without_the_digest_of_its_spec_is_believed(tmp_path: Path) -> None:
    folder = whole(tmp_path / "run")
    (folder / "run.json").write_text("{}")
    (folder / "resolved.yaml").write_bytes(b"other: 1\n")
    assert damaged_file(folder) is None


def group(folder: Path) -> Path:
    whole(folder)
    for name in ("seed_0", "seed_1"):
        whole(folder / name)
    members = [{"run": "seed_0", "status": "done"}, {"run": "seed_1", "status": "done"}]
    (folder / "summary.json").write_text(
        json.dumps({"status": "done", "runs": members, "mean": {}, "ci95": {}})
    )
    return folder


def test_a_file_of_a_seed_is_named_below_its_group(tmp_path: Path) -> None:
    folder = group(tmp_path / "group")
    assert damaged_file(folder) is None
    (folder / "seed_1/metrics.jsonl").write_text("{nonsense}\n")
    assert damaged_file(folder) == "seed_1/metrics.jsonl"


def test_a_seed_may_wait_for_its_summary_and_a_run_may_not(tmp_path: Path) -> None:
    """A seed that ends before the others gets its summary when they end."""
    folder = group(tmp_path / "group")
    (folder / "seed_0/summary.json").unlink()
    assert damaged_file(folder / "seed_0") is None
    (folder / "summary.json").unlink()
    assert damaged_file(folder) == "summary.json missing"


def test_a_sweep_looks_after_its_trials_itself(tmp_path: Path) -> None:
    folder = whole(tmp_path / "sweep")
    (folder / "summary.json").write_text('{"status": "done", "trials": 3, "runs": []}')
    (folder / "resolved.yaml").unlink()
    assert damaged_file(folder) is None


def test_the_checkpoint_of_the_best_step(tmp_path: Path) -> None:
    (tmp_path / "checkpoints/step_00000020").mkdir(parents=True)
    best = {"metric": "val/loss", "value": 0.5, "step": 20}
    assert lost_best_step(tmp_path, {"best": best}) is None  # type: ignore[typeddict-item]
    assert lost_best_step(tmp_path, {"best": {**best, "step": 30}}) == 30  # type: ignore[typeddict-item]
    assert lost_best_step(tmp_path, {"best": None}) is None  # type: ignore[typeddict-item]


def test_checkpoints_without_a_manifest_are_damaged(tmp_path: Path) -> None:
    for step in (20, 10):
        (tmp_path / f"checkpoints/step_{step:08d}").mkdir(parents=True)
    assert damaged_checkpoints(tmp_path) == [10, 20]
