"""What a spec means: its layers, the equations of its optimizer, its schedule, and when things happen."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nnrun.build.optimizer import learning_rate
from nnrun.catalog.bound import Bound, walk
from nnrun.preprocessing import About
from nnrun.probe.explanation import CourseEntry, ExplanationReport, LayerEntry, RuleEntry
from nnrun.probe.layers import LayerRow, layer_rows
from nnrun.probe.objective import beginning, compiled_quickly
from nnrun.runner import session
from nnrun.spec.docstring import arguments
from nnrun.spec.sections import OptimizerCommon
from nnrun.sweep.cost import compile_and_time, memory_of, state_bytes
from nnrun.sweep.width import width_of
from nnrun.training.mesh import shared_in_words
from nnrun.types import Experiment, Plan

__all__ = [
    "Course",
    "Explanation",
    "OptimizerRule",
    "as_data",
    "course_of",
    "explain",
    "rules_of",
]

Counting = Callable[[str, int | None], AbstractContextManager[Callable[[], None]]]

_COLUMNS = 60  # of the curve of a schedule
_GRID = 2001  # steps at which it is looked at


class OptimizerRule(NamedTuple):
    """An optimizer in words: the equations of its docstring, and what the spec says for each symbol.

    options   name, value, and what the docstring says of it
    """

    name: str
    summary: str
    equations: list[str]
    options: list[tuple[str, object, str]]


class Course(NamedTuple):
    """A learning rate over a run; of an optimizer without one, the factors of its schedule are not shown.

    shares   (columns,) the highest of each stretch of the run, in units of the peak
    reacts   whether evaluations may lower it, which is not in the curve
    """

    name: str
    start: float
    peak: float
    peak_step: int
    end: float
    shares: list[float]
    reacts: bool


class Explanation(NamedTuple):
    """What a spec means."""

    plan: Plan
    examples: dict[str, int]
    inputs: tuple[int, ...]
    about: tuple[About, ...]
    notes: tuple[str, ...]
    layers: list[LayerRow]
    parameters: int
    rules: list[OptimizerRule]
    course: Course | None
    knobs: list[str]  # options that may differ between lanes of one program
    width: int  # lanes of one program on this machine
    state_bytes: int  # of one run: about that of a checkpoint
    memory: int
    seconds: float
    step_seconds: float
    compile_seconds: float
    folds: int
    sharing: str  # how many devices compute each batch, as a line


def explain(spec: Path, overrides: Sequence[str], show: Counting) -> Explanation:
    """Builds a spec, looks at its layers, and times its first steps; writes nothing.

    Raises SpecError, DataError, MachineError.
    """
    prepared = session.prepare(spec, overrides)
    experiment, plan = prepared.experiment, prepared.experiment.plan
    with session.precision(plan.precision), show("explaining", 3) as tick:
        with compiled_quickly():
            state = beginning(experiment)
        tick()
        layers = layer_rows(experiment, state)
        tick()
        measured = compile_and_time(experiment)
        tick()
        seconds = measured.compile_seconds + plan.steps * measured.step_seconds
        dataset = experiment.dataset
        return Explanation(
            plan,
            {name: part.examples for name, part in dataset.fitted.parts.items()},
            dataset.fitted.shape,
            dataset.about,
            dataset.notes,
            layers,
            sum(leaf.size for leaf in jax.tree.leaves(state.params)),
            list(rules_of(prepared.spec.optimizer)),
            course_of(prepared.spec.optimizer, prepared.spec.schedule.name, experiment),
            sorted(_names(experiment.knobs)),
            width_of(experiment),
            state_bytes(experiment),
            memory_of(experiment, len(plan.seeds)),
            seconds * max(prepared.folds, 1),
            measured.step_seconds,
            measured.compile_seconds,
            prepared.folds,
            shared_in_words(plan),
        )


def rules_of(block: Bound) -> Iterator[OptimizerRule]:
    """The rules of an optimizer and of those inside it, from the docstrings of the catalogue.

    Equations are the lines before the first argument that update something (←) or define it.
    """
    for inner in walk(block):
        if inner.kind != "optimizer":
            continue
        doc = inspect.getdoc(inner.function) or ""
        about = arguments(doc, inner.options)
        plain = {name: value for name, value in inner.options.items() if not isinstance(value, (Bound, list))}
        options = [(name, value, about.get(name, "")) for name, value in plain.items()]
        shared = OptimizerCommon.model_fields
        options += [
            (name, value, shared[name].description or "") for name, value in inner.common.items() if value
        ]
        summary, *rest = doc.splitlines() or [""]
        yield OptimizerRule(inner.name, summary, list(_equations(rest, list(inner.options))), options)


def _equations(lines: Sequence[str], options: Sequence[str]) -> Iterator[str]:
    for line in lines:
        first = line.split(",")[0].split("  ")[0].strip()
        if first in options and not line.startswith(" "):
            return
        if "←" in line:
            yield line.strip()


def course_of(optimizer: Bound, name: str, experiment: Experiment) -> Course | None:
    """The learning rate from the first step to the last; None where the optimizer has none."""
    rate = learning_rate(optimizer, experiment.knobs["optimizer"])
    if not isinstance(rate, (int, float)):
        return None
    steps = np.unique(
        np.linspace(0, experiment.plan.steps - 1, min(experiment.plan.steps, _GRID)).astype(int)
    )
    schedule = experiment.schedule(experiment.knobs)
    factor = jax.jit(jax.vmap(lambda step: jnp.asarray(schedule.factor(schedule.init(), step), float)))
    factors = np.asarray(factor(jnp.asarray(steps, jnp.int32)), float)
    highest = int(factors.argmax())
    peak = max(float(factors[highest]), 1e-300)
    columns = min(_COLUMNS, len(steps))
    shares = [float(stretch.max()) / peak for stretch in np.array_split(factors, columns)]
    return Course(
        name, rate * float(factors[0]), rate * peak, int(steps[highest]), rate * float(factors[-1]), shares,
        schedule.react is not None,
    )  # fmt: skip


def _names(knobs: object, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Dotted names of the options that are knobs."""
    if isinstance(knobs, dict):
        for key, inner in knobs.items():
            yield from _names(inner, (*path, key))
    elif isinstance(knobs, list):
        for i, inner in enumerate(knobs):
            yield from _names(inner, (*path, str(i)))
    else:
        yield ".".join(path)


