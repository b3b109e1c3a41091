"""Learning curves of run folders and the records of a sweep, with files made by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nnrun.errors import RunError
from nnrun.report.curves import band, seed_curves
from nnrun.report.sweep.evidence import ranked
from nnrun.report.sweep.folder import TrialRecord, is_sweep, read_sweep
from nnrun.report.sweep.reached import reached
from nnrun.statistics.metric import SHARE, Metric

ACCURACY = Metric("val/accuracy", True)


def curve(*values: float, steps: list[int] | None = None) -> tuple[np.ndarray, np.ndarray]:
    return np.array(steps or range(1, len(values) + 1), np.int64), np.array(values, np.float64)


def test_the_band_is_students_interval_at_every_step():
    values = np.random.default_rng(0).normal(0.8, 0.05, (5, 3))
    result = band([curve(*row) for row in values])
    assert result is not None
    np.testing.assert_allclose(result.mean, values.mean(0))
    for i in range(3):
        low, high = stats.t.interval(0.95, 4, values[:, i].mean(), stats.sem(values[:, i]))
        assert (result.low[i], result.high[i]) == (pytest.approx(low), pytest.approx(high))


def test_the_band_of_a_share_ends_at_0_and_1():
    curves = [curve(0.0, 1.0), curve(0.1, 0.8), curve(0.0, 0.9)]
    loose, tight = band(curves), band(curves, SHARE)
    assert loose and tight and loose.low[0] < 0 and loose.high[1] > 1
    assert (tight.low[0], tight.high[1]) == (0.0, 1.0)
    assert (tight.high[0], tight.low[1]) == (loose.high[0], loose.low[1])


def test_one_curve_has_no_width_and_none_has_no_band():
    result = band([curve(0.5, 0.75)])
    assert result is not None
    np.testing.assert_array_equal(result.low, result.high)
    assert band([]) is None
    assert band([curve(0.5, math.nan), curve(math.inf)]) is None


def test_curves_at_other_steps_are_read_where_they_are():
    """At the steps of the longest; between two values the earlier one holds, before the first the first."""
    result = band([curve(1, 2, 3, steps=[10, 20, 30]), curve(5, 7, steps=[15, 25])])
    assert result is not None
    assert result.steps.tolist() == [10, 20, 30]
    assert result.mean.tolist() == [3.0, 3.5, 5.0]


def seed(folder: Path, values: list[float], clock: Any = ...) -> None:
    folder.mkdir(parents=True)
    (folder / "state.json").write_text('{"status": "done"}')
    rows = [{"step": 10 * (i + 1), "val/accuracy": value} for i, value in enumerate(values)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if clock is not None:
        times = [{"step": row["step"], "seconds": row["step"] / 2} for row in rows] if clock is ... else clock
        (folder / "timing.jsonl").write_text("".join(json.dumps(line) + "\n" for line in times))


def group(tmp_path: Path, *curves: list[float], clock: Any = ...) -> Path:
    for i, values in enumerate(curves):
        seed(tmp_path / f"seed_{i}", values, clock)
    return tmp_path


def test_when_the_seeds_reached_a_target(tmp_path):
    result = reached(group(tmp_path, [0.5, 0.9, 0.8], [0.9, 0.9, 0.9], [0.1, 0.2, 0.9]), ACCURACY, 0.85)
    assert result == (3, 3, 20.0, 10.0)  # medians; seconds are half the steps


def test_of_a_falling_metric_the_target_is_reached_from_above(tmp_path):
    result = reached(group(tmp_path, [0.9, 0.3, 0.1]), Metric("val/accuracy", False), 0.3)
    assert result == (1, 1, 20.0, 10.0)


def test_where_half_do_not_reach_the_target_it_is_not_reached(tmp_path):
    result = reached(group(tmp_path, [0.9], [0.1]), ACCURACY, 0.85)
    assert result == (1, 2, math.inf, math.inf)


def test_a_run_without_the_metric_has_no_answer(tmp_path):
    assert reached(group(tmp_path, [0.9]), Metric("val/auc", True), 0.5) is None
    assert seed_curves(tmp_path / "missing", "val/auc") == []


@pytest.mark.parametrize(
    "clock",
    [
        None,
        [],
        [{"step": 10, "seconds": 5.0}, {"step": 20, "seconds": 1.0}],  # a resumed run
        [{"step": 10}],
        [{"step": 10, "seconds": "x"}],
    ],
)
def test_a_clock_that_is_not_known(clock: Any, tmp_path):
    result = reached(group(tmp_path, [0.9, 0.9], clock=clock), ACCURACY, 0.85)
    assert result is not None
    assert (result.steps, result.seconds) == (10.0, None)


def test_the_clock_is_read_between_its_lines(tmp_path):
    clock = [{"step": 5, "seconds": 2.0}, {"step": 15, "seconds": 12.0}]
    result = reached(group(tmp_path, [0.9], clock=clock), ACCURACY, 0.85)
    assert result is not None and result.seconds == pytest.approx(7.0)
    early = [{"step": 20, "seconds": 10.0}]
    result = reached(group(tmp_path / "early", [0.9], clock=early), ACCURACY, 0.85)
    assert result is not None and result.seconds == pytest.approx(5.0)  # from 0 on


def test_a_seed_that_cannot_be_read_is_left_out(tmp_path):
    folder = group(tmp_path, [0.9], [0.1])
    (folder / "seed_1" / "metrics.jsonl").write_text("{\n")
    result = reached(folder, ACCURACY, 0.85)
    assert result is not None and (result.seeds, result.of) == (1, 1)


# The records of a sweep


def sweep_in(folder: Path, trials: list[Any], finals: list[Any] = (), **changes: Any) -> Path:  # type: ignore[assignment]
    folder.mkdir()
    alternative = {
        "label": "sgd",
        "settings": {"optimizer.name": "sgd"},
        "dimensions": [
            {"path": "a", "kind": "log", "low": 1e-3, "high": 1},
            {"path": "b", "kind": "normal", "mean": 0, "sd": 2},
            {"path": "c", "kind": "choice", "values": [1, "x"]},
        ],
    }
    about = {
        "format": 2, "name": "s", "metric": "val/loss", "goal": "min", "bounds": [0, None], "search": "random",
        "adaptive": False, "trials": 5, "seeds": 1, "final_seeds": 2,
        "bases": ["digits"], "alternatives": [alternative], **changes,
    }  # fmt: skip
    (folder / "sweep.json").write_text(json.dumps(about))
    for name, records in (("trials.jsonl", trials), ("final.jsonl", finals)):
        (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def trial_of(number: int, value: Any, status: str = "done", **changes: Any) -> dict[str, Any]:
    return {
        "trial": f"sgd-{number:03d}", "base": "digits", "alternative": "sgd", "number": number,
        "run": f"trials/sgd-{number:03d}", "settings": {"a": 0.1}, "status": status, "value": value, "values": [value],
        "steps": 10, "seconds": 1.5, "reason": None, **changes,
    }  # fmt: skip


def test_records_as_they_are_read(tmp_path):
    final = {
        "base": "digits", "alternative": "sgd", "trial": "sgd-000", "run": "final/sgd", "settings": {"a": 0.1},
        "seeds": [10, None], "status": "done", "metrics": {"test/loss": [0.5, "nan"]}, "steps": 10, "seconds": 2,
    }  # fmt: skip
    record = read_sweep(sweep_in(tmp_path / "s", [trial_of(0, 0.5), trial_of(1, "inf")], [final]))
    assert record.judge == Metric("val/loss", False, (0, math.inf))
    assert [trial.value for trial in record.trials] == [0.5, None]
    assert record.finals[0].seeds == (10, -1)
    assert record.finals[0].metrics == {"test/loss": (0.5, None)}
    [dimension, normal, choice] = record.alternatives[0].dimensions
    assert (dimension.low, dimension.high, dimension.values) == (1e-3, 1.0, ())
    assert (normal.low, normal.high) == (0.0, 2.0)
    assert (choice.low, choice.values) == (None, (1, "x"))
    assert (record.target, record.trials_planned, record.seeds, record.final_seeds) == (None, 5, 1, 2)


def test_the_last_record_of_a_trial_counts(tmp_path):
    record = read_sweep(sweep_in(tmp_path / "s", [trial_of(0, 0.5), trial_of(1, 0.4), trial_of(0, 0.3)]))
    assert [(trial.number, trial.value) for trial in record.trials] == [(0, 0.3), (1, 0.4)]


@pytest.mark.parametrize(
    "change",
    [
        {"alternatives": 3}, {"alternatives": [{"label": "sgd"}]}, {"bases": None}, {"trials": "many"},
        {"alternatives": [{"label": "sgd", "settings": {}, "dimensions": [{"path": "a", "kind": "log"}]}]},
    ],
)  # fmt: skip
def test_a_damaged_plan_is_refused(change: dict[str, Any], tmp_path):
    folder = sweep_in(tmp_path / "s", [])
    about = json.loads((folder / "sweep.json").read_text())
    (folder / "sweep.json").write_text(json.dumps(about | change))
    with pytest.raises(RunError, match=r"its records are damaged; restore them or start a new sweep"):
        read_sweep(folder)


@pytest.mark.parametrize(
    "change", [{"value": 0.5, "values": None}, {"steps": None}, {"settings": 5}, {"number": "x"}]
)
def test_a_damaged_record_is_refused(change: dict[str, Any], tmp_path):
    with pytest.raises(RunError, match=r"its records are damaged"):
        read_sweep(sweep_in(tmp_path / "s", [trial_of(0, 0.5) | change]))


@pytest.mark.parametrize("line", ["[]", "3", "{", "[" * 100_000])
def test_a_damaged_line_is_refused_with_its_number(line: str, tmp_path):
    folder = sweep_in(tmp_path / "s", [trial_of(0, 0.5)])
    with (folder / "trials.jsonl").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(RunError, match=r"trials.jsonl:2: damaged line"):
        read_sweep(folder)


def test_what_is_a_sweep(tmp_path):
    assert not is_sweep(tmp_path)
    assert not is_sweep(Path("x" * 5000))  # a name that is too long
    assert is_sweep(sweep_in(tmp_path / "s", []))
    with pytest.raises(RunError, match=r"not the folder of a sweep; name one that `nnrun sweep` made"):
        read_sweep(tmp_path)


def record_of(number: int, value: float | None, status: str = "done") -> TrialRecord:
    return TrialRecord(f"t-{number}", "b", "a", number, "", {}, status, value, (value,), 1, 1.0, None)


@pytest.mark.parametrize(("rising", "order"), [(True, [1, 0, 4, 3, 5, 2]), (False, [0, 1, 4, 3, 5, 2])])
def test_trials_that_were_done_come_first(rising: bool, order: list[int]):
    """Then those that were stopped, then those that ended in another way with a value, then the rest."""
    trials = [
        record_of(0, 0.5), record_of(1, 0.9), record_of(2, None, "diverged"), record_of(3, 0.99, "failed"),
        record_of(4, 0.1, "stopped"), record_of(5, 0.99, "failed"),
    ]  # fmt: skip
    assert [trial.number for trial in ranked(trials, Metric("m", rising))] == order
