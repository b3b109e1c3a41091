"""Settings side by side: cells, sentences and plain data where folds, losses, statuses and names differ."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from nnrun.report.entry import Entry
from nnrun.report.gather import gather
from nnrun.report.run.page import page
from nnrun.report.side_by_side import SideBySide, differing, side_by_side, value
from nnrun.report.side_by_side_text import as_csv, as_data, as_markdown, as_sheet
from nnrun.statistics.metric import SHARE, Metric

ACCURACY, VALIDATED, LOSS = (
    Metric("test/accuracy", True, SHARE),
    Metric("val/accuracy", True, SHARE),
    Metric("test/loss", False),
)
FOLDS: Any = {"count": 4, "ratio": 1 / 3, "partition": "p"}


def entry(name: str, values: list[float] = [], metric: str = "test/accuracy", **changes: Any) -> Entry:  # noqa: B006
    known = Entry(
        name=name, runs=(Path(f"runs/{name}"),), status="done", settings={}, written=frozenset(), judged="val/accuracy",
        metrics={metric: dict(enumerate(values))} if values else {}, seeds=tuple(range(len(values))) or (0,),
        rising=frozenset({"accuracy"}), bounds={"accuracy": SHARE}, data=("digest", 0, None), code=(("m.py", name),),
    )  # fmt: skip
    return known._replace(**changes)


def folds(name: str, values: list[float], **changes: Any) -> Entry:
    return entry(name, values, "val/accuracy", **{"folds": FOLDS, "data": ("folds", "p"), **changes})


def cells(comparison: SideBySide) -> list[list[str]]:
    columns = [
        [column.head, *(cell.plain for cell in column.cells)] for column in as_sheet(comparison).columns
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def test_the_interval_of_folds_knows_that_they_share_examples() -> None:
    """Nadeau & Bengio: the variance of the mean is s² (1/4 + 1/3), not s²/4; t with 3 degrees of freedom."""
    values = [0.5, 0.6, 0.7, 0.6]
    mean, low, high = value(folds("a", values), VALIDATED)
    half = stats.t.ppf(0.975, 3) * stats.tstd(values) * (1 / 4 + 1 / 3) ** 0.5
    assert (
        mean == pytest.approx(0.6) and low == pytest.approx(0.6 - half) and high == pytest.approx(0.6 + half)
    )


def test_folds_have_no_interval_on_one_test_part_or_where_one_is_lost() -> None:
    tested = folds("a", [])._replace(metrics={"test/accuracy": dict(enumerate([0.5, 0.6, 0.7, 0.6]))})
    assert value(tested, ACCURACY) == (pytest.approx(0.6), None, None)
    assert value(folds("a", [0.5, 0.6, 0.7]), VALIDATED) == (pytest.approx(0.6), None, None)
    assert value(entry("a"), ACCURACY) == (None, None, None)


def test_folds_are_compared_by_what_they_validate_with() -> None:
    first = folds("a", [0.5, 0.6, 0.7, 0.6])
    both = first.metrics | {"test/accuracy": dict.fromkeys(range(4), 0.9)}
    comparison = side_by_side([first._replace(metrics=both), folds("b", [0.4, 0.5, 0.6, 0.5])])
    assert comparison.metrics == [VALIDATED] and comparison.metric == VALIDATED
    [pair] = comparison.comparisons
    assert (pair.units, pair.difference) == ("4 folds", pytest.approx(0.1))
    assert comparison.sentences[0] == "a has the best val/accuracy: 60.00%"
    assert cells(comparison)[0] == ["run", "folds", "val/accuracy"]


def test_folds_of_other_partitions_are_not_tested() -> None:
    [line] = side_by_side([folds("a", [0.5, 0.6]), folds("b", [0.5, 0.6], data=("folds", "q"))]).sentences
    assert line.startswith(
        "the folds do not validate with the same examples, so their differences are not tested"
    )
    [line] = side_by_side([folds("a", [0.5, 0.6]), folds("b", [0.5])]).sentences
    assert line == "no two runs have a value in every fold"


def test_a_fold_that_is_missing_is_said() -> None:
    three = [
        folds("a", [0.5, 0.6, 0.7]),
        folds("b", [0.4, 0.5, 0.6]),
        folds("c", [0.9, 0.2])._replace(seeds=(0, 1, 2)),
    ]
    lines = side_by_side(three).sentences
    assert "c has a fold without a value in common with a, so they are not compared" in lines
    assert "c: 1 of 3 folds diverged; its values are of the others" in lines


@pytest.mark.parametrize(("count", "tested"), [(30, True), (31, False)])
def test_thirty_settings_are_tested_each_against_each(count: int, tested: bool) -> None:
    comparison = side_by_side([entry(f"r{i:02d}", [0.5 + i / 100, 0.5]) for i in range(count)])
    assert bool(comparison.comparisons) == tested
    if not tested:
        assert comparison.sentences == [
            "31 runs are too many to test each against each; name the 30 that matter"
        ]


def test_a_difference_that_is_open_has_the_seeds_that_would_show_it() -> None:
    first, second = [0.90, 0.91, 0.93, 0.92, 0.90], [0.89, 0.91, 0.90, 0.92, 0.91]
    lines = side_by_side([entry("a", first), entry("b", second)]).sentences
    assert lines[0] == "a has the best test/accuracy: 91.20%"
    assert lines[1].startswith("a and b show no significant difference (p = ")
    assert lines[1].endswith("seeds would show one, if it is the 0.60 points seen")


def test_losses_that_differ_leave_the_decision_to_another_metric() -> None:
    def run(name: str, kind: str, /, **metrics: float) -> Entry:
        known = {f"test/{metric}": {0: number, 1: number} for metric, number in metrics.items()}
        return entry(
            name,
            settings={"loss.name": kind},
            metrics=known,
            seeds=(0, 1),
            judged="val/loss",
            rising=frozenset({"r2", "accuracy"}),
        )

    comparison = side_by_side(
        [run("a", "huber", loss=1.0, mae=2.0, r2=0.5), run("b", "mse", loss=2.0, mae=1.0, r2=0.25)]
    )
    assert comparison.metric is not None and comparison.metric.name == "test/r2"
    assert (
        comparison.sentences[0] == "the losses differ, and test/loss is of each its own, so test/r2 decides"
    )
    only_loss = side_by_side([run("a", "huber", loss=1.0), run("b", "mse", loss=2.0)])
    assert only_loss.metric is None and only_loss.sentences == [
        "the losses differ, and test/loss is of each its own"
    ]
    same = side_by_side([run("a", "mse", loss=1.0, r2=0.5), run("b", "mse", loss=2.0, r2=0.25)])
    assert same.metric == LOSS


def test_a_metric_of_one_target_is_shown_where_it_judges() -> None:
    metrics = {"test/rmse": {0: 1.0}, "test/rmse(a)": {0: 2.0}, "test/rmse(b)": {0: 3.0}}
    shown = side_by_side([entry(name, metrics=metrics, judged="val/rmse(a)") for name in "xy"])
    assert [metric.name for metric in shown.metrics] == ["test/rmse", "test/rmse(a)"]
    assert shown.metric is not None and shown.metric.name == "test/rmse(a)"


def test_which_keys_differ() -> None:
    """An option of one block alone counts where it was written; what changes nothing never does."""
    a = entry(
        "a",
        settings={
            "name": "x",
            "train.seed": 0,
            "optimizer.name": "adam",
            "optimizer.b1": 0.9,
            "model.depth": 2,
        },
    )
    b = entry(
        "b",
        settings={
            "name": "y",
            "train.seed": 1,
            "optimizer.name": "sgd",
            "optimizer.momentum": 0.9,
            "model.depth": 2,
        },
    )
    assert differing([a, b]) == ["optimizer.name"]
    assert differing([a._replace(written=frozenset({"optimizer.b1"})), b]) == [
        "optimizer.name",
        "optimizer.b1",
    ]
    wider = a._replace(settings={**a.settings, "optimizer.name": "sgd", "model.width": 8})
    assert differing([wider, b]) == ["optimizer.b1", "model.width", "optimizer.momentum"]  # one block, partly


def compared() -> SideBySide:
    a = entry("a", [0.5, 0.75], settings={"rate": 0.123456, "on": True}, status="done")
    b = entry("<b>|c", settings={"rate": 0.2, "name": "x"}, status="running", seeds=(0, 1, 2))
    return side_by_side([a, b])


def test_the_table_of_runs_that_have_not_all_ended() -> None:
    assert cells(compared()) == [
        ["run", "a", "<b>|c"], ["status", "done", "running"], ["rate", "0.1235", "0.2"], ["on", "true", "–"],
        ["seeds", "2", "0 of 3"], ["test/accuracy", "62.50% [0.00, 100.00]", "–"],
    ]  # fmt: skip


def test_the_forms_for_other_programs() -> None:
    first, second = csv.DictReader(io.StringIO(as_csv(compared())))
    assert (first["on"], first["test/accuracy"], first["test/accuracy high"], second["on"]) == (
        "true",
        "0.625",
        "1.0",
        "",
    )
    lines = as_markdown(compared()).splitlines()
    assert (
        lines[0] == "| run | status | rate | on | seeds | test/accuracy |" and lines[1] == "| --- " * 6 + "|"
    )
    assert lines[3] == r"| &lt;b>\|c | running | 0.2 | – | 0 of 3 | – |"
    data = as_data(compared())
    assert data["runs"][1]["metrics"]["test/accuracy"] == {
        "mean": None,
        "low": None,
        "high": None,
        "values": {},
    }
    assert data["runs"][0]["folders"] == ["runs/a"] and data["runs"][1]["settings"] == {
        "rate": 0.2,
        "on": None,
    }


def test_runs_that_are_gathered_share_the_beginning_of_their_names() -> None:
    def run(name: str, seed: int, rate: float, **changes: Any) -> Entry:
        return entry(
            name,
            settings={"rate": rate},
            seeds=(seed,),
            metrics={"test/accuracy": {seed: 0.5}},
            code=(),
            **changes,
        )

    names = [
        entry.name for entry in gather([run("fast-1", 0, 1.0), run("fast-2", 1, 1.0), run("slow", 0, 2.0)])[0]
    ]
    assert names == ["fast", "slow"]
    two = gather([run("r-1", 0, 1.0), run("r-2", 1, 1.0), run("r-3", 0, 2.0), run("r-4", 1, 2.0)])[0]
    assert [entry.name for entry in two] == ["r (1.0)", "r (2.0)"]
    without = gather([run("x", 0, 1.0), run("y", 1, 1.0)])[0]
    assert [entry.name for entry in without] == ["x +1"]
    [joined], [note] = gather([run(f"a{i}", i, 1.0, status="done" if i else "running") for i in range(5)])
    assert joined.status == "running, done" and joined.seeds == (0, 1, 2, 3, 4)
    assert note == "a: 5 runs that differ in nothing but the seed: a0, a1, ..., a4"


def test_a_second_run_of_a_seed_is_a_setting_of_its_own() -> None:
    twice = [entry(name, [value], settings={"rate": 1}, code=()) for name, value in (("a", 0.5), ("b", 0.6))]
    settings, notes = gather(twice)
    assert len(settings) == 2
    assert notes == [
        "a and b have the same settings and a seed in common: a second run of a seed is not counted as a further seed"
    ]
    _, notes = gather([folds("a", [0.5], code=()), folds("b", [0.6], code=())])
    assert notes == [
        "a and b have the same settings and the same folds: a second run of a fold is not counted as a further one"
    ]
    _, notes = gather([twice[0], twice[1]._replace(seeds=(1,), data=("other", 0, None))])
    assert notes == ["a and b have the same settings, but other data: they are not gathered"]


def test_the_page_of_a_comparison_begins_with_what_the_tests_say() -> None:
    html = page([], {}, compared())
    assert '<p class="lead">there is no test/accuracy of ' in html
    assert "<h2>Results</h2>" in html and "&lt;b&gt;|c" in html
