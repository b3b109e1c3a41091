"""Lists of runs, what `show` says of one, and the pages of sweeps and ensembles: cells and lines by hand."""

from __future__ import annotations

import io
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nnrun.errors import SpecError
from nnrun.report.chosen_rows import (
    Condition,
    columns_of,
    conditions,
    matching,
    needs_settings,
    resolve,
    sort,
)
from nnrun.report.ensemble.page import page as ensemble_page
from nnrun.report.ensemble.tables import gain_line, member_table, names_of
from nnrun.report.overview import OverviewRow, overview, overview_table, value_of
from nnrun.report.settings import setting_text, settings_text
from nnrun.report.sheet import Sheet
from nnrun.report.sweep.findings import Answer, BaseAnswer
from nnrun.report.sweep.folder import (
    AlternativeRecord,
    DimensionRecord,
    FinalRecord,
    SweepRecord,
    TrialRecord,
)
from nnrun.report.sweep.page import page as sweep_page
from nnrun.report.sweep.reached import Reached
from nnrun.report.sweep.rows import AnswerRow
from nnrun.report.table import show_view
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.metric import SHARE, Metric

NOW = 1_000_000.0


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)


def cells(sheet: Sheet) -> list[list[str]]:
    """The rows, the head first."""
    columns = [[column.head, *(cell.plain for cell in column.cells)] for column in sheet.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def row(run: str = "runs/a", **changes: Any) -> OverviewRow:
    known: Any = {
        "run": run,
        "status": "done",
        "step": 100,
        "best": {"val/loss": 0.5},
        "test": {"test/loss": 0.25},
    }
    return {**known, **changes}


def test_a_list_has_a_column_for_all_that_some_run_has() -> None:
    rows = [
        row(tags=["x", "y"], changed=NOW - 7200),
        row("runs/b", status="running", step=None, best={"val/f1": 0.75, "val/f1(a)": 1.0}, test={}),
    ]
    assert cells(overview_table(rows)) == [
        ["run", "status", "step", "tags", "val/f1", "val/loss", "test/loss", "changed"],
        ["runs/a", "done", "100", "x y", "", "0.5", "0.25", "2 h ago"],
        ["runs/b", "running", "", "", "0.75", "", "", ""],
    ]


def test_the_columns_that_are_asked_for() -> None:
    rows = [
        row(
            settings={"optimizer.name": "adam", "optimizer.learning_rate": 0.012345, "model.batch_norm": True}
        )
    ]
    shown = cells(
        overview_table(rows, ["optimizer.learning_rate", "model.batch_norm", "settings", "test/loss"])
    )
    assert shown[1] == [
        "runs/a",
        "0.01235",
        "true",
        "optimizer=adam  learning_rate=0.01235  batch_norm=true",
        "0.25",
    ]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "done"),
        ({"reason": "stopped early at step 9"}, "done (stopped early)"),
        ({"status": "failed", "reason": "no memory"}, "failed"),
        ({"status": "damaged", "reason": "run.json"}, "damaged (run.json)"),
        ({"status": "damaged"}, "damaged"),
        ({"seeds": 5, "done": 5}, "done (5 seeds)"),
        ({"seeds": 5, "done": 4, "early": 2}, "done (4 of 5 seeds, 2 stopped early)"),
        ({"folds": 5, "done": 0, "status": "diverged"}, "diverged (0 of 5 folds)"),
    ],
)
def test_the_status_in_a_list(changes: dict[str, Any], text: str) -> None:
    assert cells(overview_table([row(**changes)], ["status"]))[1][1] == text


def test_values_of_a_row() -> None:
    known = row(settings={"step": 7, "model.name": "mlp"}, tags=["a", "b"], seeds=3, folds=2, changed=5.0)
    names = (
        "test/loss",
        "val/loss",
        "model.name",
        "step",
        "tags",
        "seeds",
        "folds",
        "changed",
        "run",
        "status",
        "x",
    )
    assert [value_of(known, name) for name in names] == [
        0.25,
        0.5,
        "mlp",
        7,
        "a b",
        3,
        2,
        5.0,
        "runs/a",
        "done",
        None,
    ]
    assert value_of(row(), "tags") is None and value_of(row(best=None), "val/loss") is None


