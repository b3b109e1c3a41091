"""Which checkpoints are measured and which weights begin another run, from folders made by hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from nnrun.errors import RunError, SpecError
from nnrun.preprocessing import FittedColumn, Preprocessing
from nnrun.record import checkpoint, metrics, run
from nnrun.record.pack import ARRAYS, Checkpoint
from nnrun.runner.evaluation import (
    check_split,
    evaluate_run,
    good_members,
    load_checkpoint,
    load_intact,
    run_result,
)
from nnrun.runner.warm_start import _changes, _rate_of, _sources, _warn_of_rounding
from nnrun.statistics.metric import Undefined

RunAt = Callable[..., Path]


def with_best(folder: Path, step: int, best: int | None) -> None:
    """The checkpoint of a step says which one was the best."""
    place = folder / "checkpoints"
    content = checkpoint.load(checkpoint.step_folder(place, step))
    mark: Any = None if best is None else {"step": best, "value": 0.5, "loss": 1.0}
    shutil.rmtree(checkpoint.step_folder(place, step))
    checkpoint.save(place, step, content.arrays, {**content.progress, "best": mark}, 0)


@pytest.mark.parametrize(
    ("which", "best", "step"),
    [("last", 4, 12), ("best", 4, 4), ("best", 12, 12), ("best", None, 12), ("8", 4, 8),
     ("12", 4, 12), ("08", None, 8)],
)  # fmt: skip
def test_a_checkpoint_is_the_last_the_best_or_that_of_a_step(
    which: str, best: int | None, step: int, run_at: RunAt
) -> None:
    folder = run_at("a", "done", steps=(4, 8, 12))
    with_best(folder, 12, best)
    content = load_checkpoint(folder, which, print)
    assert content.step == step and content.state["params/w"].tolist() == [step] * 3


@pytest.mark.parametrize("which", ["9", "", "first", "-4", "4.0", "²", "1e1"])
def test_a_checkpoint_that_is_not_there_is_answered_with_those_that_are(which: str, run_at: RunAt) -> None:
    folder = run_at("a", "done", steps=(4, 8))
    with pytest.raises(RunError, match=r"has no checkpoint .*; write last, best or a step: 4, 8$"):
        load_checkpoint(folder, which, print)


def test_a_best_step_whose_checkpoint_is_gone_is_not_replaced_by_another(run_at: RunAt) -> None:
    folder = run_at("a", "done", steps=(4, 8))
    with_best(folder, 8, 6)
    with pytest.raises(RunError, match="has no checkpoint 'best'; write last, best or a step: 4, 8"):
        load_checkpoint(folder, "best", print)


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        ("diverged", "it diverged before the first; train again with a smaller learning rate"),
        ("done", "though it is done; restore its folder checkpoints/, or train again"),
        ("interrupted", "yet; `nnrun resume .*/a` continues it"), ("running", "yet; `nnrun resume"),  # it has crashed
    ],
)  # fmt: skip
def test_a_run_without_checkpoints_has_the_remedy_of_its_status(
    status: str, remedy: str, run_at: RunAt
) -> None:
    with pytest.raises(RunError, match=f"has no checkpoint,? {remedy}"):
        load_checkpoint(run_at("a", status), "best", print)


def test_a_finished_run_without_its_last_checkpoint_has_no_last_and_no_best(run_at: RunAt) -> None:
    folder = run_at("a", "done", steps=(4, 8), step=12)
    for which in ("last", "best"):
        with pytest.raises(
            RunError, match="its last checkpoint, of step 12, is missing; put it back or write a step: 4, 8"
        ):
            load_checkpoint(folder, which, print)
    assert load_checkpoint(folder, "8", print).step == 8
    run.write_state(folder, "interrupted", step=12)  # which resumes from the one that is there
    assert load_checkpoint(folder, "last", print).step == 8


def test_a_damaged_checkpoint_is_skipped_with_a_warning_or_refused(run_at: RunAt) -> None:
    folder, warnings = run_at("a", "interrupted", steps=(4, 8)), list[str]()
    (checkpoint.step_folder(folder / "checkpoints", 8) / ARRAYS).write_bytes(b"damaged")
    assert load_checkpoint(folder, "last", warnings.append).step == 4
    assert len(warnings) == 1 and warnings[0].endswith("; skipped this checkpoint")
    with pytest.raises(RunError) as raised:
        load_intact(folder, "last")
    assert "skipped" not in str(raised.value) and "8" in str(raised.value)


def test_runs_of_a_group_that_diverged_are_left_out(run_at: RunAt) -> None:
    folder, warnings = run_at("g", "done", spec="train: {seed: 0, seeds: 3}\n"), list[str]()
    for seed, status in enumerate(("done", "diverged", "done")):
        run_at(f"g/seed_{seed}", status)
    assert [path.name for path in good_members(folder, warnings.append)] == ["seed_0", "seed_2"]
    assert len(warnings) == 1 and warnings[0].endswith("/g/seed_1")
    for seed in (0, 2):
        run.write_state(folder / f"seed_{seed}", "diverged")
    with pytest.raises(RunError, match="/g: all its runs diverged; train again with a smaller learning rate"):
        good_members(folder, warnings.append)
    assert good_members(run_at("single", "diverged"), warnings.append) == [] and len(warnings) == 1


def test_what_is_asked_for_is_checked_before_anything_is_read(tmp_path: Path) -> None:
    for split in ("validation", "", "TEST"):
        with pytest.raises(SpecError, match=r"--split: got .*; write one of train, val, test"):
            check_split(split)
    for samples in (-1, 10_001):
        with pytest.raises(SpecError, match=f"--samples: got {samples}; write 1 to 10000, or 0 for no noise"):
            evaluate_run(tmp_path / "nowhere", "val", "best", print, samples)


def test_metrics_without_a_value_have_their_reason_beside_them() -> None:
    found = run_result(Path("a"), 8, {"val/loss": 0.5, "val/auroc": Undefined("one class only")})
    assert found["metrics"] == {"val/loss": 0.5, "val/auroc": "nan"}
    assert found.get("undefined") == {"val/auroc": "one class only"}
    assert "undefined" not in run_result(Path("a"), 8, {"val/loss": 0.5})


def test_each_seed_begins_with_its_own_or_all_with_one(run_at: RunAt) -> None:
    single = run_at("single", "done")
    assert _sources(single, (3, 4)) == [single, single]
    group = run_at("g", "done", spec="train: {seed: 0, seeds: 3}\n")
    for seed in range(3):
        run_at(f"g/seed_{seed}", "done")
    assert [path.name for path in _sources(group, (1, 2))] == ["seed_1", "seed_2"]
    with pytest.raises(SpecError, match=r"which has no seed 3, 4; name one run for all, such as .*/g/seed_0"):
        _sources(group, (2, 3, 4))
    folds = run_at("cv", "done", spec="train: {folds: 2, repeats: 1, fold: null}\n")
    run_at("cv/fold_1", "done"), run_at("cv/fold_2", "done")
    with pytest.raises(
        RunError, match=r"trains one model a fold, so it has no weights of its own; .*/cv/fold_1"
    ):
        _sources(folds, (0,))
    ensemble = run_at("e", "done")
    run_at("e/member_01", "done")
    with pytest.raises(
        RunError, match="averages the predictions of its members, so it has no weights of its own"
    ):
        _sources(ensemble, (0,))


def test_the_rate_of_a_step_is_the_last_that_was_logged_before_it(run_at: RunAt) -> None:
    folder = run_at("a")
    assert _rate_of(folder, 8) is None
    records: list[dict[str, float]] = [
        {"step": 4, "learning_rate": 0.5}, {"step": 6, "val/loss": 1.0}, {"step": 8, "learning_rate": 0.25},
    ]  # fmt: skip
    (folder / "metrics.jsonl").write_bytes(b"".join(map(metrics.line, records)))
    assert [_rate_of(folder, step) for step in (3, 4, 7, 8, 99)] == [None, 0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize(
    ("before", "after", "warns"),
    [
        (np.float64, np.float32, True), (np.float32, np.float64, False), (np.float32, np.float32, False),
        (np.float32, ml_dtypes.bfloat16, True), (ml_dtypes.bfloat16, np.float32, False),
        (np.float16, ml_dtypes.bfloat16, True), (ml_dtypes.bfloat16, np.float16, True),  # of one size
    ],
)  # fmt: skip
def test_weights_that_lose_digits_are_said(before: Any, after: Any, warns: bool) -> None:
    warnings: list[str] = []
    old = {
        "params/a": np.ones(1, np.int32),
        "params/b": np.ones(1, before),
        "params/untaken": np.ones(1, np.float64),
    }
    _warn_of_rounding(
        old, {"params/a": old["params/a"], "params/b": old["params/b"].astype(after)}, "r:4", warnings.append
    )
    expected = f"--from r:4: its weights are {np.dtype(before)}, rounded to {np.dtype(after)} here"
    assert warnings == [expected] * warns


FITTED = Preprocessing(("a", "b"), (), (2,), "float32", np.zeros(2), np.ones(2), 0.0, 1.0, {})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""), ({"classes": ("b", "a")}, "was trained for a, b, this run is for b, a"),
        ({"classes": ()}, "was trained for a, b, this run is for numbers"),
        ({"classes": (), "label_classes": (("no", "yes"), ("no", "yes"))}, "this run is for labels no or yes"),
        ({"columns": (FittedColumn("x"), FittedColumn("y"))}, "was trained on other features"),
        ({"shift": np.array([0.0, 1e-9])}, "was trained on inputs standardised by its own training part"),
        ({"scale": np.ones(())}, "was trained on inputs standardised by its own training part"),
    ],
)  # fmt: skip
def test_what_weights_meet_that_they_were_not_trained_for(change: dict[str, Any], words: str) -> None:
    found = _changes(FITTED, FITTED._replace(**change))
    assert [words in line for line in found] == [True] * bool(words)


def test_a_checkpoint_is_read_as_it_was_written(run_at: RunAt) -> None:
    content = load_intact(run_at("a", "done", steps=(4,)), "4")
    assert (
        isinstance(content, Checkpoint) and set(content.state) == {"params/w"} and content.metrics_offset == 0
    )
