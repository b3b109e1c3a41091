"""Parallel coordinates of a sweep: where lines go, and what they say."""

from __future__ import annotations

import re

from nnrun.report.sweep.folder import AlternativeRecord, DimensionRecord, TrialRecord
from nnrun.report.sweep.parallel import _figure
from nnrun.statistics.metric import SHARE, Metric

DIMENSIONS = (
    DimensionRecord("optimizer.learning_rate", "log", 1e-4, 1.0, ()),
    DimensionRecord("model.dropout", "uniform", 0.0, 0.5, ()),
    DimensionRecord("data.batch_size", "choice", None, None, (32, 64)),
)
TOP, HEIGHT = 40, 300


def trial(number: int, rate: float, dropout: float, batch: int, value: float | None) -> TrialRecord:
    settings = {"optimizer.learning_rate": rate, "model.dropout": dropout, "data.batch_size": batch}
    status = "diverged" if value is None else "done"
    name = f"<adam>-{number}"
    return TrialRecord(name, "digits", "<adam>", number, "", settings, status, value, (value,), 1, 1.0, None)


TRIALS = [
    trial(0, 1e-4, 0.0, 32, 0.5), trial(1, 1e-2, 0.25, 64, 0.9), trial(2, 1.0, 0.5, 64, None),
    trial(3, 1e-3, 0.1, 32, 0.7), trial(4, 1e-3, 0.1, 32, 0.8),
]  # fmt: skip


def lines(html: str) -> dict[str, tuple[str, list[float], str]]:
    """Trial -> its classes, its places from 0 at the bottom to 1 at the top, and what it says."""
    found = re.findall(r'<path class="([^"]*)"[^>]* d="M([^"]*)"><title>([^<]*)</title>', html)
    return {
        text.partition(":")[0]: (
            classes, [1 - (float(point.split()[1]) - TOP) / HEIGHT for point in points.split(" L")], text,
        )
        for classes, points, text in found
    }  # fmt: skip


def test_a_line_goes_through_its_settings_to_its_score() -> None:
    alternative = AlternativeRecord("<adam>", {}, DIMENSIONS)
    accuracy = Metric("val/accuracy", True, SHARE)
    html = _figure(alternative, TRIALS, "<adam>-1", accuracy)
    drawn = lines(html)
    assert list(drawn)[-1] == "&lt;adam&gt;-1", "the best is drawn last, above the others"
    classes, places, text = drawn["&lt;adam&gt;-1"]
    assert classes == "trial chosen" and "val/accuracy 90.00%; learning_rate=0.01  dropout=0.25" in text
    assert [round(place, 3) for place in places[:3]] == [0.5, 0.5, 0.75]
    assert [round(place, 3) for place in drawn["&lt;adam&gt;-0"][1][:3]] == [0, 0, 0.25]
    assert drawn["&lt;adam&gt;-2"][:2] == ("lost", [1.0, 1.0, 0.75, 0.0])
    scores = [drawn[f"&lt;adam&gt;-{number}"][1][-1] for number in (0, 3, 4, 1)]
    assert scores == sorted(scores) and len(set(scores)) == 4
    assert "1 that diverged" in html and "<adam>" not in html

    loss = Metric("val/loss", False)
    falling = lines(_figure(alternative, TRIALS, None, loss))
    assert [falling[f"&lt;adam&gt;-{number}"][1][-1] for number in (1, 4, 3, 0)] == sorted(
        falling[f"&lt;adam&gt;-{number}"][1][-1] for number in (0, 1, 3, 4)
    ), "of a loss the least is at the top"


def test_ticks_are_where_their_values_are() -> None:
    html = _figure(AlternativeRecord("a", {}, DIMENSIONS), TRIALS, None, Metric("val/accuracy", True, SHARE))
    ticks = re.findall(r'<text x="88" y="([\d.]+)">([^<]*)</text>', html)
    places = {text: round(1 - (float(y) - 4 - TOP) / HEIGHT, 3) for y, text in ticks}
    assert places == {"0.0001": 0, "0.001": 0.25, "0.01": 0.5, "0.1": 0.75, "1": 1}


def test_one_setting_has_its_own_picture_and_one_trial_none() -> None:
    accuracy = Metric("val/accuracy", True, SHARE)
    assert _figure(AlternativeRecord("a", {}, DIMENSIONS[:1]), TRIALS, None, accuracy) == ""
    assert _figure(AlternativeRecord("a", {}, DIMENSIONS), TRIALS[1:3], None, accuracy) == ""
