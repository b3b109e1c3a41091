"""Kinds of experiments from a spec to a result: models, data, arithmetic, and runs that diverge."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from nnrun.runner import session
from nnrun.types import Examples

SPEC = """
data: {name: digits, batch_size: 64}
model: {name: mlp, hidden: [16]}
optimizer: {name: adam, learning_rate: 1e-2}
train: {duration: 2 epochs}
"""
# Its largest curvature is about 4, so that every step of rate 3 makes the error ten times larger.
UNSTABLE = """
data: {name: diabetes, batch_size: full}
model: {name: linear}
loss: {name: squared_error}
optimizer: {name: sgd, learning_rate: 3}
train: {duration: 100 steps, evaluate_every: 1 step, log_every: 1 step}
checkpoint: {every: 2 steps}
"""


@pytest.fixture
def train(warm: Callable[..., Any], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """train(*overrides): the result of a run in the folder `run`."""

    def run(*overrides: str, spec: str = SPEC) -> dict[str, Any]:
        (tmp_path / "spec.yaml").write_text(spec)
        done = warm("train", "spec.yaml", *overrides, "--run-dir", "run", "--json", folder=tmp_path)
        assert (done.code, done.err) == (0, ""), done.err
        return done.json

    return run


def arrays(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of the newest checkpoint of a run."""
    return load_file(max((folder / "checkpoints").iterdir()) / "arrays.safetensors")


@pytest.mark.slow
def test_a_sequential_model(train: Callable[..., Any], tmp_path: Path) -> None:
    layers = "[flatten, {name: dense, units: 12}, {name: batch_norm}, relu, {name: dropout, rate: 0.1}]"
    found = train(f"model={{name: sequential, layers: {layers}}}")
    assert found["metrics"]["last"]["test/accuracy"] > 0.5
    shapes = {name: array.shape for name, array in arrays(tmp_path / "run").items() if "layer_2" in name}
    assert shapes["params/layer_2/kernel"] == (64, 12)


def test_convolutions_on_images(train: Callable[..., Any], tmp_path: Path) -> None:
    found = train("model={name: lenet, filters: [4], kernel: 3, hidden: [8], norm: batch}")
    assert found["metrics"]["last"]["test/accuracy"] > 0.5
    assert any(name.startswith("stats/") for name in arrays(tmp_path / "run"))


def columns(part: Examples) -> np.ndarray:
    return np.column_stack([part.x, np.ones(len(part.y))]).astype(float)


