"""Which runs a group has by its spec, and what its folds say together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nnrun.errors import RunError
from nnrun.preprocessing import Part, Preprocessing
from nnrun.record import preprocessing
from nnrun.runner.folds_summary import division, folds_summary, mean_baseline
from nnrun.runner.group import fold_folders, folds_of, folds_of_partition, is_fold, members, seeds_asked
from nnrun.storage import fsio

RunAt = Callable[..., Path]
FOLDS = "train: {seed: 0, seeds: 1, folds: %s, repeats: %s, fold: %s}\n"


@pytest.mark.parametrize(
    ("spec", "seeds"),
    [
        ("train: {seed: 0, seeds: 1}", range(1)), ("train: {seed: 7, seeds: 3}", range(7, 10)),
        ("train: {seed: 7}", range(1)), ("train: {seed: null, seeds: 2}", range(1)), ("train: [1]", range(1)),
        ("name: x", range(1)), ("- 1", range(1)), ("", range(1)),
    ],
)  # fmt: skip
def test_seeds_are_those_of_the_spec_and_one_where_it_has_none(
    spec: str, seeds: range, run_at: RunAt
) -> None:
    assert seeds_asked(run_at("a", spec=spec)) == seeds


@pytest.mark.parametrize(
    ("folds", "repeats", "fold", "count", "single", "partition"),
    [
        ("5", "1", "null", 5, False, 5), ("5", "2", "null", 10, False, 5), ("5", "2", "3", 0, True, 5),
        ("null", "1", "null", 0, False, None), ("1", "1", "null", 1, False, None),
    ],
)  # fmt: skip
def test_folds_are_those_of_the_spec(
    folds: str, repeats: str, fold: str, count: int, single: bool, partition: int | None, run_at: RunAt
) -> None:
    folder = run_at("a", spec=FOLDS % (folds, repeats, fold))
    assert [path.name for path in folds_of(folder)] == [f"fold_{i + 1}" for i in range(count)]
    assert is_fold(folder) is single
    assert folds_of_partition(folder) == partition


def test_a_spec_of_an_older_nnrun_has_no_folds(run_at: RunAt) -> None:
    folder = run_at("a", spec="train: {seed: 2, seeds: 2}\n")
    assert folds_of(folder) == [] and not is_fold(folder) and folds_of_partition(folder) is None
    assert folds_of(run_at("b")) == []  # without a spec


def test_members_are_all_that_were_asked_for_or_none(run_at: RunAt) -> None:
    folder = run_at("a", "done", spec="train: {seed: 9, seeds: 3}\n")
    for seed in (9, 11):
        run_at(f"a/seed_{seed}", "done")
    with pytest.raises(
        RunError, match=r"^[^\n]*seed_10: this run of the group is missing; put it back"
    ) as raised:
        members(folder)
    assert str(raised.value).count("missing") == 1
    run_at("a/seed_10", "done")
    assert [path.name for path in members(folder)] == ["seed_9", "seed_10", "seed_11"]  # numbers as numbers
    assert members(folder / "seed_9") == []


def test_each_fold_that_is_missing_is_named(run_at: RunAt) -> None:
    folder = run_at("a", "done", spec=FOLDS % ("3", "1", "null"))
    run_at("a/fold_2", "done")
    with pytest.raises(RunError) as raised:
        members(folder)
    lines = str(raised.value).split("\n")
    assert [line.partition(":")[0].rpartition("/")[2] for line in lines] == ["fold_1", "fold_3"]


def with_parts(folder: Path, train: int, val: int, chosen: str) -> Path:
    one = np.ones(())
    parts = {"train": Part(train, "", "t"), "val": Part(val, "", chosen), "test": Part(0, "", "")}
    preprocessing.write(folder, Preprocessing((), (), (2,), "float32", one, one, 0.0, 1.0, parts))
    return folder


def test_the_ratio_of_a_division_is_that_of_all_examples(run_at: RunAt) -> None:
    """Of 31 in 3 folds, each validates once and may train in two folds, however few a fold really trains on."""
    spec = FOLDS % ("3", "1", "1")
    folds = [with_parts(run_at(f"f{i}", spec=spec), 5, val, f"v{i}") for i, val in enumerate((11, 10, 10))]
    divided = division(folds)
    assert divided["count"] == 3 and divided["ratio"] == 31 / 62
    assert divided["partition"] == hashlib.sha256(b"v0v1v2").hexdigest()
    assert division(folds[::-1])["partition"] != divided["partition"]
    alone = [with_parts(run_at(f"g{i}"), 20, 4, "") for i in range(2)]  # their spec names no folds
    assert division(alone)["ratio"] == 8 / 40
    with pytest.raises(RunError):
        division([*folds, run_at("h", spec=spec)])


@pytest.fixture
def validated(run_at: RunAt) -> Callable[..., tuple[Path, list[Path]]]:
    """validated([(status, loss, steps)], **entries): a cross-validation whose folds have these summaries."""

    def make(results: list[tuple[str, float, int]], **entries: list[Any]) -> tuple[Path, list[Path]]:
        folder, folds = run_at("cv"), []
        for number, (status, loss, steps) in enumerate(results, start=1):
            fold = with_parts(
                run_at(f"cv/fold_{number}", spec=FOLDS % (len(results), 1, number)), 20, 10, str(number)
            )
            metrics = {
                "last": {"val/loss": loss, "val/accuracy": 1 - loss, "test/loss": loss + 1},
                "best": {"val/loss": loss / 2, "test/loss": loss + 2},
            }
            content = {"status": status, "steps": steps, "metrics": metrics, "bounds": {"accuracy": [0, 1]}}
            content |= {
                name: values[number - 1] for name, values in entries.items() if values[number - 1] is not None
            }
            fsio.write_json(fold / "summary.json", content)
            folds.append(fold)
        return folder, folds

    return make


def test_a_cross_validation_is_the_mean_of_its_folds_with_the_interval_of_folds(validated: Any) -> None:
    losses = [0.5, 0.625, 0.25]
    folder, folds = validated([("done", loss, 10 + i) for i, loss in enumerate(losses)])
    summary = folds_summary(folder, folds)
    half = stats.t.ppf(0.975, 2) * np.std(losses, ddof=1) * np.sqrt(1 / 3 + 1 / 2)  # Nadeau & Bengio
    assert summary["mean"]["last"]["val/loss"] == pytest.approx(np.mean(losses))
    assert summary["ci95"]["last"]["val/loss"] == pytest.approx(
        [np.mean(losses) - half, np.mean(losses) + half]
    )
    low, high = 1 - np.mean(losses) - half, 1 - np.mean(losses) + half
    assert summary["ci95"]["last"]["val/accuracy"] == pytest.approx([max(low, 0), min(high, 1)])
    assert summary["ci95"]["last"]["test/loss"] is None
    assert set(summary["mean"]["best"]) == {
        "test/loss"
    }  # the best steps were chosen by the validation metrics
    assert (summary["status"], summary["steps"]) == ("done", 12)
    assert [member["run"] for member in summary["runs"]] == ["fold_1", "fold_2", "fold_3"]


def test_a_fold_that_diverged_takes_the_interval_with_it(validated: Any) -> None:
    folder, folds = validated([("done", 0.5, 10), ("diverged", 9.0, 3), ("done", 0.25, 10)])
    summary = folds_summary(folder, folds)
    assert summary["status"] == "done" and summary["mean"]["last"]["val/loss"] == 0.375
    assert summary["ci95"]["last"]["val/loss"] is None
    folder, folds = validated([("diverged", 0.5, 10), ("diverged", 9.0, 3)])
    assert folds_summary(folder, folds)["status"] == "diverged"


def test_few_examples_are_those_of_the_fold_that_has_the_fewest(validated: Any) -> None:
    few = [{"a": {"train": 9, "val": 3}}, None, {"a": {"val": 1}, "b": {"val": 7}}]
    baselines = [{"prediction": "largest class", "metrics": {"val/loss": value}} for value in (1.0, 2.0, 6.0)]
    folder, folds = validated([("done", 0.5, 1)] * 3, few=few, baseline=baselines, targets=[["u", "v"]] * 3)
    summary = folds_summary(folder, folds)
    assert summary.get("few") == {"a": {"train": 9, "val": 1}, "b": {"val": 7}}
    assert summary.get("baseline") == {"prediction": "largest class", "metrics": {"val/loss": 3.0}}
    assert summary.get("targets") == ["u", "v"]


def test_a_baseline_is_the_mean_of_what_all_folds_have() -> None:
    first: Any = {"prediction": "training mean", "metrics": {"val/mae": 1.0, "val/r2": -1.0, "test/mae": 4.0}}
    second: Any = {"prediction": "training mean", "metrics": {"test/mae": 5.0, "val/mae": 2.0}}
    found = mean_baseline([first, second])
    assert found["metrics"] == {"val/mae": 1.5, "test/mae": 4.5} and list(found["metrics"]) == [
        "val/mae",
        "test/mae",
    ]


def test_folders_of_folds_count_from_one(tmp_path: Path) -> None:
    assert fold_folders(tmp_path, 2) == [tmp_path / "fold_1", tmp_path / "fold_2"]
    assert fold_folders(tmp_path, 0) == []
