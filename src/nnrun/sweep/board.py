"""What there is to show of a sweep while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnrun.report.statistics import mean_and_interval
from nnrun.report.sweep_live import Board, Row
from nnrun.sweep.batches import News
from nnrun.sweep.course import Course
from nnrun.sweep.trials import Line, final_seeds, seeds_of

__all__ = ["Progress"]


class Progress:
    """Counts the steps of all runs, so that what is left can be told."""

    def __init__(self, course: Course) -> None:
        self.course = course
        setting = course.setting
        self.lengths = {
            one.folder + one.alternative.label: plan.steps
            for one, plan in zip(setting.lines, setting.plans, strict=True)
        }
        self.total = sum(
            plan.steps
            * (budget * seeds_of(setting.file, line.base)[1] + final_seeds(setting.file, line.base)[1])
            for line, budget, plan in zip(setting.lines, setting.budgets, setting.plans, strict=True)
        )
        self._under_way: dict[str, int] = {}

    def board(self, news: News | None) -> Board:
        """What to show after a piece of news."""
        course, setting = self.course, self.course.setting
        phase = "starting"
        if news is not None:
            self._under_way[news.batch.name] = news.step * news.batch.lanes
            if news.phase in ("done", "failed"):
                self._under_way.pop(news.batch.name, None)
            phase = "comparing" if news.batch.name.startswith("final") else news.phase
            phase = "training" if phase in ("ready", "done", "failed") else phase
        done = sum(one["steps"] * len(one["values"]) for one in course.records.values())
        done += sum(one["steps"] * len(one["seeds"]) for one in course.finals) + sum(self._under_way.values())
        rows = [self._row(line, budget) for line, budget in zip(setting.lines, setting.budgets, strict=True)]
        return Board(setting.file.name, phase, setting.metric, min(1.0, done / max(1, self.total)), rows)

    def _row(self, line: Line, budget: int) -> Row:
        label = line.folder + line.alternative.label
        course = self.course
        own = [one for one in course.records.values() if course.trials[one["trial"]].line == line]
        lost = {
            status: sum(one["status"] == status for one in own)
            for status in ("stopped", "diverged", "failed")
        }
        told = ", ".join(f"{count} {status}" for status, count in lost.items() if count)
        return Row(label, len(own), budget, _best(own, course.setting.goal), told)


def _best(records: Sequence[dict[str, Any]], goal: str) -> str:
    known = [one for one in records if one["status"] == "done" and one["value"] is not None]
    if not known:
        return ""
    pick = max if goal == "max" else min
    best = pick(known, key=lambda one: one["value"])
    mean, half = mean_and_interval(best["values"])
    return f"{mean:.4g}" + (f" ± {half:.2g}" if half is not None else "")
