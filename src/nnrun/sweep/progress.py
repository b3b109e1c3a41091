"""What there is to show of a sweep while it runs."""

from __future__ import annotations

from collections.abc import Sequence

from nnrun.report.sweep.entries import TrialEntry
from nnrun.report.sweep.live import ArmProgress, SweepProgress
from nnrun.report.values import number, plus_minus
from nnrun.statistics.metric import Metric
from nnrun.sweep.batches import Event
from nnrun.sweep.loop import SweepLoop
from nnrun.sweep.trials import final_seeds, seeds_of

__all__ = ["ProgressCounter"]


class ProgressCounter:
    """Counts the steps of all runs, for the time that is left."""

    def __init__(self, loop: SweepLoop) -> None:
        self.loop = loop
        self._reached: dict[str, int] = {}  # run -> steps done, of those under way

    def progress(self, event: Event | None) -> SweepProgress:
        """What to show after a piece of news."""
        sweep_plan = self.loop.sweep_plan
        phase = "starting"
        if event is not None:
            reached = dict.fromkeys(event.batch.runs, event.step) if event.step else {}
            self._reached |= reached
            phase = "comparing" if event.batch.name.startswith("final") else event.phase
            phase = "training" if phase in ("ready", "done", "failed") else phase
        budgets: dict[str, int] = {}  # of each alternative, in all its studies
        for arm, budget in zip(sweep_plan.arms, sweep_plan.budgets, strict=True):
            budgets[arm.label] = budgets.get(arm.label, 0) + budget
        rows = [self._row(label, budget) for label, budget in budgets.items()]
        return SweepProgress(sweep_plan.file.name, phase, sweep_plan.metric.name, self._share(), rows)

    def _share(self) -> float:
        """The share of the work that is done; a trial that ended early was all of its work."""
        loop, sweep_plan = self.loop, self.loop.sweep_plan
        done, whole = 0, 0
        for arm, budget, plan in zip(sweep_plan.arms, sweep_plan.budgets, sweep_plan.plans, strict=True):
            trials = [trial for trial in loop.trials.values() if trial.arm == arm]
            seeds, fresh = seeds_of(sweep_plan.file, arm.base)[1], final_seeds(sweep_plan.file, arm.base)[1]
            ended = [loop.records[trial.name]["steps"] for trial in trials if trial.name in loop.records]
            open_ones = [
                self._reached.get(trial.run, 0) for trial in trials if trial.name not in loop.records
            ]
            final = self._reached.get(f"final/{arm.place}", 0)
            done += seeds * (sum(ended) + sum(open_ones)) + fresh * final
            whole += seeds * (sum(ended) + (budget - len(ended)) * plan.steps) + fresh * plan.steps
        return min(1.0, done / max(1, whole))

    def _row(self, label: str, budget: int) -> ArmProgress:
        loop = self.loop
        records = [
            record for record in loop.records.values() if loop.trials[record["trial"]].arm.label == label
        ]
        lost = {
            status: sum(record["status"] == status for record in records)
            for status in ("stopped", "diverged", "failed")
        }
        losses = ", ".join(f"{count} {status}" for status, count in lost.items() if count)
        return ArmProgress(label, len(records), budget, _best(records, loop.sweep_plan.metric), losses)


def _best(records: Sequence[TrialEntry], metric: Metric) -> str:
    known = [
        (record, value)
        for record in records
        if record["status"] == "done" and (value := record["value"]) is not None
    ]
    best = metric.best(known, lambda pair: pair[1])
    if best is None:
        return ""
    mean, ends = metric.mean([value for value in best[0]["values"] if value is not None])
    return number(mean, metric) + plus_minus(mean, ends, metric)