def test_a_short_name_is_what_it_ends_in() -> None:
    rows = [
        row(settings={"model.name": "mlp", "model.dropout": 0.5, "data.name": "x", "a.rate": 1, "b.rate": 2})
    ]
    wanted = {
        "loss": "test/loss",
        "val/loss": "val/loss",
        "model": "model.name",
        "dropout": "model.dropout",
        "step": "step",
    }
    assert {name: resolve(name, rows, "--sort") for name in wanted} == wanted
    with pytest.raises(
        SpecError, match=r"--sort: rate can be a\.rate or b\.rate; write the one you mean in full"
    ):
        resolve("rate", rows, "--sort")
    with pytest.raises(SpecError, match=r"--sort: no run has 'dropuot'; did you mean dropout"):
        resolve("dropuot", rows, "--sort")
    assert columns_of(" loss , run,,step", rows) == ["test/loss", "step"]


def test_settings_are_read_where_a_name_needs_them() -> None:
    assert not needs_settings(["loss", "status", "tags"], [row()])
    assert needs_settings(["loss", "dropout"], [row()]) and needs_settings(["settings"], [row()])


def test_blanks_around_a_sign_are_refused_with_what_is_wrong() -> None:
    """Blanks stand between conditions, so of `loss < 1` only a name is left."""
    with pytest.raises(SpecError, match="got 'loss'; write NAME=VALUE without blanks, or one of"):
        conditions(["loss < 1"])
    [condition] = conditions(["loss<1"])
    assert (condition.name, condition.sign, condition.value) == ("loss", "<", 1)


def test_a_condition_is_split_at_its_first_sign() -> None:
    assert conditions(["a>=1 b~x=y", "c!=true"]) == [
        Condition("a", ">=", 1, "1", "a>=1"), Condition("b", "~", "x=y", "x=y", "b~x=y"),
        Condition("c", "!=", True, "true", "c!=true"),
    ]  # fmt: skip
    for text in ("a", "a=", "=1"):
        with pytest.raises(SpecError, match="write NAME=VALUE"):
            conditions([text])


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("step>100", "c"), ("step>=100", "bc"), ("step<100", ""), ("step<=100", "b"), ("step=100", "b"),
        ("step!=100", "ac"),
        ("val/loss=0.1235", "b"), ("tags=two", "c"), ("tags=tw", ""), ("tags~TW", "c"), ("status=done", "abc"),
    ],
)  # fmt: skip
def test_conditions_on_values(text: str, kept: str) -> None:
    rows = [
        row("a", step=None, best=None), row("b", best={"val/loss": 0.123456}), row("c", step=200, tags=["one", "two"]),
    ]  # fmt: skip
    assert "".join(known["run"] for known in matching(rows, conditions([text]))) == kept


def test_no_rows_have_no_order_and_no_conditions() -> None:
    assert sort([], "nonsense") == [] == matching([], conditions(["nonsense=1"]))


def test_texts_come_behind_numbers_and_nan_behind_all() -> None:
    rows = [
        row("a", best={"val/loss": "nan"}),
        row("b", settings={"x": "w"}),
        row("c", settings={"x": 2}),
        row("d", settings={"x": 1}),
    ]
    assert "".join(known["run"] for known in sort(rows, "x")) == "dcba"
    assert "".join(known["run"] for known in sort(rows, "-x")) == "bcda"
    assert sort(rows, "val/loss")[-1]["run"] == "a"


def test_settings_as_words() -> None:
    settings = {
        "optimizer.name": "adam",
        "optimizer.learning_rate": 1 / 3,
        "a.width": 1,
        "b.width": [2, 3],
        "c": None,
    }
    assert (
        settings_text(settings, 2) == "optimizer=adam  learning_rate=0.33  a.width=1  b.width=[2, 3]  c=null"
    )
    assert [setting_text(value) for value in (True, "x", 1e-5, {"a": 1})] == [
        "true",
        "x",
        "1e-05",
        '{"a": 1}',
    ]


