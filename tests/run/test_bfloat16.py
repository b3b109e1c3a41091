"""A run in mixed precision through the commands: what it measured is what everything else finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from sklearn import datasets

import nnrun
from nnrun.export import folder as exporting

SPEC = """
data: {name: digits, batch_size: 64}
model: {name: lenet, filters: [4, 6], kernel: 3, hidden: [16], norm: batch, dropout: 0.2}
optimizer: {name: muon, learning_rate: 0.02}
average: {name: ema, decay: 0.9}
train: {duration: 2 epochs, precision: bfloat16}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the spec, and the run `run`."""
    folder = tmp_path_factory.mktemp("bfloat16")
    (folder / "spec.yaml").write_text(SPEC)
    nnrun.train(folder / "spec.yaml", run_dir=folder / "run")
    return folder


@pytest.mark.slow
def test_evaluate_finds_what_the_run_has_measured(place: Path, warm: Callable[..., Any]) -> None:
    summary = json.loads((place / "run" / "summary.json").read_text())["metrics"]["last"]
    done = warm("evaluate", "run", "--checkpoint", "last", "--json", "--runs-root", ".", folder=place)
    assert done.code == 0, done.err
    for name in ("test/accuracy", "test/loss", "test/ema/loss"):
        assert done.json["metrics"][name] == pytest.approx(summary[name], rel=2e-3)


def test_predictions_are_those_of_load_and_as_good_as_was_measured(
    place: Path, warm: Callable[..., Any]
) -> None:
    x, y = datasets.load_digits(return_X_y=True)
    inputs = x.reshape(-1, 8, 8, 1).astype(np.float32)
    np.savez(place / "x.npz", x=inputs)
    done = warm("predict", "run", "x.npz", "-o", "p.npz", "-q", "--runs-root", ".", folder=place)
    assert done.code == 0, done.err
    probabilities = np.load(place / "p.npz")["probabilities"]
    model = nnrun.load(place / "run")
    np.testing.assert_array_equal(model.predict_proba(inputs), probabilities)
    assert (probabilities.argmax(1) == y).mean() > 0.6


@pytest.mark.slow
def test_an_export_predicts_as_the_run_does(place: Path, tmp_path: Path) -> None:
    exported = nnrun.load(place / "run")
    written = exporting.export(exported, tmp_path / "model")
    assert written.difference < 2e-2
    assert written.why_not


@pytest.mark.slow
def test_weights_move_between_precisions(place: Path) -> None:
    for precision in ("float32", "bfloat16"):
        run = place / f"next-{precision}"
        nnrun.train(
            place / "spec.yaml",
            [f"train.precision={precision}", "train.duration=1 step", "optimizer.learning_rate=0.0"],
            run_dir=run,
            weights_from=place / "run",
        )
        before, after = (nnrun.load(folder, checkpoint="last").params for folder in (place / "run", run))
        jax.tree.map(np.testing.assert_array_equal, before, after)
