"""Augmentation through the real command line: it trains, what does not fit is refused and leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

SPEC = """
data: {name: digits, batch_size: 100}
model: {name: mlp, hidden: [8]}
augment:
  - {name: random_crop, padding: 1}
  - {name: rotate, degrees: 10}
  - mixup
optimizer: {name: sgd, learning_rate: 0.1}
train: {duration: 3 steps}
"""

MISFITS = {
    "not images": (
        ["data=wine"],
        "spec.yaml:5:5: augment.0: random_crop on inputs of shape (13,): this is for images (height, width, "
        "channels); leave it out, or train on images",
    ),
    "each pixel in units of its own": (
        ["data={name: npz, path: images.npz}"],
        "spec.yaml:5:5: augment.0: random_crop moves pixels, and data.standardize: feature gave each its own mean and "
        "deviation; write data.standardize: image",
    ),
    "larger than the image": (
        ["augment={name: cutout, size: 9}"],
        "augment: cutout on inputs of shape (8, 8, 1): size 9 needs images of at least 9 × 9 pixels",
    ),
    "blended twice": (["augment=[mixup, cutmix]"], "augment.1: cutmix on inputs of", "keep one of mixup"),
    "out of range": (["augment.1.degrees=181"], "augment.1.degrees: got 181; write a value in [0, 180]"),
    "misspelt": (["augment=cutuot"], 'augment.name: there is no augment "cutuot"; did you mean cutout?'),
    "second order": (
        ["optimizer=lbfgs", "data.batch_size=full"],
        "optimizer.name: lbfgs learns the curvature by comparing",
        "leave augment out, or to watch it fail, optimizer.allow_noise: true",
    ),
    "returns something else": (
        ["augment=mine:inputs"],
        "augment: mine:inputs on inputs of shape (8, 8, 1) does not return the batch",
        "write batch._replace(x=...)",
    ),
    "no function": (["augment=mine:nothing"], "augment: mine:nothing returned NoneType; it must return a function"),
}  # fmt: skip

MINE = """
def inputs():
    return lambda key, batch: batch.x


def nothing():
    return None
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "mine.py").write_text(MINE)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (120, 6, 6, 1), np.uint8)
    np.savez(tmp_path / "images.npz", x=images, y=np.arange(120) % 3)
    return tmp_path


def test_it_trains_and_the_spec_is_kept_in_full(warm: Callable[..., Any], place: Path) -> None:
    done = warm("train", "spec.yaml", "--quiet", "--run-dir", "one", folder=place)
    assert done.code == 0, done.err
    assert yaml.safe_load((place / "one" / "resolved.yaml").read_text())["augment"] == [
        {"name": "random_crop", "padding": 1},
        {"name": "rotate", "degrees": 10.0},
        {"name": "mixup", "alpha": 1.0, "per": "batch"},
    ]


@pytest.mark.slow
def test_pixels_that_stay_may_have_units_of_their_own(warm: Callable[..., Any], place: Path) -> None:
    given = ["data={name: npz, path: images.npz}", "augment=[{name: cutout, size: 2}, mixup]"]
    done = warm("train", "spec.yaml", *given, "--quiet", folder=place)
    assert done.code == 0, done.err


@pytest.mark.slow
def test_what_changes_nothing_is_no_noise(warm: Callable[..., Any], place: Path) -> None:
    arguments = ["optimizer=lbfgs", "data.batch_size=full", "augment={name: horizontal_flip, p: 0}"]
    done = warm("train", "spec.yaml", *arguments, "--quiet", folder=place)
    assert done.code == 0, done.err


@pytest.mark.parametrize("case", MISFITS)
def test_what_does_not_fit_is_refused_in_one_line(case: str, warm: Callable[..., Any], place: Path) -> None:
    arguments, *expected = MISFITS[case]
    done = warm("train", "spec.yaml", *arguments, folder=place)
    assert done.code == 2, done.err
    assert done.out == "" and len(done.err.strip().splitlines()) == 1, done.err
    for part in expected:
        assert part in done.err
    assert not (place / "runs").exists()