def run_in(folder: Path, status: str = "done", **summary: Any) -> Path:
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "state.json").write_text(json.dumps({"status": status, "step": 20}))
    lines = [
        {"step": 10, "epoch": 1, "val/loss": 2.0, "train/loss": 3.0},
        {"step": 20, "epoch": 2, "val/loss": 1.0},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if summary:
        (folder / "summary.json").write_text(json.dumps({"status": status, "steps": 20, **summary}))
    return folder


def shown(folder: Path) -> list[str]:
    console = Console(file=io.StringIO(), width=200)
    console.print(show_view(folder))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


BEST: Any = {"metric": "val/loss", "value": 1.0, "step": 20}
METRICS: Any = {"best": {"val/loss": 1.0, "test/loss": 1.5}}


def test_what_show_says_of_a_run_that_trains(tmp_path: Path) -> None:
    """Without a summary, the newest value of each metric; train/loss was logged before."""
    text = shown(run_in(tmp_path / "run", "interrupted"))
    assert "reached   step 20, epoch 2" in text
    assert ["val/loss", "1"] in [line.split() for line in text] and ["train/loss", "3"] in [
        line.split() for line in text
    ]
    assert f"continue  nnrun resume {tmp_path / 'run'}" in text


def test_what_show_says_of_lost_and_damaged_checkpoints(tmp_path: Path) -> None:
    folder = run_in(tmp_path / "run", best=BEST, metrics=METRICS)
    (folder / "checkpoints/step_00000010").mkdir()
    text = shown(folder)
    assert "lost     the checkpoint of the best step, 20; restore it to evaluate or predict with it" in text
    assert "damaged  checkpoints of steps 10, cut short; restore them from a copy" in text
    assert "kept     checkpoints of steps 10" in text and "best     val/loss 1 at step 20" in text
    assert text[1] == "done after 20 steps: test/loss 1.5  (at step 20, the best by val/loss)"
    assert not [line for line in text if line.startswith("continue")]


def test_what_show_says_of_a_lost_summary(tmp_path: Path) -> None:
    folder = run_in(tmp_path / "my run")
    assert (
        f"lost     summary.json; nnrun resume '{folder}' writes it again from the last checkpoint"
        in shown(folder)
    )


def test_tags_and_a_reason_are_shown(tmp_path: Path) -> None:
    folder = run_in(tmp_path / "run", "failed")
    (folder / "tags.json").write_text('{"tags": ["b", "a"]}')
    (folder / "state.json").write_text('{"status": "failed", "step": 20, "reason": "no memory"}')
    assert shown(folder)[:3] == [f"{folder}  failed", "reason: no memory", "tags     a, b"]


def test_curves_are_those_of_data_with_their_last_values(tmp_path: Path) -> None:
    text = shown(run_in(tmp_path / "run", best=BEST, metrics=METRICS))
    assert [line for line in text if "█" in line or "▁" in line] == ["train/loss ▁ 3", "val/loss   █▁ 1"]


def test_rows_of_a_list_as_they_are_read(tmp_path: Path) -> None:
    done = run_in(tmp_path / "a", best=BEST, metrics=METRICS, rising=["f1"])
    begun, damaged = run_in(tmp_path / "b", "interrupted"), run_in(tmp_path / "c")
    (damaged / "state.json").write_text("{")
    first, second, third = overview([done, begun, damaged])
    assert (first["best"], first["test"], first.get("rising")) == (
        {"val/loss": 1.0},
        {"test/loss": 1.5},
        ["f1"],
    )
    assert (second["status"], second["step"], second["best"]) == ("interrupted", 20, {"val/loss": 1.0})
    assert (third["status"], third.get("reason"), third["best"]) == ("damaged", "state.json", None)


# ensembles


def account(**changes: Any) -> Any:
    members = [
        {
            "name": name, "run": "/runs/a", "step": 20, "epochs": 2.0, "parameters": "trained", "sha256": "f" * 64,
            "weight": 0.5, "metrics": {"loss": 0.5, "f1": 0.25, "f1(a)": 1.0},
        }
        for name in ("a", "<b>")
    ]  # fmt: skip
    known = {
        "average": "logits", "split": "val", "judge": "f1", "rising": ["f1"], "bounds": {"f1": [0, 1]},
        "members": members, "mean": {"loss": 0.5, "f1": 0.25}, "best": None,
        "ensemble": {"loss": 0.25, "f1": 0.5, "ece": 0.1, "f1(a)": 1.0},
        "examples": 10, "gain": {}, "curve": [], "diversity": None,
    }  # fmt: skip
    return {**known, **changes}


def test_the_metric_that_judges_is_the_first_column() -> None:
    assert names_of(account()) == ["f1", "loss", "ece"]
    assert names_of(account(judge="loss")) == ["loss", "ece", "f1"]


def page_rows(html: str, heading: str = "") -> list[list[str]]:
    section = (html.partition(f"<h2>{heading}")[2] if heading else html).partition("<h2>")[0]
    lines = re.findall(r"<tr[^>]*>(.*?)</tr>", section)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line) for line in lines]


