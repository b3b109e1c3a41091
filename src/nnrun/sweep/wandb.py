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
from typing import NamedTuple

from nnrun.amounts import figure
from nnrun.spec.plain import Block, Plain, is_number
from nnrun.spec.problem import Path, Problems
from nnrun.spec.schema import nearest, shown

__all__ = ["Translation", "is_wandb", "translated"]

_METHODS = {"grid": "grid", "random": "random", "bayes": "tpe"}
_GOALS = {"maximize": "max", "minimize": "min"}
_OWN = ("seeds", "final_seeds", "seed", "studies", "trials", "target", "width")
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
_NEEDED = {"constant": "value", "categorical": "values"}  # distribution -> what it is given by
_HYPERBAND = ("type", "eta", "first", "strict")
_COUNTED = ("min_iter", "max_iter", "s")  # of hyperband, in entries of W&B's log
_PARTS = ("value", "values", "min", "max", "distribution", "mu", "sigma")


def is_wandb(block: Block) -> bool:
    """Whether a sweep block is in that shape."""
    return "parameters" in block or "method" in block


class Translation(NamedTuple):
    """A block in the shape of Weights & Biases as ours.

    keys       of our block -> where that stands in the file, below the sweep block
    warnings   what may not be meant
    """

    block: Block
    keys: dict[str, Path]
    warnings: list[str]


def translated(block: Block, problems: Problems) -> Translation:
    """The block as ours; what of it cannot be translated is added to its `problems`."""
    for key in block:
        if key not in _KNOWN:
            problems.add((key,), f"unknown key; {nearest(key, _KNOWN)}")
    translation: Block = {key: block[key] for key in _OWN if key in block}
    method = block.get("method", "random")
    if not isinstance(method, str) or method not in _METHODS:
        problems.add(("method",), f"got {shown(method)}; write one of: {', '.join(_METHODS)}")
    else:
        translation["search"] = _METHODS[method]
    if block.get("early_terminate") is not None:
        early = problems.inside(("early_terminate",))
        translation["search"] = _halving(block["early_terminate"], method, early)
    if "run_cap" in block:
        if _are_written_together(problems):
            problems.add(("trials",), "run_cap says this too; write one of them")
        translation.setdefault("trials", block["run_cap"])  # sweep.trials=40 makes a sweep longer
    translation |= _metric(block.get("metric"), problems.inside(("metric",)))
    parameters, inside = block.get("parameters"), problems.inside(("parameters",))
    if not isinstance(parameters, dict) or not parameters:
        inside.add((), "missing; write parameters: {optimizer.learning_rate: {min: 1e-4, max: 1}}")
        return Translation(translation, _keys(block), [])
    translation["over"] = {key: _parameter(value, inside.inside((key,))) for key, value in parameters.items()}
    return Translation(translation, _keys(block), _warnings(parameters, inside))


def _keys(block: Block) -> dict[str, Path]:
    """Where the keys of ours stand in the file."""
    keys: dict[str, Path] = {
        "over": ("parameters",),
        "metric": ("metric", "name"),
        "goal": ("metric", "goal"),
    }
    keys["search"] = ("method",) if block.get("early_terminate") is None else ("early_terminate",)
    return keys if "trials" in block else {**keys, "trials": ("run_cap",)}


def _are_written_together(problems: Problems) -> bool:
    """Whether the file has both trials and run_cap; sweep.trials=40 on the command line makes a sweep longer."""
    trials, cap = (problems.places.get(problems.path_of((key,))) for key in ("trials", "run_cap"))
    return trials is not None and cap is not None and trials.source == cap.source


def _warnings(parameters: Block, problems: Problems) -> list[str]:
    """A line, with its place, for each range of exponents that may be meant as a range of values."""
    warnings = Problems(problems.places, problems.path)
    for key, value in parameters.items():
        if not isinstance(value, dict) or value.get("distribution") != "log_uniform":
            continue
        low, high = value.get("min"), value.get("max")
        if isinstance(low, int | float) and isinstance(high, int | float) and 0 < low < high:
            message = (
                f"log_uniform takes exponents of e, so this is from {figure(_exp(low), 6)} to "
                f"{figure(_exp(high), 6)}; for values from {figure(low, 6)} to {figure(high, 6)} write "
                "distribution: log_uniform_values"
            )
            warnings.add((key,), message)
    return list(map(str, warnings))


def _exp(exponent: float) -> float:
    return math.exp(min(float(exponent), 700.0))


