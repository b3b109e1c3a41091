"""Effects of factors, tables for any width, what a report is about, and live views: from content made by hand."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text

from nnrun.errors import RunError
from nnrun.report import live
from nnrun.report.content import read_content
from nnrun.report.described import describe
from nnrun.report.html import sheet_table
from nnrun.report.listed import ListOptions, listed
from nnrun.report.plot import curve
from nnrun.report.run.charts import charts_of
from nnrun.report.run.subject import read_subject
from nnrun.report.run_view import RunView, Shown
from nnrun.report.sheet import Sheet, SheetColumn, sheet_of
from nnrun.report.sweep.effects import as_data, effect_cells, effect_sentences, mean_tables
from nnrun.report.sweep.folder import AlternativeRecord, SweepRecord, TrialRecord
from nnrun.report.sweep.judged_on import other_examples
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.factors import Factors, Interaction, MainEffect
from nnrun.statistics.metric import SHARE, Metric

TESTED, LOSS = Metric("test/accuracy", True, SHARE), Metric("test/loss", False)
LEVELS = {"optimizer": ("sgd", "adam"), "schedule": ("constant", "cosine", "linear")}
MEANS = {
    ("sgd", "constant"): 0.80, ("sgd", "cosine"): 0.84, ("sgd", "linear"): 0.85,
    ("adam", "constant"): 0.90, ("adam", "cosine"): 0.91, ("adam", "linear"): 0.92,
}  # fmt: skip


def pair(first: str, second: str, value: float, p: float = 0.001, **changes: Any) -> PairComparison:
    return PairComparison(first, second, value, value - 0.01, value + 0.01, p, p, 8, None, **changes)


def factors(*interactions: Interaction, studies: bool = False, **changes: Any) -> Factors:
    effects = [
        MainEffect("optimizer", pair("sgd", "adam", -0.08, **changes)),
        MainEffect("schedule", pair("constant", "cosine", -0.025, 0.5)),
        MainEffect("schedule", pair("cosine", "linear", -0.01, 0.5)),
    ]
    return Factors(LEVELS, MEANS, effects, [*interactions], studies)


MEETING = Interaction(("optimizer", "schedule"), ("sgd", "constant"), -0.02, (-0.03, -0.01), 0.004, 0.012, 8)


def test_each_factor_has_its_best_level_against_the_others() -> None:
    """linear has the best mean, (0.85 + 0.92) / 2; that of constant against cosine is not said."""
    assert list(effect_sentences(TESTED, factors())) == [
        "optimizer, mean over schedule: adam beats sgd by 8.00 points [7.00, 9.00] (p = 0.001, 8 seeds)",
        "schedule, mean over optimizer: cosine and linear show no significant difference (p = 0.5, 8 seeds)",
    ]
    falling = list(effect_sentences(LOSS, factors()))
    assert falling[0].startswith("optimizer, mean over schedule: sgd beats adam by 0.08")
    assert "constant and cosine" in falling[1]  # the least mean is that of constant


def test_what_two_factors_do_together() -> None:
    last = [*effect_sentences(TESTED, factors(MEETING))][-1]
    assert last == (
        "at these settings what optimizer does depends on schedule: sgd with constant is 2.00 points [1.00, 3.00] "
        "below the sum of both effects (p = 0.012, 8 seeds; other examples are not looked at)"
    )
    searched = [*effect_sentences(TESTED, factors(MEETING._replace(excess=0.02), searched=True))][-1]
    assert "above the sum of both effects" in searched
    assert searched.endswith("(p = 0.012, 8 seeds; other searches and other examples are not looked at)")
    studies = [*effect_sentences(TESTED, factors(MEETING, studies=True, searched=True))][-1]
    assert (
        studies.startswith("what optimizer does depends on schedule")
        and "8 studies; other examples" in studies
    )
    none = [*effect_sentences(TESTED, factors(MEETING._replace(adjusted=0.3)))][-1]
    assert none == "optimizer and schedule show no significant interaction (p = 0.3, 8 seeds)"


def test_the_table_of_means_has_means_at_its_ends() -> None:
    [(head, rows)] = mean_tables(TESTED, factors())
    assert head == ["optimizer × schedule", "constant", "cosine", "linear", "mean"]
    assert rows == [
        ["sgd", "80.00%", "84.00%", "85.00%", "83.00%"],
        ["adam", "90.00%", "91.00%", "92.00%", "91.00%"],
        ["mean", "85.00%", "87.50%", "88.50%", "87.00%"],
    ]


def test_three_factors_are_taken_two_by_two() -> None:
    levels = {"a": ("1", "2"), "b": ("x", "y"), "c": ("p", "q")}
    means = {
        (a, b, c): float(4 * i + 2 * j + k)
        for i, a in enumerate("12")
        for j, b in enumerate("xy")
        for k, c in enumerate("pq")
    }
    tables = [*mean_tables(LOSS, Factors(levels, means, [], []))]
    assert [head[0] for head, _ in tables] == ["a × b", "a × c", "b × c"]
    assert [row[1:] for row in tables[1][1]] == [["1", "2", "1.5"], ["5", "6", "5.5"], ["3", "4", "3.5"]]


def test_an_interaction_is_a_row_below_the_effects() -> None:
    *effects, last = effect_cells(TESTED, factors(MEETING))
    assert [cells["factor"] for cells in effects] == ["optimizer", "schedule", "schedule"]
    assert (last["factor"], last["first"], last["second"]) == ("optimizer × schedule", "sgd", "constant")
    assert (last["difference"], last["seeds"], last["p"], last["p (Holm)"]) == (
        "-2.00 [-3.00, -1.00]",
        "8",
        "0.004",
        "0.012",
    )
    assert (last["verdict"], last["better"]) == ("they interact", "–") and last.keys() == effects[0].keys()
    data = as_data(factors(MEETING))
    assert data["interactions"][0]["significant"] is True  # type: ignore[index,call-overload]
    assert data["means"][0] == {"levels": ["sgd", "constant"], "mean": 0.80}  # type: ignore[index]


def judged(*digests: str | None, varied: str = "data.split_seed") -> list[str]:
    trials = tuple(
        TrialRecord(
            f"a-{i}", "digits", "a", i, "", {varied: i}, "done", 0.5, (0.5,), 1, 1.0, None, judged_on=digest
        )
        for i, digest in enumerate(digests)
    )
    record = SweepRecord(
        Path("nowhere"),
        "s",
        TESTED,
        "random",
        False,
        2,
        1,
        0,
        None,
        ("digits",),
        (AlternativeRecord("a", {}, ()),),
        trials,
        (),
    )
    return list(other_examples(record, "digits"))


def test_trials_that_were_judged_on_other_examples() -> None:
    [line] = judged("x", "y")
    assert line.startswith("data.split_seed differs between trials, and so do validation or test examples:")
    [line] = judged("x", "y", varied="optimizer.learning_rate")
    assert line.startswith(
        "there are different validation or test examples: trials were not judged on the same"
    )
    assert judged("x", "x", None) == []  # one could not begin


# tables


def lines(sheet: Sheet, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(sheet)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_numbers_stand_to_the_right_and_names_to_the_left() -> None:
    assert lines(sheet_of(["run", "loss", "n"], [["a", "1.5", "10"], ["long", "0.25", "7"]]), 80) == [
        "run   loss   n",
        "a      1.5  10",
        "long  0.25   7",
    ]  # fmt: skip


def test_words_take_what_the_numbers_leave() -> None:
    """32 columns: the name 1, a gap of 2, the number 3, a gap of 2: 24 are left for the words."""
    words = SheetColumn("why", [Text("one two three four five six")], "words")
    sheet = Sheet([SheetColumn("a", [Text("x")], "name"), SheetColumn("n", [Text("123")]), words])
    assert lines(sheet, 32) == ["a    n  why", "x  123  one two three four five", "        six"]


def test_a_column_knows_its_widths() -> None:
    column = SheetColumn("on fresh seeds", [Text("12"), Text("x" * 9)])
    assert (column.unfolded, column.width, column.narrowest_head, column.narrowest) == (14, 9, 5, 9)
    words = replace(column, kind="words", cells=[Text("a " * 30 + "b" * 26)])
    assert (words.narrowest, SheetColumn("h", [Text("a b")], "words").narrowest) == (26, 3)


def test_a_sheet_on_a_page_keeps_its_kinds() -> None:
    sheet = Sheet(
        [
            SheetColumn("a", [Text("<x>", "bold")], "name"),
            SheetColumn("n", [Text("1")]),
            SheetColumn("w", [Text("y")], "words"),
        ]
    )
    html = sheet_table(sheet)
    assert '<td class="">&lt;x&gt;</td><td class="number">1</td><td class="text">y</td>' in html


def test_a_curve_as_text_is_an_eighth_fine() -> None:
    """Of ten rows a half fills five; one part in eighty is one eighth of the lowest."""
    rows = curve([0.5, 1 / 80, -1.0, 2.0], ("left", "r"), ("low", "high")).splitlines()
    assert [row[6:] for row in rows[:10]] == ["   █"] * 5 + ["█  █"] * 4 + ["█▁ █"]
    assert rows[0][:6] == "high │" and rows[9][:6] == " low │" and rows[1][:6] == "     │"
    assert rows[10] == "     └────" and rows[11] == "      leftr"


# what a report is about


def run_in(folder: Path, values: list[float], status: str = "done", **summary: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(json.dumps({"status": status, "step": 20}))
    rows = [json.dumps({"step": 10 * (i + 1), "val/accuracy": value}) for i, value in enumerate(values)]
    (folder / "metrics.jsonl").write_text("".join(f"{line}\n" for line in rows))
    if summary:
        (folder / "summary.json").write_text(json.dumps({"status": status, "steps": 20, **summary}))
    return folder


BEST = {"metric": "val/accuracy", "value": 0.9, "step": 20}
ABOUT: Any = {"best": BEST, "rising": ["accuracy"], "bounds": {"accuracy": [0, 1]}, "metrics": {"best": {}}}


def group_in(folder: Path, **changes: Any) -> Path:
    members = []
    for seed, values in enumerate(([0.5, 0.7], [0.6, 0.9])):
        run_in(folder / f"seed_{seed}", values)
        members.append({"run": f"seed_{seed}", "status": "done", "steps": 20, **ABOUT})
    (folder / "state.json").write_text('{"status": "done"}')
    content = {"status": "done", "steps": 20, "runs": members, "mean": {}, "ci95": {}, **changes}
    (folder / "summary.json").write_text(json.dumps(content))
    return folder


def test_a_run_alone_has_its_values_as_they_were_logged(tmp_path: Path) -> None:
    subject = read_subject("a", run_in(tmp_path / "a", [0.5, 0.75], **ABOUT))
    line = subject.lines["val/accuracy"]
    assert (line.label, line.x.tolist(), line.y.tolist(), line.low) == ("a", [10, 20], [0.5, 0.75], None)
    assert (subject.runs, subject.unit, subject.judge) == (1, "seeds", Metric("val/accuracy", True, SHARE))
    assert read_subject("b", run_in(tmp_path / "b", [0.5])).judge is None


def test_before_there_is_a_summary_run_json_says_what_metrics_are(tmp_path: Path) -> None:
    """A run that was killed: its accuracy is in percent, as that of others."""
    folder = run_in(tmp_path / "a", [0.5, 0.75], "running")
    metrics = {"judge": "val/accuracy", "rising": ["accuracy"], "bounds": {"accuracy": [0, 1]}}
    (folder / "run.json").write_text(json.dumps({"metrics": metrics}))
    subject = read_subject("a", folder)
    assert subject.judge == Metric("val/accuracy", True, SHARE)
    [chart] = charts_of([subject])
    assert (chart.y_label, chart.lines[0].y.tolist()) == ("accuracy (%)", [50, 75])


def test_the_band_of_a_norm_ends_at_0(tmp_path: Path) -> None:
    folder = group_in(tmp_path / "g")
    for seed, norm in enumerate((0.5, 0.75)):
        (folder / f"seed_{seed}/metrics.jsonl").write_text(json.dumps({"step": 10, "grad/norm": norm}) + "\n")
    line = read_subject("g", folder).lines["grad/norm"]
    assert line.low is not None and line.low.tolist() == [0] and line.y.tolist() == [0.625]


def test_that_a_seed_keeps_its_last_value_is_said_where_one_stopped_early(tmp_path: Path) -> None:
    for name, steps, said in (("a", 20, False), ("b", 10, True)):
        folder = group_in(tmp_path / name)
        summary = json.loads((folder / "summary.json").read_text())
        summary["runs"][0]["steps"] = steps
        (folder / "summary.json").write_text(json.dumps(summary))
        [chart] = charts_of([read_subject("g", folder)])
        assert ("stopped early" in chart.caption) is said


def test_seeds_have_a_band_that_ends_where_the_metric_does(tmp_path: Path) -> None:
    """0.8 ± 12.7062 · 0.1 is cut to a share."""
    subject = read_subject("g", group_in(tmp_path / "g"))
    line = subject.lines["val/accuracy"]
    assert line.low is not None and line.high is not None
    assert line.y == pytest.approx([0.55, 0.8]) and (line.low[1], line.high[1]) == (0, 1)
    assert line.low[0] == 0 and line.high[0] == 1  # 0.55 ± 0.635
    assert subject.runs == 2 and subject.judge is not None and subject.judge.rising


def test_members_of_an_ensemble_are_not_called_seeds(tmp_path: Path) -> None:
    """They may differ in any setting."""
    folder = group_in(tmp_path / "together")
    as_seeds = read_subject("g", folder)
    assert as_seeds.unit == "seeds"
    (folder / "ensemble.json").write_text("{}")
    subject = read_subject("g", folder)
    assert subject.unit == "members"
    np.testing.assert_array_equal(subject.lines["val/accuracy"].low, as_seeds.lines["val/accuracy"].low)
    [chart] = charts_of([subject])
    assert chart.caption == "Means over 2 members; the bands are their 95% intervals (Student's t)."


def test_folds_have_a_mean_without_a_band(tmp_path: Path) -> None:
    folds = {"count": 2, "ratio": 1.0, "partition": "p"}
    subject = read_subject("g", group_in(tmp_path / "g", folds=folds))
    assert subject.unit == "folds" and subject.lines["val/accuracy"].low is None
    [chart] = charts_of([subject])
    assert chart.caption == "Means over 2 folds." and chart.lines[0].y == pytest.approx([55, 80])


def test_seeds_that_all_diverged_have_no_line(tmp_path: Path) -> None:
    folder = group_in(tmp_path / "g")
    for seed in range(2):
        (folder / f"seed_{seed}/metrics.jsonl").write_text('{"step": 10, "val/accuracy": "NaN"}\n')
    assert read_subject("g", folder).lines == {}


def test_a_description_has_the_columns_and_notes_of_its_table(tmp_path: Path) -> None:
    folder = run_in(tmp_path / "a", [0.5])
    assert "columns" not in describe(folder) and "notes" not in describe(folder)
    content = read_content(folder)
    assert (content.status, content.members, content.checkpoints, content.origin) == ("done", [], [], {})
    (folder / "summary.json").write_text("{")
    with pytest.raises(RunError, match=r"summary\.json: damaged; restore it, or remove it: `nnrun resume"):
        describe(folder)


def test_settings_are_read_of_at_most_a_hundred_rows_unless_they_are_asked_for(tmp_path: Path) -> None:
    folders = []
    for i in range(101):
        folder = run_in(tmp_path / f"r{i:03d}", [])
        (folder / "resolved.yaml").write_text(
            f"data: {{name: digits}}\noptimizer: {{name: sgd, learning_rate: {i}}}\n"
        )
        (folder / "spec.yaml").write_text(f"optimizer: {{learning_rate: {i}}}\n")
        folders.append(folder)
    assert all(row.get("settings") == {} for row in listed(folders, ListOptions())[0])
    rows, _ = listed(folders, ListOptions(limit=100))
    assert len(rows) == 100 and all(row.get("settings") for row in rows)
    rows, _ = listed(folders, ListOptions(conditions=["learning_rate>98"]))
    assert [row.get("settings") for row in rows] == [
        {"optimizer.learning_rate": 99},
        {"optimizer.learning_rate": 100},
    ]


# live views


def shown(step: int, phase: str = "training", **changes: Any) -> Shown:
    return Shown("run", phase, step, 100, step / 10, 10.0, "", {"train/loss": 1.0 / (step + 1)}, "")._replace(
        **changes
    )


def drawn(view: RunView, news: Shown, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(view.drawing(news, width))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    return now


def test_the_pace_is_counted_from_the_first_call(clock: list[float]) -> None:
    pace = live.Pace()
    assert pace(40) == (0.0, 0.0)
    clock[0] = 5.0
    assert pace(50) == (5.0, 2.0)


@pytest.mark.parametrize(
    ("seconds", "speed"), [(10.0, "5.00 steps/s  0:10 left"), (2.0, "25 steps/s  0:02 left")]
)
def test_a_drawing_has_the_speed_and_the_metrics_of_the_optimizer_last(
    seconds: float, speed: str, clock: list[float]
) -> None:
    view = RunView()
    view.notice(shown(0))
    clock[0] = seconds
    metrics = {
        "update/ratio": 0.5,
        "learning_rate": 0.1,
        "grad/norm": 2.0,
        "val/loss": 0.123456,
        "val/r2(a)": 1.0,
        "train/loss": 0.5,
    }
    news = shown(50, metrics=metrics, best="val/loss 0.1 at step 40", runs="3 of 3 seeds")
    view.notice(news)
    rows = drawn(view, news)
    assert rows[0].startswith("run ") and rows[0].endswith(speed)
    assert rows[1] == "epoch 5.0/10  step 50/100  3 of 3 seeds"
    assert [row.split() for row in rows[2:7]] == [
        ["train/loss", "0.5"], ["val/loss", "0.12346"], ["grad/norm", "2"], ["learning_rate", "0.1"],
        ["update/ratio", "0.5"],
    ]  # fmt: skip
    assert rows[7:] == ["train/loss █▁", "best val/loss 0.1 at step 40"]


def test_before_training_the_phase_stands_in_place_of_the_speed() -> None:
    view = RunView()
    news = shown(0, "compiling", metrics={})
    view.notice(news)
    rows = [row for row in drawn(view, news) if row]
    assert rows[0].endswith("compiling") and rows[1:] == ["epoch 0.0/10  step 0/100"]


def test_another_fold_starts_over(clock: list[float]) -> None:
    view = RunView()
    view.notice(shown(0, fold="fold 1 of 2"))
    clock[0] = 10.0
    view.notice(shown(100, fold="fold 1 of 2"))
    view.notice(shown(0, fold="fold 2 of 2"))
    clock[0] = 20.0
    view.notice(shown(50, fold="fold 2 of 2"))
    rows = drawn(view, shown(50, fold="fold 2 of 2"))
    assert "5.00 steps/s  0:10 left" in rows[0] and rows[1].endswith("fold 2 of 2")
    assert rows[-1] == "train/loss █▁"  # of this fold alone
    assert view.history(shown(60, fold="fold 2 of 2")) == ""
    assert view.line(shown(50, fold="fold 2 of 2")).startswith(
        "fold 2 of 2  epoch 5/10  step 50/100  train/loss 0.01961"
    )


def test_the_history_has_a_line_for_each_twentieth() -> None:
    view = RunView()
    metrics = {"train/loss": 0.5, "train/accuracy": 0.75, "val/loss": 0.25}
    assert view.history(shown(4, metrics=metrics)) == ""
    assert (
        view.history(shown(5, metrics=metrics)) == "epoch 0.5/10  step 5/100  train/loss 0.5  val/loss 0.25"
    )
    assert view.history(shown(9, metrics=metrics)) == "" != view.history(shown(10, metrics=metrics))
    assert view.history(shown(50, "testing", metrics=metrics)) == "" == view.history(shown(50, metrics={}))


def test_a_row_of_bars_keeps_its_stride_from_the_newest() -> None:
    assert (
        live.sparkline([0.0, 9.0, 1.0, 9.0, 2.0], 3) == "▁▅█" and live.sparkline([1.0, np.inf, 2.0]) == "▁█"
    )
