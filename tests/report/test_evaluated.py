"""What an evaluation says: tables of metrics with intervals and references, of targets, labels and columns."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import RenderableType

from nnrun.preprocessing import About
from nnrun.report.columns import column_lines
from nnrun.report.evaluated import evaluation_gaps, evaluation_view
from nnrun.report.lines import Folded
from nnrun.report.metric_table import metric_table, metric_tables
from nnrun.report.per_label import labels_sheet, per_label_of
from nnrun.report.plain_text import as_text
from nnrun.report.sheet import Sheet

BASELINE: Any = {"prediction": "mean", "metrics": {"test/rmse": 2.0, "test/rmse(height)": 3.0}}


def cells(sheet: Sheet) -> list[list[str]]:
    """The rows, the head first."""
    columns = [[column.head, *(cell.plain for cell in column.cells)] for column in sheet.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def text_of(head: RenderableType) -> str:
    assert isinstance(head, Folded)
    return head.text


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_metrics_of_two_states_with_a_reference() -> None:
    """Those of the optimizer come last; an interval is shown where it has a width; a gap is an empty cell."""
    table = metric_table(
        {
            "best": {"learning_rate": 0.1, "test/rmse": 1.5, "val/rmse": 1.25},
            "last": {"test/rmse": 1.75, "grad/norm": 9.0},
        },
        {"best": {"test/rmse": [1.0, 2.0], "val/rmse": [1.25, 1.25]}, "last": {"test/rmse": None}},
        BASELINE,
    )
    assert cells(table) == [
        ["metric", "best", "last", "mean"],
        ["test/rmse", "1.5 ± 0.5", "1.75", "2"],
        ["val/rmse", "1.25", "", ""],
        ["grad/norm", "", "9", ""],
        ["learning_rate", "0.1", "", ""],
    ]


METRICS = {
    "test/rmse(weight)": 4.0, "test/mae(weight)": 3.5, "test/rmse(height)": 1.0, "test/mae(height)": 0.5,
    "test/rmse": 2.5, "val/rmse(height)": 9.0,
}  # fmt: skip


def test_each_target_has_a_row_in_the_order_of_the_spec() -> None:
    """Of the first part of the data that has some; a reference stands in brackets, and its name in the head."""
    whole, of_targets = metric_tables(
        {"best": METRICS},
        {"best": {"test/mae(height)": [0.25, 0.75]}},
        BASELINE,
        targets=("height", "weight"),
    )
    assert [row[0] for row in cells(whole)] == ["metric", "test/rmse"]
    assert cells(of_targets) == [
        ["target", "test/mae", "test/rmse (mean)"],
        ["height", "0.5 ± 0.25", "1 (3)"],
        ["weight", "3.5", "4"],
    ]


def test_targets_without_an_order_stay_in_that_of_the_metrics() -> None:
    _, of_targets = metric_tables({"best": METRICS})
    assert [row[0] for row in cells(of_targets)] == ["target", "weight", "height"]


def test_the_column_that_is_asked_for_has_the_targets() -> None:
    last = {name: 10 * value for name, value in METRICS.items()}
    _, of_targets = metric_tables({"best": METRICS, "last": last}, shown="last", parts=("val/", "test/"))
    assert cells(of_targets) == [["target", "val/rmse"], ["height", "90"]]


def test_one_target_has_no_table_of_targets() -> None:
    assert len(metric_tables({"best": {"test/rmse": 1.0}})) == 1
    assert [row[0] for row in cells(*metric_tables({}))] == ["metric"]


RUN: Any = {
    "run_dir": "runs/a",
    "step": 120,
    "checkpoint": "best",
    "baseline": None,
    "metrics": {"test/loss": 0.5},
}


def test_a_run_has_its_step() -> None:
    head, table = evaluation_view(RUN)
    assert text_of(head) == "runs/a  step 120"
    assert isinstance(table, Sheet) and cells(table) == [["metric", "best"], ["test/loss", "0.5"]]


def test_a_file_the_parameters_and_the_temperature_stand_in_the_head() -> None:
    head, _ = evaluation_view(
        {**RUN, "input": "new.csv", "examples": 1, "parameters": "ema", "temperature": 1.25}
    )
    assert text_of(head) == "runs/a  step 120  ema  1 example of new.csv  temperature 1.25"


def group(count: int, **changes: Any) -> dict[str, Any]:
    runs = [{**RUN, "run_dir": f"runs/g/seed_{i}"} for i in range(count)]
    return {
        "run_dir": "runs/g", "checkpoint": "last", "baseline": None, "runs": runs, "mean": {"test/loss": 0.5},
        "ci95": {"test/loss": [0.25, 0.75]}, **changes,
    }  # fmt: skip


def test_a_group_has_its_mean_and_interval() -> None:
    head, table = evaluation_view(group(3))
    assert text_of(head) == "runs/g  mean ± 95% interval of 3 seeds"
    assert isinstance(table, Sheet) and cells(table)[1] == ["test/loss", "0.5 ± 0.25"]


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ({"test/loss": [0.25, 0.75]}, "mean ± corrected 95% interval of 2 folds"),
        ({"test/loss": None}, "mean of 2 folds"),
    ],
)
def test_folds_say_whether_there_is_an_interval(ends: dict[str, Any], words: str) -> None:
    head, _ = evaluation_view(group(2, folds={"count": 2, "ratio": 1.0, "partition": "p"}, ci95=ends))
    assert text_of(head) == f"runs/g  {words}"


def test_temperatures_of_a_group_are_those_of_its_runs() -> None:
    result = group(2)
    result["runs"][0]["temperature"], result["runs"][1]["temperature"] = 1.5, 2.0
    assert text_of(evaluation_view(result)[0]) == "runs/g  mean ± 95% interval of 2 seeds  temperature 1.5, 2"


def test_an_ensemble_is_beside_the_mean_of_its_members() -> None:
    result = group(2, average="probabilities", metrics={"test/loss": 0.375}, temperature=1.1)
    result["runs"][0]["temperature"] = 9.0  # of a member alone: not that of the ensemble
    head, table = evaluation_view(result)
    assert text_of(head) == "runs/g  probabilities  temperature 1.1"
    assert isinstance(table, Sheet) and cells(table) == [
        ["metric", "ensemble", "mean of 2 members"],
        ["test/loss", "0.375", "0.5 ± 0.25"],
    ]


def test_a_reason_is_given_once_for_all_metrics_and_runs() -> None:
    """Metrics of single targets are left to the mean over targets."""
    result = group(2, undefined={"test/f1": "no class is predicted"})
    result["runs"][0]["undefined"] = {"test/auroc": "one class only", "test/r2(a)": "constant"}
    result["runs"][1]["undefined"] = {"test/auroc": "one class only", "test/f1": "one class only"}
    assert evaluation_gaps(result) == [
        "test/f1 is undefined: no class is predicted",
        "test/auroc, test/f1 are undefined: one class only",
    ]
    assert evaluation_gaps(RUN) == []


def test_shares_of_labels_by_hand() -> None:
    """Of 10 examples 4 are comedies; 3 are predicted, 2 rightly.  Of a label that never occurs shares are unknown."""
    table = per_label_of(
        ["genre", "rare"], [("no", "comedy"), ("0", "1")], [[[5, 1], [2, 2]], [[10, 0], [0, 0]]]
    )
    comedy, rare = table["labels"]
    assert (comedy["examples"], comedy["positives"], comedy["predicted"], comedy["right"]) == (10, 4, 3, 2)
    assert (comedy["precision"], comedy["recall"], comedy["f1"]) == (2 / 3, 2 / 4, 4 / 7)
    assert (comedy["accuracy"], comedy["baseline"]) == (7 / 10, 6 / 10)
    assert (rare["precision"], rare["recall"], rare["f1"]) == (None, None, None)
    assert (rare["accuracy"], rare["baseline"]) == (1.0, 1.0)
    head, first, second = cells(labels_sheet(table))
    assert head[-2:] == ["accuracy", "largest class"]
    assert first == ["genre=comedy", "10", "4", "3", "2", "66.67%", "50.00%", "57.14%", "70.00%", "60.00%"]
    assert second == ["rare=1", "10", "0", "0", "0", "–", "–", "–", "100.00%", "100.00%"]


def test_columns_that_are_alike_share_a_line() -> None:
    about = [
        About("id", "left out", "identifier", "each occurs once", "", ""),
        About("height", "feature", "number", "", "1 input", ""),
        About("price", "target", "number", "", "the target", "in units of its deviation"),
        About("weight", "feature", "number", "", "1 input", ""),
        About("colour", "feature", "category", "", "3 inputs", ""),
    ]
    assert column_lines(about) == [
        "target     number     price: the target; in units of its deviation",
        "feature    number     height, weight (2): 1 input each",
        "feature    category   colour: 3 inputs",
        "left out   identifier id: each occurs once",
    ]
    assert column_lines([]) == []


def test_text_for_python_keeps_long_lines_and_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    """No markup is read, no line is folded, no line ends in blanks."""
    monkeypatch.setenv("COLUMNS", "40")
    long = "[bold]x[/bold] :smile: " + "word " * 40
    shown = as_text(long, metric_table({"best": {"test/rmse": 1.5}})).splitlines()
    assert shown[0] == long.rstrip()
    assert [line.split() for line in shown[1:]] == [["metric", "best"], ["test/rmse", "1.5"]]
    assert all(line == line.rstrip() for line in shown)
