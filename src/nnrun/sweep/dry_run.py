"""What a sweep would do: its trials, the programs they share, and from a short chunk of each the time it takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.table import Table

from nnrun.build import structure_of
from nnrun.catalog import Spec
from nnrun.report.live import duration
from nnrun.runner.session import precision
from nnrun.sweep.engine import Engine, together
from nnrun.sweep.plan import Setting
from nnrun.sweep.trials import Line, Trial, final_seeds, seeds_of, trial_at, trial_spec
from nnrun.sweep.width import width_of
from nnrun.training import shards
from nnrun.training.chunks import chunks
from nnrun.training.programs import one_like
from nnrun.types import Experiment

__all__ = ["Program", "Rehearsal", "as_json", "rehearse", "tables"]

_SECONDS = 1.0  # of training that are timed for each structure
_SHOWN = 30  # trials


class Program(NamedTuple):
    """One structure: the trials that share its program, and what it costs."""

    alternatives: list[str]
    trials: int
    lanes: int  # of one population
    steps: int
    compile_seconds: float
    seconds: float  # of all its trials
    memory: int  # bytes of one population


class Rehearsal(NamedTuple):
    """What a sweep would do."""

    trials: list[Trial]
    programs: list[Program]
    final_seconds: float
    note: str


def rehearse(setting: Setting, engine: Engine) -> Rehearsal:
    """Draws the trials, packs them and times a chunk of each program; nothing is created on disk."""
    trials = _trials(setting)
    groups: dict[str, list[tuple[Trial, Spec]]] = {}
    for one in trials:
        checked = trial_spec(
            setting.file, one.line, one.settings, seeds_of(setting.file, one.line.base), one.name
        )
        groups.setdefault(repr(structure_of(checked)), []).append((one, checked))
    programs = [_program(setting, own, engine) for own in groups.values()]
    finals = 0.0
    for line, plan in zip(setting.lines, setting.plans, strict=True):
        each = next((p for p in programs if _label(line) in p.alternatives), None)
        if each is not None and each.trials:
            runs = each.trials * seeds_of(setting.file, line.base)[1]
            finals += each.seconds / runs / each.steps * plan.steps * final_seeds(setting.file, line.base)[1]
    note = ""
    if setting.search.batch:
        note = f"{setting.search_name} chooses most of its trials from what it sees; these are the first"
    elif setting.search.rungs and not setting.search.explore:
        note = f"{setting.search_name} stops trials on the way: it takes a fraction of this time"
    return Rehearsal(trials, programs, finals, note)


def _label(line: Line) -> str:
    return line.folder + line.alternative.label


def _trials(setting: Setting) -> list[Trial]:
    found = []
    for line, budget in zip(setting.lines, setting.budgets, strict=True):
        seed = setting.file.sweep.seed
        count = min(budget, setting.search.batch or budget)
        points = setting.search.ask(line.alternative.space, seed, 0, count, [])
        points += (
            setting.search.ask(line.alternative.space, seed, count, budget - count, [])
            if budget > count
            else []
        )
        found += [trial_at(line, i, point) for i, point in enumerate(points)]
    return found


def _program(setting: Setting, own: Sequence[tuple[Trial, Spec]], engine: Engine) -> Program:
    experiment = engine.experiment(own[0][1])
    seeds = len(experiment.plan.seeds)
    double = own[0][1].train.precision
    with precision(double):
        most = max(1, (setting.file.sweep.width or width_of(experiment)) // seeds)
    count = -(-len(own) // most)
    size = -(-len(own) // count)
    each = [engine.experiment(one) for _, one in own[:size]]
    whole = together(each)
    with precision(double):
        compiling, a_step = _timed(whole)
        memory = _memory(whole, size * seeds)
    steps = experiment.plan.steps
    return Program(
        list(dict.fromkeys(_label(one.line) for one, _ in own)),
        len(own),
        size * seeds,
        steps,
        compiling,
        compiling + a_step * steps * count,
        memory,
    )


def _timed(experiment: Experiment) -> tuple[float, float]:
    """Seconds to compile, and seconds of one step of the population, validation included."""
    began = time.monotonic()
    compiled = shards.compile_shards(experiment)
    state = compiled.initial()
    compiling = time.monotonic() - began
    began, first, last = time.monotonic(), 0, 0
    for chunk in chunks(compiled, state, 0, experiment.plan.steps):
        if not first:  # the first chunk is one step, and pays for what comes first
            first, began = chunk.step, time.monotonic()
        last = chunk.step
        if time.monotonic() - began > _SECONDS:
            break
    return compiling, (time.monotonic() - began) / max(1, last - first)


def _memory(experiment: Experiment, lanes: int) -> int:
    """Bytes of the states of a population, twice, and of its data."""
    leaves = jax.tree.leaves(one_like(experiment)._replace(key=None))
    state = sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in leaves)
    parts = experiment.dataset.train, experiment.dataset.val, experiment.dataset.test
    data = sum(part.x.nbytes + part.y.nbytes for part in parts if isinstance(part.x, np.ndarray))
    return 3 * state * lanes + data


def as_json(found: Rehearsal) -> dict[str, Any]:
    """The rehearsal as plain data."""
    return {
        "trials": [{"trial": one.name, "settings": one.settings} for one in found.trials],
        "programs": [one._asdict() for one in found.programs],
        "seconds": sum(one.seconds for one in found.programs) + found.final_seconds,
        "note": found.note,
    }


def tables(found: Rehearsal) -> list[Any]:
    """What a person reads: the trials, the programs, and the sum."""
    trials = Table(box=None, padding=(0, 2), header_style="dim")
    trials.add_column("trial", no_wrap=True)
    trials.add_column("settings")
    for one in found.trials[:_SHOWN]:
        trials.add_row(one.name, "  ".join(f"{key}={_shown(value)}" for key, value in one.settings.items()))
    more = len(found.trials) - _SHOWN
    programs = Table(box=None, padding=(0, 2), header_style="dim")
    for title in ("program", "trials", "runs at once", "steps", "compile", "time", "memory"):
        programs.add_column(title, justify="left" if title == "program" else "right", no_wrap=True)
    for one in found.programs:
        programs.add_row(
            ", ".join(one.alternatives),
            str(one.trials),
            str(one.lanes),
            str(one.steps),
            f"{one.compile_seconds:.1f} s",
            duration(one.seconds),
            f"{one.memory / 2**20:.0f} MB",
        )
    total = sum(one.seconds for one in found.programs)
    told = (
        f"about {duration(total)} for the trials and {duration(found.final_seconds)} for the final comparison"
    )
    rest = [f"... and {more} more trials"] if more > 0 else []
    return [trials, *rest, "", programs, "", told, *([found.note] if found.note else [])]


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
