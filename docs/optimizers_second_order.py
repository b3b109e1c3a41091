"""Sections on second-order methods: against first order, and L-BFGS on mini-batches; on the digits."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from optimizers_parts import COLOURS, ROOT, figure, picture, save, table

from nnrun.runner import session
from nnrun.training.order import PADDING, positions
from nnrun.training.step import initial_state, make_step, normalise
from nnrun.types import Batch, Experiment, State, Tree

__all__ = ["mini_batches", "second_order"]

_CONFIG = ROOT / "configs" / "digits.yaml"
_NET = ("model={name: mlp, hidden: [64], activation: tanh}", "schedule=constant")
_GRIDS = {"sgd": (1, 2, 5), "momentum": (0.5, 1, 2, 5), "adam": (0.02, 0.05, 0.1)}
_SECOND = ("lbfgs", "newton_cg", "gauss_newton")
_PASSES, _FEW = 600, 60  # gradients of all examples in each training of the two sections
_MOST = 5000  # steps: a method that is stuck evaluates nothing more
_PENALTIES = {"no penalty": (), "with a penalty": ("penalty=[{name: l2, strength: 1e-3}]",)}
_NOISY = "{name: lbfgs, allow_noise: true}"
_RIVALS = {  # size of the batch, optimizer
    "lbfgs, full batch": ("full", "lbfgs"),
    "lbfgs, batches of 512": (512, _NOISY),
    "lbfgs, batches of 128": (128, _NOISY),
    "lbfgs, batches of 32": (32, _NOISY),
    "adam, batches of 32": (32, "{name: adam, learning_rate: 0.005}"),
}
_GOALS = (0.1, 0.01, 0.001)
_ENOUGH = 1e-5  # below it a loss says nothing more


class Course(NamedTuple):
    """A training, from the start on; all lists have the same length."""

    label: str
    steps: list[int]
    loss: list[float]  # on all training examples
    passes: list[float]  # gradients of all training examples so far; a product with a matrix counts as two
    seconds: list[float]  # in steps so far, each at its fastest of a few times, compiled; [] if not timed

    def first(self, goal: float) -> int | None:
        """The index at which the loss is at the goal for the first time."""
        return next((i for i, loss in enumerate(self.loss) if loss <= goal), None)


def second_order() -> str:
    """Training loss by steps, gradients and time; the first-order methods at the best of a few rates."""
    full = "data.batch_size=full"
    courses = [_best(name, rates, full) for name, rates in _GRIDS.items()]
    courses += [_follow(name, _PASSES, f"optimizer={name}", full, timed=True) for name in _SECOND]
    unit = courses[0].seconds[-1] / courses[0].steps[-1]
    made, axes = figure(3, sharey=True)
    for course, colour in zip(courses, COLOURS, strict=False):
        columns = (course.steps, course.passes, np.array(course.seconds) / unit)
        for panel, x in zip(axes, columns, strict=True):
            panel.plot(x, course.loss, lw=1.5, color=colour, label=course.label)
    names = ("steps", "gradients (a product counts as two)", "time, in steps of SGD")
    for panel, name in zip(axes, names, strict=True):
        panel.set(xlabel=name, xscale="log", yscale="log", ylim=(1e-5, 5), xlim=(1, _PASSES))
    axes[0].set_ylabel("training loss")
    made.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(courses))
    save(made, "second_order.png")
    shown = picture("second_order.png", "Training loss of six optimizers by steps, gradients and time")
    return f"{shown}\n\n{_goals(courses)}"


def _goals(courses: list[Course]) -> str:
    """The table of what each needs to a loss; time as a multiple of that of L-BFGS."""
    lbfgs = next(course for course in courses if course.label == "lbfgs")
    head = ["optimizer", *(f"steps / gradients to {goal:g}" for goal in _GOALS)]
    head += [f"time to {goal:g}" for goal in _GOALS]
    rows = []
    for course in courses:
        at = [course.first(goal) for goal in _GOALS]
        counts = ["–" if i is None else f"{course.steps[i]} / {course.passes[i]:.0f}" for i in at]
        known = [lbfgs.seconds[i] for i in map(lbfgs.first, _GOALS) if i is not None]
        times = ["–" if i is None else f"{course.seconds[i] / s:.2g}" for i, s in zip(at, known, strict=True)]
        rows.append([course.label, *counts, *times])
    return table(head, rows)


def mini_batches() -> str:
    """L-BFGS on the full batch and on parts of it, and Adam; where all examples can be fitted, and where not."""
    made, panels = figure(2)
    rows = []
    for (words, penalty), panel in zip(_PENALTIES.items(), panels, strict=True):
        for (label, (batch, optimizer)), colour in zip(_RIVALS.items(), COLOURS, strict=False):
            options = (f"data.batch_size={batch}", f"optimizer={optimizer}", *penalty)
            course = _follow(label, _FEW, *options)
            panel.plot(course.passes, course.loss, lw=1.3, color=colour, label=label)
            last = f"{course.loss[-1]:.3g}" if np.isfinite(course.loss[-1]) else "diverged"
            late = course.loss[len(course.loss) // 2 :]
            rows.append([f"{label}, {words}", course.steps[-1], f"{min(late):.3g}", f"{max(late):.3g}", last])
        panel.set(title=words, xlabel="passes over the training examples", yscale="log", xlim=(0, _FEW))
    panels[0].set_ylabel("loss on all training examples")
    panels[1].legend()
    save(made, "mini_batches.png")
    head = ["optimizer", "steps", "lowest, second half", "highest, second half", "at the end"]
    shown = picture("mini_batches.png", "L-BFGS on the full batch and on mini-batches")
    return f"{shown}\n\n{table(head, rows)}"


def _best(name: str, rates: tuple[float, ...], *overrides: str) -> Course:
    """The training at the rate that needs the fewest gradients to the last goal, or else ends lowest."""

    def at(rate: float, timed: bool) -> Course:
        optimizer = f"optimizer={{name: {name}, learning_rate: {rate}}}"
        return _follow(f"{name}, rate {rate:g}", _PASSES, optimizer, *overrides, timed=timed)

    def rank(rate: float) -> tuple[float, float]:
        course = at(rate, timed=False)
        i = course.first(_GOALS[-1])
        return np.inf if i is None else course.passes[i], np.nan_to_num(course.loss[-1], nan=np.inf)

    return at(min(rates, key=rank), timed=True)


def _follow(label: str, passes: int, *overrides: str, timed: bool = False) -> Course:
    """Trains as `nnrun train configs/digits.yaml` with these overrides does, and measures between the steps."""
    experiment = session.prepare(_CONFIG, (*_NET, *overrides)).experiment
    plan, examples = experiment.plan, len(experiment.dataset.train.y)
    start = state = initial_state(experiment, jax.random.key(0), experiment.knobs)
    advance, loss_of = _programs(experiment, state)
    every = max(1, plan.steps_per_epoch // 4)
    course = Course(label, [0], [float(loss_of(state.params))], [0.0], [])
    while course.passes[-1] < passes and course.steps[-1] < _MOST and course.loss[-1] > _ENOUGH:
        step = course.steps[-1]
        for rows in positions(0, examples, plan.batch_size, step, every):
            state = advance(state, rows)
        course.steps.append(step + every)
        course.loss.append(float(loss_of(state.params)))
        course.passes.append(_gradients(state.opt_state, step + every) * plan.batch_size / examples)
    if timed:
        rows = positions(0, examples, plan.batch_size, 0, course.steps[-1])
        fastest = np.min([_timed(advance, start, rows) for _ in range(3)], axis=0)
        course.seconds.extend(np.concatenate([[0], fastest.cumsum()]))
    return course


def _timed(advance: Any, state: State, orders: np.ndarray) -> np.ndarray:
    """Seconds of each step."""
    marks = [time.perf_counter()]
    for rows in orders:
        state = jax.block_until_ready(advance(state, rows))
        marks.append(time.perf_counter())
    return np.diff(marks)


def _programs(experiment: Experiment, state: State) -> tuple[Any, Any]:
    """The compiled step, state, rows -> state, and the loss on all training examples with penalties, params -> ()."""
    x, y = (jnp.asarray(part) for part in experiment.dataset.train)
    step, batch = make_step(experiment), Batch(x, y, jnp.ones(len(y)))

    def advance(state: State, rows: Array) -> State:
        found = jnp.maximum(rows, 0)
        weight = (rows != PADDING).astype(float)
        return step(state, Batch(x[found], y[found], weight, jnp.array(False)))[0]

    def loss_of(params: Tree) -> Array:
        inputs, targets = normalise(experiment, batch)
        outputs, _ = experiment.model(state.knobs).apply(params, state.stats, inputs, None, None)
        value = experiment.loss(state.knobs).value(outputs, targets).mean()
        return value + experiment.penalty(state.knobs)(params)

    rows = jax.ShapeDtypeStruct((experiment.plan.batch_size,), jnp.int32)
    return jax.jit(advance).lower(state, rows).compile(), jax.jit(loss_of)


def _gradients(memory: Tree, steps: int) -> int:
    """How many gradients the steps have cost: one each, unless the memory has counted them."""
    past = getattr(memory, "past", None)
    return int(past.evaluations) + 2 * int(getattr(memory, "products", 0)) if past else steps
