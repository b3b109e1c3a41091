"""A run as a sequence of chunks, one always under way while the one before is looked at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nnrun.training.shards import Compiled, LanesState, Log, PendingEvaluation
from nnrun.types import Plan

__all__ = ["Chunk", "chunks"]

_SECONDS = 0.25  # how long a signal or a display waits at most, about


class Chunk(NamedTuple):
    """Some steps that have been done."""

    state: LanesState
    step: int  # steps done at its end
    rows: np.ndarray  # (lanes, steps of the chunk, names) what was logged
    metrics: list[dict[str, float]] | None  # of each lane on the validation part, where an evaluation is due


class _Begun(NamedTuple):
    """Some steps that the device may still be working on."""

    state: LanesState
    step: int
    steps: int
    log: Log
    sums: PendingEvaluation | None  # None: no evaluation is due


def chunks(compiled: Compiled, state: LanesState, step: int, until: int) -> Iterator[Chunk]:
    """Trains from a state after `step` steps to the step `until`, at most the end of the plan.

    The next chunk begins before this one is yielded, so the device does not wait for what the caller does with
    it; a caller that stops early wastes at most that.  Where chunks end depends on the machine's speed, and no
    bit of the result depends on where they end.
    """
    count, last = 1, time.monotonic()
    ahead = _begin(compiled, state, step, count, until)
    while ahead is not None:
        now = _reacted(compiled, ahead)
        ahead = _begin(compiled, now.state, now.step, count, until)
        rows = compiled.rows(now.log, now.steps)
        metrics = _metrics(compiled, now)
        spent, last = time.monotonic() - last, time.monotonic()
        count = max(1, min(8 * count, int(now.steps * _SECONDS / spent)))
        yield Chunk(now.state, now.step, rows, metrics)


def _begin(compiled: Compiled, state: LanesState, step: int, count: int, until: int) -> _Begun | None:
    """Sends off the next chunk, and the evaluation at its end if one is due; None where nothing is left to do."""
    plan = compiled.experiment.plan
    if step >= min(until, plan.steps):
        return None
    stride = compiled.stride
    count = min(max(count, stride), compiled.reach(step), until - step, _edge(plan, step) - step)
    count -= count % stride if count > stride else 0
    state, log = compiled.advance(state, step, count)
    due = _evaluates(plan, step + count) and plan.judge is not None
    return _Begun(state, step + count, count, log, compiled.measure(state, "val") if due else None)


def _reacted(compiled: Compiled, now: _Begun) -> _Begun:
    """With a schedule that reacts to an evaluation, the next chunk has to wait for it."""
    metrics = _metrics(compiled, now) if compiled.experiment.plan.reacts_to else None
    return now._replace(state=compiled.reacted(now.state, metrics)) if metrics else now


def _metrics(compiled: Compiled, now: _Begun) -> list[dict[str, float]] | None:
    if now.sums is not None:
        return compiled.metrics(now.sums, "val")
    plan = compiled.experiment.plan
    return [{} for _ in plan.seeds] if _evaluates(plan, now.step) else None  # nothing was held out


def _evaluates(plan: Plan, step: int) -> bool:
    return step % plan.evaluate_every == 0 or step == plan.steps


def _edge(plan: Plan, step: int) -> int:
    """The next step at which something happens outside the compiled loop."""
    every = [plan.evaluate_every, *([plan.checkpoint_every] if plan.checkpoint_every else [])]
    return min(plan.steps, *(step - step % e + e for e in every), *(end for end in plan.kept if end > step))
