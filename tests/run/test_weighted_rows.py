"""A column of weights: what counts 0 changes nothing that is learned, however the run is carried out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

SPEC = """
data: {name: csv, path: t.csv, target: y, weights: w, standardize: none, split_seed: 3, batch_size: 16}
model: {name: mlp, hidden: [6], norm: batch}
optimizer: {name: adam, learning_rate: 1e-2}
train: {duration: 4 epochs}
"""


def write(folder: Path, weight: Callable[[int], float], wrong: bool = False) -> None:
    """Two classes by the sign of a sum; every fifth label is wrong, or right."""
    draw = np.random.default_rng(0)
    lines = ["a,b,w,y"]
    for i, (a, b) in enumerate(draw.normal(size=(200, 2))):
        label = (a + b > 0) != (wrong and i % 5 == 0)
        lines.append(f"{a},{b},{weight(i)},{'yes' if label else 'no'}")
    (folder / "t.csv").write_text("\n".join(lines))


def trained(folder: Path, warm: Callable[..., Any], name: str, *options: str) -> dict[str, np.ndarray]:
    (folder / "spec.yaml").write_text(SPEC)
    done = warm("train", "spec.yaml", *options, "--run-dir", f"runs/{name}", "-q", folder=folder)
    assert done.code == 0, done.err
    last = max((folder / "runs" / name).rglob("checkpoints/step_*"))
    [file] = last.glob("*.safetensors")
    return {key: array for key, array in load_file(file).items() if key.startswith("params/")}


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    "options",
    [(), ("train.accumulate=2",), ("data.stream=true",), ("train.seeds=2",), ("data.batch_size=full",)],
)
def test_rows_of_weight_0_teach_nothing(options, tmp_path, warm):
    """Labels of the whole table decide the split, so the labels that are wrong are exchanged in pairs."""
    runs = []
    for i in range(2):
        draw = np.random.default_rng(0)
        x, label = draw.normal(size=(200, 2)), np.arange(200) % 2
        weights = np.where(np.arange(200) % 10 < 2, 0.0, 1.5)
        shown = np.where(weights == 0, 1 - label, label) if i else label
        lines = [f"{a},{b},{w},c{y}" for (a, b), w, y in zip(x, weights, shown, strict=True)]
        (tmp_path / "t.csv").write_text("\n".join(["a,b,w,y", *lines]))
        runs.append(trained(tmp_path, warm, f"run{i}", *options, "data.validation=0", "data.test=0.01"))
    for name, array in runs[0].items():
        np.testing.assert_array_equal(array, runs[1][name], err_msg=name)


@pytest.mark.slow
def test_equal_weights_are_none(tmp_path, warm):
    write(tmp_path, lambda i: 7.0)
    weighted = trained(tmp_path, warm, "weighted")
    plain = trained(tmp_path, warm, "plain", "data.weights=null", "data.exclude=[w]")
    for name, array in plain.items():
        np.testing.assert_allclose(weighted[name], array, rtol=1e-4, atol=1e-5, err_msg=name)
    write(tmp_path, lambda i: 1.0 + i % 5)
    other = trained(tmp_path, warm, "other")
    assert any(np.abs(other[name] - plain[name]).max() > 1e-3 for name in plain)


def test_metrics_are_unweighted(tmp_path, warm):
    write(tmp_path, lambda i: 0.0 if i % 5 == 0 else 1.0, wrong=True)
    trained(tmp_path, warm, "run", "train.duration=30 epochs")
    result = warm("evaluate", "run", "--split", "train", "--json", folder=tmp_path).json
    assert 0.7 < result["metrics"]["train/accuracy"] < 0.9  # a fifth of the labels are wrong, and are counted


def test_several_targets_that_may_be_labels_are_refused_in_one_line(tmp_path, warm):
    write(tmp_path, lambda i: 1.0)
    (tmp_path / "spec.yaml").write_text(SPEC.replace("target: y", "target: [y, a]"))
    done = warm("train", "spec.yaml", "-q", folder=tmp_path)
    assert done.code == 3
    assert "t.csv:1:4: column 'y' may hold classes, and nothing says whether several targets" in done.err
    assert len(done.err.splitlines()) == 1


def test_a_blend_of_examples_has_no_weight(tmp_path, warm):
    write(tmp_path, lambda i: 1.0)
    (tmp_path / "spec.yaml").write_text(SPEC + "augment: [mixup]\n")
    done = warm("train", "spec.yaml", "-q", folder=tmp_path)
    assert done.code == 2
    assert "mixup blends examples, each of which data.weights counts by itself" in done.err
