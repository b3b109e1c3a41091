"""Which arrays of another run's checkpoint a model takes, and why it cannot take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np

from nnrun.errors import SpecError, one_line
from nnrun.record.checkpoint import Forms
from nnrun.record.pack import dtype, is_float
from nnrun.spec.schema import nearest

__all__ = ["KEEP", "OPTIMIZER_STATE", "WeightsRequest", "as_stored", "chosen", "request_of"]

KEEP = "keep"
OPTIMIZER_STATE = (KEEP, "fresh")
_WEIGHTS = ("params/", "stats/")
_MEMORY = "opt_state/"
_MOST = 4  # leaves that are named


class WeightsRequest(NamedTuple):
    """The options of `nnrun train --from`.

    only   patterns such as hidden_*: only leaves that match one are taken, the rest is initialised; (): all
    optimizer_state   keep or fresh
    """

    only: Sequence[str] = ()
    optimizer_state: str = "fresh"


def request_of(
    run: object,
    only: str | Sequence[str],
    optimizer_state: str | None,
    names: tuple[str, str, str] = ("--from RUN", "--from-only", "--optimizer-state"),
) -> WeightsRequest:
    """What is asked for of another run; a single text is one pattern.

    run      the other run, None: there is none
    names    of the three in messages
    Raises SpecError where options stand alone: training from scratch would not be what they ask for.
    """
    patterns = (only,) if isinstance(only, str) else tuple(only)
    for name, is_given in ((names[1], bool(patterns)), (names[2], optimizer_state is not None)):
        if is_given and run is None:
            raise SpecError(
                f"{name}: says what is taken of another run; name it with {names[0]}, or leave it out"
            )
    return WeightsRequest(patterns, "fresh" if optimizer_state is None else optimizer_state)


def chosen(forms: Forms, request: WeightsRequest) -> list[str]:
    """The paths of a model's state that are taken from the other run.

    forms   path -> shape and dtype
    Raises SpecError for a pattern that matches nothing.
    """
    if request.optimizer_state not in OPTIMIZER_STATE:
        got = one_line(request.optimizer_state, 40)
        raise SpecError(f"--optimizer-state: got {got!r}; write one of {', '.join(OPTIMIZER_STATE)}")
    weights = [path for path in forms if path.startswith(_WEIGHTS)]
    if not request.only:
        return [path for path in forms if path.startswith(_MEMORY)] * _keeps(request) + weights
    if _keeps(request):
        raise SpecError(
            "--optimizer-state keep: belongs to all weights; leave out --from-only, or write fresh"
        )
    layers = {_name(path).split("/")[0] for path in weights}
    problems = [
        f"--from-only {one_line(pattern, 40)!r}: matches nothing in the model; {nearest(pattern, layers)}"
        for pattern in request.only
        if not any(_matches(path, pattern) for path in weights)
    ]
    if problems:
        raise SpecError(*problems)
    return [path for path in weights if any(_matches(path, pattern) for pattern in request.only)]


def _keeps(request: WeightsRequest) -> bool:
    return request.optimizer_state == KEEP


def _name(path: str) -> str:
    """A path without the kind of leaf: hidden_1/kernel."""
    return path.partition("/")[2]


def _matches(path: str, pattern: str) -> bool:
    """Whether a pattern is the path, matches it, or is the name of a layer that it lies in."""
    return fnmatchcase(_name(path), pattern) or fnmatchcase(_name(path), f"{pattern}/*")


def as_stored(
    arrays: Mapping[str, np.ndarray], forms: Forms, paths: Sequence[str], whole: bool, place: str
) -> dict[str, np.ndarray]:
    """The arrays of these paths, in the dtype of the model.

    whole   whether it is a problem if the other run has more of the same kinds: parameters, statistics, memory
    place   the other run and step, for messages
    Raises SpecError with what differs.
    """
    problems = [problem for path in paths if (problem := _problem(path, arrays, forms))]
    kinds = {path.partition("/")[0] for path in paths} if whole else set[str]()
    problems += [
        f"{path} is in that run and not in the model"
        for path in arrays
        if path.partition("/")[0] in kinds and path not in forms
    ]
    if problems:
        memory = all(problem.startswith(_MEMORY) for problem in problems)
        remedy = (
            "write --optimizer-state fresh, or the optimizer that it was trained with"
            if memory
            else "use its model, or take what fits: --from-only 'hidden_*'"
        )
        rest = [f"and {len(problems) - _MOST} more"] if len(problems) > _MOST else []
        raise SpecError(f"--from {place}: {'; '.join([*problems[:_MOST], *rest])}; {remedy}")
    return {path: arrays[path].astype(dtype(forms[path][1]), copy=False) for path in paths}


def _problem(path: str, arrays: Mapping[str, np.ndarray], forms: Forms) -> str:
    shape, kind = forms[path]
    if path not in arrays:
        return f"{path} is in the model and not in that run"
    array, kind = arrays[path], dtype(kind)
    if array.shape == tuple(shape) and _alike(array.dtype, kind):
        return ""
    before, after = ("", "") if array.dtype == kind else (f"{array.dtype} ", f"{kind} ")
    return f"{path} is {before}{[*array.shape]} in that run and {after}{[*shape]} in the model"


def _alike(before: np.dtype, after: np.dtype) -> bool:
    """Whether numbers of one type can become the other: floats of other precision can."""
    return before == after or (is_float(before) and is_float(after))
