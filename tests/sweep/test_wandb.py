"""Sweep blocks in the shape of Weights & Biases."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nnrun.spec.yaml12 import parse
from nnrun.sweep.over import RANGES
from nnrun.sweep.wandb import is_wandb, translated

WHOLE = """
method: random
metric: {name: val/loss, goal: minimize}
run_cap: 30
seeds: 3
early_terminate: {type: hyperband, eta: 4, min_iter: 3}
parameters:
  optimizer.learning_rate: {distribution: log_uniform_values, min: 1e-4, max: 0.1}
  optimizer.b1: {distribution: log_uniform, min: -3, max: 0}
  model.dropout: {min: 0.0, max: 0.5}
  train.accumulate: {min: 1, max: 4}
  data.batch_size: {values: [32, 64]}
  schedule.final: {distribution: normal, mu: 0.1, sigma: 0.05}
  train.random: {value: fast}
"""


def test_every_distribution_and_key() -> None:
    block = parse(WHOLE, "sweep.yaml").value
    assert is_wandb(block)
    found, problems = translated(block, ("sweep",), {})
    assert not problems
    low, high = found["over"].pop("optimizer.b1")["log"]
    assert (low, high) == pytest.approx((math.exp(-3), 1.0))
    assert found == {
        "search": {"name": "halving", "eta": 4},
        "metric": "val/loss",
        "goal": "min",
        "trials": 30,
        "seeds": 3,
        "over": {
            "optimizer.learning_rate": {"log": [1e-4, 0.1]},
            "model.dropout": {"uniform": [0.0, 0.5]},
            "train.accumulate": {"int": [1, 4]},
            "data.batch_size": {"choice": [32, 64]},
            "schedule.final": {"normal": [0.1, 0.05]},
            "train.random": {"choice": ["fast"]},
        },
    }
    assert all(next(iter(value)) in RANGES for value in found["over"].values())


def test_bayes_is_tpe_and_our_own_shape_is_left_alone() -> None:
    found, _ = translated({"method": "bayes", "parameters": {"a.b": {"values": [1, 2]}}}, (), {})
    assert found["search"] == "tpe"
    found, problems = translated({"parameters": {"a.b": {"value": 1}}, "early_terminate": None}, (), {})
    assert (found["search"], problems) == ("random", [])
    assert not is_wandb({"search": "random", "over": {}})


def test_a_sweep_with_a_cap_grows() -> None:
    """`nnrun sweep --resume DIR sweep.trials=40`"""
    found, problems = translated({"parameters": {"a.b": {"value": 1}}, "run_cap": 20, "trials": 40}, (), {})
    assert (found["trials"], problems) == (40, [])


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (
            {"method": "hill", "parameters": {"a.b": {"value": 1}}},
            'method: got "hill"; write one of: grid, random, bayes',
        ),
        ({"parameters": {"a.b": 3}}, "parameters.a.b: got 3; write {values: [...]} or {min: ..., max: ...}"),
        (
            {"parameters": {"a": {"parameters": {"b": {"value": 1}}}}},
            "nested parameters are written with dots here",
        ),
        (
            {"parameters": {"a.b": {"distribution": "beta"}}},
            'distribution: got "beta"; write one of: uniform',
        ),
        ({"parameters": {}}, "parameters: missing"),
        (
            {"parameters": {"a.b": {"value": 1}}, "metric": "val/loss"},
            "write metric: {name: val/accuracy, goal: maximize}",
        ),
        (
            {"parameters": {"a.b": {"value": 1}}, "metric": {"name": "x", "goal": "up"}},
            "write maximize or minimize",
        ),
        (
            {"parameters": {"a.b": {"value": 1}}, "early_terminate": {"type": "median"}},
            "{type: hyperband, eta: 3}",
        ),
        (
            {
                "method": "bayes",
                "parameters": {"a.b": {"value": 1}},
                "early_terminate": {"type": "hyperband"},
            },
            "goes with method: random",
        ),
        ({"parameters": {"a.b": {"value": 1}}, "program": "train.py"}, "program: unknown key"),
        ({"parameters": {"a.b": {"min": 0, "max": 1, "q": 0.1}}}, "parameters.a.b.q: unknown key; "),
        ({"parameters": {"a.b": {"distribution": "q_uniform", "min": 0, "max": 1}}}, 'got "q_uniform"'),
    ],
)
def test_what_cannot_be_said_here(block: dict[str, Any], message: str) -> None:
    _, problems = translated(block, (), {})
    assert any(message in str(problem) for problem in problems), problems
