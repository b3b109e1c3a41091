"""A sweep block in the shape of Weights & Biases, as ours.

    method: bayes                                   search: tpe
    metric: {name: val/accuracy, goal: maximize}    metric: val/accuracy, goal: max
    parameters:                                     over:
      optimizer.learning_rate:                        optimizer.learning_rate: {log: [1e-4, 1]}
        {distribution: log_uniform_values, min: 1e-4, max: 1}
    early_terminate: {type: hyperband, eta: 3}      search: {name: halving, eta: 3}
    run_cap: 40                                     trials: 40

Source: the documentation of W&B's sweep configuration.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nnrun.spec.problem import Path, Place, Problem, place_of
from nnrun.spec.schema import nearest, shown

__all__ = ["is_wandb", "translated"]

_METHODS = {"grid": "grid", "random": "random", "bayes": "tpe"}
_GOALS = {"maximize": "max", "minimize": "min"}
_OWN = ("seeds", "final_seeds", "seed", "trials", "target", "width")
_KNOWN = ("method", "metric", "parameters", "early_terminate", "run_cap", "name", "description", *_OWN)
_IDLE = ("name", "description")
_RANGES = {"uniform": "uniform", "log_uniform_values": "log", "int_uniform": "int"}
_DISTRIBUTIONS = (*_RANGES, "log_uniform", "normal", "constant", "categorical")
_PARTS = ("value", "values", "min", "max", "distribution", "mu", "sigma")


def is_wandb(block: Mapping[str, Any]) -> bool:
    """Whether a sweep block is in that shape."""
    return "parameters" in block or "method" in block


def translated(
    block: Mapping[str, Any], prefix: Path, places: Mapping[Path, Place]
) -> tuple[dict[str, Any], list[Problem]]:
    """The block as ours, and what of it cannot be said here.

    The places of what is inside `over` are those of `parameters`, as far as they are the same.
    """
    problems: list[Problem] = []

    def wrong(path: Path, message: str) -> None:
        problems.append(Problem(place_of(prefix + path, places), prefix + path, message))

    for key in block:
        if key not in _KNOWN:
            wrong((key,), f"unknown key; {nearest(key, _KNOWN)}")
    translation: dict[str, Any] = {key: block[key] for key in _OWN if key in block}
    method = block.get("method", "random")
    if not isinstance(method, str) or method not in _METHODS:
        wrong(("method",), f"got {shown(method)}; write one of: {', '.join(_METHODS)}")
    else:
        translation["search"] = _METHODS[method]
    if block.get("early_terminate") is not None:
        translation["search"] = _halving(block["early_terminate"], method, wrong)
    if "run_cap" in block:
        translation.setdefault("trials", block["run_cap"])  # sweep.trials=40 makes a sweep longer
    _metric(block.get("metric"), translation, wrong)
    parameters = block.get("parameters")
    if not isinstance(parameters, dict) or not parameters:
        wrong(("parameters",), "missing; write parameters: {optimizer.learning_rate: {min: 1e-4, max: 1}}")
    else:
        over = {key: _parameter(key, value, wrong) for key, value in parameters.items()}
        translation["over"] = over
    return translation, problems


def _metric(metric: Any, translation: dict[str, Any], wrong: Any) -> None:
    if metric is None:
        return
    if not isinstance(metric, dict) or not isinstance(metric.get("name"), str):
        wrong(("metric",), f"got {shown(metric)}; write metric: {{name: val/accuracy, goal: maximize}}")
        return
    goal = metric.get("goal", "minimize")
    if goal not in _GOALS:
        wrong(("metric", "goal"), f"got {shown(goal)}; write maximize or minimize")
        return
    translation["metric"], translation["goal"] = metric["name"], _GOALS[goal]


def _halving(early: Any, method: Any, wrong: Any) -> dict[str, Any] | None:
    if not isinstance(early, dict) or early.get("type") != "hyperband":
        return wrong(
            ("early_terminate",), f"got {shown(early)}; write early_terminate: {{type: hyperband, eta: 3}}"
        )
    if method != "random":
        return wrong(
            ("early_terminate",), "here it goes with method: random alone; leave it out, or change the method"
        )
    unknown = [key for key in early if key not in ("type", "eta", "s", "min_iter", "max_iter", "strict")]
    if unknown:
        return wrong(("early_terminate", unknown[0]), "unknown key; write type and eta")
    return {"name": "halving", **({"eta": early["eta"]} if "eta" in early else {})}


def _parameter(key: str, value: Any, wrong: Any) -> Any:
    path = ("parameters", key)
    if not isinstance(value, dict):
        return wrong(path, f"got {shown(value)}; write {{values: [...]}} or {{min: ..., max: ...}}")
    if "parameters" in value:
        return wrong(path, "nested parameters are written with dots here: optimizer.learning_rate: {...}")
    distribution = value.get("distribution")
    if distribution is not None and distribution not in _DISTRIBUTIONS:
        return wrong(
            (*path, "distribution"), f"got {shown(distribution)}; write one of: {', '.join(_DISTRIBUTIONS)}"
        )
    for part in value:
        if part not in _PARTS:
            return wrong((*path, part), f"unknown key; {nearest(part, _PARTS)}")
    if "value" in value:
        return {"choice": [value["value"]]}
    if "values" in value:
        return {"choice": value["values"]}
    if distribution == "normal":
        return {"normal": [value.get("mu", 0.0), value.get("sigma", 1.0)]}
    bounds = [value.get("min"), value.get("max")]
    if not all(isinstance(bound, int | float) and not isinstance(bound, bool) for bound in bounds):
        return wrong(path, f"got {shown(value)}; write {{values: [...]}} or {{min: ..., max: ...}}")
    if distribution == "log_uniform":  # its ends are exponents of e
        return {"log": [math.exp(min(float(bound or 0), 700.0)) for bound in bounds]}
    whole = all(isinstance(bound, int) for bound in bounds)
    return {_RANGES.get(distribution or ("int_uniform" if whole else "uniform"), "uniform"): bounds}
