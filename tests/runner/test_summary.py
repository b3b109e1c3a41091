"""What a run and a group say at their end: means and intervals by SciPy, rises, gaps, advice after a divergence."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nnrun.record import run
from nnrun.record.early_stop import EarlyStop
from nnrun.record.weights_from import Beginning, write_arrays
from nnrun.runner.mark import Mark
from nnrun.runner.recorder import Recorder
from nnrun.runner.summary import as_json, average, divergence, early_stop, group_summary, run_summary
from nnrun.statistics.metric import Undefined
from nnrun.storage import fsio
from nnrun.types import Plan

Recording = Callable[..., Recorder]
Rows = Callable[[int, int], np.ndarray]
Planned = Callable[..., Plan]
SHARE = {"accuracy": (0.0, 1.0)}
DATA: Any = {"baseline": {"prediction": "training mean", "metrics": {}}}


def averaged(values: Mapping[str, list[Any]], **options: Any) -> Any:
    """Of runs whose last state has these values, by metric."""
    count = len(next(iter(values.values())))
    runs: list[Any] = [
        {"last": {name: row[i] for name, row in values.items()}, "best": {}} for i in range(count)
    ]
    return average(runs, SHARE, **options)


def test_mean_and_interval_are_students() -> None:
    values = [1.5, 2.25, 0.75, 3.0]
    found = averaged({"val/loss": values})
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert found["mean"]["last"]["val/loss"] == pytest.approx(np.mean(values), rel=1e-12)
    assert found["ci95"]["last"]["val/loss"] == pytest.approx([low, high], rel=1e-9)


def test_the_interval_of_a_share_ends_where_shares_end() -> None:
    values = [0.99, 1.0, 0.96]
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert high > 1
    for name in ("val/accuracy", "accuracy", "test/ema/accuracy"):
        assert averaged({name: values})["ci95"]["last"][name] == pytest.approx([low, 1.0])
    (loss,) = averaged({"val/loss": values})["ci95"]["last"].values()
    assert loss[1] == pytest.approx(high)  # which can be anything


def test_folds_have_an_interval_for_what_they_validate_only() -> None:
    """Nadeau & Bengio: the variance of the mean is s² (1/n + n_val/n_train)."""
    values, ratio = [0.5, 0.625, 0.5625, 0.6875, 0.6], 0.25
    half = stats.t.ppf(0.975, 4) * np.std(values, ddof=1) * math.sqrt(1 / 5 + ratio)
    found = averaged({"val/mae": values, "test/mae": values}, ratio=ratio, independent=False)
    mean = np.mean(values)
    assert found["ci95"]["last"] == {"val/mae": pytest.approx([mean - half, mean + half]), "test/mae": None}
    assert found["mean"]["last"] == {"val/mae": pytest.approx(mean), "test/mae": pytest.approx(mean)}
    incomplete = averaged({"val/mae": values}, independent=False)
    assert incomplete["ci95"]["last"] == {"val/mae": None} and incomplete["mean"]["last"]


def test_what_some_runs_lack_has_no_mean() -> None:
    found = averaged({"val/loss": [1.0, 2.0], "val/auroc": [0.5, "nan"], "val/mape": ["inf", "inf"]})
    assert set(found["mean"]["last"]) == {"val/loss"} == set(found["ci95"]["last"])
    runs: list[Any] = [
        {"last": {"a": 1.0, "b": 2.0}, "best": {"a": 0}},
        {"last": {"a": 3.0}, "best": {"a": 1}},
    ]
    assert average(runs, {})["mean"] == {"last": {"a": 2.0}, "best": {"a": 0.5}}
    assert average(runs, {}, sections=("last",))["mean"] == {"last": {"a": 2.0}}


def test_one_run_has_a_mean_without_an_interval_and_none_has_neither() -> None:
    assert averaged({"val/loss": [1.5]}) == {
        "mean": {"last": {"val/loss": 1.5}},
        "ci95": {"last": {"val/loss": None}},
    }
    assert average([], SHARE) == {"mean": {}, "ci95": {}}


def test_numbers_that_json_lacks_become_text() -> None:
    values = {"a": 1.5, "b": math.nan, "c": math.inf, "d": -math.inf, "e": Undefined("no positive example")}
    found = as_json(values)
    assert found == {"a": 1.5, "b": "nan", "c": "inf", "d": "-inf", "e": "nan"}
    json.dumps(found, allow_nan=False)


def ended(recorder: Recorder, rows: np.ndarray, **latest: float) -> Recorder:
    recorder.advance(rows, latest or None)
    recorder.status = "done"
    return recorder


def losses(*values: float) -> np.ndarray:
    """Four steps for each value, so that it is the mean of a line."""
    column = np.repeat(values, 4)
    return np.stack([column, column, column], axis=1)


@pytest.mark.parametrize(
    ("first", "last", "rise"),
    [
        (1.0, 2.0, False), (1.0, 2.25, True), (-1.0, 0.0, False), (-1.0, 0.25, True), (-3.0, -1.0, False),
        (4.0, 1.0, False), (0.0, 0.5, True),
    ],
)  # fmt: skip
def test_a_run_that_ends_with_twice_its_first_loss_says_so(
    first: float, last: float, rise: bool, recording: Recording
) -> None:
    summary = run_summary(ended(recording(), losses(first, last)), {}, {}, DATA)
    assert summary.get("rise") == ({"first": first, "last": last} if rise else None)


def test_a_run_that_begins_with_weights_may_double_its_small_loss(recording: Recording) -> None:
    recorder = ended(recording(), losses(0.1, 0.5))
    assert "rise" in run_summary(recorder, {}, {}, DATA)
    origin: Any = {
        "step": 4,
        "run": "/r",
        "average": None,
        "sha256": "",
        "only": [],
        "optimizer_state": "fresh",
    }
    write_arrays(recorder.folder, Beginning(origin, {"params/w": np.ones(2)}))
    assert "rise" not in run_summary(recorder, {}, {}, DATA)
    assert "rise" in run_summary(
        recorder, {}, {}, DATA, constant=0.125
    )  # than outputs of 0 it must be better


@pytest.mark.parametrize(
    ("last", "val", "constant", "rise"),
    [(5.0, 5.0, 2.0, True), (5.0, 3.0, 2.0, False), (4.0, 9.0, 2.0, False), (5.0, 5.0, math.nan, False),
     (5.0, 5.0, -2.0, False), (5.0, 5.0, 0.0, False)],
)  # fmt: skip
def test_a_run_that_was_lost_before_its_first_line_is_judged_by_outputs_of_0(
    last: float, val: float, constant: float, rise: bool, recording: Recording
) -> None:
    """It begins at 4, so twice its first loss is never reached; both parts have to be twice as bad as outputs of 0."""
    recorder = recording()
    recorder.advance(losses(4.0, last), {"val/loss": val, "val/accuracy": 0.5})
    summary = run_summary(recorder, {}, {}, DATA, constant)
    assert summary.get("rise") == ({"first": 4.0, "last": last, "constant": constant} if rise else None)


def test_a_summary_has_the_metrics_of_the_last_and_of_the_best_step(
    recording: Recording, rows_of: Rows
) -> None:
    recorder = recording()
    for first, accuracy in ((1, 0.5), (5, 0.75), (9, 0.25)):
        better = recorder.advance(
            rows_of(first, first + 3), {"val/accuracy": accuracy, "val/loss": 1 - accuracy}
        )
        recorder.keep({"params/w": np.ones(1)}, better, due=False)
    recorder.status = "done"
    summary = run_summary(recorder, {"test/accuracy": 0.125}, {"test/accuracy": 0.625}, DATA)
    assert summary["best"] == {"metric": "val/accuracy", "value": 0.75, "step": 8}
    last, best = summary["metrics"]["last"], summary["metrics"]["best"]
    assert (last["val/accuracy"], last["test/accuracy"], last["train/loss"]) == (0.25, 0.125, 10.5)
    assert (best["val/accuracy"], best["test/accuracy"], best["train/loss"]) == (0.75, 0.625, 6.5)
    assert (summary["steps"], summary["epochs"]) == (12, 12 / 5)
    assert summary.get("bounds") == {"accuracy": [0.0, 1.0]} and summary.get("rising") == ["accuracy"]
    assert summary["stopped_early"] is None and "undefined" not in summary


def test_where_nothing_is_judged_the_best_metrics_are_the_last(
    recording: Recording, rows_of: Rows, planned: Planned
) -> None:
    recorder = ended(recording(plan=planned(judge=None)), rows_of(1, 4))
    summary = run_summary(recorder, {"test/mae": 1.0}, {"test/mae": 1.0}, DATA)
    assert summary["best"] is None and summary["metrics"]["best"] == summary["metrics"]["last"]
    assert "undefined" not in summary  # nothing was asked to judge


def test_metrics_without_a_value_say_why_and_what_follows(
    recording: Recording, rows_of: Rows, planned: Planned
) -> None:
    plan = planned(judge="val/auroc", patience_metric="val/loss", patience=4)
    recorder = recording(plan=plan)
    recorder.advance(
        rows_of(1, 4),
        {"val/auroc": Undefined("one class only"), "val/loss": math.nan, "val/f1": Undefined("empty")},
    )
    recorder.status = "done"
    assert run_summary(recorder, {}, {}, DATA).get("undefined") == {
        "val/auroc": "one class only; so no step is the best, and the last one stands for it",
        "val/loss": "it was never a finite number; so early stopping had nothing to go by",
        "val/f1": "empty",
    }
    recorder.status = "diverged"  # which explains it
    assert run_summary(recorder, {}, {}, DATA).get("undefined") == {
        "val/auroc": "one class only",
        "val/f1": "empty",
    }


def test_only_a_run_that_is_done_before_its_last_step_stopped_early(
    recording: Recording, planned: Planned
) -> None:
    recorder = recording(plan=planned(patience_metric="val/loss", patience=6, min_delta=0.5))
    recorder.step, recorder.status, recorder.improved = 12, "done", Mark(4, 1.0, 1.0)
    assert early_stop(recorder) == EarlyStop(step=12, metric="val/loss", since=4, patience=6, min_delta=0.5)
    for name, value in (("status", "running"), ("status", "diverged"), ("step", 20), ("improved", None)):
        before = getattr(recorder, name)
        setattr(recorder, name, value)
        assert early_stop(recorder) is None, name
        setattr(recorder, name, before)


def test_a_group_is_the_mean_of_the_runs_that_are_done(tmp_path: Path, planned: Planned) -> None:
    recorders: list[Any] = []
    for seed, (status, loss) in enumerate((("done", 1.0), ("diverged", 9.0), ("done", 3.0))):
        folder = tmp_path / f"seed_{seed}"
        folder.mkdir()
        metrics = {"last": {"val/loss": loss}, "best": {"val/loss": loss / 2}}
        fsio.write_json(
            folder / "summary.json", {"status": status, "metrics": metrics, "few": {"a": {"val": seed}}}
        )
        recorders.append(SimpleNamespace(folder=folder, status=status, step=20 - seed, plan=planned()))
    group = group_summary(tmp_path, recorders)
    assert (group["status"], group["steps"]) == ("done", 20)
    assert group["mean"] == {"last": {"val/loss": 2.0}, "best": {"val/loss": 1.0}}
    assert [member["run"] for member in group["runs"]] == ["seed_0", "seed_1", "seed_2"]
    assert group.get("few") == {"a": {"val": 0}} and "targets" not in group and "baseline" not in group
    lost = group_summary(tmp_path, recorders[1:2])
    assert (lost["status"], lost["mean"]) == ("diverged", {})
    assert not run.is_run(tmp_path)  # a summary makes no run


def diverged(
    step: int, best: int | None = None, loss: float = math.nan, columns: Any = ("learning_rate",)
) -> Any:
    mark = None if best is None else Mark(best, 0.5, 1.0)
    return SimpleNamespace(step=step, best=mark, latest={"train/loss": loss}, columns=columns)


def test_a_divergence_says_where_it_was_what_is_left_and_what_to_try() -> None:
    assert divergence([diverged(12)]) == (
        "the loss became infinite or NaN at step 12; try a smaller optimizer.learning_rate, schedule.warmup=5% or "
        "optimizer.clip_norm=1"
    )
    several = divergence([diverged(12, best=4), diverged(9, best=8), diverged(15)])
    assert "at step 9; the best state before, of step 8, is kept; try" in several
    assert divergence([diverged(5, loss=1.5)]).startswith("the parameters or moments became")
    assert divergence([diverged(5, loss=1.5), diverged(5)]).startswith("the loss became")
    assert divergence([diverged(5, columns=())]).endswith("try another one, such as lbfgs")