def test_the_page_of_an_ensemble_has_a_row_for_each_member() -> None:
    best = {"name": "a", "by": "f1", "metrics": {"loss": 0.5, "f1": 0.25}}
    baseline = {"prediction": "largest class", "metrics": {"loss": 2.0}}
    html = ensemble_page(account(best=best, baseline=baseline), [])
    assert page_rows(html) == [
        ["val", "f1", "loss", "ece"], ["&lt;b&gt;", "25.00%", "0.5", ""], ["a", "25.00%", "0.5", ""],
        ["mean member", "25.00%", "0.5", ""], ["best member (a)", "25.00%", "0.5", ""], ["largest class", "", "2", ""],
        ["ensemble", "50.00%", "0.25", "0.1"],
    ]  # fmt: skip
    assert html.count("class=best") == 1 and "Pictures" not in html


def test_weights_stand_beside_their_members_alone() -> None:
    known = account()
    for member, weight in zip(known["members"], (0.25, 0.75), strict=True):
        member["weight"] = weight
        member["metrics"]["ece"] = 0.2
    known["mean"]["ece"] = 0.2
    shown = cells(member_table(known))
    assert [line[-1] for line in shown] == ["weight", "0.750", "0.250", "", ""]
    assert [line[0] for line in shown] == ["val", "<b>", "a", "mean member", "ensemble of 2, logits"]


@pytest.mark.parametrize(
    ("rising", "value", "both", "text"),
    [
        (True, 0.02, [0.01, 0.03], "f1 +2 points  [+1, +3], 95% over examples and members"),
        (True, -0.02, None, "f1 -2 points  [-2.5, -1.5], 95% over examples"),
        (False, 0.5, [0.25, 0.75], "loss 0.5 lower  [0.25, 0.75], 95% over examples and members"),
        (False, -0.5, [-0.75, -0.25], "loss 0.5 higher  [0.25, 0.75], 95% over examples and members"),
    ],
)
def test_a_gain_in_words(rising: bool, value: float, both: list[float] | None, text: str) -> None:
    metric = Metric("f1", True, SHARE) if rising else Metric("loss", False)
    gain: Any = {"value": value, "both": both, "examples": [value - 0.005, value + 0.005], "members": None}
    assert gain_line(metric, gain) == text


# the page of a sweep

JUDGE, TESTED = Metric("val/accuracy", True, SHARE), Metric("test/accuracy", True, SHARE)
RATE = DimensionRecord("optimizer.learning_rate", "log", 1e-4, 1.0, ())


def answer_row(label: str = "adam", **changes: Any) -> AnswerRow:
    known = AnswerRow(
        base="digits", alternative=label, trial=f"{label}-000", settings={RATE.path: 0.1}, run=None, validation=0.9,
        values=dict.fromkeys(range(8), 0.9), mean=0.9, low=0.88, high=0.92, middle=0.905, fresh=True,
        validation_again=0.91, seeds=8, diverged=0, trials=20, unstable=0, stopped=0, failed=0, reached=None,
    )  # fmt: skip
    return known._replace(**changes)


def trial(number: int, value: float | None, **changes: Any) -> TrialRecord:
    known = TrialRecord(
        f"adam-{number}", "digits", "adam", number, "", {RATE.path: 0.1 * (number + 1)}, "done", value, (value,), 30,
        1.0, None,
    )  # fmt: skip
    return known._replace(**changes)


def page_of(part: BaseAnswer, **changes: Any) -> str:
    known = SweepRecord(
        Path("nowhere"), "<s>", JUDGE, "random", False, 20, 1, 8, None, ("digits",),
        (AlternativeRecord("adam", {}, (RATE,)),), (), (),
    )  # fmt: skip
    return sweep_page(Answer(known._replace(**changes), [part], {}), [])


def base(*rows: AnswerRow, **changes: Any) -> BaseAnswer:
    return BaseAnswer("digits", TESTED, [*rows], [], None, {}, {})._replace(**changes)


def test_the_leaderboard_with_a_target_and_times_without_exponents() -> None:
    reached = Reached(8, 8, 1500.0, 4321.0)
    html = page_of(base(answer_row(reached=reached), answer_row("sgd", fresh=False), target=0.8), alternatives=(
        AlternativeRecord("adam", {}, (RATE,)), AlternativeRecord("sgd", {}, (RATE,))))  # fmt: skip
    head, first, second = page_rows(html, "Leaderboard")
    assert head == [
        "alternative", "test/accuracy", "95% interval", "middle half", "seeds", "val/accuracy in the search",
        "on fresh seeds", "steps to val/accuracy 80.00%", "seconds", "trials", "chosen setting",
    ]  # fmt: skip
    assert first == [
        "adam", "90.00%", "[88.00, 92.00]", "90.50%", "8", "90.00%", "91.00%", "1,500", "4,320", "20",
        "learning_rate=0.1",
    ]  # fmt: skip
    assert (second[1], second[7], second[8]) == ("90.00% (search)", "–", "–")


