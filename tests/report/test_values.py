"""One form of a metric everywhere: shares in percent, as their bounds in the catalogue say, and gaps with a word."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nnrun.report.chosen_rows import conditions, matching
from nnrun.report.evaluated import evaluation_view
from nnrun.report.overview import OverviewRow, overview, overview_table
from nnrun.report.plain_text import as_text
from nnrun.report.run_view import RunView, Shown
from nnrun.report.summary import headline
from nnrun.report.values import level, mean_with_gaps, number, plus_minus, with_gaps
from nnrun.statistics.metric import SHARE, SIZE, Metric, Undefined, metric_of

AUROC, LOSS = Metric("test/auroc", True, SHARE), Metric("test/loss", False, SIZE)
BOUNDS = {"auroc": [0.0, 1.0], "loss": [0.0, None]}


def test_a_share_is_in_percent_and_its_interval_in_points() -> None:
    assert (number(0.7614, AUROC), number(0.7614, LOSS), number(0.7614)) == ("76.14%", "0.7614", "0.7614")
    assert number(1, AUROC) == "100.00%" and number(0.0, AUROC) == "0.00%"
    assert plus_minus(0.75, [0.72, 0.78], AUROC) == " ± 3" and plus_minus(0.75, [0.72, 0.78]) == " ± 0.03"
    assert plus_minus(0.98, [0.93, 1.0], AUROC) == " [93.00, 100.00]"
    assert plus_minus(0.98, [0.93, 1.0], LOSS) == " [0.93, 1]"


def test_what_has_no_value_is_undefined_and_what_diverged_is_nan() -> None:
    assert number(Undefined("all targets are equal"), AUROC) == "undefined"
    assert number(math.nan, AUROC) == "nan" and number(math.inf, AUROC) == "inf"
    assert number("nan", LOSS) == "nan"
    shown = with_gaps(
        {"val/auroc": "nan", "val/loss": "nan", "val/f1": 0.5}, {"val/auroc": "why", "val/f1": "elsewhere"}
    )
    assert [number(value) for value in shown.values()] == ["undefined", "nan", "0.5"]
    logged = {
        "val/auroc": math.nan,
        "val/loss": 0.5,
        "train/r2": math.nan,
        "train/loss": math.nan,
        "x": math.nan,
    }
    assert [number(value) for value in with_gaps(logged).values()] == [
        "undefined",
        "0.5",
        "nan",
        "nan",
        "nan",
    ]


def summary_of(auroc: object, **more: object) -> dict[str, Any]:
    metrics = {"test/auroc": auroc, "test/loss": 0.5}
    return {
        "status": "done", "steps": 9, "epochs": 1.0, "best": None, "rising": ["auroc"], "bounds": BOUNDS,
        "metrics": {"best": metrics, "last": metrics}, **more,
    }  # fmt: skip


def test_a_headline_has_the_same_forms() -> None:
    reference = {"prediction": "largest class", "metrics": {"test/auroc": 0.5}}
    done: Any = summary_of(0.7614, baseline=reference)
    assert headline(done) == "done after 9 steps: test/auroc 76.14% (largest class: 50.00%)  test/loss 0.5"
    gap: Any = summary_of("nan", undefined={"test/auroc": "there is no example of q"})
    assert headline(gap) == "done after 9 steps: test/auroc undefined  test/loss 0.5"


def test_a_mean_that_a_run_has_no_value_of_is_no_gap_in_the_table() -> None:
    runs = [summary_of(0.75), summary_of("nan", undefined={"test/auroc": "one class"})]
    group: Any = {
        "status": "done",
        "steps": 9,
        "runs": runs,
        "mean": {"best": {"test/loss": 0.5}},
        "ci95": {"best": {}},
    }
    means = mean_with_gaps(group, "best")
    assert {name: number(value) for name, value in means.items()} == {
        "test/loss": "0.5",
        "test/auroc": "undefined",
    }
    assert "test/auroc undefined" in headline(group)
    runs[1]["status"] = "diverged"  # the mean is over the other one
    assert mean_with_gaps(group, "best") == {"test/loss": 0.5}


def test_an_evaluation_has_the_same_forms() -> None:
    result = {
        "run_dir": "a", "step": 9, "checkpoint": "best", "baseline": {"prediction": "mean", "metrics": {}},
        "bounds": BOUNDS, "metrics": {"test/auroc": 0.7614, "test/loss": 0.5},
    }  # fmt: skip
    assert re.search(r"test/auroc +76\.14%\n", as_text(*evaluation_view(result)))
    result["metrics"], result["undefined"] = {"test/auroc": "nan", "test/loss": 0.5}, {"test/auroc": "why"}
    assert re.search(r"test/auroc +undefined\n", as_text(*evaluation_view(result)))


def test_a_list_of_runs_has_the_same_forms_and_takes_them_in_filters() -> None:
    row: OverviewRow = {
        "run": "a", "status": "done", "step": 9, "best": {"val/auroc": "nan"}, "test": {"test/auroc": 0.76143},
        "bounds": {"auroc": [0.0, 1.0]}, "undefined": {"val/auroc": "why"},
    }  # fmt: skip
    text = as_text(overview_table([row], ["val/auroc", "test/auroc"]))
    assert text.split()[-3:] == ["a", "undefined", "76.14%"]
    for condition, holds in (
        ("test/auroc=76.14%", True), ("test/auroc=0.7614", True), ("test/auroc>76%", True), ("test/auroc>0.77", False),
        ("test/auroc<77%", True), ("test/auroc!=76.14%", False), ("test/auroc=76.15%", False),
        ("test/auroc<=76.14%", True), ("test/auroc>=76.15%", False), ("val/auroc=undefined", True),
        ("val/auroc!=undefined", False), ("val/auroc>=0", False), ("test/auroc=undefined", False),
    ):  # fmt: skip
        assert bool(matching([row], conditions([condition]))) is holds, condition


def test_what_is_shown_as_equal_is_neither_less_nor_more_than_that_at_least() -> None:
    """0.98377 is shown as 98.38%, which is more than it."""
    row: OverviewRow = {
        "run": "a", "status": "done", "step": 9, "best": None, "test": {"test/auroc": 0.98377},
        "bounds": {"auroc": [0.0, 1.0]},
    }  # fmt: skip
    for sign in ("=", ">=", "<="):
        assert matching([row], conditions([f"test/auroc{sign}98.38%"])) == [row]


def test_a_group_in_a_list_says_undefined_as_its_runs_do(tmp_path: Path) -> None:
    gap = summary_of("nan", run="seed_1", undefined={"test/auroc": "one class"})
    runs = [summary_of(0.75, run="seed_0"), gap]
    for name in ("seed_0", "seed_1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.json").write_text('{"status": "done"}')
        (tmp_path / name / "summary.json").write_text("{}")
        (tmp_path / name / "metrics.jsonl").write_text("")
    group = {
        "status": "done",
        "steps": 9,
        "runs": runs,
        "mean": {"best": {"test/loss": 0.5}},
        "ci95": {"best": {}},
    }
    (tmp_path / "state.json").write_text('{"status": "done"}')
    (tmp_path / "summary.json").write_text(json.dumps(group))
    [row] = overview([tmp_path])
    row["run"] = "a"  # a long name takes several lines
    assert as_text(overview_table([row], ["test/auroc", "test/loss"])).split()[-2:] == ["undefined", "0.5"]
    assert row.get("undefined") == {"test/auroc": "one class"}
    assert matching([row], conditions(["test/auroc=undefined"])) == [row]


def test_the_view_of_a_run_has_the_same_forms() -> None:
    news = Shown(
        "a", "training", 5, 10, 0.5, 1.0, "", {"val/auroc": 0.7614, "val/f1": Undefined("one class"), "val/loss": 0.5},
        "", bounds={"auroc": SHARE},
    )  # fmt: skip
    assert "val/auroc 76.14%  val/f1 undefined  val/loss 0.5" in RunView().line(news)


CSV = "a,y\n" + "".join(f"{i % 17},{'yes' if i in (3, 30) else 'no'}\n" for i in range(120))
SPEC = """
data: {name: csv, path: t.csv, target: y, validation: 0.2, test: 0.2}
model: linear
optimizer: {name: sgd, learning_rate: 0.1}
train: {duration: 2 epochs}
metrics: [auroc, f1, mcc, brier]
"""


def test_every_command_shows_a_metric_in_one_form(tmp_path: Path, warm: Callable[..., Any]) -> None:
    """The forms come from the catalogue: what lies between 0 and 1 there is in percent, in every table."""
    (tmp_path / "t.csv").write_text(CSV)
    (tmp_path / "s.yaml").write_text(SPEC)
    done = warm("train", "s.yaml", "--run-dir", "runs/a", folder=tmp_path)
    assert done.code == 0, done.err
    warm("train", "s.yaml", "optimizer.learning_rate=0.2", "--run-dir", "runs/b", "-q", folder=tmp_path)
    summary = json.loads((tmp_path / "runs/a/summary.json").read_text())
    shares = {name for name, ends in summary["bounds"].items() if ends == [0.0, 1.0]}
    assert {"accuracy", "auroc", "f1"} <= shares and not {"mcc", "brier", "loss"} & shares
    texts = {"train": done.out, "live": done.err}
    for command in (["show", "a"], ["evaluate", "a"], ["compare", "a", "b"], ["ls"]):
        texts[command[0]] = warm(*command, folder=tmp_path).out
    undefined = summary.get("undefined", {})
    for name, value in summary["metrics"]["best"].items():
        if name in undefined:
            assert "nan" not in texts["train"] + texts["show"] + texts["ls"]
            continue
        metric = metric_of(name, (), dict.fromkeys(shares, SHARE))
        for command in ("train", "show", "evaluate", "compare", "ls"):
            if name.startswith("test/"):
                assert level(metric, value) in texts[command], (command, name)
                assert (f"{100 * value:.2f}%" in texts[command]) is metric.share
    assert not re.search(r"(accuracy|auroc|f1) +[0-9.]+(?![0-9.%])", texts["live"] + texts["show"])
