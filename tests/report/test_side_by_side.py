"""Runs side by side: what is read, what differs, what is tested, and every form of the table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from nnrun.errors import RunError
from nnrun.preprocessing import Part, Preprocessing
from nnrun.record import preprocessing
from nnrun.report.entry import Entry, flat, read_entry
from nnrun.report.side_by_side import differing, side_by_side, value
from nnrun.report.side_by_side_text import as_csv, as_data, as_markdown, as_table
from nnrun.statistics.metric import SHARE, Metric

DATA = ("digest", 0, None)
ACCURACY, LOSS = Metric("test/accuracy", True, SHARE), Metric("test/loss", False)


def entry(name: str, **changes: Any) -> Entry:
    plain = Entry(
        name=name,
        runs=(Path(f"runs/{name}"),),
        status="done",
        settings={},
        metrics={},
        seeds=(0,),
        written=frozenset(),
        rising=frozenset({"accuracy"}),
        bounds={"accuracy": SHARE},
        judged="val/accuracy",
        data=DATA,
        code=(("model.py", name),),  # so that no two are one setting
    )
    return plain._replace(**changes)


def group(name: str, values: list[float], metric: str = "test/accuracy", **changes: Any) -> Entry:
    by_seed = dict(enumerate(values))
    return entry(name, **{"metrics": {metric: by_seed}, "seeds": tuple(by_seed), **changes})


def sentences(*entries: Entry) -> list[str]:
    return as_data(side_by_side(entries))["answer"]


def with_loss(name: str, setting: dict[str, Any], **metrics: list[float]) -> Entry:
    """Runs of several targets, which are judged by their loss."""
    values = {f"test/{metric}": dict(enumerate(numbers)) for metric, numbers in metrics.items()}
    return entry(
        name,
        settings=setting,
        written=frozenset(setting),
        metrics=values,
        seeds=tuple(range(6)),
        judged="val/loss",
        rising=frozenset({"r2", "accuracy"}),
    )


def test_losses_that_differ_decide_nothing():
    """Half the loss of another one says nothing: here all else is better where the loss is larger."""
    noise = np.random.default_rng(0).normal(0, 1e-3, 6)
    small, large = (noise + 0.01).tolist(), (noise + 0.5).tolist()
    worse, better = (noise + 0.8).tolist(), (noise + 0.9).tolist()
    for key in ("loss.name", "loss.delta", "loss.label_smoothing"):
        a = with_loss("a", {key: 0.1}, loss=small, mae=large, r2=worse)
        b = with_loss("b", {key: 0.2}, loss=large, mae=small, r2=better)
        said, best, tested = sentences(a, b)
        assert said == "the losses differ, and test/loss is of each its own, so test/r2 decides"
        assert best.startswith("b has the best test/r2")
        assert tested.startswith("b beats a by 0.1 ")
    same = [
        with_loss(name, {"loss.name": "huber"}, loss=values) for name, values in (("a", small), ("b", large))
    ]
    assert sentences(*same)[0].startswith("a has the best test/loss")
    alone = [with_loss(name, {"loss.name": name}, loss=small) for name in "ab"]
    assert sentences(*alone) == ["the losses differ, and test/loss is of each its own"]


def test_a_spec_as_keys():
    tree = {"data": {"name": "digits", "test": 0.2}, "augment": [{"name": "crop"}], "model": {"a": {"b": {}}}}
    assert flat(tree) == {"data.name": "digits", "data.test": 0.2, "augment": [{"name": "crop"}]}


def test_the_keys_that_differ():
    entries = [
        entry("a", settings={"x": 1, "y": [1], "z": 1, "train.seed": 0, "name": "a"}),
        entry("b", settings={"x": 1, "y": [2], "z": 1.0, "train.seed": 1, "name": "b"}),
    ]
    assert differing(entries) == ["y", "z"]  # 1 and 1.0 are not the same text
    assert differing(entries[:1]) == []


def test_an_option_of_one_block_alone():
    """Shown where it was written; the defaults of another block are not."""
    sgd = {"optimizer.name": "sgd", "optimizer.momentum": 0.0}
    adam = {"optimizer.name": "adam", "optimizer.b1": 0.9}
    assert differing([entry("a", settings=sgd), entry("b", settings=adam)]) == ["optimizer.name"]
    written = entry("b", settings=adam, written=frozenset({"optimizer.b1"}))
    assert differing([entry("a", settings=sgd), written]) == ["optimizer.name", "optimizer.b1"]
    same_name = [entry("a", settings={"model.dropout": 0.1}), entry("b", settings={})]
    assert differing(same_name) == ["model.dropout"]


def test_a_field_of_a_record_counts_as_written_with_its_record():
    """`dropconnect: 0.5` is model.dropconnect in what was written and model.dropconnect.rate in what it means."""
    plain = {"model.name": "lenet"}
    dropped = {"model.name": "mlp", "model.dropconnect.rate": 0.5, "model.dropconnect.mask": "batch"}
    for written, keys in (
        (set(), []),
        ({"model.dropconnect"}, ["rate", "mask"]),
        ({"model.dropconnect.rate"}, ["rate"]),
    ):
        entries = [entry("a", settings=plain), entry("b", settings=dropped, written=frozenset(written))]
        assert differing(entries) == ["model.name", *(f"model.dropconnect.{key}" for key in keys)]


def test_the_value_of_a_group_is_its_mean_with_an_interval():
    values = [0.9, 0.91, 0.94, 0.95, 0.97, 0.93]
    low, high = stats.t.interval(0.95, 5, np.mean(values), stats.sem(values))
    mean = value(group("a", values), ACCURACY)
    assert mean == (pytest.approx(np.mean(values)), pytest.approx(low), pytest.approx(high))
    assert value(group("a", [0.9]), ACCURACY) == (0.9, None, None)
    assert value(group("a", [0.9]), LOSS) == (None, None, None)


def test_the_interval_of_a_share_ends_at_one():
    _, _, high = value(group("a", [0.8, 1.0, 1.0]), ACCURACY)
    assert high == 1.0
    _, _, high = value(group("a", [0.8, 1.0, 1.0], "test/loss"), LOSS)
    assert high is not None and high > 1.0


def test_the_best_of_a_rising_and_of_a_falling_metric():
    better, worse = [0.9 + 0.001 * i for i in range(8)], [0.8 + 0.001 * i for i in range(8)]
    answers = sentences(group("low", worse), group("high", better))
    assert answers[0].startswith("high has the best test/accuracy: 90.35%")
    assert answers[1].startswith("high beats low by 10.00 points")
    judged = {"metric": "test/mape", "judged": "val/mape", "rising": frozenset[str]()}
    answers = sentences(group("low", worse, **judged), group("high", better, **judged))
    assert answers[0].startswith("low has the best test/mape: 0.8035")
    assert answers[1].startswith("low beats high by 0.1")


def test_a_metric_of_ones_own_that_rises():
    judged = {
        "metric": "test/iou", "judged": "val/iou", "rising": frozenset({"iou"}), "bounds": {"iou": SHARE},
    }  # fmt: skip
    assert sentences(
        group("a", [1.0], **judged), group("b", [2.0], **judged)
    )  # one seed: no test, but an order
    answers = sentences(group("a", [0.5, 0.51], **judged), group("b", [0.6, 0.61], **judged))
    assert answers[0].startswith("b has the best test/iou: 60.50%")


def test_what_cannot_be_told_yet_has_the_seeds_that_would():
    random = np.random.default_rng(0)
    noise = 0.02 * random.standard_normal((2, 6))
    answers = sentences(group("a", (0.9 + noise[0]).tolist()), group("b", (0.905 + noise[1]).tolist()))
    assert "show no significant difference" in answers[1]
    assert "seeds would show one, if it is the" in answers[1]


def test_five_seeds_are_told_that_they_can_show_nothing():
    # Of n differences that all have one sign the test gives 2 / 2^n at best: 0.0625 of five, 0.031 of six.
    few = sentences(group("a", [0.9, 0.91, 0.92, 0.9, 0.91]), group("b", [0.5, 0.52, 0.53, 0.55, 0.54]))
    assert "(p = 0.062, 5 seeds); 5 seeds can show none at all (at best p = 0.062); about 6 seeds" in few[1]
    enough = sentences(
        group("a", [0.9, 0.91, 0.92, 0.9, 0.91, 0.92]), group("b", [0.5, 0.52, 0.53, 0.55, 0.54, 0.5])
    )
    assert enough[1].startswith("a beats b") and "can show none" not in " ".join(enough)
    alone = [entry(name, metrics={"test/accuracy": {i: 0.9}}, seeds=(i,)) for i, name in enumerate("abc")]
    assert "train.seeds=7" in sentences(*alone)[0]  # three pairs: 3 * 2 / 2^7 = 0.047


def test_other_examples_are_not_compared():
    answers = sentences(group("a", [0.9, 0.91]), group("b", [0.8, 0.81], data=("other", 0, None)))
    assert answers == ["the runs were not tested on the same examples, so their differences are not tested"]


def test_the_same_examples_may_be_prepared_in_different_ways(tmp_path: Path) -> None:
    """Their inputs, and so the digests of their data, differ; the rows and targets that they are tested with do not."""
    runs = {}
    for name, shift, rows in (("a", 0.0, "x"), ("b", 1.0, "x"), ("c", 0.0, "y")):
        parts = {part: Part(3, f"{name}-{part}", f"{rows}-{part}") for part in ("train", "val", "test")}
        folder = tmp_path / name
        folder.mkdir()
        fitted = Preprocessing((), (), (1,), "float64", np.array(shift), np.array(1.0), 0.0, 1.0, parts)
        preprocessing.write(folder, fitted)
        values = [0.6, 0.6] if name == "b" else [0.5, 0.6]
        runs[name] = group(name, values, data=(name, 0, None), runs=(folder,))
    compared = sentences(runs["a"], runs["b"])
    assert (
        compared[0] == "b has the best test/accuracy: 60.00%"
        and "show no significant difference" in compared[1]
    )
    assert "not tested on the same examples" in sentences(runs["a"], runs["c"])[0]


def test_one_seed_each_cannot_be_told_from_chance():
    [reason] = sentences(group("a", [0.9]), entry("b", metrics={"test/accuracy": {7: 0.8}}, seeds=(7,)))
    assert "no two settings have two seeds in common" in reason and "train.seeds=6" in reason


def test_a_run_without_a_value_is_named() -> None:
    """The same seeds, of which one side diverged: more seeds would not help."""
    reasons = sentences(group("a", [0.9, 0.8]), entry("b", metrics={}, seeds=(0, 1)))
    assert reasons[0] == (
        "there is no test/accuracy of b (diverged, or not ended), so no difference can be tested"
    )


def test_too_many_runs_are_not_tested_each_against_each():
    [reason] = sentences(*(group(f"r{i}", [0.9, 0.8]) for i in range(31)))
    assert reason.startswith("31 runs are too many") and "name the 30 that matter" in reason


def test_seeds_that_diverged_are_reported():
    lost = group("lost", [0.9, 0.91, 0.92], seeds=(0, 1, 2, 3, 4))
    answers = sentences(lost, group("whole", [0.8, 0.81, 0.82, 0.83, 0.84]))
    assert "lost: 2 of 5 seeds diverged; its values are of the others" in answers


def test_nothing_to_compare_yet():
    result = side_by_side([entry("a"), entry("b")])
    assert as_data(result)["metric"] is None
    assert as_data(result)["comparisons"] == []
    assert as_data(result)["answer"] == ["no metric is there to compare yet"]


@pytest.mark.parametrize(
    ("metrics", "judged", "metric"),
    [
        (["test/loss", "test/accuracy", "val/accuracy"], "val/accuracy", "test/accuracy"),
        (["val/loss", "val/accuracy"], "val/accuracy", "val/accuracy"),
        (["test/loss", "test/accuracy"], None, "test/loss"),
        (["test/auc", "test/brier"], None, "test/auc"),
        (["test/loss", "test/ema/accuracy"], "val/ema/accuracy", "test/ema/accuracy"),
    ],
)
def test_the_metric_that_decides(metrics: list[str], judged: str | None, metric: str):
    rows = {name: {0: 0.5} for name in metrics}
    entries = [entry(name, metrics=rows, judged=judged) for name in ("a", "b")]
    assert as_data(side_by_side(entries))["metric"] == metric


# What is read of a folder


@pytest.fixture
def run_in(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str, summary: Any, about: Any = None) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "state.json").write_text('{"status": "done"}')
        if summary is not None:
            (folder / "summary.json").write_text(json.dumps(summary))
        if about is not None:
            (folder / "run.json").write_text(json.dumps(about))
        return folder

    return make


def summary_of(status: str = "done", **best: Any) -> dict[str, Any]:
    return {
        "status": status,
        "best": {"metric": "val/accuracy"},
        "rising": ["accuracy"],
        "bounds": {"accuracy": [0, 1]},
        "metrics": {"best": best},
    }


def test_a_run_is_one_seed(run_in):
    folder = run_in("a", summary_of(**{"test/accuracy": 0.5, "test/loss": "nan"}), {"data_digest": "d"})
    result = read_entry(
        "a", folder, {"train": {"seed": 7}, "data": {"name": "digits"}}, {"data": {"name": "digits"}}
    )
    assert result.metrics == {"test/accuracy": {7: 0.5}}
    assert (result.seeds, result.judged, result.rising) == ((7,), "val/accuracy", frozenset({"accuracy"}))
    assert result.bounds == {"accuracy": (0, 1)}
    assert result.data == ("d", None, None)
    assert result.written == {"data.name"}


def test_a_group_has_a_value_for_each_seed_that_finished(run_in):
    runs = [
        {"run": "seed_3", **summary_of(**{"test/accuracy": 0.5})},
        {"run": "seed_4", **summary_of("diverged", **{"test/accuracy": 0.1})},
        {"run": "other", **summary_of(**{"test/accuracy": 0.7})},
    ]
    result = read_entry("g", run_in("g", {"runs": runs}), {"train": {"seed": 3}}, {})
    assert result.metrics == {"test/accuracy": {3: 0.5, 5: 0.7}}
    assert result.seeds == (3, 4, 5)


def test_settings_of_the_command_line_count_as_written(run_in):
    folder = run_in("a", None, {"argv": ["nnrun", "train", "s.yaml", "model.dropout=0.5", "--quiet"]})
    result = read_entry("a", folder, {}, {})
    assert result.written == {"model.dropout"}
    assert (result.metrics, result.seeds, result.judged) == ({}, (), None)


def test_without_a_digest_data_are_told_apart_by_name_and_split(run_in):
    folder = run_in("a", None)
    result = read_entry(
        "a", folder, {"data": {"name": "csv", "path": "x.csv", "split_seed": 3, "test": 0.1}}, {}
    )
    assert result.data == (("csv", "x.csv"), 3, 0.1)


def test_a_damaged_run_is_refused(run_in):
    folder = run_in("a", None)
    (folder / "summary.json").write_text("{")
    with pytest.raises(RunError, match=r"summary.json: damaged"):
        read_entry("a", folder, {}, {})


# The forms of the table


def pair() -> Any:
    metrics = {"test/accuracy": {0: 0.9, 1: 0.92}, "test/loss": {0: 0.5, 1: 0.25}}
    a = entry("a|b", settings={"rate": 0.1, "hidden": [4], "x": None}, metrics=metrics, seeds=(0, 1))
    b = entry(
        "=sum(A1)",
        settings={"rate": 0.012345678, "hidden": [8]},
        metrics={},
        seeds=(0, 1, 2),
        status="running",
    )
    return side_by_side([a, b])


def test_csv_keeps_every_digit_and_no_formula():
    [first, second] = csv.DictReader(io.StringIO(as_csv(pair())))
    assert float(first["test/accuracy"]) == pytest.approx(0.91)
    assert (first["rate"], first["hidden"], first["seeds"]) == ("0.1", "[4]", "2")
    assert second["run"] == "'=sum(A1)"
    assert (second["test/accuracy"], second["test/accuracy low"], second["status"]) == ("", "", "running")
    assert (first["x"], second["x"]) == ("null", "")


def test_markdown_escapes_its_cells():
    lines = as_markdown(pair()).splitlines()
    assert lines[0].split(" | ")[:3] == ["| run", "status", "rate"]
    assert lines[1].count("---") == lines[0].count("|") - 1
    assert lines[2].startswith(r"| a\|b | done | 0.1 |")
    assert "0 of 3" in lines[3] and "0.01235" in lines[3]
    assert lines[4] == "" and lines[5].startswith("- ")


def test_a_terminal_gets_runs_as_columns_where_that_is_shorter():
    def heads(*entries: Entry) -> list[str]:
        console = Console(file=io.StringIO(), width=200)
        console.print(as_table(side_by_side(entries)))
        return console.file.getvalue().splitlines()[0].split()  # type: ignore[attr-defined]

    many = {f"k{i}": 0 for i in range(9)}
    a, b = (
        entry(name, settings=dict.fromkeys(many, i), metrics={"test/loss": {0: 1.0}})
        for i, name in enumerate("ab")
    )
    assert heads(a, b) == ["run", "a", "b"]
    few = [entry(name, settings={"k": name}, metrics={"test/loss": {0: 1.0}}) for name in "abcd"]
    assert heads(*few) == ["run", "k", "seeds", "test/loss"]


def test_data_for_programs_are_json():
    content = json.loads(json.dumps(as_data(pair()), allow_nan=False))
    assert content["runs"][0]["metrics"]["test/loss"]["values"] == {"0": 0.5, "1": 0.25}
    assert content["runs"][1]["settings"] == {"rate": 0.012345678, "hidden": [8], "x": None}
    assert content["runs"][0]["seeds"] == [0, 1]
