"""A sweep carried out from its plan to its answer, round after round, as the command and the function do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from nnrun import signals
from nnrun.errors import Warn, one_line
from nnrun.report import drawing
from nnrun.report.sweep import answer
from nnrun.report.sweep.findings import Answer
from nnrun.report.sweep.live import SweepProgress
from nnrun.sweep import lifecycle
from nnrun.sweep.batches import InProcess, Trainer
from nnrun.sweep.engine import Engine
from nnrun.sweep.on_ray import OnRay
from nnrun.sweep.on_slurm import OnSlurm
from nnrun.sweep.plan import SweepPlan
from nnrun.sweep.progress import ProgressCounter
from nnrun.sweep.remote import cluster_of
from nnrun.sweep.rounds import next_round
from nnrun.sweep.workers import Workers

__all__ = ["Ended", "carry_out", "trainer_of"]

Watching = Callable[
    [], AbstractContextManager[Callable[[SweepProgress], None]]
]  # a function that shows a sweep


class Ended(NamedTuple):
    """A sweep that is done.

    statuses   of its trials
    budget     how many trials it could have
    """

    answer: Answer
    statuses: list[str]
    budget: int

    def all_diverged(self, folder: Path) -> str:
        """That no trial has a result, and what to do; "" where some have."""
        if not self.statuses or set(self.statuses) != {"diverged"}:
            return ""
        what = (
            f"all {len(self.statuses)} trials diverged, so nothing is compared; write smaller learning rates"
        )
        return f"{what}; {_where(folder)}"

    def failed(self, folder: Path) -> str:
        """How many trials failed; "" where none did."""
        count = self.statuses.count("failed")
        return f"{count} of {self.budget} trials failed; {_where(folder)}" if count else ""


def _where(folder: Path) -> str:
    return f"trials.jsonl in {one_line(folder)} says why"


def trainer_of(engine: Engine, jobs: int, on: str | None) -> Trainer:
    """Who trains the batches: this process, worker processes, or a cluster."""
    if on is not None:
        cluster = cluster_of(on)
        return (
            OnRay(cluster.address, engine) if cluster.kind == "ray" else OnSlurm(cluster.parameters, engine)
        )
    return Workers(jobs, engine) if jobs > 1 else InProcess(engine)


def carry_out(
    sweep_plan: SweepPlan,
    folder: Path,
    engine: Engine,
    trainer: Trainer,
    watching: Watching,
    warn: Warn,
    quiet: bool,
) -> Ended:
    """Trains what is not trained yet, compares, writes the answer into the folder, and begins the next rounds.

    watching   opens what shows each round
    quiet      whether only the last decision about another round is reported to `warn`
    Raises Interrupted, MachineError, SpecError; the folder says what happened.
    """
    drawing.import_ahead()
    grows = sweep_plan.file.sweep.until is not None
    # A signal waits while the answer is written, and between a look and the next round: it has an end there, too.
    with signals.deferred():
        while True:
            with watching() as view:
                counter = None
                for loop, event in lifecycle.sweep(sweep_plan, folder, engine, trainer):
                    counter = counter or ProgressCounter(loop)
                    view(counter.progress(event))
            changes = _growth(sweep_plan, folder, warn, quiet) if grows else []
            with lifecycle.reporting(folder) as look:
                if not changes:
                    lifecycle.finish(folder)
                sweep_answer = answer.write_answer(folder, look)
            if not changes:
                break
            sweep_plan = lifecycle.continue_sweep(folder, changes, engine, next_round=True)
    statuses = [
        trial.status for trial in answer.read_sweep(folder).trials
    ]  # the last ones came behind all events
    return Ended(sweep_answer, statuses, sum(sweep_plan.budgets))


def _growth(sweep_plan: SweepPlan, folder: Path, warn: Warn, quiet: bool) -> list[str]:
    """What the next round of a sweep with `until` adds; [] where there is none."""
    following = next_round(sweep_plan, folder, answer.answer(answer.read_sweep(folder)))
    if not quiet or not following.changes:
        warn(f"{one_line(folder)}: {following.words}")
    return following.changes
