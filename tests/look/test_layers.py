"""What goes through the layers of a run, against a computation by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nnrun
from nnrun.look.layers import layers_of
from nnrun.record import checkpoint
from nnrun.report.run.inside import inside_html
from nnrun.runner import session

SPEC = """
data: {name: digits, batch_size: 64, examples: 100}
model: {name: mlp, hidden: [8], dropout: 0.2}
optimizer: {name: adam, learning_rate: 1e-2}
train: {duration: 4 steps, precision: float64}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("layers")
    (place / "spec.yaml").write_text(SPEC)
    return Path(nnrun.train(place / "spec.yaml", run_dir=place / "run").run_dir)


def test_layers_and_gradients_are_those_of_the_network(folder: Path) -> None:
    inside = layers_of(folder, "last")
    data = session.rebuild(folder, print, ["train"]).experiment.dataset
    z = ((data.train.x - data.shift) / data.scale).reshape(100, 64).astype(np.float64)
    state = checkpoint.load_latest(folder / "checkpoints", print)
    assert state is not None
    w1, b1, w2, b2 = (
        state.arrays[f"params/{layer}/{name}"]
        for layer in ("hidden_1", "output")
        for name in ("kernel", "bias")
    )
    h = z @ w1 + b1
    a = np.maximum(h, 0)
    scores = a @ w2 + b2
    p = np.exp(scores - scores.max(1, keepdims=True))
    d_scores = (p / p.sum(1, keepdims=True) - np.eye(10)[data.train.y]) / 100
    d_h = d_scores @ w2.T * (h > 0)

    layers = {layer["name"]: layer for layer in inside["layers"]}
    for name, y in (("hidden_1", h), ("activation_1", a), ("output", scores)):
        assert layers[name]["shape"] == [y.shape[1]]
        assert layers[name]["mean"] == pytest.approx(y.mean(), rel=1e-6)
        assert layers[name]["std"] == pytest.approx(y.std(), rel=1e-6)
        assert layers[name]["zeros"] == (y == 0).mean()
    assert layers["activation_1"]["idle"] == ((h <= 0).mean(0) >= 0.99).mean()
    assert layers["hidden_1"]["idle"] is None
    assert not [name for name in layers if "drop" in name]  # without noise it does nothing

    leaves = {leaf["name"]: leaf for leaf in inside["parameters"]}
    for name, leaf, slope in (
        ("hidden_1/kernel", w1, z.T @ d_h),
        ("hidden_1/bias", b1, d_h.sum(0)),
        ("output/kernel", w2, a.T @ d_scores),
        ("output/bias", b2, d_scores.sum(0)),
    ):
        assert leaves[name]["numbers"] == leaf.size
        assert leaves[name]["size"] == pytest.approx(np.sqrt((leaf**2).mean()))
        assert leaves[name]["gradient"] == pytest.approx(np.linalg.norm(slope), rel=1e-6)
        assert leaves[name]["ratio"] == pytest.approx(np.linalg.norm(slope) / np.linalg.norm(leaf), rel=1e-6)
    assert inside["examples"] == 100


def test_a_layer_of_which_most_units_are_dead_deserves_a_look(folder: Path) -> None:
    inside = layers_of(folder, "last")
    assert "dead or saturated:" not in inside_html(inside)
    inside["layers"][2]["idle"] = 0.75
    html = inside_html(inside)
    assert "75% of the units of activation_1 are dead or saturated:" in html
    many = {**inside, "parameters": 10 * inside["parameters"]}
    assert "40 arrays of parameters" in inside_html(many) and "<details>" not in html
