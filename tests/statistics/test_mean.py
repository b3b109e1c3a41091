"""Mean and interval over seeds, against a table of Student's t, SciPy and simulations."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import scipy.stats

from nnrun.report.live import sparkline
from nnrun.statistics.mean import interquartile_mean, mean_and_interval
from nnrun.statistics.metric import ANY, SHARE, SIZE, Metric

ROOT = Path(__file__).resolve().parents[2]
SAMPLES: dict[str, tuple[Callable[[np.random.Generator, int], np.ndarray], float]] = {  # and their mean
    "normal": (lambda random, n: random.standard_normal(n), 0.0),
    "gamma": (lambda random, n: random.gamma(4.0, size=n), 4.0),  # skewness 1
    "accuracy": (lambda random, n: random.binomial(360, 0.97, n) / 360, 0.97),
    "ties": (lambda random, n: random.binomial(30, 0.9, n) / 30, 0.9),
}


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


def test_equal_values_have_no_width() -> None:
    assert mean_and_interval([0.1] * 7) == (0.1, 0.0)


@pytest.mark.quick(6)
@pytest.mark.parametrize("n", [3, 5, 10, 20])
@pytest.mark.parametrize("shape", sorted(SAMPLES))
def test_the_interval_covers_the_mean_about_as_often_as_it_says(shape: str, n: int) -> None:
    """In 92 to 97% of 2000 samples, of which 0.5% is the standard deviation; cut to what a share can be, as often."""
    random, (draw, mean) = np.random.default_rng(n), SAMPLES[shape]
    metric = Metric("val/accuracy", rising=True, bounds=SHARE if shape in ("accuracy", "ties") else ANY)
    intervals = [metric.mean(draw(random, n).tolist())[1] for _ in range(2000)]
    low, high = np.array(intervals).T
    assert 0.92 <= np.mean((low - 1e-12 <= mean) & (mean <= high + 1e-12)) <= 0.97


def test_the_interval_of_a_metric_ends_where_the_metric_does() -> None:
    values = [0.56, 0.97, 0.9, 0.95, 0.8]
    mean, half = mean_and_interval(values)
    low, high = scipy.stats.t.interval(0.95, 4, np.mean(values), scipy.stats.sem(values))
    assert high > 1 and half == pytest.approx((high - low) / 2)
    share, other = Metric("test/accuracy", True, SHARE), Metric("test/r2", True)
    assert share.mean(values) == (mean, (pytest.approx(low), 1.0))
    assert other.mean(values) == (mean, (pytest.approx(low), pytest.approx(high)))
    assert share.mean([0.01, 0.02, 0.0])[1] == (0.0, pytest.approx(0.01 + 4.302653 * 0.01 / 3**0.5))
    assert share.mean([0.5]) == (0.5, None)
    # A loss of two seeds: 0.165 ± 12.7062 · 0.0283 / √2 is cut where a loss ends.
    assert Metric("test/loss", False, SIZE).mean([0.145, 0.185])[1] == (
        0.0,
        pytest.approx(0.165 + 12.7062 * 0.02, rel=1e-5),
    )


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    """The script behind the tables of docs/statistics.md."""
    spec = importlib.util.spec_from_file_location("intervals", ROOT / "benchmarks" / "intervals.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_tables_of_the_docs_are_those_of_their_command(simulation: ModuleType) -> None:
    """A row of each; the whole tables take a minute."""
    text = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    rows = [
        next(simulation.mean_rows([10])),
        next(simulation.member_rows([4])),
        next(simulation.fold_rows([(50, 5, 1)])),
    ]
    for row in rows:
        assert f"| {' | '.join(row)} |" in text
    for shape in simulation.SHAPES:
        assert text.count(f"| {shape} |") == len(simulation.COUNTS)
    for name in simulation.GAINS:
        assert text.count(f"| {name} |") == len(simulation.MEMBERS)
    for kind in ("squared error", "error rate"):
        assert text.count(f"| {kind} |") == len(simulation.DIVISIONS)


def test_the_distributions_of_the_simulation_have_the_mean_and_spread_that_they_say(
    simulation: ModuleType,
) -> None:
    for shape in simulation.SHAPES.values():
        values = shape.draw(np.random.default_rng(0), (1, 200_000))
        assert values.mean() == pytest.approx(shape.mean, abs=0.01 * shape.spread)
        assert values.std() == pytest.approx(shape.spread, rel=0.02)


def test_a_sparkline_rises_and_falls_with_its_numbers() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([1.0, float("nan"), 0.0]) == "█▁"
    assert sparkline([]) == ""
    assert len(sparkline(list(map(float, range(1000))), width=40)) <= 40


def test_the_interquartile_mean_is_the_trimmed_mean_of_scipy() -> None:
    rng = np.random.default_rng(0)
    for n in range(1, 21):
        values = rng.standard_cauchy(n).tolist()
        assert interquartile_mean(values) == pytest.approx(scipy.stats.trim_mean(values, 0.25), rel=1e-12)
