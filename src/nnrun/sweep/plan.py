"""What a sweep is made of, once its file has been checked."""

from __future__ import annotations

from typing import NamedTuple

from nnrun.report.sweep.entries import Asked, DimensionEntry, Repeats
from nnrun.space import Dimension, Search
from nnrun.statistics.metric import Metric
from nnrun.sweep.file import SweepFile
from nnrun.sweep.trials import Arm, final_seeds, seeds_of
from nnrun.types import Plan

__all__ = ["SweepPlan"]


class SweepPlan(NamedTuple):
    """A sweep file that has been checked against the catalogue and the data.

    budgets   trials of each line
    plans     of the first trial of each line
    """

    file: SweepFile
    search: Search
    search_name: str
    arms: list[Arm]
    budgets: list[int]
    plans: list[Plan]
    metric: Metric

    def about(self) -> Asked:
        """What sweep.json says."""
        sweep = self.file.sweep
        first = self.file.bases[0]
        repeats: Repeats = {"studies": sweep.studies} if sweep.studies > 1 else {}
        return {
            "name": self.file.name,
            "metric": self.metric.name,
            "goal": self.metric.goal,
            "bounds": self.metric.ends,
            "target": sweep.target,
            "search": self.search_name,
            "adaptive": self.search.adaptive,
            "seed": sweep.seed,
            "trials": max(self.budgets),
            "seeds": seeds_of(self.file, first)[1],
            "final_seeds": final_seeds(self.file, first)[1],
            "looks": self.file.looks,
            **repeats,
            "bases": [base.label for base in self.file.bases],
            "alternatives": [
                {
                    "label": alternative.label,
                    "settings": {**alternative.settings},
                    "dimensions": [_dimension(dimension) for dimension in alternative.space],
                    "factors": dict(alternative.factors),
                }
                for alternative in self.file.alternatives
            ],
        }


def _dimension(dimension: Dimension) -> DimensionEntry:
    path, kind, low, high = dimension.path, dimension.kind, dimension.low, dimension.high
    match kind:
        case "choice":
            return {"path": path, "kind": kind, "values": list(dimension.values)}
        case "normal":
            return {"path": path, "kind": kind, "mean": low, "sd": high}
    return {"path": path, "kind": kind, "low": low, "high": high}
