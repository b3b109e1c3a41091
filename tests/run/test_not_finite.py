"""Numbers that are not finite where nobody looks at first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun.errors import DivergedError
from nnrun.record import checkpoint, run
from nnrun.report.summary import warnings
from nnrun.runner import driver, session
from nnrun.runner.evaluation import evaluate_run
from nnrun.runner.recorder import Recorder
from nnrun.types import Plan

SPEC = """
data: {name: npz, path: data.npz, standardize: none, batch_size: 16}
model: {name: linear}
optimizer: {name: adam, learning_rate: 1e-3}
train: {duration: 3 epochs}
checkpoint: {every: 2 steps}
"""


def write(folder: Path, x: np.ndarray) -> Path:
    labels = np.arange(len(x)) % 2
    np.savez(folder / "data.npz", x=x.astype(np.float32), y=labels)
    (folder / "spec.yaml").write_text(SPEC)
    return folder / "spec.yaml"


def train(spec: Path) -> Path:
    prepared = session.prepare(spec)
    folder = session.create(prepared, spec.parent / "run", spec.parent)
    for _ in driver.train(prepared.experiment, folder, lambda message: None):
        pass
    return folder


def test_moments_that_overflow_while_the_loss_is_finite_are_a_divergence(tmp_path: Path) -> None:
    """g² is infinite in float32 for inputs of 1e21: Adam stands still and the loss stays finite."""
    x = np.random.default_rng(0).normal(size=(80, 3)) * 1e21
    with pytest.raises(DivergedError, match="step 2"):
        train(write(tmp_path, x))
    assert run.read_state(tmp_path / "run")["status"] == "diverged"


def test_a_population_that_has_diverged_says_the_same_when_it_is_resumed(tmp_path: Path) -> None:
    """It diverged before its first checkpoint, in the loss; nothing is trained again, and nothing says so."""
    x = np.random.default_rng(0).normal(size=(80, 3))
    spec = write(tmp_path, x)
    text = SPEC.replace("adam, learning_rate: 1e-3", "sgd, learning_rate: 1e38").replace(
        "2 steps", "3 epochs"
    )
    spec.write_text(text.replace("duration: 3 epochs", "duration: 3 epochs, seeds: 2"))
    with pytest.raises(DivergedError, match="the loss became") as first:
        train(spec)
    warned: list[str] = []
    prepared = session.reopen(tmp_path / "run", warned.append)
    with pytest.raises(DivergedError) as again:
        for _ in driver.train(prepared.experiment, tmp_path / "run", warned.append):
            pass
    assert str(again.value) == str(first.value)
    assert warned == []


def plan(**changes: Any) -> Plan:
    base = Plan(
        name="run", model="mlp", precision="float32", seeds=(0,), steps=100, steps_per_epoch=10, batch_size=4,
        log_every=5,
        evaluate_every=10, checkpoint_every=10, checkpoint_seconds=None, keep=2, judge="val/accuracy", patience=0,
        patience_metric=None, min_delta=0.0, rising=("accuracy",), bounds={"accuracy": (0, 1)},
        reacts_to=None, accumulate=1,
    )  # fmt: skip
    return base._replace(**changes)


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path, plan(), ("train/loss", "learning_rate"), dict)


def test_a_loss_that_is_not_finite_wins_no_tie_and_breaks_no_checkpoint(recorder: Recorder) -> None:
    state = {"params/w": np.zeros(2, np.float32)}
    rows = np.ones((1, 10, 2))[0]
    assert recorder.advance(rows, {"val/accuracy": 0.5, "val/loss": float("inf")})
    recorder.hold_best(state)
    recorder.save(state)
    assert not recorder.advance(rows, {"val/accuracy": 0.5, "val/loss": float("nan")})
    assert recorder.advance(rows, {"val/accuracy": 0.5, "val/loss": 3.0})
    recorder.hold_best(state)
    assert not recorder.advance(rows, {"val/accuracy": 0.5, "val/loss": 3.5})
    recorder.save(state)
    assert checkpoint.load_latest(recorder.folder / "checkpoints", print).progress["best"] == {
        "step": 30,
        "value": 0.5,
        "loss": 3.0,
    }
    recorder.close()


def test_best_steps_do_not_displace_regular_checkpoints(recorder: Recorder) -> None:
    """keep: 2, and each regular save is preceded by a new best: both regular steps must stay."""
    state = {"params/w": np.zeros(2, np.float32)}
    for i in range(1, 5):
        recorder.advance(np.ones((9, 2)), {"val/accuracy": i / 10, "val/loss": 1.0})
        recorder.hold_best(state)
        recorder.advance(np.ones((1, 2)), None)
        recorder.save(state)
        recorder.prune()
    kept = checkpoint.steps(recorder.folder / "checkpoints")
    assert {30, 40} <= set(kept)
    assert 39 in kept
    recorder.close()


def test_a_metric_that_never_has_a_value_judges_nothing_and_that_is_said(tmp_path: Path) -> None:
    write(tmp_path, np.random.default_rng(0).normal(size=(80, 3)))
    (tmp_path / "mine.py").write_text(
        "from nnrun.statistics.measure import Measure\n\n\ndef never() -> Measure:\n"
        "    return Measure(lambda p, y: float('nan') if len(y) > 4 else 1.0, True, True)\n"
    )
    text = SPEC.replace("{every: 2 steps}", "{every: 2 steps, best: val/never}").replace(
        "3 epochs", "3 epochs, early_stopping: {patience: 1 epochs}"
    )
    (tmp_path / "spec.yaml").write_text(f"{text}metrics: [mine:never]\n")
    summary = run.read_json(train(tmp_path / "spec.yaml") / "summary.json")
    assert (summary["best"], summary["stopped_early"]) == (None, None)
    assert warnings(summary)[0] == (
        "warning: val/never is undefined: it was never a finite number; so no step is the best, and the last one "
        "stands for it; so early stopping had nothing to go by"
    )


def test_an_undefined_metric_of_several_seeds_is_evaluated_and_is_json(tmp_path: Path) -> None:
    """r2 of equal targets is undefined: a value that JSON lacks, and that has no mean."""
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 2))
    np.savez(tmp_path / "data.npz", x=x, y=x[:, 0] + random.normal(size=60))
    np.savez(tmp_path / "test.npz", x=x[:10], y=np.full(10, 1.5))
    text = SPEC.replace("path: data.npz", "path: data.npz, test_path: test.npz").replace(
        "3 epochs", "3 epochs, seeds: 2"
    )
    (tmp_path / "spec.yaml").write_text(f"{text}loss: {{name: squared_error}}\n")
    result = evaluate_run(train(tmp_path / "spec.yaml"), "test", "last", lambda message: None)
    json.dumps(result, allow_nan=False)
    assert [member["metrics"]["test/r2"] for member in result["runs"]] == ["nan", "nan"]
    assert "test/r2" not in result["mean"]
    errors = [member["metrics"]["test/mae"] for member in result["runs"]]
    assert result["mean"]["test/mae"] == pytest.approx(np.mean(errors))
