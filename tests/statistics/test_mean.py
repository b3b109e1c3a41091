"""Mean and interval over seeds, against a table of Student's t."""

from __future__ import annotations

import pytest

from nnrun.report.live import sparkline
from nnrun.statistics.mean import mean_and_interval


def test_the_interval_is_students_t() -> None:
    """1 .. 5: s = √2.5, and t is 2.776445 for 4 degrees of freedom at 97.5%."""
    mean, half = mean_and_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert mean == 3.0
    assert half == pytest.approx(2.776445 * 2.5**0.5 / 5**0.5, rel=1e-6)


def test_another_level() -> None:
    """t is 6.313752 for 1 degree of freedom at 95%."""
    assert mean_and_interval([0.0, 2.0], level=0.9)[1] == pytest.approx(6.313752, rel=1e-6)


def test_one_run_has_no_interval() -> None:
    assert mean_and_interval([0.97]) == (0.97, None)


def test_a_sparkline_rises_and_falls_with_its_numbers() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([1.0, float("nan"), 0.0]) == "█▁"
    assert sparkline([]) == ""
    assert len(sparkline(list(map(float, range(1000))), width=40)) <= 40
