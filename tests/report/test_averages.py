"""Ensembles among runs that are compared: no test over seeds is made of them, and it is said what they are made of."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from nnrun.errors import RunError
from nnrun.record import checkpoint
from nnrun.record.pack import ARRAYS
from nnrun.report.named_runs import compare_runs
from nnrun.report.side_by_side import value
from nnrun.report.side_by_side_text import as_csv, as_markdown
from nnrun.statistics.metric import SHARE, Metric

ACCURACY = Metric("test/accuracy", True, SHARE)


def a_run(folder: Path, accuracy: float | None, seed: int = 0, rate: float = 0.1, name: str = "x") -> str:
    """A run with a checkpoint of its own; returns the SHA-256 of its arrays."""
    (folder / "checkpoints").mkdir(parents=True)
    spec = f"name: {name}\noptimizer: {{name: sgd, learning_rate: {rate}}}\ntrain: {{seed: {seed}}}\n"
    (folder / "resolved.yaml").write_text(spec)
    (folder / "state.json").write_text(json.dumps({"status": "done", "step": 1}))
    (folder / "run.json").write_text(json.dumps({"data_digest": "d", "versions": {"nnrun": "1"}}))
    summary = {
        "status": "done", "best": {"metric": "val/accuracy", "value": 0.5, "step": 1}, "rising": ["accuracy"],
        "bounds": {"accuracy": [0, 1]}, "metrics": {"best": {} if accuracy is None else {"test/accuracy": accuracy}},
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    arrays = {"w": np.array([seed, rate])}
    saved = checkpoint.save(folder / "checkpoints", 1, arrays, {}, 0)  # type: ignore[arg-type]
    return hashlib.sha256((saved / ARRAYS).read_bytes()).hexdigest()


def an_ensemble(
    folder: Path, accuracy: float | None, members: dict[str, Path], seed: int = 0, rate: float = 0.1
) -> None:
    """Of members with these digests, that lay in these folders."""
    a_run(folder, accuracy, seed)
    listed = [{"run": str(place), "sha256": digest} for digest, place in members.items()]
    (folder / "ensemble.json").write_text(json.dumps({"average": "probabilities", "members": listed}))


def test_an_ensemble_is_no_further_seed_of_its_setting(tmp_path: Path) -> None:
    """It has the spec of its first member, seed 0; a run of seed 7 is the same setting but for that."""
    a_run(tmp_path / "seven", 0.5, seed=7)
    an_ensemble(tmp_path / "all", 0.75, {"a": tmp_path / "gone"})
    comparison = compare_runs(["seven", "all"], tmp_path)
    assert [(entry.name, value(entry, ACCURACY).mean) for entry in comparison.entries] == [
        ("seven", 0.5),
        ("all", 0.75),
    ]
    assert comparison.keys == ["ensemble"]
    assert comparison.sentences == [
        "all has the best test/accuracy: 75.00%",
        "all is one average of 1 model, which has no seeds of its own, so its difference from seven is not tested",
    ]


@pytest.mark.parametrize("is_moved", [False, True])
def test_a_run_beside_the_ensemble_that_it_is_a_member_of(is_moved: bool, tmp_path: Path) -> None:
    """It is known by its folder and, where that was moved, by the arrays of a checkpoint."""
    digest = a_run(tmp_path / "part", 0.5)
    place = tmp_path / "elsewhere" if is_moved else tmp_path / "part"
    an_ensemble(
        tmp_path / "all", 0.75, {digest if is_moved else "of an average": place, "other": tmp_path / "other"}
    )
    comparison = compare_runs(["part", "all"], tmp_path)
    show = f"`nnrun show {tmp_path / 'all'}`"
    assert comparison.sentences == [
        "all has the best test/accuracy: 75.00%",
        f"all is an average of models of part, not another setting beside it; what averaging gains, and how sure that "
        f"is, says {show}",
    ]
    assert comparison.comparisons == []


def test_runs_beside_an_ensemble_are_tested_as_without_it(tmp_path: Path) -> None:
    for seed in range(6):
        a_run(tmp_path / f"slow-{seed}", 0.5 + seed / 100, seed, 0.1)
        a_run(tmp_path / f"fast-{seed}", 0.6 + seed / 100, seed, 0.2)
    an_ensemble(tmp_path / "all", 0.9, {"a": tmp_path / "slow-0"})
    names = [f"{name}-{seed}" for seed in range(6) for name in ("slow", "fast")]
    alone, beside = compare_runs(names, tmp_path), compare_runs([*names, "all"], tmp_path)
    assert beside.comparisons == alone.comparisons and len(alone.comparisons) == 1
    assert alone.comparisons[0].adjusted == 2 / 2**6
    best, of_runs, *rest = beside.sentences
    assert best == "all has the best test/accuracy: 90.00%"
    assert of_runs == "of the runs, fast has the best test/accuracy: 62.50%"
    assert alone.sentences[1] in rest, "fast against slow"
    assert [line for line in rest if line.startswith("all is one average")] == [
        "all is one average of 1 model, which has no seeds of its own, so its difference from fast is not tested"
    ]


def test_two_ensembles_with_members_in_common(tmp_path: Path) -> None:
    an_ensemble(tmp_path / "two", 0.5, {"a": tmp_path / "a", "b": tmp_path / "b"})
    an_ensemble(
        tmp_path / "three", 0.75, {"b": tmp_path / "b", "c": tmp_path / "c", "d": tmp_path / "d"}, seed=3
    )
    comparison = compare_runs(["two", "three"], tmp_path)
    assert comparison.sentences == [
        "three has the best test/accuracy: 75.00%",
        "two and three have 1 member in common",
        "two is one average of 2 models, which has no seeds of its own, so its difference from three is not tested",
    ]
    assert [line.split(",")[2] for line in as_csv(comparison).splitlines()] == ["seeds", "", ""]
    text = as_markdown(comparison).splitlines()
    seeds = [cell.strip() for cell in text[0].split("|")].index("seeds")
    assert [line.split("|")[seeds].strip() for line in text[2:4]] == ["–", "–"]


def test_an_ensemble_that_was_not_measured_did_not_diverge(tmp_path: Path) -> None:
    a_run(tmp_path / "part", 0.5, seed=7)
    an_ensemble(tmp_path / "all", None, {"a": tmp_path / "a"})
    assert compare_runs(["part", "all"], tmp_path).sentences == [
        "part has the best test/accuracy: 50.00%",
        f"all is an average of 1 model that has no test/accuracy; `nnrun evaluate {tmp_path / 'all'}` measures it",
    ]


@pytest.mark.parametrize("members", [None, [], [{"run": "a"}], ["a"], {"a": 1}])
def test_a_damaged_record_is_refused(members: object, tmp_path: Path) -> None:
    a_run(tmp_path / "part", 0.5, seed=7)
    an_ensemble(tmp_path / "all", 0.5, {"a": tmp_path / "a"})
    (tmp_path / "all/ensemble.json").write_text(json.dumps({"average": "vote", "members": members}))
    with pytest.raises(RunError, match=r"all/ensemble\.json: damaged; make the ensemble again"):
        compare_runs(["part", "all"], tmp_path)


@pytest.mark.parametrize(("second", "words"), [(0.5, ", with the same values"), (0.75, "")])
def test_a_run_that_was_trained_twice_is_one_setting(second: float, words: str, tmp_path: Path) -> None:
    """More seeds would never show that a setting differs from itself."""
    a_run(tmp_path / "first", 0.5)
    a_run(tmp_path / "again", second)
    assert compare_runs(["first", "again"], tmp_path).sentences == [
        "all of these runs are one setting; there is no other to compare it with",
        f"first and again have the same settings and a seed in common{words}: a second run of a seed is not counted as "
        "a further seed",
    ]


def test_a_setting_is_not_tested_against_its_repetition_beside_another(tmp_path: Path) -> None:
    for seed in range(6):
        for name, rate in (("slow", 0.1), ("late", 0.1), ("fast", 0.2)):
            a_run(tmp_path / f"{name}-{seed}", 0.5 + rate + seed / 100, seed, rate)
    names = [f"{name}-{seed}" for name in ("slow", "late", "fast") for seed in range(6)]
    pairs = [{pair.first, pair.second} for pair in compare_runs(names, tmp_path).comparisons]
    assert {"slow", "late"} not in pairs and len(pairs) == 2
