"""The tests of all pairs of alternatives, as the cells of a table."""

from __future__ import annotations

from nnrun.report.words import difference, other_searches, pair_verdict, short_chance
from nnrun.statistics.compare import Comparison
from nnrun.statistics.metric import Metric

__all__ = ["pair_cells"]


def pair_cells(metric: Metric, pair: Comparison) -> dict[str, str]:
    """Head of a column -> what stands in it.

    `p (Holm)` is of the settings, over seeds; `p (both)` of the methods, the worse one of seeds and searches.
    `better` is how often a run of the first is better than a run of the second.
    """
    return {
        "first": pair.first,
        "second": pair.second,
        "difference": difference(metric, pair),
        "better": f"{100 * (pair.higher if metric.rising else 1 - pair.higher):.0f}%",
        "seeds": str(pair.seeds),
        "p": short_chance(pair.p),
        "p (Holm)": short_chance(pair.adjusted),
        "other searches": other_searches(metric, pair),
        "p (both)": short_chance(pair.claim),
        "verdict": pair_verdict(pair),
    }
