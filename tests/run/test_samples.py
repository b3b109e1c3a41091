"""Monte-Carlo dropout through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from nnrun.runner import session

LINEAR = """
data: {name: diabetes}
model: {name: sequential, layers: [{name: dropout, rate: 0.2}]}
loss: squared_error
optimizer: {name: sgd, learning_rate: 0.05}
train: {duration: 5 epochs, seeds: 2}
"""
NET = """
data: {name: iris, batch_size: 16}
model: {name: mlp, hidden: [8], dropout: 0.5, norm: batch}
optimizer: {name: adam, learning_rate: 0.01}
average: {name: ema, decay: 0.9}
train: {duration: 10 epochs}
"""


@pytest.fixture(scope="module")
def place(warm: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    for name, text in (("linear", LINEAR), ("net", NET)):
        (folder / f"{name}.yaml").write_text(text)
        done = warm("train", f"{name}.yaml", "-q", "--run-dir", f"runs/{name}", folder=folder)
        assert (done.code, done.err) == (0, "")
    still = warm("train", "net.yaml", "model.dropout=0", "-q", "--run-dir", "runs/still", folder=folder)
    assert still.code == 0
    return folder


@pytest.fixture
def evaluate(warm: Callable[..., Any], place: Path) -> Callable[..., Any]:
    return lambda *arguments: warm("evaluate", *arguments, folder=place)


def test_the_spread_of_a_linear_model_is_known(evaluate: Callable[..., Any], place: Path) -> None:
    """z = Σ wᵢ xᵢ mᵢ / (1 − p) + b has variance p / (1 − p) · Σ (wᵢ xᵢ)², and the mean of no noise."""
    found = evaluate("linear", "--samples", "2000", "--json")
    assert (found.code, found.err) == (0, "")
    assert found.json["samples"] == 2000
    quiet = evaluate("linear", "--json").json
    data = session.prepare(place / "linear.yaml").experiment.dataset
    x = (data.test.x - data.shift) / data.scale
    for seed, one, still in zip((0, 1), found.json["runs"], quiet["runs"], strict=True):
        arrays = load_file(
            place / f"runs/linear/seed_{seed}/checkpoints/step_{one['step']:08d}/arrays.safetensors"
        )
        kernel = arrays["params/output/kernel"]
        wanted = np.sqrt(0.25 * np.square(x @ np.diag(kernel[:, 0])).sum(1)).mean() * data.fitted.target_scale
        assert one["metrics"]["test/spread"] == pytest.approx(wanted, rel=0.02)
        assert one["metrics"]["test/rmse"] == pytest.approx(still["metrics"]["test/rmse"], rel=0.01)
        assert "test/spread" not in still["metrics"]
    spreads = [one["metrics"]["test/spread"] for one in found.json["runs"]]
    assert found.json["mean"]["test/spread"] == pytest.approx(np.mean(spreads))


@pytest.mark.slow
def test_of_a_classifier(evaluate: Callable[..., Any]) -> None:
    found = evaluate("net", "--samples", "30", "--json")
    assert (found.code, found.err) == (0, "")
    metrics = found.json["metrics"]
    assert 0 < metrics["test/mutual_information"] < metrics["test/entropy"] < np.log(3)
    assert {"test/loss", "test/accuracy", "test/ema/entropy", "test/ema/mutual_information"} <= set(metrics)
    assert evaluate("net", "--samples", "30", "--json").out == found.out  # the same noise
    assert evaluate("net", "--samples", "31", "--json").json["metrics"] != metrics
    shown = evaluate("net", "--samples", "30").out
    assert f"{metrics['test/entropy']:.4g}" in shown
    plain = evaluate("net", "--json")
    assert plain.out == evaluate("net", "--samples", "0", "--json").out
    assert set(plain.json["metrics"]) == {"test/loss", "test/accuracy", "test/ema/loss", "test/ema/accuracy"}


def test_a_model_without_noise_is_told(evaluate: Callable[..., Any]) -> None:
    found = evaluate("still", "--samples", "3", "--json")
    assert found.code == 0
    assert found.err == "nnrun: warning: --samples 3: mlp has no noise, so all samples are equal\n"
    metrics, plain = found.json["metrics"], evaluate("still", "--json").json["metrics"]
    assert metrics["test/loss"] == pytest.approx(plain["test/loss"], rel=1e-5)
    assert metrics["test/mutual_information"] < 1e-6


@pytest.mark.parametrize("samples", ["-1", "10001", "many"])
def test_a_wrong_number_is_told_in_one_line(samples: str, evaluate: Callable[..., Any]) -> None:
    done = evaluate("net", f"--samples={samples}")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "--samples" in done.err
    assert samples == "many" or f"got {samples}" in done.err
    assert "--help" in done.err or "write 1 to 10000, or 0 for no noise" in done.err


@pytest.mark.slow
def test_from_python(evaluate: Callable[..., Any], place: Path) -> None:
    import nnrun

    found = nnrun.evaluate(place / "runs/net", samples=5)
    told = json.loads(evaluate("net", "--samples", "5", "--json").out)
    assert found["metrics"] == pytest.approx(told["metrics"], rel=1e-5)
