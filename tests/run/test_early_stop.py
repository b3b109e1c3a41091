"""A run that early stopping ended says so, why and when, wherever a person or a program looks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SPEC = """
data: {name: digits, batch_size: 64}
model: {name: mlp, hidden: [16]}
optimizer: {name: adam, learning_rate: 0.05}
train: {duration: 40 epochs, early_stopping: {patience: 2 epochs, metric: val/loss}}
"""
PATIENCE = 40  # steps: two epochs of 20


def last_improvement(folder: Path) -> tuple[int, int]:
    """The step of the least validation loss and the last step, from the lines of metrics.jsonl alone."""
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    losses = {line["step"]: line["val/loss"] for line in lines if "val/loss" in line}
    return min(losses, key=losses.__getitem__), max(losses)


def sentence(folder: Path) -> str:
    since, last = last_improvement(folder)
    return (
        f"stopped early at step {last}: val/loss has not improved since step {since} "
        f"(train.early_stopping.patience: {PATIENCE} steps)"
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, warm: Callable[..., Any]) -> Path:
    """`alone`, and a group of two seeds, `group`; the second seed ends at another step."""
    folder = tmp_path_factory.mktemp("early")
    (folder / "spec.yaml").write_text(SPEC)
    for name, seeds in (("alone", 1), ("group", 2)):
        done = warm("train", "spec.yaml", f"train.seeds={seeds}", "--run-dir", name, "--quiet", folder=folder)
        (folder / f"{name}.txt").write_text(done.out)
        assert done.code == 0
    return folder


def test_what_a_run_says_after_training(runs: Path):
    folder = runs / "alone"
    since, last = last_improvement(folder)
    assert last - since == PATIENCE
    assert sentence(folder) in (runs / "alone.txt").read_text().splitlines()
    assert json.loads((folder / "state.json").read_text())["reason"] == sentence(folder)
    assert json.loads((folder / "summary.json").read_text())["stopped_early"] == {
        "step": last, "metric": "val/loss", "since": since, "patience": PATIENCE, "min_delta": 0.0,
    }  # fmt: skip


def test_show_ls_and_resume_say_it_too(runs: Path, warm: Callable[..., Any]):
    assert sentence(runs / "alone") in warm("show", "alone", folder=runs).out.splitlines()
    assert "done (stopped early)" in warm("ls", ".", folder=runs).out
    resumed = warm("resume", "alone", folder=runs).out.splitlines()
    assert resumed[0] == "alone is done; nothing to do"
    assert sentence(runs / "alone") in resumed


def test_a_group_says_how_many_of_its_seeds(runs: Path, warm: Callable[..., Any]):
    seeds = [runs / "group" / f"seed_{i}" for i in range(2)]
    first, last = sorted(last_improvement(seed)[1] for seed in seeds)
    when = f"at steps {first} to {last}" if first < last else f"at step {first}"
    line = (
        f"all 2 seeds stopped early, {when}: val/loss has not improved for 40 steps "
        "(train.early_stopping.patience)"
    )
    assert line in (runs / "group.txt").read_text().splitlines()
    assert line in warm("show", "group", folder=runs).out.splitlines()
    assert "done (2 seeds, 2 stopped early)" in warm("ls", "group", folder=runs).out
    for seed in seeds:
        assert json.loads((seed / "state.json").read_text())["reason"] == sentence(seed)


@pytest.mark.parametrize("name", ["alone", "group"])
def test_a_run_killed_before_its_summary_was_written_says_the_same(
    name: str, runs: Path, tmp_path: Path, warm: Callable[..., Any]
):
    copy = tmp_path / name
    shutil.copytree(runs / name, copy)
    for summary in copy.rglob("summary.json"):
        summary.unlink()
    (copy / "state.json").write_text('{"status": "interrupted"}')
    assert warm("resume", name, "--quiet", folder=tmp_path).code == 0
    for file in (*copy.rglob("summary.json"), *copy.rglob("state.json")):
        assert file.read_bytes() == (runs / name / file.relative_to(copy)).read_bytes()


def test_a_run_that_reached_its_last_step_says_nothing(runs: Path, tmp_path: Path, warm: Callable[..., Any]):
    spec = runs / "spec.yaml"
    since, last = last_improvement(runs / "alone")
    duration = f"train.duration={last} steps"  # patience and run end together
    done = warm("train", spec, duration, "--run-dir", "run", "--quiet", folder=tmp_path)
    assert "stopped early" not in done.out
    assert json.loads((tmp_path / "run/summary.json").read_text())["stopped_early"] is None
    assert "reason" not in json.loads((tmp_path / "run/state.json").read_text())
    assert since < last


@pytest.mark.slow
def test_trials_that_stopped_early_say_so(runs: Path, tmp_path: Path, warm: Callable[..., Any]):
    rates = "{trials: 2, search: grid, final_seeds: 0, over: {optimizer.learning_rate: [0.05, 0.04]}}"
    (tmp_path / "sweep.yaml").write_text(f"base: {runs / 'spec.yaml'}\nsweep: {rates}\n")
    assert warm("sweep", "sweep.yaml", "--run-dir", "s", "--quiet", folder=tmp_path).code == 0
    records = [json.loads(line) for line in (tmp_path / "s/trials.jsonl").read_text().splitlines()]
    assert [record["reason"] for record in records] == [
        sentence(tmp_path / "s" / record["run"]) for record in records
    ]
    assert "done (stopped early)" in (tmp_path / "s/report.html").read_text()
