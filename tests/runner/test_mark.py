"""Which step is the best: direction, margin, ties by the loss, and numbers that are none."""

from __future__ import annotations

import json
import math

import pytest

from nnrun.runner.mark import Mark, is_better, restored, stored
from nnrun.statistics.metric import Metric, Undefined

ACCURACY, LOSS = Metric("val/accuracy", rising=True), Metric("val/loss", rising=False)


@pytest.mark.parametrize(
    ("metric", "value", "than", "margin", "better"),
    [
        (ACCURACY, 0.6, 0.5, None, True),
        (ACCURACY, 0.4, 0.5, None, False),
        (LOSS, 0.4, 0.5, None, True),
        (LOSS, 0.6, 0.5, None, False),
        (ACCURACY, 0.75, 0.5, 0.25, False),  # by exactly the margin is not by more than it
        (ACCURACY, 0.8125, 0.5, 0.25, True),
        (LOSS, 0.25, 0.5, 0.25, False),
        (LOSS, 0.125, 0.5, 0.25, True),
        (LOSS, 0.625, 0.5, 0.25, False),
        (ACCURACY, 0.5, 0.5, 0.0, False),  # with a margin, even of 0, the loss decides nothing
        (ACCURACY, math.nan, 0.5, None, False),
        (ACCURACY, math.inf, 0.5, None, False),
        (LOSS, -math.inf, 0.5, None, False),
    ],
)
def test_better_is_a_matter_of_direction_and_margin(
    metric: Metric, value: float, than: float, margin: float | None, better: bool
) -> None:
    """The loss of the later mark is less, which counts only where the values are equal."""
    assert is_better(Mark(8, value, 0.1), Mark(4, than, 0.2), metric, margin) is better


@pytest.mark.parametrize(
    ("loss", "before", "better"),
    [(0.1, 0.2, True), (0.2, 0.2, False), (0.3, 0.2, False), (0.3, None, True),
     (None, 0.2, False), (None, None, False)],
)  # fmt: skip
@pytest.mark.parametrize("metric", [ACCURACY, LOSS])
def test_the_loss_decides_between_equal_values(
    metric: Metric, loss: float | None, before: float | None, better: bool
) -> None:
    """None is a loss that is not finite: any finite one is better."""
    assert is_better(Mark(8, 0.5, loss), Mark(4, 0.5, before), metric) is better


@pytest.mark.parametrize(
    ("value", "better"), [(0.0, True), (-3.0, True), (math.nan, False), (math.inf, False)]
)
@pytest.mark.parametrize("margin", [None, 5.0])
def test_the_first_finite_value_is_the_best_whatever_the_margin(
    margin: float | None, value: float, better: bool
) -> None:
    assert is_better(Mark(4, value, None), None, ACCURACY, margin) is better


def test_metrics_go_through_json_with_the_reasons_of_those_that_have_no_value() -> None:
    values = {
        "val/accuracy": 0.5, "val/loss": math.inf, "val/mae": math.nan, "test/auroc": Undefined("one class only"),
        "val/zero": 0.0,
    }  # fmt: skip
    text = json.dumps(stored(values), allow_nan=False)
    back = restored(json.loads(text))
    assert set(back) == {
        "val/accuracy",
        "test/auroc",
        "val/zero",
    }  # without a reason there is nothing to keep
    assert (back["val/accuracy"], back["val/zero"]) == (0.5, 0.0)
    undefined = back["test/auroc"]
    assert isinstance(undefined, Undefined) and undefined.reason == "one class only" and math.isnan(undefined)


def test_the_entry_of_a_mark_makes_the_same_mark_again() -> None:
    for mark in (Mark(4, 0.25, None), Mark(0, -1.5, 2.0)):
        assert Mark(**json.loads(json.dumps(mark.entry()))) == mark
