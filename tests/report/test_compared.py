"""`nnrun compare SWEEP`: the words and tests of the sweep, not a second verdict over seeds alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nnrun.report import side_by_side
from nnrun.report.entry import Entry, read_entry
from nnrun.report.side_by_side import SideBySide
from nnrun.report.sweep.answer import as_data, read_sweep
from nnrun.report.sweep.compared import with_answer
from nnrun.report.sweep.findings import answer
from nnrun.spec import yaml12


def compared(sweep: Path, *names: str) -> SideBySide:
    """The chosen settings of these alternatives side by side."""
    return side_by_side.side_by_side([entry(sweep, name) for name in names])


def entry(sweep: Path, name: str) -> Entry:
    folder = sweep / "final" / name
    tree: Any = yaml12.parse((folder / "resolved.yaml").read_bytes(), "resolved.yaml").value
    return read_entry(name, folder, tree, {})._replace(sweep=sweep)


def test_all_settings_of_a_sweep_have_its_answer(written_once: Path) -> None:
    board = as_data(answer(read_sweep(written_once)))
    comparison = with_answer(compared(written_once, "sgd", "adam"))
    assert comparison.sentences == [
        *board["answer"],
        f"this is the answer of the sweep; `nnrun show {written_once}` has all of it",
    ]
    [pair] = comparison.comparisons
    assert pair.searches is not None and pair.verdict == board["comparisons"][0]["verdict"]


@pytest.mark.parametrize("change", ["one of them", "a run beside them", "no sweep"])
def test_else_the_runs_speak_for_themselves(written_once: Path, change: str) -> None:
    comparison = compared(written_once, "sgd", "adam")
    first, second = comparison.entries
    entries = {
        "one of them": [first],
        "a run beside them": [first, second._replace(sweep=None)],
        "no sweep": [first._replace(sweep=None), second._replace(sweep=None)],
    }[change]
    alone = comparison._replace(entries=entries)
    assert with_answer(alone) == alone
