"""The tests of all pairs of alternatives, as the cells of a table."""

from __future__ import annotations

from nnrun.report.words import difference, other_searches, over_examples, overall, pair_verdict, short_chance
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.metric import Metric

__all__ = ["pair_cells"]


def pair_cells(metric: Metric, pair: PairComparison) -> dict[str, str]:
    """Head of a column -> what stands in it.

    `p (Holm)` is of the settings, over seeds; `p (both)` of the methods, the worse one of seeds and searches.
    `all` is the interval over seeds, searches and examples together.
    `better` is how often a run of the first is better than a run of the second.
    Where whole searches were repeated, `studies` are counted in place of seeds, and `difference` has their luck in it.
    """
    cells = {
        "first": pair.first,
        "second": pair.second,
        "difference": difference(metric, pair),
        "better": f"{100 * (pair.higher if metric.rising else 1 - pair.higher):.0f}%",
        "seeds": str(pair.seeds),
        "p": short_chance(pair.p),
        "p (Holm)": short_chance(pair.adjusted),
        "other searches": other_searches(metric, pair),
        "p (both)": short_chance(pair.claim),
        "other examples": over_examples(metric, pair),
        "all": overall(metric, pair),
        "verdict": pair_verdict(pair),
    }
    if pair.studies is None:
        return cells
    of_searches = ("other searches", "p (both)")
    return {
        "studies" if name == "seeds" else name: cell
        for name, cell in cells.items()
        if name not in of_searches
    }
