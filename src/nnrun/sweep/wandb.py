"""A sweep block in the shape of Weights & Biases, as ours.

    method: bayes                                   search: tpe
    metric: {name: val/accuracy, goal: maximize}    metric: val/accuracy, goal: max
    parameters:                                     over:
      optimizer.learning_rate:                        optimizer.learning_rate: {log: [1e-4, 1]}
        {distribution: log_uniform_values, min: 1e-4, max: 1}
    early_terminate: {type: hyperband, eta: 3}      search: {name: halving, eta: 3}, also with first: 0.1
    run_cap: 40                                     trials: 40

Source: the documentation of W&B's sweep configuration.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from nnrun.spec.problem import Path, Place, Problem, place_of
from nnrun.spec.schema import nearest, shown

__all__ = ["Translation", "is_wandb", "translated"]

_METHODS = {"grid": "grid", "random": "random", "bayes": "tpe"}
_GOALS = {"maximize": "max", "minimize": "min"}
_OWN = ("seeds", "final_seeds", "seed", "trials", "target", "width")
_KNOWN = ("method", "metric", "parameters", "early_terminate", "run_cap", "name", "description", *_OWN)
_IDLE = ("name", "description")
_RANGES = {"uniform": "uniform", "log_uniform_values": "log", "int_uniform": "int"}
_DISTRIBUTIONS = (*_RANGES, "log_uniform", "normal", "constant", "categorical")
_FORMS = {  # what a parameter is given by -> the keys that have a meaning beside it
    "value": ("value", "distribution"),
    "values": ("values", "distribution"),
    "normal": ("distribution", "mu", "sigma"),
    "range": ("distribution", "min", "max"),
}
_HYPERBAND = ("type", "eta", "first", "strict")
_COUNTED = ("min_iter", "max_iter", "s")  # of hyperband, in entries of W&B's log
_PARTS = ("value", "values", "min", "max", "distribution", "mu", "sigma")


def is_wandb(block: Mapping[str, Any]) -> bool:
    """Whether a sweep block is in that shape."""
    return "parameters" in block or "method" in block


class Translation(NamedTuple):
    """A block in the shape of Weights & Biases as ours.

    keys       of our block -> where that stands in the file, below the sweep block
    problems   what of it cannot be translated
    warnings   what may not be meant
    """

    block: dict[str, Any]
    keys: dict[str, Path]
    problems: list[Problem]
    warnings: list[str]


def translated(block: Mapping[str, Any], prefix: Path, places: Mapping[Path, Place]) -> Translation:
    """The block as ours; `prefix` is where it stands in the file."""
    warnings: list[str] = []
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
        if _written_together(prefix, places):
            wrong(("trials",), "run_cap says this too; write one of them")
        translation.setdefault("trials", block["run_cap"])  # sweep.trials=40 makes a sweep longer
    _metric(block.get("metric"), translation, wrong)
    parameters = block.get("parameters")
    if not isinstance(parameters, dict) or not parameters:
        wrong(("parameters",), "missing; write parameters: {optimizer.learning_rate: {min: 1e-4, max: 1}}")
    else:
        over = {key: _parameter(key, value, wrong) for key, value in parameters.items()}
        translation["over"] = over
        for key, value in parameters.items():
            path = (*prefix, "parameters", key)
            warnings += [str(Problem(place_of(path, places), path, text)) for text in _exponents(value)]
    return Translation(translation, _keys(block), problems, warnings)


def _keys(block: Mapping[str, Any]) -> dict[str, Path]:
    """Where the keys of ours stand in the file."""
    keys: dict[str, Path] = {
        "over": ("parameters",),
        "metric": ("metric", "name"),
        "goal": ("metric", "goal"),
    }
    keys["search"] = ("method",) if block.get("early_terminate") is None else ("early_terminate",)
    return keys if "trials" in block else {**keys, "trials": ("run_cap",)}


def _written_together(prefix: Path, places: Mapping[Path, Place]) -> bool:
    """Whether the file has both trials and run_cap; sweep.trials=40 on the command line makes a sweep longer."""
    trials, cap = (places.get((*prefix, key)) for key in ("trials", "run_cap"))
    return trials is not None and cap is not None and trials.source == cap.source


def _exponents(value: Any) -> Iterator[str]:
    """A warning where a range of exponents may be meant as a range of values."""
    if not isinstance(value, dict) or value.get("distribution") != "log_uniform":
        return
    low, high = value.get("min"), value.get("max")
    if isinstance(low, int | float) and isinstance(high, int | float) and 0 < low < high:
        ends = [math.exp(min(float(end), 700.0)) for end in (low, high)]
        yield (
            f"log_uniform takes exponents of e, so this is from {ends[0]:.6g} to {ends[1]:.6g}; for values from "
            f"{low:g} to {high:g} write distribution: log_uniform_values"
        )


def _metric(metric: Any, translation: dict[str, Any], wrong: Any) -> None:
    if metric is None:
        return
    if not isinstance(metric, dict) or not isinstance(metric.get("name"), str):
        wrong(("metric",), f"got {shown(metric)}; write metric: {{name: val/accuracy, goal: maximize}}")
        return
    if "target" in metric:
        wrong(
            ("metric", "target"),
            "no sweep stops at a value here; leave it out (sweep.target is for steps to it)",
        )
    for key in metric:
        if key not in ("name", "goal", "target"):
            wrong(("metric", key), f"unknown key; {nearest(key, ('name', 'goal'))}")
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
    path = ("early_terminate",)
    for key in early:
        if key in _COUNTED:
            wrong(
                (*path, key),
                "a run here has no entries to count; write first: 0.1, its share at the first rung",
            )
        elif key not in _HYPERBAND:
            wrong((*path, key), f"unknown key; {nearest(key, _HYPERBAND)}")
    if early.get("strict", False) is not False:
        wrong(
            (*path, "strict"),
            "at each rung one in eta continues, and no fewer; leave it out, or write a larger eta",
        )
    return {"name": "halving", **{key: early[key] for key in ("eta", "first") if key in early}}


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
    form = next((key for key in ("value", "values") if key in value), None)
    form = form or ("normal" if distribution == "normal" else "range")
    for part in value:
        if part in _PARTS and part not in _FORMS[form]:
            beside = form if form in value else f"distribution: {distribution or 'uniform'}"
            wrong((*path, part), f"it has no meaning beside {beside}; leave it out")
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
