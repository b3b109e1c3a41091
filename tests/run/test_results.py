"""The results that the headers of the configs promise, through the real command."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"


@pytest.mark.parametrize("seeds", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_a_few_seeds_of_the_digits(seeds: int, warm: Callable[..., Any], tmp_path: Path) -> None:
    done = warm("train", CONFIGS / "digits.yaml", f"train.seeds={seeds}", "--json", folder=tmp_path)
    assert done.json["mean"]["best"]["test/accuracy"] >= 0.97


@pytest.mark.slow
def test_twenty_folds_of_wine(nnrun: Callable[..., Any], tmp_path: Path) -> None:
    """Logistic regression has 98.2% on these folds; the corrected interval of the difference holds 0."""
    train = ["train", CONFIGS / "cross_validation.yaml", "--run-dir", tmp_path / "folds", "--json"]
    done = nnrun(*train, seconds=600)
    assert 0.982 - 0.015 <= done.json["mean"]["last"]["val/accuracy"] <= 0.982 + 0.023


@pytest.mark.slow
@pytest.mark.parametrize(("config", "least"), [("mnist_mlp", 0.983), ("mnist_lenet", 0.99)])
def test_mnist(config: str, least: float, nnrun: Callable[..., Any]) -> None:
    """Minutes each."""
    data = Path(os.environ.get("NNRUN_DATA_DIR") or ROOT / "../shared/data").resolve()
    if not (data / "mnist").is_dir():
        pytest.skip("the MNIST files are not here; set NNRUN_DATA_DIR to the folder that holds mnist/")
    done = nnrun("train", CONFIGS / f"{config}.yaml", "--json", NNRUN_DATA_DIR=str(data), seconds=600)
    assert done.json["metrics"]["best"]["test/accuracy"] >= least


@pytest.mark.slow
def test_ten_mlps_of_mnist_are_better_together(nnrun: Callable[..., Any], tmp_path: Path) -> None:
    """The interval of the gain over the mean member, over examples and members, lies above 0.2 points."""
    data = Path(os.environ.get("NNRUN_DATA_DIR") or ROOT / "../shared/data").resolve()
    if not (data / "mnist").is_dir():
        pytest.skip("the MNIST files are not here; set NNRUN_DATA_DIR to the folder that holds mnist/")
    train = ["train", CONFIGS / "ensemble_mnist.yaml", "--run-dir", tmp_path / "ten", "--quiet"]
    assert nnrun(*train, NNRUN_DATA_DIR=str(data), seconds=900).code == 0
    done = nnrun("ensemble", tmp_path / "ten", "--json", NNRUN_DATA_DIR=str(data), seconds=300)
    assert done.json["gain"]["over_mean"]["accuracy"]["both"][0] > 0.002
