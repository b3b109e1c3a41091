"""What there is to show of a sweep while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnrun.report.sweep.live import Board, Row
from nnrun.statistics.mean import mean_and_interval
from nnrun.sweep.batches import News
from nnrun.sweep.loop import Course
from nnrun.sweep.trials import Line, final_seeds, seeds_of

__all__ = ["Progress"]


class Progress:
    """Counts the steps of all runs, so that what is left can be told."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self._reached: dict[str, int] = {}  # run -> steps done, of those under way

    def board(self, news: News | None) -> Board:
        """What to show after a piece of news."""
        setting = self.course.setting
        phase = "starting"
        if news is not None:
            reached = dict.fromkeys(news.batch.runs, news.step) if news.step else {}
            self._reached |= reached
            phase = "comparing" if news.batch.name.startswith("final") else news.phase
            phase = "training" if phase in ("ready", "done", "failed") else phase
        rows = [self._row(line, budget) for line, budget in zip(setting.lines, setting.budgets, strict=True)]
        return Board(setting.file.name, phase, setting.metric, self._share(), rows)

    def _share(self) -> float:
        """The share of the work that is done; a trial that ended early was all of its work."""
        course, setting = self.course, self.course.setting
        done, whole = 0, 0
        for line, budget, plan in zip(setting.lines, setting.budgets, setting.plans, strict=True):
            own = [one for one in course.trials.values() if one.line == line]
            seeds, fresh = seeds_of(setting.file, line.base)[1], final_seeds(setting.file, line.base)[1]
            ended = [course.records[one.name]["steps"] for one in own if one.name in course.records]
            open_ones = [self._reached.get(one.run, 0) for one in own if one.name not in course.records]
            final = self._reached.get(f"final/{line.folder}{line.alternative.label}", 0)
            done += seeds * (sum(ended) + sum(open_ones)) + fresh * final
            whole += seeds * (sum(ended) + (budget - len(ended)) * plan.steps) + fresh * plan.steps
        return min(1.0, done / max(1, whole))

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
