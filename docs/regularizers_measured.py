"""The measured tables of docs/regularizers.md: five seeds of each row, compared with the plain net of the group."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from optimizers_parts import ROOT, plus_minus, table

import nnrun
from nnrun.statistics.mean import mean_and_interval

__all__ = ["GROUPS", "command", "measured"]

Row = tuple[str, ...]  # overrides
_DENSE = {
    "none": (),
    "dropout 0.5, inputs 0.2": ("model.dropout=0.5", "model.input_dropout=0.2"),
    "DropConnect 0.5": ("model.dropconnect=0.5",),
}
GROUPS: Mapping[str, Mapping[str, Row]] = {  # config -> row of its table -> what is changed
    "mnist_regularizers": _DENSE,
    "mnist_scarce": _DENSE,
    "cifar10_regularizers": {
        "none": (),
        "fractional max pooling": ("model.pooling=fractional",),
        "label smoothing 0.1": ("loss.label_smoothing=0.1",),
        "mixup 0.2": ("augment={name: mixup, alpha: 0.2}",),
    },
    "cifar10_depth": {
        "none": (),
        "stochastic depth, p_last 0.8": ("model.survival=0.8",),
    },
}
_SEEDS = "train.seeds=5"


def command(config: str, changes: Row) -> str:
    """What a reader types for a row."""
    words = [f"'{change}'" if " " in change else change for change in changes]
    return " ".join(["nnrun train", f"configs/{config}.yaml", *words, _SEEDS])


def measured(config: str, kept: Path | None) -> str:
    """The table of a group.

    kept   a folder of runs: what is finished there is not trained again, and new runs go there
    """
    rows, plain = [], np.zeros(0)
    for name, changes in GROUPS[config].items():
        runs = _runs(config, name, changes, kept)
        errors = np.array([100 - 100 * run.summary["metrics"]["last"]["test/accuracy"] for run in runs])
        train = [run.metrics["train/loss"][1][-1] for run in runs]
        plain = errors if not changes else plain
        against = ["", ""] if not changes else [_change(errors - plain), _verdict(errors - plain)]
        rows.append([name, plus_minus(errors, ".2f"), *against, plus_minus(train, ".3f")])
    head = ["regularizer", "test error, %", "against none, points", "so", "last training loss"]
    return table(head, rows)


def _runs(config: str, name: str, changes: Row, kept: Path | None) -> list[nnrun.Result]:
    spec = ROOT / "configs" / f"{config}.yaml"
    with tempfile.TemporaryDirectory() as thrown_away:
        folder = (kept or Path(thrown_away)) / f"{config}-{name.replace(' ', '_').replace(',', '')}"
        done = (folder / "summary.json").exists()
        result = nnrun.resume(folder) if done else nnrun.train(spec, [*changes, _SEEDS], run_dir=folder)
    return result.runs


def _change(differences: np.ndarray) -> str:
    """Mean with its sign, and half of the 95% interval."""
    return f"{differences.mean():+.2f} ± {plus_minus(differences, '.2f').rpartition(' ')[2]}"


def _verdict(differences: np.ndarray) -> str:
    """What five paired differences of the error allow to say at 95%."""
    mean, half = mean_and_interval(differences.tolist())
    if half is None or abs(mean) <= half:
        return "no difference shown"
    return "better" if mean < 0 else "worse"
