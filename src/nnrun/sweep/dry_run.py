"""What a sweep would do: its trials, the programs they share, and the time that they take.

One program of each kind of model is compiled and trains for a second; the others are estimated from it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

from rich.console import RenderableType
from typing_extensions import TypedDict

from nnrun.amounts import figure
from nnrun.build import structure_of
from nnrun.catalog import Spec
from nnrun.report.live import duration
from nnrun.report.sheet import sheet_of
from nnrun.runner.session import precision
from nnrun.sweep.cost import ProgramCost, Seconds, Work, compile_and_time, cost_like, memory_of, work_of
from nnrun.sweep.engine import Engine, together
from nnrun.sweep.fresh import FinalRuns, PlannedComparison, fresh_runs, fresh_seconds, fresh_sentence
from nnrun.sweep.plan import SweepPlan
from nnrun.sweep.trials import Trial, seeds_of, trial_at, trial_spec
from nnrun.sweep.width import width_of
from nnrun.training.compiling import fresh_programs
from nnrun.types import Experiment

__all__ = [
    "DryRun",
    "DryRunReport",
    "PlannedProgram",
    "PlannedTrial",
    "as_json",
    "dry_run_of",
    "tables",
]

_SHOWN = 30  # trials


class PlannedTrial(TypedDict):
    """A trial that would be trained."""

    trial: str
    settings: Mapping[str, Any]


class PlannedProgram(TypedDict):
    """ProgramCost for programs."""

    alternatives: list[str]
    trials: int
    lanes: int
    steps: int
    compile_seconds: float
    seconds: float
    memory: int
    measured: bool


class DryRunReport(TypedDict):
    """What a sweep would do, for programs."""

    trials: list[PlannedTrial]
    programs: list[PlannedProgram]
    fresh: list[PlannedComparison]
    seconds: float  # of the trials and the final comparison
    final_seconds: float  # of the final comparison
    note: str


class _Known(NamedTuple):
    """A program that was measured, from which others of its kind of model are estimated."""

    cost: Seconds
    work: Work
    lanes: int


class DryRun(NamedTuple):
    """What a sweep would do."""

    trials: list[Trial]
    programs: list[ProgramCost]
    fresh: list[FinalRuns]
    final_seconds: float
    note: str


def dry_run_of(sweep_plan: SweepPlan, engine: Engine, measure: bool = False) -> DryRun:
    """Draws the trials, packs them and times a program of each kind of model, or all; nothing is created on disk.

    measure   whether each program is compiled and timed
    """
    trials = _trials(sweep_plan)
    groups: dict[str, list[tuple[Trial, Spec]]] = {}
    for trial in trials:
        seeds = seeds_of(sweep_plan.file, trial.arm.base, trial.arm.study)
        checked = trial_spec(sweep_plan.file, trial.arm, trial.settings, seeds, trial.name)
        groups.setdefault(repr(structure_of(checked)), []).append((trial, checked))
    known: dict[str, _Known] | None = None if measure else {}
    programs = [_program(sweep_plan, members, engine, known) for members in groups.values()]
    fresh = fresh_runs(sweep_plan)
    return DryRun(trials, programs, fresh, fresh_seconds(sweep_plan, programs), _note(sweep_plan))


def _note(sweep_plan: SweepPlan) -> str:
    """What the numbers do not say."""
    notes = []
    if sweep_plan.search.batch:
        notes.append(
            f"{sweep_plan.search_name} chooses most of its trials from what it sees; these are the first"
        )
    elif sweep_plan.search.rungs and not sweep_plan.search.explore:
        notes.append(f"{sweep_plan.search_name} stops trials on the way: it takes a fraction of this time")
    if (studies := sweep_plan.file.sweep.studies) > 1:
        notes.append(f"all of it is for {studies} studies together")
    if (looks := sweep_plan.file.looks) > 1:
        notes.append(f"this is the first round of at most {looks}, which follow until the verdict is clear")
    return "; ".join(notes)


def _trials(sweep_plan: SweepPlan) -> list[Trial]:
    trials = []
    for arm, budget in zip(sweep_plan.arms, sweep_plan.budgets, strict=True):
        count = min(budget, sweep_plan.search.batch or budget)
        points = sweep_plan.search.ask(arm.alternative.space, arm.seed, 0, count, [])
        points += (
            sweep_plan.search.ask(arm.alternative.space, arm.seed, count, budget - count, [])
            if budget > count
            else []
        )
        trials += [trial_at(arm, i, point) for i, point in enumerate(points)]
    return trials


def _program(
    sweep_plan: SweepPlan,
    members: Sequence[tuple[Trial, Spec]],
    engine: Engine,
    known: dict[str, _Known] | None = None,
) -> ProgramCost:
    """known   what was measured, by the name of the model; None: each program is measured"""
    experiment = engine.experiment(members[0][1])
    seeds = len(experiment.plan.seeds)
    with precision(experiment.plan.precision):
        most = max(1, (sweep_plan.file.sweep.width or width_of(experiment)) // seeds)
    apart = Counter(trial.arm.study if sweep_plan.search.rungs else 1 for trial, _ in members)
    count = sum(
        -(-trials // most) for trials in apart.values()
    )  # of populations: those that are ranked go apart
    size = -(-len(members) // count)
    experiments = [engine.experiment(checked) for _, checked in members[:size]]
    population = together(experiments)
    with precision(experiment.plan.precision):
        cost, measured = _cost(population, size * seeds, members[0][1].model.name, known)
        memory = memory_of(population, size * seeds)
    steps = experiment.plan.steps
    return ProgramCost(
        list(dict.fromkeys(trial.arm.label for trial, _ in members)),
        len(members),
        size * seeds,
        steps,
        cost.compile_seconds,
        cost.compile_seconds + cost.step_seconds * steps * count,
        memory,
        measured,
    )


def _cost(
    population: Experiment, lanes: int, model: str, known: dict[str, _Known] | None
) -> tuple[Seconds, bool]:
    """What a population costs, and whether that was measured; what is measured for the first time joins `known`."""
    if known and (like := known.get(model)):
        return cost_like(like.cost, work_of(population), lanes, like.work, like.lanes), False
    with nullcontext() if known is None else fresh_programs():  # others are not in the cache, or may not be
        measured = compile_and_time(population)
    cost = Seconds(measured.compile_seconds, measured.step_seconds)
    if known is not None:
        known[model] = _Known(cost, work_of(population), lanes)
    return cost, True


def as_json(dry_run: DryRun) -> DryRunReport:
    """The estimate as plain data."""
    return {
        "trials": [{"trial": trial.name, "settings": trial.settings} for trial in dry_run.trials],
        "programs": [PlannedProgram(**program._asdict()) for program in dry_run.programs],
        "fresh": [PlannedComparison(**entry._asdict()) for entry in dry_run.fresh],
        "seconds": sum(program.seconds for program in dry_run.programs) + dry_run.final_seconds,
        "final_seconds": dry_run.final_seconds,
        "note": dry_run.note,
    }


def tables(dry_run: DryRun) -> list[RenderableType]:
    """What a person reads: the trials, the programs, and the sum."""
    settings = [
        (trial.name, "  ".join(f"{key}={_shown(value)}" for key, value in trial.settings.items()))
        for trial in dry_run.trials[:_SHOWN]
    ]
    trials = sheet_of(("trial", "settings"), settings, ("name", "words"))
    hidden = len(dry_run.trials) - _SHOWN
    about = {True: "", False: "~"}
    rows = [
        (
            ", ".join(program.alternatives),
            str(program.trials),
            str(program.lanes),
            str(program.steps),
            f"{about[program.measured]}{program.compile_seconds:.1f} s",
            about[program.measured] + duration(program.seconds),
            f"{program.memory / 2**20:.0f} MB",
        )
        for program in dry_run.programs
    ]
    programs = sheet_of(("program", "trials", "runs at once", "steps", "compile", "time", "memory"), rows)
    total = sum(program.seconds for program in dry_run.programs)
    estimate = f"about {duration(total)} for the trials"
    if any(entry.seeds for entry in dry_run.fresh):
        estimate += f" and {duration(dry_run.final_seconds)} for the final comparison"
    rest = [f"... and {hidden} more trials"] if hidden > 0 else []
    notes = [dry_run.note] if dry_run.note else []
    if not all(program.measured for program in dry_run.programs):
        notes.append("~ is estimated from the operations of the measured program; --measure times each")
    return [trials, *rest, "", programs, "", fresh_sentence(dry_run.fresh), estimate, *notes]


def _shown(value: object) -> str:
    """A value as YAML has it in a line: a record as {rate: 0.5}, which can be written into a spec."""
    if isinstance(value, float):
        return figure(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_shown(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return value if isinstance(value, str) else json.dumps(value)
