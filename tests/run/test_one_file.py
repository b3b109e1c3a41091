"""One file is enough: a search, an augmentation and a loss with its metric work everywhere like those of nnrun."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SEARCH = """
from nnrun.space import Search

def thirds() -> Search:
    def ask(space, seed, first, count, seen):
        return [tuple((number % 3 + 0.5) / 3 for _ in space) for number in range(first, first + count)]
    return Search(ask, batch=1)
"""
AUGMENT = """
from nnrun.augment._images import moving

def upside_down():
    return moving(lambda key, batch: batch._replace(x=batch.x[:, ::-1]))

def twice_as_bright():
    return lambda key, batch: batch._replace(x=2 * batch.x)
"""
LOSS = """
import jax
import jax.numpy as jnp
from nnrun.types import Loss

def margin() -> Loss:
    def value(outputs, targets):
        return -jnp.take_along_axis(jax.nn.log_softmax(outputs), targets[:, None], axis=1)[:, 0]

    def terms(outputs, targets):
        wrong = outputs.argmax(1).astype(targets.dtype) != targets
        return {"loss": value(outputs, targets), "misses": wrong.astype(outputs.dtype)}

    return Loss(value, terms, dict, judge="misses", rising=(), classifies=True, bounds={"misses": (0, 1)})
"""
BASE = """
name: digits
data: {name: digits, batch_size: 256}
augment: [{name: my_augment:twice_as_bright}]
model: {name: mlp, hidden: [8]}
loss: {name: my_loss:margin}
optimizer: {name: adam, learning_rate: 1e-3}
train: {duration: 3 epochs}
"""
SWEEP = """
name: study
base: base.yaml
sweep:
  search: my_search:thirds
  over: {optimizer.learning_rate: {log: [1e-5, 1e-2]}}
  trials: 3
  final_seeds: 2
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    files = {"my_search.py": SEARCH, "my_augment.py": AUGMENT, "my_loss.py": LOSS}
    for name, text in {**files, "base.yaml": BASE, "sweep.yaml": SWEEP}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_sweep_by_ones_own_search_and_metric(home: Path, warm: Callable[..., Any]) -> None:
    """Fewer misses are better, misses are a share of the examples, and the search depends on results."""
    result = warm("sweep", "sweep.yaml", "--run-dir", "study", folder=home)
    assert result.code == 0
    answer = json.loads((home / "study" / "leaderboard.json").read_text())
    rates = sorted(trial["settings"]["optimizer.learning_rate"] for trial in answer["trials"])
    assert rates == pytest.approx([1e-5 * 1e3 ** ((i + 0.5) / 3) for i in range(3)], rel=1e-4)
    misses = [trial["value"] for trial in answer["trials"]]
    assert misses == sorted(misses) and (answer["metric"], answer["goal"]) == ("val/misses", "min")
    [row] = answer["alternatives"]
    assert f"{100 * row['mean']:.2f}%" in result.out
    assert f"{100 * row['validation_again']:.2f}%" in result.out
    [curve] = answer["best_of_k"]["digits"].values()
    in_order = [trial["value"] for trial in sorted(answer["trials"], key=lambda trial: trial["number"])]
    assert [point["value"] for point in curve] == [min(in_order[: k + 1]) for k in range(3)]


@pytest.mark.slow
def test_the_metric_in_compare_and_ensemble(home: Path, warm: Callable[..., Any]) -> None:
    for rate, name in ((1e-5, "slow"), (1e-2, "fast")):
        arguments = (f"optimizer.learning_rate={rate}", "train.seeds=2", "--run-dir", f"runs/{name}")
        assert warm("train", "base.yaml", *arguments, folder=home).code == 0
    shown = warm("compare", "runs/slow", "runs/fast", folder=home)
    assert shown.code == 0 and "fast has the best test/misses: " in shown.out
    assert "%" in next(line for line in shown.out.splitlines() if line.startswith("fast has"))
    joined = warm("ensemble", "runs/fast", folder=home)
    assert (joined.code, joined.err) == (0, "")
    assert joined.out.splitlines()[0].split()[:3] == ["test", "misses", "loss"]
    assert " lower  [" in joined.out or " higher  [" in joined.out


def test_an_augmentation_that_moves_pixels_is_refused_like_nnruns_own(
    home: Path, warm: Callable[..., Any]
) -> None:
    data = "data={name: mnist_like:images, batch_size: 32}"
    (home / "mnist_like.py").write_text(
        "import numpy as np\nfrom nnrun.types import Examples, Source\n\n"
        "def images() -> Source:\n"
        "    x = np.random.default_rng(0).integers(0, 255, (64, 6, 6, 1)).astype(np.uint8)\n"
        "    return Source(Examples(x, np.arange(64, dtype=np.int32) % 2), None, ('a', 'b'), 'feature')\n"
    )
    refused = warm("train", "base.yaml", "augment.0.name=my_augment:upside_down", data, folder=home)
    assert refused.code == 2
    assert (
        "my_augment:upside_down moves pixels, and data.standardize: feature gave each its own" in refused.err
    )
    allowed = warm("train", "base.yaml", data, "train.duration=1 steps", folder=home)
    assert allowed.code == 0
