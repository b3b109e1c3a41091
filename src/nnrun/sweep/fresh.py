"""What follows after a search: the best of each alternative on seeds that no trial had, and what that takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from typing_extensions import TypedDict

from nnrun.errors import counted
from nnrun.sweep.cost import ProgramCost
from nnrun.sweep.packing import SPARE
from nnrun.sweep.plan import SweepPlan
from nnrun.sweep.trials import final_seeds, seeds_of

__all__ = ["FinalRuns", "PlannedComparison", "fresh_runs", "fresh_seconds", "fresh_sentence"]


class FinalRuns(NamedTuple):
    """The runs of one alternative, on one base in one study, that are compared in the end.

    place   where its runs lie below final/
    """

    place: str
    first_seed: int
    seeds: int


class PlannedComparison(TypedDict):
    """FinalRuns for programs."""

    place: str
    first_seed: int
    seeds: int


def fresh_runs(sweep_plan: SweepPlan) -> list[FinalRuns]:
    """Those of every alternative, base and study; with `sweep.final_seeds: 0` they have no seeds."""
    return [
        FinalRuns(arm.place, *final_seeds(sweep_plan.file, arm.base, arm.study)) for arm in sweep_plan.arms
    ]


def fresh_seconds(sweep_plan: SweepPlan, programs: Sequence[ProgramCost]) -> float:
    """What they take: a run as long as one of the search does, in a program of as many lanes as there are runs.

    That program is compiled, unless one of the search has enough lanes and not far too many.
    """
    total = 0.0
    for program in programs:
        runs, seconds = 0, 0.0
        for arm, plan in zip(sweep_plan.arms, sweep_plan.plans, strict=True):
            home = next((other for other in programs if arm.label in other.alternatives), None)
            if home is not program or not program.trials:
                continue
            steps = program.trials * seeds_of(sweep_plan.file, arm.base)[1] * program.steps
            count = final_seeds(sweep_plan.file, arm.base, arm.study)[1]
            runs += count
            seconds += (program.seconds - program.compile_seconds) / steps * plan.steps * count
        if runs:
            total += seconds + (0.0 if runs <= program.lanes <= SPARE * runs else program.compile_seconds)
    return total


def fresh_sentence(runs: Sequence[FinalRuns]) -> str:
    """How many fresh seeds follow, and how many runs that are."""
    of_place = [entry for entry in runs if entry.seeds]
    if not of_place:
        return "no fresh seeds follow (sweep.final_seeds: 0): nothing is compared"
    counts = sorted({entry.seeds for entry in of_place})
    seeds = (
        counted(counts[0], "fresh seed") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} fresh seeds"
    )
    total = counted(sum(entry.seeds for entry in of_place), "run", ",")
    if len(of_place) == 1:
        return f"then the best trial is trained with {seeds}: {total}"
    return f"then the best trial of each of {len(of_place)} searches is trained with {seeds}: {total}"