def as_data(meaning: Explanation) -> ExplanationReport:
    """For programs."""
    plan = meaning.plan
    return {
        "plan": {
            "name": plan.name, "model": plan.model, "precision": plan.precision, "seeds": list(plan.seeds),
            "steps": plan.steps, "steps_per_epoch": plan.steps_per_epoch, "batch_size": plan.batch_size,
            "log_every": plan.log_every, "evaluate_every": plan.evaluate_every, "judge": plan.judge,
            "checkpoint_every": plan.checkpoint_every, "checkpoint_seconds": plan.checkpoint_seconds,
            "keep": plan.keep, "patience": plan.patience, "accumulate": plan.accumulate,
        },
        "examples": meaning.examples, "inputs": list(meaning.inputs),
        "about": [column._asdict() for column in meaning.about], "notes": list(meaning.notes),
        "layers": [
            LayerEntry(
                path="/".join(row.path), shape=list(row.shape), parameters=row.parameters, flops=row.flops,
                seconds=row.seconds,
            )
            for row in meaning.layers
        ],
        "parameters": meaning.parameters,
        "rules": [
            RuleEntry(
                name=rule.name, summary=rule.summary, equations=rule.equations,
                options={name: str(value) for name, value, _ in rule.options},
            )
            for rule in meaning.rules
        ],
        "course": None if meaning.course is None else CourseEntry(**meaning.course._asdict()),
        "knobs": meaning.knobs, "width": meaning.width, "state_bytes": meaning.state_bytes, "memory": meaning.memory,
        "seconds": meaning.seconds, "step_seconds": meaning.step_seconds, "compile_seconds": meaning.compile_seconds,
        "folds": meaning.folds, "sharing": meaning.sharing,
    }  # fmt: skip
