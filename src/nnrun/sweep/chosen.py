"""Which trials are best of each line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nnrun.report.sweep.entries import TrialEntry
from nnrun.sweep import records
from nnrun.sweep.plan import SweepPlan
from nnrun.sweep.stages import ranking
from nnrun.sweep.trials import Trial

__all__ = ["best_of_lines"]

TrialEntries = Mapping[str, TrialEntry]


def best_of_lines(sweep_plan: SweepPlan, trials: Sequence[Trial], by_name: TrialEntries) -> list[Trial]:
    """The trial of each line that is best on validation data, with the settings that it ended with.

    by_name   what became of each trial
    Lines without any are left out.
    """
    winners: list[Trial] = []
    for arm in sweep_plan.arms:
        of_line = [trial for trial in trials if trial.arm == arm and trial.name in by_name]
        values = {trial.name: records.trial_value(by_name[trial.name]) for trial in of_line}
        ranked = ranking(of_line, values, sweep_plan.metric)[:1]
        winners += [trial._replace(settings=dict(by_name[trial.name]["settings"])) for trial in ranked]
    return winners
