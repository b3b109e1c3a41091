"""The first steps of a run at its highest learning rate, beside the same at smaller ones."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from nnrun.amounts import figure
from nnrun.build.optimizer import learning_rate
from nnrun.catalog import Spec
from nnrun.probe.finding import Finding
from nnrun.probe.rates import place_of_rate, with_rate
from nnrun.training.shards import Compiled
from nnrun.types import Experiment, State, Tree

__all__ = ["FirstSteps", "check_rate", "first_steps", "peak"]

_STEPS = 100
_SECONDS, _MOST_SECONDS = 10.0, 30.0  # if too few steps are done by then
_FEWEST = 10  # steps that say something
_WARMUP = 20  # steps in which the schedule goes from its beginning to its highest rate
_SHARES = (1.0, 0.1, 0.01)  # of the rate of the spec
_LAST = 0.2  # of the steps, over which the loss is averaged
_GRID = 257  # places at which a schedule is looked at for its peak
_LESS, _LITTLE = 0.5, 0.2  # of what a smaller rate gains
_GAIN = 0.1  # of the first loss: less is too little to compare
_SLOW = 1e-6  # ‖update‖ / ‖parameters‖


class FirstSteps(NamedTuple):
    """Short runs of the first seed from the same beginning.

    rates    (lanes,) the highest learning rate of each; of a spec without one, one lane and nan
    losses   (lanes, steps) training loss
    ratios   (lanes, steps) ‖update‖ / ‖parameters‖
    state    after the run at the rate of the spec
    """

    rates: list[float]
    losses: np.ndarray
    ratios: np.ndarray
    state: State


def peak(experiment: Experiment) -> tuple[int, float]:
    """The step at which the schedule is highest, and its factor there."""
    plan = experiment.plan
    steps = np.unique(np.linspace(0, max(plan.steps - 1, 0), min(plan.steps, _GRID)).astype(int))
    schedule = experiment.schedule(experiment.knobs)
    factor = jax.jit(lambda step: schedule.factor(schedule.init(), step))
    factors = [float(factor(jnp.int32(step))) for step in steps]
    highest = int(np.argmax(factors))
    return int(steps[highest]), factors[highest]


def first_steps(
    spec: Spec, experiment: Experiment, compiled: Compiled, state: State, step_seconds: float
) -> FirstSteps:
    """Trains for some steps at the rate of the spec, and at fractions of it; as many as there is time for.

    compiled, state   the programs of the run alone, and their state before the first step
    step_seconds      of one step: where there is no time for ten at each rate, only that of the spec is tried, and
                      where there is none for these, one step is made
    The schedule rises to its highest point in twenty steps and stays there: each step is told its place in the run.
    The rates take turns in the run's own program: side by side they would be another one, three times as long to
    compile.
    """
    highest, factor = peak(experiment)
    rates = _rates(spec, experiment)
    path = place_of_rate(spec.optimizer) or ()
    knobs = [with_rate(experiment.knobs, ("optimizer", *path), rate) for rate in rates] or [experiment.knobs]
    time_of_few = _FEWEST * step_seconds
    if time_of_few * len(knobs) > _MOST_SECONDS:
        rates, knobs = rates[:1], knobs[:1]
    most = min(_STEPS, experiment.plan.steps) if time_of_few <= _MOST_SECONDS else 1
    beginnings = [state._replace(knobs=jax.tree.map(_put, of_rate, state.knobs)) for of_rate in knobs]
    logged, states = _in_turn(compiled, beginnings, highest, most)
    highest_rates = [rate * factor for rate in rates] or [math.nan]
    return FirstSteps(highest_rates, logged[..., 0], logged[..., 1], states[0])


def _in_turn(
    compiled: Compiled, states: list[State], highest: int, most: int
) -> tuple[np.ndarray, list[State]]:
    """Takes a step from each state, and again, until these are enough or time is up.

    highest   place of the peak of the schedule, in steps
    most      steps from each state
    Returns (states, steps, 2) loss and ‖update‖ / ‖parameters‖, and the states behind the last step.
    """
    loss, ratio = compiled.names.index("train/loss"), jax.jit(_ratio)
    rows: list[list[tuple[float, float]]] = []
    began = time.monotonic()
    for done in range(most):
        logs = []
        for i, before in enumerate(states):
            placed = _placed(before, _place(done, highest), done)
            states[i], log = compiled.advance(placed, done, 1)
            moved = float(ratio(before.params, states[i].params))
            logs.append((float(compiled.rows(log, 1)[0, 0, loss]), moved))
        rows.append(logs)
        seconds = time.monotonic() - began
        if seconds > _MOST_SECONDS or (seconds > _SECONDS and done + 1 >= _FEWEST):
            break
    return np.array(rows).swapaxes(0, 1), states


def _place(step: int, highest: int) -> int:
    """Where in the run a step is said to be."""
    return min(step * highest // _WARMUP, highest)


def _placed(state: State, place: int, turn: int) -> State:
    """The state at another place in the run, with noise of its own in each turn."""
    key = jax.device_put(jax.random.fold_in(state.key, turn), state.key.sharding)
    return state._replace(step=_put(place, state.step), key=key)


def _put(value: float, like: Array) -> Array:
    """A number as an array of that type, where that is."""
    return jax.device_put(np.asarray(value, like.dtype), like.sharding)


def _ratio(before: Tree, after: Tree) -> Array:
    change = optax.tree.norm(jax.tree.map(jnp.subtract, after, before))
    return change / jnp.maximum(optax.tree.norm(before), float(jnp.finfo(jnp.float32).tiny))


def _rates(spec: Spec, experiment: Experiment) -> list[float]:
    """The learning rate of the spec and the fractions of it that are tried; [] where there is none."""
    rate = learning_rate(spec.optimizer, experiment.knobs["optimizer"])
    return [rate * share for share in _SHARES] if isinstance(rate, float) and rate > 0 else []


def check_rate(steps: FirstSteps) -> Finding:
    """Whether the learning rate is one at which the loss falls, and parameters move about a thousandth of their size.

    cs231n: ‖update‖ / ‖parameters‖ is about 1e-3 in a healthy run; small nets, and Adam, begin with more.
    """
    count = steps.losses.shape[1]
    start = float(steps.losses[0, 0])  # that of all, which begin alike
    last = max(1, round(_LAST * count))
    ends = [float(np.mean(curve[-last:])) if np.isfinite(curve).all() else math.inf for curve in steps.losses]
    ratio = float(np.median(steps.ratios[0]))
    numbers = {"steps": count, "start": start, "ratio": ratio if math.isfinite(ratio) else None}
    numbers |= {
        f"loss_at_{rate:.3g}": end if math.isfinite(end) else None
        for rate, end in zip(steps.rates, ends, strict=True)
    }
    words = f"the loss goes from {_in_words(start)} to {_in_words(ends[0])} in {count} steps"
    smaller = [f"{_in_words(end)} at {rate:.2g}" for rate, end in zip(steps.rates[1:], ends[1:], strict=True)]
    beside = f" at the highest rate, {steps.rates[0]:.2g} ({', '.join(smaller)})" if smaller else ""
    evidence = f"{words}{beside}; update / parameters {ratio:.1e}, where 1e-3 is usual"
    remedy = "take a smaller learning rate; nnrun lr-find looks for the best"
    if not math.isfinite(ends[0]):
        return Finding("learning rate", "fail", evidence, remedy, numbers)
    if count < min(_FEWEST, _STEPS):
        return Finding("learning rate", "skip", f"{evidence}; too few steps to judge", numbers=numbers)
    gain, best = start - ends[0], start - min(ends)
    if best > _GAIN * abs(start):
        verdict = "fail" if gain < _LITTLE * best else "warn" if gain < _LESS * best else "pass"
        if verdict != "pass":
            return Finding("learning rate", verdict, evidence, remedy, numbers)
    elif ends[0] > start + 0.5 * abs(start):
        return Finding("learning rate", "fail", evidence, remedy, numbers)
    if ratio < _SLOW:
        remedy = "parameters hardly move: take a larger learning rate; nnrun lr-find looks for the best"
        return Finding("learning rate", "warn", evidence, remedy, numbers)
    return Finding("learning rate", "pass", evidence, numbers=numbers)


def _in_words(loss: float) -> str:
    return figure(loss) if math.isfinite(loss) else "no finite number"
