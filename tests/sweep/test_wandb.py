"""Sweep blocks in the shape of Weights & Biases."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nnrun.errors import SpecError
from nnrun.spec.problem import Path, Place, Problems
from nnrun.spec.yaml12 import parse
from nnrun.sweep.file import read
from nnrun.sweep.over import RANGES
from nnrun.sweep.wandb import is_wandb, translated

WHOLE = """
method: random
metric: {name: val/loss, goal: minimize}
run_cap: 30
seeds: 3
early_terminate: {type: hyperband, eta: 4, first: 0.2}
parameters:
  optimizer.learning_rate: {distribution: log_uniform_values, min: 1e-4, max: 0.1}
  optimizer.b1: {distribution: log_uniform, min: -3, max: 0}
  model.dropout: {min: 0.0, max: 0.5}
  train.accumulate: {min: 1, max: 4}
  data.batch_size: {values: [32, 64]}
  schedule.final: {distribution: normal, mu: 0.1, sigma: 0.05}
  train.random: {value: fast}
"""


def problems_of(block: dict[str, Any], places: dict[Path, Place] | None = None) -> list[str]:
    problems = Problems(places or {})
    translated(block, problems)
    return list(map(str, problems))


def without_problems(block: dict[str, Any]) -> dict[str, Any]:
    problems = Problems({})
    translation = translated(block, problems)
    assert not list(problems)
    return translation.block


def test_every_distribution_and_key() -> None:
    block = parse(WHOLE, "sweep.yaml").value
    assert is_wandb(block)
    found = without_problems(block)
    low, high = found["over"].pop("optimizer.b1")["log"]
    assert (low, high) == pytest.approx((math.exp(-3), 1.0))
    assert found == {
        "search": {"name": "halving", "eta": 4, "first": 0.2},
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
    bayes = without_problems({"method": "bayes", "parameters": {"a.b": {"values": [1, 2]}}})
    assert bayes["search"] == "tpe"
    random = without_problems({"parameters": {"a.b": {"value": 1}}, "early_terminate": None})
    assert random["search"] == "random"
    assert not is_wandb({"search": "random", "over": {}})


def test_a_sweep_with_a_cap_grows() -> None:
    """`nnrun sweep --resume DIR sweep.trials=40`"""
    block = without_problems({"parameters": {"a.b": {"value": 1}}, "run_cap": 20, "trials": 40})
    assert block["trials"] == 40


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
            {"parameters": {"a.b": {"value": 1}}, "metric": {"name": "x", "goal": ["maximize"]}},
            'metric.goal: got ["maximize"]; write maximize or minimize',
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
        *[
            (
                {"parameters": {"a.b": {"value": 1}}, "early_terminate": {"type": "hyperband", key: 3}},
                f"early_terminate.{key}: a run here has no entries to count; write first: 0.1",
            )
            for key in ("min_iter", "max_iter", "s")
        ],
        (
            {"parameters": {"a.b": {"value": 1}}, "early_terminate": {"type": "hyperband", "strict": True}},
            "early_terminate.strict: at each rung one in eta continues",
        ),
        (
            {"parameters": {"a.b": {"value": 1}}, "metric": {"name": "x", "target": 0.9}},
            "metric.target: no sweep stops at a value here; leave it out",
        ),
        (
            {"parameters": {"a.b": {"value": 1}}, "metric": {"name": "x", "gaol": "maximize"}},
            "metric.gaol: unknown key; did you mean goal?",
        ),
        (
            {"parameters": {"a.b": {"value": 1, "max": 2}}},
            "parameters.a.b.max: it has no meaning beside value; leave it out",
        ),
        (
            {"parameters": {"a.b": {"values": [1, 2], "mu": 2}}},
            "parameters.a.b.mu: it has no meaning beside values; leave it out",
        ),
        (
            {"parameters": {"a.b": {"distribution": "normal", "mu": 2, "min": 0}}},
            "parameters.a.b.min: it has no meaning beside distribution: normal; leave it out",
        ),
        (
            {"parameters": {"a.b": {"distribution": "constant", "min": 0, "max": 1}}},
            "parameters.a.b: distribution: constant has no value; write value, or another distribution",
        ),
        (
            {"parameters": {"a.b": {"distribution": "categorical", "min": 0, "max": 1}}},
            "parameters.a.b: distribution: categorical has no values; write values, or another distribution",
        ),
        ({"parameters": {"a.b": {"min": 0, "max": 1, "q": 0.1}}}, "parameters.a.b.q: unknown key; "),
        ({"parameters": {"a.b": {"distribution": "q_uniform", "min": 0, "max": 1}}}, 'got "q_uniform"'),
    ],
)
def test_what_cannot_be_said_here(block: dict[str, Any], message: str) -> None:
    problems = problems_of(block)
    assert any(message in problem for problem in problems), problems


def test_strict_that_is_off_is_what_halving_does() -> None:
    early = {"type": "hyperband", "strict": False, "first": 0.2}
    block = without_problems({"parameters": {"a.b": {"value": 1}}, "early_terminate": early})
    assert block["search"] == {"name": "halving", "first": 0.2}


def test_two_budgets_in_one_file_are_refused_and_a_longer_one_on_the_command_line_is_not() -> None:
    block, place = (
        {"parameters": {"a.b": {"value": 1}}, "run_cap": 20, "trials": 40},
        Place("sweep.yaml", 3, 1),
    )
    [problem] = problems_of(block, {("run_cap",): place, ("trials",): place})
    assert problem == "sweep.yaml:3:1: trials: run_cap says this too; write one of them"
    assert not problems_of(block, {("run_cap",): place, ("trials",): Place("sweep.trials=40")})


@pytest.mark.parametrize(("low", "high", "warned"), [(1e-4, 0.1, True), (-9.2, -2.3, False), (-1, 1, False)])
def test_exponents_that_may_be_meant_as_values(low: float, high: float, warned: bool) -> None:
    """A rate from 1e-4 to 0.1, as it is meant, would be one from 1.0001 to 1.10517."""
    block = {"parameters": {"a.b": {"distribution": "log_uniform", "min": low, "max": high}}}
    place = Place("sweep.yaml", 3, 1)
    translation = translated(block, Problems({("sweep",): place}, ("sweep",)))
    assert translation.block["over"]["a.b"]["log"] == pytest.approx([math.exp(low), math.exp(high)])
    expected = (
        "sweep.yaml:3:1: sweep.parameters.a.b: log_uniform takes exponents of e, so this is from 1.0001 to 1.10517; "
        "for values from 0.0001 to 0.1 write distribution: log_uniform_values"
    )
    assert translation.warnings == ([expected] if warned else [])


@pytest.mark.parametrize(
    ("sweep", "place"),
    [
        ("  run_cap: 0\n  parameters: {a.b: {value: 1}}\n", "sweep.yaml:3:3: sweep.run_cap: got 0"),
        ("  metric: {name: [1]}\n  parameters: {a.b: {value: 1}}\n", "sweep.metric: got "),
        ("  parameters: {a.b: {min: 2.0, max: 1.0}}\n", "sweep.yaml:3:16: sweep.parameters.a.b: the range"),
        (
            "  parameters: {a.b: {value: 1}, a: {value: 2}}\n",
            "sweep.yaml:3:33: sweep.parameters.a: it overlaps",
        ),
    ],
)
def test_errors_name_the_key_of_the_file(sweep: str, place: str, write: Any, monkeypatch: Any) -> None:
    path = write(sweep)
    monkeypatch.chdir(path.parent)
    with pytest.raises(SpecError) as caught:
        read(path.relative_to(path.parent))
    assert place in str(caught.value)
