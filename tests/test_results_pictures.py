"""The script that makes the pictures of docs/sweeps.md and docs/ensembles.md, with small runs in place of its own."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

DOCS = Path(__file__).resolve().parents[1] / "docs"
BASE = """
data: {name: digits, batch_size: 64, examples: 100}
model: {name: mlp, hidden: [4]}
optimizer: {name: adam, learning_rate: 1e-2}
train: {duration: 2 epochs}
"""
SWEEP = """
name: small
base: base.yaml
sweep:
  over: {optimizer: [{name: sgd, learning_rate: {log: [0.01, 0.1]}}, {name: adam, learning_rate: {log: [0.001, 0.1]}}]}
  trials: 2
  final_seeds: 2
"""
ENSEMBLE = """
data: {name: image_folder, batch_size: 8}
model: {name: mlp, hidden: [4]}
optimizer: {name: adam, learning_rate: 1e-2}
train: {duration: 2 epochs, seeds: 3}
"""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(DOCS))
    return importlib.import_module("make_results")


def test_its_pictures_are_those_that_the_pages_show(script: ModuleType) -> None:
    for section, page in (("sweep", "sweeps"), ("ensemble", "ensembles")):
        text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
        for name in script.PICTURES[section].values():
            assert f"(pictures/{name}.png)" in text and (DOCS / "pictures" / f"{name}.png").is_file()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_one_command_makes_them(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a second one, which finds the runs, makes the same bytes."""
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for label in ("cat", "dog"):
            folder = tmp_path / "images" / part / label
            folder.mkdir(parents=True)
            for i in range(30):
                pixels = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    (tmp_path / "configs").mkdir()
    for name, text in (("base", BASE), ("sweep_mnist", SWEEP), ("ensemble_cifar10", ENSEMBLE)):
        (tmp_path / "configs" / f"{name}.yaml").write_text(text)
    (tmp_path / "pictures").mkdir()
    monkeypatch.setattr(script, "ROOT", tmp_path)
    monkeypatch.setattr(script, "PLACE", tmp_path / "pictures")
    words = ["--images", str(tmp_path / "images"), "--runs", str(tmp_path / "runs")]
    monkeypatch.setattr(sys, "argv", ["make_results.py", *words])
    made = []
    for _ in range(2):
        script.main()
        made.append({path.name: path.read_bytes() for path in (tmp_path / "pictures").iterdir()})
    names = [f"{name}.png" for names in script.PICTURES.values() for name in names.values()]
    assert sorted(made[0]) == sorted(names) and made[0] == made[1]
    for name in names:
        with Image.open(tmp_path / "pictures" / name) as picture:
            assert picture.mode == "P" and picture.width > 300
