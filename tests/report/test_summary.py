"""What a summary says of a run, a group and a cross-validation: one line, and warnings."""

from __future__ import annotations

from typing import Any

import pytest

from nnrun.report.summary import (
    folds_line,
    headline,
    reference,
    result_line,
    rises,
    runs_line,
    seeds_line,
    shown_section,
    stop_line,
    undefined,
    warnings,
)

BASELINE: Any = {"prediction": "largest class", "metrics": {"test/accuracy": 0.857, "val/loss": 1.5}}


def member(status: str = "done", **changes: Any) -> Any:
    return {"run": "seed_0", "status": status, "steps": 20, **changes}


def group(*members: Any, **changes: Any) -> Any:
    return {"status": "done", "steps": 20, "runs": [*members], "mean": {}, "ci95": {}, **changes}


FOLDS: Any = {"count": 4, "ratio": 1 / 3, "partition": "p"}


@pytest.mark.parametrize(
    ("done", "has_intervals", "text"),
    [
        (4, True, "mean ± corrected 95% interval of 4 folds"),
        (4, False, "mean of 4 folds"),
        (3, True, "mean of 3 of 4 folds"),
        (0, True, "all 4 folds diverged"),
    ],
)
def test_what_the_numbers_of_folds_are(done: int, has_intervals: bool, text: str) -> None:
    assert folds_line(done, FOLDS, has_intervals) == text


def test_what_the_numbers_of_seeds_are() -> None:
    assert seeds_line(2, 3) == "mean ± 95% interval of 2 of 3 seeds"
    assert seeds_line(0, 3) == "all 3 seeds diverged"
    assert runs_line(group(member(), member("diverged"))) == "mean ± 95% interval of 1 of 2 seeds"
    assert runs_line(group(*[member()] * 4, folds=FOLDS)) == "mean ± corrected 95% interval of 4 folds"


def test_folds_are_shown_at_their_last_step_by_what_they_validate_with() -> None:
    """Their best steps were chosen by the examples that measure them."""
    folds = group(
        *[member()] * 4, folds=FOLDS,
        mean={"best": {"val/accuracy": 0.9}, "last": {"val/accuracy": 0.75, "test/accuracy": 0.5}},
        ci95={"last": {"val/accuracy": [0.5, 1.0], "test/accuracy": None}},
    )  # fmt: skip
    assert shown_section(folds) == "last" and shown_section(group()) == "best"
    assert headline(folds) == "done: val/accuracy 0.75 ± 0.25  (mean ± corrected 95% interval of 4 folds)"


def test_the_reference_stands_behind_its_metric() -> None:
    metrics = {"test/accuracy": 0.9, "test/loss": 0.25, "val/loss": 1.0}
    line = result_line(metrics, {"test/accuracy": [0.75, 1.0]}, BASELINE)
    assert line == "test/accuracy 0.9 [0.75, 1] (largest class: 0.857)  test/loss 0.25"
    assert result_line({"val/loss": 1.0}, {}, BASELINE) == "val/loss 1 (largest class: 1.5)"
    assert result_line({"epoch": 3.0}, {}) == ""


def test_the_reference_of_an_average_is_that_of_its_metric() -> None:
    assert reference("test/ema/accuracy", BASELINE) == 0.857
    assert reference("val/accuracy", BASELINE) is None


def test_a_group_that_diverged_as_a_whole_says_so_once() -> None:
    assert (
        headline(group(member("diverged"), member("diverged"), status="diverged"))
        == "diverged: all 2 seeds diverged"
    )


def test_a_run_with_its_best_step() -> None:
    run: Any = member(
        metrics={"best": {"test/loss": 0.5}}, best={"metric": "val/loss", "step": 10, "value": 1.0}
    )
    assert headline(run) == "done after 20 steps: test/loss 0.5  (at step 10, the best by val/loss)"
    assert headline(member(steps=1, best=None)) == "done after 1 step"


RISE = {"first": 2.0, "last": 9.0}


def test_a_loss_that_rose() -> None:
    assert rises(member()) == []
    assert rises(member(rise=RISE)) == [
        "warning: the training loss rose from 2 to 9, so this has not learned; try a smaller optimizer.learning_rate"
    ]
    [line] = rises(member(rise={**RISE, "constant": 3.5}))
    assert "the training loss is 9 at the end, and outputs of 0 have 3.5, so" in line


def test_of_a_group_the_seed_that_rose_most() -> None:
    [line] = rises(group(member(rise=RISE), member(), member(rise={"first": 1.0, "last": 11.0})))
    assert line.startswith("warning: 2 of 3 seeds: the training loss rose from 1 to 11,")
    [line] = rises(group(member(rise=RISE), folds={"count": 1}))
    assert line.startswith("warning: 1 folds: the training loss rose from 2 to 9,")


def test_classes_with_few_examples() -> None:
    few = {f"c{i}": {"test": i, "train": i + 1} for i in range(6)}
    [line] = warnings(member(few=few))
    assert line == (
        "warning: fewer than 10 examples, of which metrics say little: c0 (1 in train, 0 in test), c1 (2 in train, 1 "
        "in test), c2 (3 in train, 2 in test), c3 (4 in train, 3 in test), c4 (5 in train, 4 in test) and 1 more"
    )
    assert warnings(member(few={"c0": {"val": 3}})) == [
        "warning: fewer than 10 examples, of which metrics say little: c0 (3 in val)"
    ]


def test_gaps_by_reason_and_by_how_many_seeds_have_them() -> None:
    lines = warnings(
        group(
            member(undefined={"test/auroc": "one class", "test/f1": "one class", "test/r2(a)": "constant"}),
            member(undefined={"test/auroc": "one class"}),
            member(),
        )
    )
    assert lines == [
        "warning: 2 of 3 seeds: test/auroc is undefined: one class",
        "warning: 1 of 3 seeds: test/f1 is undefined: one class",
    ]
    assert undefined(["a", "b"], "why") == "a, b are undefined: why"


STOP = {"step": 30, "metric": "val/loss", "since": 10, "patience": 20, "min_delta": 0.0}


def test_an_early_stop_and_what_it_means_for_folds() -> None:
    assert stop_line(member()) == ""
    alone = stop_line(member(stopped_early=STOP))
    assert alone.startswith("stopped early at step 30: val/loss has not improved since step 10")
    folds = stop_line(group(member(stopped_early=STOP), member(), folds=FOLDS))
    assert folds.startswith("1 of 2 folds stopped early, at step 30:")
    assert folds.endswith("; each by the examples that measure it, so these metrics are a little too good")
    assert "too good" not in stop_line(group(member(stopped_early=STOP), member(stopped_early=STOP)))