def _metric(metric: Plain, problems: Problems) -> Block:
    """The keys of ours that a metric stands for; none where it is not written, or wrong."""
    if metric is None:
        return {}
    name = metric.get("name") if isinstance(metric, dict) else None
    if not isinstance(metric, dict) or not isinstance(name, str):
        problems.add((), f"got {shown(metric)}; write metric: {{name: val/accuracy, goal: maximize}}")
        return {}
    if "target" in metric:
        problems.add(
            ("target",), "no sweep stops at a value here; leave it out (sweep.target is for steps to it)"
        )
    for key in metric:
        if key not in ("name", "goal", "target"):
            problems.add((key,), f"unknown key; {nearest(key, ('name', 'goal'))}")
    goal = metric.get("goal", "minimize")
    if not isinstance(goal, str) or goal not in _GOALS:
        problems.add(("goal",), f"got {shown(goal)}; write maximize or minimize")
        return {}
    return {"metric": name, "goal": _GOALS[goal]}


def _halving(early: Plain, method: Plain, problems: Problems) -> Block | None:
    """The block of our search that stops trials early as hyperband does; None where that cannot be."""
    if not isinstance(early, dict) or early.get("type") != "hyperband":
        problems.add((), f"got {shown(early)}; write early_terminate: {{type: hyperband, eta: 3}}")
        return None
    if method != "random":
        problems.add((), "here it goes with method: random alone; leave it out, or change the method")
        return None
    for key in early:
        if key in _COUNTED:
            message = "a run here has no entries to count; write first: 0.1, its share at the first rung"
            problems.add((key,), message)
        elif key not in _HYPERBAND:
            problems.add((key,), f"unknown key; {nearest(key, _HYPERBAND)}")
    if early.get("strict", False) is not False:
        message = "at each rung one in eta continues, and no fewer; leave it out, or write a larger eta"
        problems.add(("strict",), message)
    return {"name": "halving", **{key: early[key] for key in ("eta", "first") if key in early}}


def _parameter(parameter: Plain, problems: Problems) -> Block | None:
    """A parameter as the range or choice of ours; None where it says none."""
    no_range = f"got {shown(parameter)}; write {{values: [...]}} or {{min: ..., max: ...}}"
    if not isinstance(parameter, dict):
        problems.add((), no_range)
        return None
    if not _is_known(parameter, problems):
        return None
    distribution = parameter.get("distribution")
    _check_parts(parameter, problems)
    if "value" in parameter:
        return {"choice": [parameter["value"]]}
    if "values" in parameter:
        return {"choice": parameter["values"]}
    if distribution == "normal":
        return {"normal": [parameter.get("mu", 0.0), parameter.get("sigma", 1.0)]}
    if distribution in _NEEDED:
        key = _NEEDED[str(distribution)]
        problems.add((), f"distribution: {distribution} has no {key}; write {key}, or another distribution")
        return None
    low, high = parameter.get("min"), parameter.get("max")
    if not is_number(low) or not is_number(high):
        problems.add((), no_range)
        return None
    if distribution == "log_uniform":  # its ends are exponents of e
        return {"log": [_exp(low), _exp(high)]}
    are_whole = isinstance(low, int) and isinstance(high, int)
    kind = str(distribution or ("int_uniform" if are_whole else "uniform"))
    return {_RANGES.get(kind, "uniform"): [low, high]}


def _is_known(parameter: Block, problems: Problems) -> bool:
    """Whether a parameter has only keys and a distribution that can be translated; the first that cannot is added."""
    distribution = parameter.get("distribution")
    unknown = [part for part in parameter if part not in _PARTS]
    if "parameters" in parameter:
        problems.add((), "nested parameters are written with dots here: optimizer.learning_rate: {...}")
    elif distribution is not None and distribution not in _DISTRIBUTIONS:
        message = f"got {shown(distribution)}; write one of: {', '.join(_DISTRIBUTIONS)}"
        problems.add(("distribution",), message)
    elif unknown:
        problems.add((unknown[0],), f"unknown key; {nearest(unknown[0], _PARTS)}")
    else:
        return True
    return False


def _check_parts(parameter: Block, problems: Problems) -> None:
    """Adds each key that means nothing beside what the parameter is given by."""
    distribution = parameter.get("distribution")
    form = next((key for key in ("value", "values") if key in parameter), None)
    form = form or ("normal" if distribution == "normal" else "range")
    beside = form if form in parameter else f"distribution: {distribution or 'uniform'}"
    for part in parameter:
        if part not in _FORMS[form]:
            problems.add((part,), f"it has no meaning beside {beside}; leave it out")
