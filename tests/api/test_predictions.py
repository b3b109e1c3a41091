"""Predictions in Python: the columns of a .csv, pieces put together, tables for pandas, and refusals."""

from __future__ import annotations

import csv
import io
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import nnrun
from nnrun import signals
from nnrun.api._frames import frame_of_columns, frame_of_rows, uncounted
from nnrun.api.predictions import Predictions, joined
from nnrun.errors import Interrupted, MachineError, SpecError
from nnrun.prediction.output import Prediction, write_csv

P = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.25, 0.5, 0.25]])
NAMES = ("a", "b", "c")
NUMBERS = np.array([1.5, -2.25, 1e-20])
SEVERAL = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
LABELS = np.array([[0.75, 0.5], [0.25, 0.501], [0.0, 1.0]])
PAIRS = (("no", "yes"), ("short", "tall"))

CASES = {
    "classes": Prediction(NAMES, P, ["x", "y", "z"], np.array([0, 2, 0])),
    "classes alone": Prediction(NAMES, P, [], None),
    "scores": Prediction(NAMES, P - 1, [], np.array([1, 1, 1]), scores=True),
    "numbers": Prediction((), NUMBERS, [], None, kept=[("id", ["u", "v", "w"]), ("n", [1, 2, 3])]),
    "intervals": Prediction((), NUMBERS, [], NUMBERS + 1, half_width=0.5),
    "several": Prediction(
        (), SEVERAL, [], SEVERAL - 1, half_width=np.array([0.5, 4.0]), of_targets=("height", "km/h")
    ),
    "labels": Prediction((), LABELS, [], LABELS > 0.5, of_targets=("ill", "size"), label_classes=PAIRS),
}


def pieces_of(whole: Prediction, sizes: list[int]) -> list[Prediction]:
    """The same examples in pieces."""
    pieces, first = [], 0
    for size in sizes:
        rows = slice(first, first + size)
        pieces.append(
            whole._replace(
                values=whole.values[rows],
                names=whole.names[rows],
                targets=None if whole.targets is None else whole.targets[rows],
                kept=[(name, cells[rows]) for name, cells in whole.kept],
            )
        )
        first += size
    return pieces


@pytest.mark.parametrize("sizes", [[3], [1, 2], [2, 1], [1, 1, 1]], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_columns_are_those_of_the_csv_however_the_pieces_are_cut(case: str, sizes: list[int]) -> None:
    """The command writes cell by cell, Python has columns: two ways to the same table."""
    text = io.StringIO()
    assert write_csv(text.write, iter(pieces_of(CASES[case], sizes))) == 3
    head, *rows = csv.reader(io.StringIO(text.getvalue()))
    columns = joined(pieces_of(CASES[case], sizes)).columns()
    assert [*columns] == head
    for i, row in enumerate(rows):
        for cell, column in zip(row, columns.values(), strict=True):
            value = column[i]
            assert cell == (repr(float(value)) if isinstance(value, np.floating) else str(value))


def test_the_class_is_the_most_probable_one_and_targets_have_names() -> None:
    found = joined([CASES["classes"]])
    assert found.values.tolist() == ["a", "c", "b"] and found.classes == NAMES
    assert found.targets is not None and found.targets.tolist() == ["a", "c", "a"]
    assert found.probabilities is P or (found.probabilities == P).all()
    assert found.scores is None and found.lower is None and list(found.names) == ["x", "y", "z"]
    scores = joined([CASES["scores"]])
    assert (
        scores.probabilities is None
        and scores.scores is not None
        and scores.values.tolist() == ["a", "c", "b"]
    )


def test_intervals_lie_around_the_numbers() -> None:
    found = joined([CASES["intervals"]])
    assert found.lower is not None and found.upper is not None
    np.testing.assert_array_equal(found.upper - found.values, [0.5, 0.5, 0.5])
    np.testing.assert_array_equal(found.values - found.lower, [0.5, 0.5, 0.5])
    several = joined([CASES["several"]])
    assert several.upper is not None and several.upper.tolist() == [[1.5, 14], [2.5, 24], [3.5, 34]]


def test_a_label_is_there_above_a_half() -> None:
    found = joined([CASES["labels"]])
    assert found.values.tolist() == [["yes", "short"], ["no", "tall"], ["no", "tall"]]
    assert found.targets is not None and found.targets.tolist() == found.values.tolist()


def test_ten_predictions_are_printed_and_the_rest_is_counted() -> None:
    lines = repr(Predictions(np.arange(12) + 0.123456)).split("\n")
    assert (
        lines[0] == "prediction" and lines[1] == "0.1235" and len(lines) == 12 and lines[-1] == "... 2 more"
    )
    assert "more" not in repr(Predictions(np.arange(10.0))) and repr(Predictions(np.zeros(0))) == "prediction"
    table = repr(joined([CASES["classes"]])).split("\n")
    assert table[0].split() == ["name", "label", "p(a)", "p(b)", "p(c)", "target"]
    begins = table[0].index("p(a)")
    assert [line[begins : begins + 2] for line in table[1:]] == ["0."] * 3  # in columns
    assert all(line == line.rstrip() for line in table)


def test_rows_of_other_columns_have_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=dict))
    rows = [{"run": "a", "x": 1}, {"y": 2.5, "run": "b"}]
    assert frame_of_rows(rows) == {"run": ["a", "b"], "x": [1, None], "y": [None, 2.5]}
    assert frame_of_rows([]) == {}
    frame: Any = joined([CASES["numbers"]]).to_pandas()
    assert [*frame] == ["id", "n", "prediction"] and frame["prediction"].tolist() == NUMBERS.tolist()


def test_without_pandas_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        MachineError, match="to_pandas: needs pandas, which is not installed; pip install pandas"
    ):
        frame_of_columns({})


def test_a_signal_ends_what_nobody_looks_at(monkeypatch: pytest.MonkeyPatch) -> None:
    with uncounted("predicting", 3) as tick:
        tick()
        monkeypatch.setattr(signals, "pending", lambda: 15)
        with pytest.raises(
            Interrupted, match=r"^interrupted while predicting; nothing was written$"
        ) as raised:
            tick()
    assert raised.value.exit_code == 143


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "sweep: give a sweep file, or resume=FOLDER, one of them"),
        ({"spec": "a.yaml", "resume": "b"}, "one of them"),
        ({"resume": "b", "run_dir": "c"}, "resume= continues in its own folder; leave run_dir= out"),
        ({"spec": "a.yaml", "jobs": 0}, "jobs=0; write 1 to 256"),
        ({"spec": "a.yaml", "jobs": 257}, "jobs=257; write 1 to 256"),
    ],
)
def test_arguments_of_a_sweep_that_contradict_each_other(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        nnrun.sweep(**arguments)
