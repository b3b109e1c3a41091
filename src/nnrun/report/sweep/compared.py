"""The chosen settings of one sweep side by side: what the sweep itself answers, in place of tests over seeds alone."""

from __future__ import annotations

from nnrun.errors import one_line
from nnrun.report.side_by_side import SideBySide
from nnrun.report.sweep.findings import answer
from nnrun.report.sweep.folder import read_sweep
from nnrun.report.sweep.verdict import sentences

__all__ = ["with_answer"]


def with_answer(comparison: SideBySide) -> SideBySide:
    """The comparison with the tests and words of the sweep, if it is of all settings that one sweep chose.

    A sweep knows of other searches, other examples and its studies, which two runs do not show.
    Raises RunError if the sweep is damaged.
    """
    sweeps = {entry.sweep for entry in comparison.entries}
    folder = sweeps.pop()
    if sweeps or folder is None:
        return comparison
    sweep = read_sweep(folder)
    if sum(len(entry.runs) for entry in comparison.entries) < len(sweep.finals):
        return comparison
    whole = answer(sweep)
    pairs = [pair for part in whole.bases for pair in part.comparisons]
    rest = f"this is the answer of the sweep; `nnrun show {one_line(folder)}` has all of it"
    return comparison._replace(comparisons=pairs, sentences=[*sentences(whole), rest])
