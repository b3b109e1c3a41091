"""Each lane of a sweep is the run that its settings give alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun.record import checkpoint
from nnrun.record.run import read_json
from nnrun.runner import driver, session

NORMED = """
name: normed
data: {name: digits, batch_size: 100, examples: 250}
model:
  name: sequential
  layers: [flatten, {name: dense, units: 8, bias: false}, batch_norm, relu, {name: dropout, rate: 0.2}]
optimizer: {name: sgd, learning_rate: 0.1}
schedule: {name: cosine, warmup: 10%}
train: {duration: 3 epochs, precision: PRECISION, random: fast}
"""
OVER = """
  over:
    optimizer:
      - {name: sgd, learning_rate: {log: [1e-2, 1]}}
      - {name: nesterov, learning_rate: {log: [1e-3, 1e-1]}, momentum: [0.8, 0.9]}
      - {name: adagrad, learning_rate: {log: [1e-3, 1e-1]}}
      - {name: rmsprop, learning_rate: {log: [1e-4, 1e-2]}, decay: [0.9, 0.99]}
      - {name: adam, learning_rate: {log: [1e-4, 1e-1]}, weight_decay: {uniform: [0.01, 0.1]}}
    model.layers.4.rate: {uniform: [0.1, 0.6]}
  trials: 3
  seeds: 2
  final_seeds: 2
  metric: val/loss
"""


def last(folder: Path) -> dict[str, np.ndarray]:
    found = checkpoint.load_latest(folder / "checkpoints", lambda message: None)
    assert found
    return found.arrays


def only(*names: str) -> str:
    """OVER with these optimizers alone."""
    lines = OVER.splitlines(keepends=True)
    return "".join(one for one in lines if "- {name: " not in one or one.split()[2].rstrip(",") in names)


@pytest.mark.parametrize(
    ("precision", "tolerance", "over"),
    [
        pytest.param("float64", 1e-9, only("nesterov", "adam"), marks=pytest.mark.slow),
        ("float32", 1e-3, only("sgd", "adam")),
        pytest.param("float64", 1e-9, OVER, marks=pytest.mark.slow),
        pytest.param("float32", 1e-3, OVER, marks=pytest.mark.slow),
    ],
    ids=["float64", "float32", "float64, all", "float32, all"],
)
def test_a_lane_is_the_solo_run(
    precision: str, tolerance: float, over: str, write: Any, run: Any, tmp_path: Path
) -> None:
    """Five optimizers, dropout, batch norm, a short last batch: weights, statistics, memory, metrics.

    The sweep packs up to six runs into a program; alone, each trial's two seeds train with `nnrun train`.  In
    float32 it is training losses that are compared: before batch norm the gradient of a constant pixel's weights is
    zero but for rounding, adaptive methods make whole steps of that, and validation has pixels that are not constant.
    """
    sweep = run(write(over, NORMED.replace("PRECISION", precision)))
    records = sweep.lines("trials.jsonl")
    assert len(records) == 3 * over.count("- {name: ") in (6, 15)
    for record in records[1::3]:  # one of each optimizer
        folder = sweep.folder / record["run"]
        prepared = session.prepare(folder / "resolved.yaml")
        alone = session.create(prepared, tmp_path / f"alone-{record['trial']}", tmp_path)
        for _ in driver.train(prepared.experiment, alone, lambda message: None):
            pass
        for seed in ("seed_0", "seed_1"):
            double = precision == "float64"
            np.testing.assert_allclose(
                losses(folder / seed, double), losses(alone / seed, double), rtol=tolerance
            )
            one, other = last(folder / seed), last(alone / seed)
            assert one.keys() == other.keys()
            for name in one if double else ():
                np.testing.assert_allclose(one[name], other[name], rtol=1e-9, atol=1e-9, err_msg=name)
        summary = run_summary(alone)
        expected = [one["best"]["value"] for one in summary["runs"]]
        assert record["values"] == pytest.approx(expected, rel=tolerance if precision == "float64" else 0.1)
        assert record["value"] == pytest.approx(np.mean(record["values"]))


def losses(folder: Path, both: bool) -> list[float]:
    return [
        line[name]
        for line in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
        for name in ("train/loss", "val/loss")[: 1 + both]
        if name in line
    ]


def run_summary(folder: Path) -> dict[str, Any]:
    return read_json(folder / "summary.json")


@pytest.mark.slow
@pytest.mark.parametrize("over", [only("nesterov", "adam"), OVER], ids=["two", "all"])
def test_other_widths_give_the_same_lanes(over: str, write: Any, run: Any) -> None:
    """One trial a program, or all of them: the same numbers, as far as float64 can tell."""
    path = write(over.replace("trials: 3", "trials: 2"), NORMED.replace("PRECISION", "float64"))
    narrow, wide = run(path, "sweep.width=1"), run(path, "sweep.width=64")
    for one, other in zip(narrow.results(), wide.results(), strict=True):
        assert one["settings"] == other["settings"]
        for key in ("values", "metrics"):
            if key in one:
                assert flat(one[key]) == pytest.approx(flat(other[key]), rel=1e-8)


def flat(value: Any) -> list[float]:
    return [x for one in value.values() for x in one] if isinstance(value, dict) else value