def test_seconds_that_are_not_known() -> None:
    for seconds in (None, float("inf")):
        html = page_of(base(answer_row(reached=Reached(3, 8, float("inf"), seconds)), target=0.8))
        assert page_rows(html, "Leaderboard")[1][7:9] == ["3 of 8 seeds", "–"]


def test_each_study_has_a_row() -> None:
    studies = (
        answer_row(
            mean=0.8, validation_again=0.7, settings={RATE.path: 0.25}, seeds=2, values={0: 0.8}, diverged=1
        ),
        answer_row(fresh=False, validation_again=None, values={}, seeds=0),
    )
    html = page_of(base(answer_row(studies=studies, values={1: 0.8})), studies=2)
    assert page_rows(html, "Studies")[1:] == [
        ["adam", "1", "80.00%", "70.00%", "1 of 2", "learning_rate=0.25"],
        ["adam", "2", "–", "–", "0", "learning_rate=0.1"],
    ]  # fmt: skip
    assert "repeated in 2 studies, 1 seed a trial" in html


def test_the_facts_count_one_as_one() -> None:
    finals = (FinalRecord("digits", "adam", "adam-0", "f", {}, (1, 2), "done", {}, 30, 1.0),)
    html = page_of(base(answer_row()), trials_planned=1, trials=(trial(0, 0.9),), finals=finals)
    assert (
        "1 alternative, 1 trial by random search, 1 seed a trial, judged by val/accuracy (more is better); 3 runs"
        in html
    )
    assert "; 1 run<" in page_of(base(answer_row()), trials=(trial(0, 0.9),))
    assert "<h1>&lt;s&gt;</h1>" in html


def test_all_trials_with_what_became_of_them() -> None:
    trials = (
        trial(0, None, status="failed", reason="no memory"), trial(1, 0.9, reason="stopped early"), trial(2, 0.95),
        trial(3, None, status="diverged", reason="NaN"),
    )  # fmt: skip
    rows = page_rows(page_of(base(answer_row()), trials=trials), "Trials")
    assert [line[:3] for line in rows] == [
        ["trial", "val/accuracy", "status"], ["adam-2", "95.00%", "done"], ["adam-1", "90.00%", "done (stopped early)"],
        ["adam-0", "–", "failed: no memory"], ["adam-3", "–", "diverged"],
    ]  # fmt: skip


def test_pairs_and_sentences_are_text() -> None:
    pair = PairComparison("<b>", "sgd", 0.02, 0.01, 0.03, 0.001, 0.001, 8, None)
    html = page_of(base(answer_row("<b>"), answer_row("sgd"), comparisons=[pair]), alternatives=(
        AlternativeRecord("<b>", {}, ()), AlternativeRecord("sgd", {}, ())))  # fmt: skip
    assert '<p class="lead">&lt;b&gt; is the best: test/accuracy 90.00% [88.00, 92.00] (8 seeds).</p>' in html
    assert page_rows(html, "All pairs")[1][:3] == ["&lt;b&gt;", "sgd", "+2.00 [+1.00, +3.00]"]
    assert "What varied" not in html and "<b>" not in html.partition("<h2>How this was computed")[0]


@pytest.mark.parametrize(
    ("dimension", "text"),
    [
        (DimensionRecord("a", "uniform", 0.0, 0.5, ()), "0 to 0.5"),
        (DimensionRecord("a", "int", 2, 6, ()), "2 to 6, whole"),
        (DimensionRecord("a", "normal", 0.5, 2.0, ()), "normal, 0.5 ± 2"),
        (DimensionRecord("a", "choice", None, None, ("x", 2)), "one of x, 2"),
    ],
)
def test_what_varied(dimension: DimensionRecord, text: str) -> None:
    html = page_of(base(answer_row(settings={})), alternatives=(AlternativeRecord("adam", {}, (dimension,)),))
    assert page_rows(html, "What varied")[1] == ["adam", "a", text]


def test_two_bases_have_their_headings() -> None:
    parts = [base(answer_row(base=name), base=name) for name in ("digits", "<wine>")]
    record = SweepRecord(
        Path("nowhere"), "s", JUDGE, "random", False, 20, 1, 8, None, ("digits", "<wine>"),
        (AlternativeRecord("adam", {}, (RATE,)),), (), (),
    )  # fmt: skip
    html = sweep_page(Answer(record, parts, {}), [])
    assert "1 alternative on 2 bases" in html and "<h2>Leaderboard on &lt;wine&gt;</h2>" in html
    assert "<h3>digits</h3><p" in html
