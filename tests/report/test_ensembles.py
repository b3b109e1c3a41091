"""How the gain of an ensemble is told."""

from __future__ import annotations

from nnrun.report.ensemble.tables import gain_line
from nnrun.statistics.metric import SHARE, Metric


def found(value, low, high, both=True):
    span = [low, high]
    return {
        "value": value,
        "examples": span,
        "members": span if both else None,
        "both": span if both else None,
    }


def test_points_of_accuracy():
    line = gain_line(Metric("accuracy", True, SHARE), found(0.0193, 0.015, 0.024))
    assert line == "accuracy +1.93 points  [+1.5, +2.4], 95% over examples and members"
    assert gain_line(Metric("accuracy", True, SHARE), found(-0.01, -0.02, 0.0, both=False)) == (
        "accuracy -1 points  [-2, 0], 95% over examples"
    )


def test_a_loss_is_lower_or_higher():
    assert gain_line(Metric("loss", False), found(0.016, 0.014, 0.019)).startswith(
        "loss 0.016 lower  [0.014, 0.019]"
    )
    assert gain_line(Metric("loss", False), found(-0.5, -0.75, 0.25)).startswith(
        "loss 0.5 higher  [-0.25, 0.75]"
    )


def test_a_zero_has_no_sign():
    nothing = found(-0.0, -0.0, 0.0, both=False)
    assert gain_line(Metric("loss", False), nothing) == "loss 0 lower  [0, 0], 95% over examples"
    assert (
        gain_line(Metric("accuracy", True, SHARE), nothing) == "accuracy 0 points  [0, 0], 95% over examples"
    )
