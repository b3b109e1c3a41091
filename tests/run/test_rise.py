"""A run whose loss has grown is done, and says that it has not learned."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nnrun.record import metrics
from nnrun.report.summary import rises
from nnrun.runner.summary import run_summary

RISE = {"rise": {"first": 2.5, "last": 3e19}}


def summary(folder: Path, losses: list[float], val: float | None = None, **changes: Any) -> dict[str, Any]:
    """The summary of a run that logged these training losses, and at its end one of validation."""
    lines = [metrics.line({"step": i + 1, "train/loss": loss}) for i, loss in enumerate(losses)]
    (folder / "metrics.jsonl").write_bytes(b"".join(lines))
    plan = SimpleNamespace(
        judge=None, steps=len(losses), steps_per_epoch=1, rising=(), bounds={}, patience_metric=None
    )
    latest = ({"train/loss": losses[-1]} if losses else {}) | ({} if val is None else {"val/loss": val})
    recorder: Any = SimpleNamespace(
        folder=folder,
        plan=plan,
        best=None,
        best_metrics={},
        improved=None,
        latest=latest,
        status="done",
        step=len(losses),
    )
    return run_summary(recorder, {}, {}, {}, **changes)


@pytest.mark.parametrize(
    ("losses", "rise"),
    [
        ([2.5, 0.1, 3e19], {"first": 2.5, "last": 3e19}),
        ([2.5, 5.1], {"first": 2.5, "last": 5.1}),
        ([2.5, 5.0], None),  # as much as noise may do
        ([2.5, 9.0, 2.4], None),
        ([-1.0, -3.0], None),
        ([-1.0, 0.5], {"first": -1.0, "last": 0.5}),
        ([0.0, 0.0], None),
        ([], None),
    ],
)
def test_a_loss_that_has_doubled_is_in_the_summary(losses: list[float], rise: Any, tmp_path: Path) -> None:
    result = summary(tmp_path, losses)
    assert result.get("rise") == rise
    json.dumps(result, allow_nan=False)


@pytest.mark.parametrize(
    ("losses", "val", "said"),
    [
        ([9e29, 8e29], 7e29, True),  # lost before the first line
        ([9e29, 8e29], None, True),
        ([4.0, 2.3], 2.3, True),
        ([4.0, 2.1], 2.3, False),
        ([4.0, 2.3], 0.4, False),  # the line is a mean over steps; what they led to is good
    ],
)
def test_a_loss_far_above_that_of_knowing_nothing(losses, val, said, tmp_path: Path) -> None:
    result = summary(tmp_path, losses, val, constant=1.1)
    entry = {"first": losses[0], "last": losses[-1], "constant": 1.1}
    assert result.get("rise") == (entry if said else None)
    assert len(rises(result)) == said
    assert not said or f"is {losses[-1]:.4g} at the end, and outputs of 0 have 1.1, so" in rises(result)[0]


def test_one_line_says_it() -> None:
    text = "the training loss rose from 2.5 to 3e+19, so this has not learned; try a smaller optimizer.learning_rate"
    assert rises({}) == rises({"runs": [{}, {}]}) == []
    assert rises(RISE) == [f"warning: {text}"]
    assert rises({"runs": [{}, RISE, {"rise": {"first": 1.0, "last": 4.0}}]}) == [
        f"warning: 2 of 3 seeds: {text}"
    ]