def test_regression(train: Callable[..., Any], tmp_path: Path) -> None:
    found = train(
        "data={name: diabetes, batch_size: full}", "model=linear", "loss=squared_error",
        "optimizer.learning_rate=0.1", "train.duration=1500 epochs",
    )  # fmt: skip
    last = found["metrics"]["last"]
    assert {"test/rmse", "test/mae", "test/r2", "val/rmse", "train/rmse"} <= set(last)
    assert found["best"]["metric"].startswith("val/")
    data = session.prepare(tmp_path / "run/resolved.yaml").experiment.dataset
    solution = np.linalg.lstsq(columns(data.train), data.targets["train"], rcond=None)[0]
    error = columns(data.test) @ solution - data.targets["test"]
    assert last["test/rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=0.01)
    assert last["test/mae"] == pytest.approx(np.mean(np.abs(error)), rel=0.01)
    assert last["test/r2"] == pytest.approx(1 - np.mean(error**2) / np.var(data.targets["test"]), abs=0.02)


def test_a_table(train: Callable[..., Any], tmp_path: Path) -> None:
    rows = [
        f"{a},{b},{'red' if (a + b) % 2 else 'blue'},{'yes' if a > b else 'no'}"
        for a in range(12)
        for b in range(12)
    ]
    (tmp_path / "table.csv").write_text("\n".join(["a,b,colour,answer", *rows]))
    found = train(
        "data={name: csv, path: table.csv, target: answer, categorical: [colour], batch_size: 16}",
        "train.duration=20 epochs",
    )
    assert found["metrics"]["last"]["test/accuracy"] > 0.8
    assert arrays(tmp_path / "run")["params/hidden_1/kernel"].shape == (4, 16), "a, b, blue, red"


@pytest.mark.slow
def test_an_archive(train: Callable[..., Any], tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(120, 3))
    np.savez(tmp_path / "data.npz", inputs=x, goal=x @ [1.0, -2.0, 3.0])
    found = train(
        "data={name: npz, path: data.npz, x: inputs, y: goal, batch_size: 16}", "model=linear",
        "loss=squared_error", "train.duration=60 epochs",
    )  # fmt: skip
    assert found["metrics"]["last"]["test/r2"] > 0.99


@pytest.mark.slow
def test_double_precision(train: Callable[..., Any], tmp_path: Path) -> None:
    train("train.precision=float64", "train.duration=3 steps")
    held = arrays(tmp_path / "run")
    assert {array.dtype for name, array in held.items() if name.startswith("params/")} == {np.dtype(float)}


@pytest.mark.slow
def test_the_whole_set_in_a_batch_without_validation(train: Callable[..., Any], tmp_path: Path) -> None:
    found = train("data.batch_size=full", "data.validation=0", "train.duration=5 epochs")
    assert (found["steps"], found["epochs"], found["best"]) == (5, 5.0, None)
    assert not [name for name in found["metrics"]["last"] if name.startswith("val/")]
    best, last = found["metrics"]["best"], found["metrics"]["last"]
    assert {"test/accuracy", "test/loss"} <= set(best)
    assert best == {name: last[name] for name in best}, "where nothing is judged, the best is the last"


@pytest.mark.slow
def test_evaluating_a_part_that_was_not_held_out(
    train: Callable[..., Any], warm: Callable[..., Any], tmp_path: Path
) -> None:
    train("data.validation=0", "train.duration=3 steps")
    done = warm("evaluate", "run", "--split", "val", folder=tmp_path)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "run held nothing out for it; write --split train or test" in done.err
    assert warm("evaluate", "run", folder=tmp_path).code == 0


def test_a_diverged_run_keeps_its_best_state(warm: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(UNSTABLE)
    done = warm("train", "spec.yaml", "--run-dir", "run", "--json", folder=tmp_path)
    assert (done.code, done.err.count("\n")) == (5, 1)
    message = re.fullmatch(
        r"nnrun: run: the loss became infinite or NaN at step (\d+); the best state before, of step (\d+), "
        r"is kept; try a smaller optimizer.learning_rate, .*\n",
        done.err,
    )
    assert message is not None, done.err
    step, best = map(int, message.groups())
    summary = done.json
    assert (summary["status"], summary["steps"], summary["best"]["step"]) == ("diverged", step, best)
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, step + 1))
    assert all(isinstance(line["train/loss"], float) for line in lines[:-1])
    assert isinstance(lines[-1]["train/loss"], str), "not a number of JSON"
    for array in arrays(tmp_path / "run").values():
        assert np.isfinite(array).all()
    found = warm("evaluate", "run", "--json", folder=tmp_path).json
    expected = {name: value for name, value in summary["metrics"]["best"].items() if name.startswith("test/")}
    assert found["step"] == best
    assert found["metrics"] == pytest.approx(expected, rel=1e-6)
    assert "run  diverged" in warm("show", "run", folder=tmp_path).out


def test_a_group_of_which_all_diverge(warm: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    rate = ["optimizer={name: sgd, learning_rate: 1e30}", "train.seeds=2"]
    done = warm("train", "spec.yaml", *rate, "--run-dir", "run", "--json", folder=tmp_path)
    assert (done.code, done.err.count("\n")) == (5, 1)
    assert re.match(r"nnrun: run: the loss became infinite or NaN at step \d+; try a smaller ", done.err)
    assert (done.json["status"], done.json["mean"]) == ("diverged", {})
    assert [one["status"] for one in done.json["runs"]] == ["diverged", "diverged"]
    assert "all 2 seeds diverged" in warm("show", "run", folder=tmp_path).out
    assert "diverged (0 of 2 seeds)" in warm("ls", ".", folder=tmp_path).out
    for name in ("run", "run/seed_1"):
        evaluated = warm("evaluate", name, folder=tmp_path)
        assert (evaluated.code, evaluated.err.count("\n")) == (4, 1)
        assert "diverged" in evaluated.err
