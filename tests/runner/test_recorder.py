"""A run being recorded from rows and states made by hand: lines, the best step, patience, checkpoints, the end."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from nnrun.record import checkpoint
from nnrun.runner.recorder import Recorder
from nnrun.types import Plan

Recording = Callable[..., Recorder]
Rows = Callable[[int, int], np.ndarray]
Planned = Callable[..., Plan]


def lines(recorder: Recorder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (recorder.folder / "metrics.jsonl").read_text().splitlines()]


def state(value: float) -> dict[str, np.ndarray]:
    return {"params/w": np.full(2, value, np.float32)}


def saved(recorder: Recorder) -> list[int]:
    return checkpoint.steps(recorder.folder / "checkpoints")


def evaluation(accuracy: float, loss: float = 1.0) -> dict[str, float]:
    return {"val/accuracy": accuracy, "val/loss": loss}


@pytest.mark.parametrize("chunks", [(10,), (4, 4, 2), (1, 2, 3, 4), (3, 7), (5, 5)])
def test_lines_do_not_depend_on_how_steps_come_in_chunks(
    chunks: tuple[int, ...], recording: Recording, rows_of: Rows
) -> None:
    """A line every 4 steps: the loss is the mean over them, the rest is that of the last."""
    recorder, step = recording(), 0
    for size in chunks:
        assert recorder.advance(rows_of(step + 1, step + size), None) is False
        step += size
    recorder.close()
    assert recorder.step == 10 and recorder.live
    assert lines(recorder) == [
        {"step": 4, "epoch": 0.8, "train/loss": 2.5, "learning_rate": 0.04, "gradient_norm": 4000.0},
        {"step": 8, "epoch": 1.6, "train/loss": 6.5, "learning_rate": 0.08, "gradient_norm": 8000.0},
    ]
    np.testing.assert_array_equal(recorder.window, rows_of(9, 10))  # what the next line will be made of
    assert recorder.latest["train/loss"] == 6.5


def test_an_evaluation_ends_a_line_wherever_it_comes(recording: Recording, rows_of: Rows) -> None:
    recorder = recording()
    assert recorder.advance(rows_of(1, 6), evaluation(0.5))
    recorder.advance(rows_of(7, 8), None)
    recorder.close()
    at_4, at_6, at_8 = lines(recorder)
    assert (at_4["step"], at_6["step"], at_8["step"]) == (4, 6, 8)
    assert (at_4["train/loss"], at_6["train/loss"], at_8["train/loss"]) == (2.5, 5.5, 7.5)
    assert "val/loss" not in at_4 and at_6["val/accuracy"] == 0.5 and "val/loss" not in at_8
    timed = [json.loads(line)["step"] for line in (recorder.folder / "timing.jsonl").read_text().splitlines()]
    assert timed == [6]
    assert recorder.latest["val/accuracy"] == 0.5  # the last that is known, though of an earlier line


def test_metrics_of_a_line_are_made_of_mean_terms(recording: Recording) -> None:
    """A root of a mean is not a mean of roots."""

    def to_metrics(mean: Mapping[str, float]) -> dict[str, float]:
        return {"loss": mean["loss"], "rmse": math.sqrt(mean["square"])}

    recorder = recording(columns=("train/loss", "train/square", "rate"), to_metrics=to_metrics)
    recorder.advance(np.array([[1.0, 1, 0.1], [2, 9, 0.2], [3, 25, 0.3], [6, 1, 0.4]]), None)
    recorder.close()
    (line,) = lines(recorder)
    assert line["train/rmse"] == 3.0 and line["train/loss"] == 3.0 and line["rate"] == 0.4
    assert "train/square" not in line


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_run_at_its_step(
    bad: float, recording: Recording, rows_of: Rows
) -> None:
    recorder, rows = recording(), rows_of(1, 8)
    rows[5, 0] = bad
    rows[6, 0] = math.nan
    assert recorder.advance(rows, evaluation(0.9)) is False  # of a state that is lost
    recorder.close()
    assert (recorder.status, recorder.step, recorder.best) == ("diverged", 6, None)
    assert [line["step"] for line in lines(recorder)] == [4, 6]
    assert "val/loss" not in lines(recorder)[1] and "gradient_norm" not in lines(recorder)[1]
    assert lines(recorder)[1]["train/loss"] == ("Infinity" if bad == math.inf else "NaN")


def test_the_best_step_is_that_of_the_metric_that_judges(recording: Recording, rows_of: Rows) -> None:
    recorder = recording()
    courses = [(0.5, 1.0), (0.7, 0.9), (0.7, 0.8), (0.6, 0.1), (0.7, 0.8)]
    improved = []
    for number, (accuracy, loss) in enumerate(courses, start=1):
        better = recorder.advance(rows_of(4 * number - 3, 4 * number), evaluation(accuracy, loss))
        recorder.keep(state(number), better, due=False)
        improved.append(better)
    assert improved == [True, True, True, False, False]
    assert recorder.best is not None and recorder.best.entry() == {"step": 12, "value": 0.7, "loss": 0.8}
    assert recorder.best_metrics["val/loss"] == 0.8 and recorder.latest["val/loss"] == 0.8
    best = recorder.best_arrays()
    assert best is not None
    np.testing.assert_array_equal(best["params/w"], state(3)["params/w"])
    assert recorder.status == "done" and saved(recorder) == [12, 20]  # the run ended at its last step


def test_where_nothing_is_judged_the_best_is_the_last(
    recording: Recording, rows_of: Rows, planned: Planned
) -> None:
    recorder = recording(plan=planned(judge=None, steps=4))
    assert recorder.advance(rows_of(1, 4), evaluation(0.5)) is False
    assert recorder.best_arrays() is None  # there is none yet
    assert recorder.keep(state(7), False, due=True) is True
    best = recorder.best_arrays()
    assert recorder.best is None and best is not None and best["params/w"].tolist() == [7, 7]


@pytest.mark.parametrize(
    ("min_delta", "patience", "ends"),
    [(0.0, 8, 20), (0.0, 4, 16), (0.125, 8, 12), (0.125, 4, 8), (0.0, 100, 20)],
)
def test_patience_counts_from_the_last_improvement(
    min_delta: float, patience: int, ends: int, recording: Recording, rows_of: Rows, planned: Planned
) -> None:
    """Losses 1, 0.9375, 0.875, 0.875, 0.8125: improvements at 4, 8, 12 and 20; by more than 0.125 at 4 and 20."""
    plan = planned(steps=20, patience_metric="val/loss", patience=patience, min_delta=min_delta)
    recorder = recording(plan=plan)
    for number, loss in enumerate((1.0, 0.9375, 0.875, 0.875, 0.8125), start=1):
        better = recorder.advance(rows_of(4 * number - 3, 4 * number), evaluation(0.5, loss))
        recorder.keep(state(number), better, due=False)
        if not recorder.live:
            break
    assert (recorder.status, recorder.step) == ("done", ends)


def test_what_is_saved_continues_as_if_nothing_had_happened(recording: Recording, rows_of: Rows) -> None:
    whole, first = recording("whole"), recording("parts")
    for recorder in (whole, first):
        better = recorder.advance(rows_of(1, 6), evaluation(0.5, math.inf))
        recorder.keep(state(6), better, due=True)
    first.advance(rows_of(7, 9), None)  # lost: no checkpoint has it
    first.close()
    loaded = checkpoint.load_latest(first.folder / "checkpoints", print)
    again = recording("parts", start_checkpoint=loaded)
    assert again.step == 6 and again.best is not None and again.best.loss is None
    assert (
        again.start is not None
        and again.start["params/w"].tolist() == [6, 6]
        and set(again.start) == {"params/w"}
    )
    for recorder in (whole, again):
        better = recorder.advance(rows_of(7, 12), evaluation(0.5, 2.0))
        assert better  # a finite loss
        recorder.close()
    assert lines(whole) == lines(again) and len(lines(again)) == 4


def test_the_newest_regular_checkpoints_the_best_and_the_kept_ones_stay(
    recording: Recording, rows_of: Rows, planned: Planned
) -> None:
    recorder = recording(plan=planned(steps=40, keep=2, kept=(8,)))
    for number in range(1, 9):
        better = recorder.advance(
            rows_of(4 * number - 3, 4 * number), evaluation(0.9 if number == 3 else 0.1 * number)
        )
        assert recorder.keep(state(number), better, due=True)
        recorder.prune()
    assert saved(recorder) == [8, 12, 28, 32]


def test_a_state_that_is_not_finite_is_neither_saved_nor_the_best(
    recording: Recording, rows_of: Rows
) -> None:
    recorder = recording()
    recorder.keep(state(1), recorder.advance(rows_of(1, 4), evaluation(0.5)), due=False)
    better = recorder.advance(rows_of(5, 8), evaluation(0.6))
    assert better and recorder.keep(state(math.nan), better, due=True) is True
    assert (recorder.status, recorder.ended) == ("diverged", True)
    assert recorder.best is not None and recorder.best.step == 4
    assert saved(recorder) == [4]  # the best before it, which lay in memory
    best = recorder.best_arrays()
    assert best is not None and best["params/w"].tolist() == [1, 1]
    assert recorder.keep(state(2), False, due=True) is False and recorder.end_here() is False


def test_the_steps_of_a_line_that_is_not_full_are_in_the_checkpoint(
    recording: Recording, rows_of: Rows
) -> None:
    recorder = recording()
    recorder.advance(rows_of(1, 6), None)
    recorder.keep(state(6), False, due=True)
    recorder.close()
    again = recording(start_checkpoint=checkpoint.load_latest(recorder.folder / "checkpoints", print))
    again.advance(rows_of(7, 8), None)
    again.close()
    assert [line["train/loss"] for line in lines(again)] == [2.5, 6.5]


def test_a_best_step_does_not_displace_the_regular_ones_even_after_resuming(
    recording: Recording, rows_of: Rows
) -> None:
    """A population continues from a step that all its lanes have, here 8; the best step was 12."""
    recorder = recording()
    for number in (1, 2):
        recorder.advance(rows_of(4 * number - 3, 4 * number), None)
        recorder.keep(state(number), False, due=True)
    recorder.close()
    again = recording(start_checkpoint=checkpoint.load_latest(recorder.folder / "checkpoints", print))
    for number, accuracy, due in ((3, 0.9, False), (4, 0.1, True)):
        better = again.advance(rows_of(4 * number - 3, 4 * number), evaluation(accuracy))
        again.keep(state(number), better, due)
    again.prune()
    assert saved(again) == [8, 12, 16]
    assert again.best_arrays() is not None and again.final is None


def test_a_state_that_is_not_finite_ends_the_run_where_it_was_to_be_saved(
    recording: Recording, rows_of: Rows
) -> None:
    lost = ml_dtypes.bfloat16(math.nan)  # for NumPy alone this is no float
    recorder = recording()
    recorder.advance(rows_of(1, 4), None)
    assert recorder.keep({"params/w": np.full(2, lost)}, False, due=False) is False and recorder.live
    assert recorder.keep({"params/w": np.full(2, lost)}, False, due=True) is True
    assert recorder.status == "diverged" and saved(recorder) == []


def test_a_run_that_loses_a_rung_ends_at_its_last_saved_state(
    recording: Recording, rows_of: Rows, tmp_path: Path
) -> None:
    recorder = recording()
    assert recorder.end_here() is False  # there is none
    recorder.advance(rows_of(1, 4), None)
    recorder.keep(state(1), False, due=True)
    assert recorder.end_here() is True
    assert (recorder.status, recorder.ended, saved(recorder)) == ("done", True, [4])
    assert recorder.end_here() is False  # it has ended
    content = checkpoint.load(checkpoint.step_folder(tmp_path / "run" / "checkpoints", 4))
    assert content.progress["complete"] is True
    resumed = recording("run", start_checkpoint=content)
    assert not resumed.live and resumed.ended and resumed.final is not None
