"""Runs and evaluations in Python: tables by step, parameters as a tree, arguments that are refused."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import nnrun
from nnrun.api.models import Evaluation, _columns, _listed
from nnrun.api.runs import Result, _by_step, _params
from nnrun.errors import SpecError
from nnrun.record import checkpoint, run
from nnrun.track import beside, state


@pytest.fixture(autouse=True)
def pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    """A DataFrame that is a dict, since pandas need not be installed."""
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=dict))


def series(**steps: dict[int, float]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {
        name.replace("__", "/"): (np.array([*values], np.int64), np.array([*values.values()]))
        for name, values in steps.items()
    }


SEED = series(train__loss={4: 2.0, 8: 1.0, 12: 0.5}, val__loss={8: 3.0})


def test_metrics_of_a_step_stand_in_one_row_and_gaps_are_nan() -> None:
    table = _by_step(SEED)
    assert {name: column.tolist() for name, column in table.items() if name != "val/loss"} == {
        "step": [4, 8, 12], "train/loss": [2.0, 1.0, 0.5],
    }  # fmt: skip
    np.testing.assert_array_equal(table["val/loss"], [np.nan, 3.0, np.nan])
    assert [len(column) for column in _by_step({}).values()] == [0]
    apart = _by_step(series(a={4: 1.0}, b={2: 5.0}))
    np.testing.assert_array_equal(apart["a"], [np.nan, 1.0])
    np.testing.assert_array_equal(apart["b"], [5.0, np.nan])


def result(name: str, metrics: Any, *runs: Result) -> Result:
    return Result(Path(name), "done", {}, metrics, {}, list(runs))


def test_rows_of_seeds_stand_one_after_another_behind_their_name() -> None:
    group = result("g", {}, result("g/seed_0", SEED), result("g/seed_1", series(train__loss={4: 9.0})))
    table: Any = group.to_pandas()
    assert [*table] == ["run", "step", "train/loss", "val/loss"]
    assert table["run"].tolist() == ["seed_0"] * 3 + ["seed_1"] and table["step"].tolist() == [4, 8, 12, 4]
    np.testing.assert_array_equal(table["val/loss"], [np.nan, 3.0, np.nan, np.nan])
    single: Any = result("r", SEED).to_pandas()
    assert [*single] == ["step", "train/loss", "val/loss"]


def test_parameters_are_a_tree_of_the_last_checkpoint(tmp_path: Path) -> None:
    assert _params(tmp_path) == {}  # it diverged before the first
    run.write_state(tmp_path, "done", step=8)
    (tmp_path / "checkpoints").mkdir()
    progress: Any = {
        "best": {"step": 4, "value": 1.0, "loss": 1.0}, "improved": None, "best_metrics": {}, "latest": {},
        "regular": [], "complete": True,
    }  # fmt: skip
    for step in (4, 8):
        arrays = {
            "params/hidden_1/kernel": np.full((2, 3), step, np.float32),
            "params/hidden_1/bias": np.zeros(3, np.float32),
            "params/scale": np.ones(1, np.float32), "stats/hidden_1/mean": np.zeros(3, np.float32),
        }  # fmt: skip
        checkpoint.save(tmp_path / "checkpoints", step, arrays, progress, 0)
    tree: Any = _params(tmp_path)
    assert set(tree) == {"hidden_1", "scale"} and set(tree["hidden_1"]) == {"kernel", "bias"}
    np.testing.assert_array_equal(tree["hidden_1"]["kernel"], np.full((2, 3), 8))  # not of the best step


RUN = {"run_dir": "a", "step": 8, "metrics": {"test/loss": 0.5}}


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (RUN, {"run": ["a"], "step": [8], "test/loss": [0.5]}),
        ({"run_dir": "g", "runs": [RUN, {**RUN, "run_dir": "b"}], "mean": {"test/loss": 0.75}},
         {"run": ["a", "b", "mean"], "step": [8, 8, None], "test/loss": [0.5, 0.5, 0.75]}),
        ({"run_dir": "e", "average": "vote", "metrics": {"test/loss": 0.25}, "runs": [RUN], "mean": {"test/loss": 0.5}},
         {"run": ["a", "mean", "e"], "step": [8, None, None], "test/loss": [0.5, 0.5, 0.25]}),
    ],
)  # fmt: skip
def test_an_evaluation_has_a_row_for_each_run_their_mean_and_the_ensemble(content: Any, rows: Any) -> None:
    assert Evaluation(content).to_pandas() == rows


def test_true_values_are_named_as_on_the_command_line() -> None:
    assert _columns(None) == () and _columns("y") == ("y",)
    assert _columns({"height": "h", "width": "w"}) == ["height=h", "width=w"]


def test_one_text_is_no_list_of_letters() -> None:
    assert _listed("keep", ["id"]) == ["id"] and _listed("keep", ()) == ()
    with pytest.raises(SpecError, match=r"^keep: got 'id'; write a list: \['id'\]$"):
        _listed("keep", "id")


def test_weights_are_asked_for_in_the_words_of_python(tmp_path: Path) -> None:
    for arguments, name in (({"only": "hidden_*"}, "only"), ({"optimizer_state": "keep"}, "optimizer_state")):
        with pytest.raises(
            SpecError, match=f"^{name}: says what is taken of another run; name it with weights_from"
        ):
            nnrun.train(tmp_path / "absent.yaml", **arguments)


class Process:
    """A process that is over."""

    def __init__(self, command: list[str], **options: Any) -> None:
        self.command, self.options = command, options
        Process.begun.append(self)

    def wait(self, seconds: float) -> int:
        self.waited = seconds
        return 0

    begun: list[Process] = []  # noqa: RUF012


def test_a_run_is_sent_to_the_trackers_of_its_spec_and_to_those_that_it_was_sent_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside.subprocess, "Popen", Process)
    Process.begun.clear()
    run.write_state(tmp_path, "running")
    warnings: list[str] = []
    with beside.tracked(tmp_path, [], warnings.append):
        pass
    assert Process.begun == []  # to none
    fresh: Any = {"id": None, "step": 0, "ended": False, "problem": None}
    state.write(tmp_path, {"mlflow": fresh, "wandb": {**fresh, "problem": "no network"}})
    with beside.tracked(tmp_path, ["trackio", "mlflow"], warnings.append):
        (process,) = Process.begun
        assert process.command[2:5] == ["nnrun", "track", str(tmp_path)]
        assert process.command[5:] == ["trackio", "mlflow", "wandb", "--follow", "--json"]
        assert process.options["start_new_session"] is True  # so that Ctrl-C does not reach it
        assert warnings == []
    assert process.waited > 0
    assert warnings == [
        f"nnrun track {tmp_path} wandb sends what is missing; the run is not affected: no network"
    ]


def test_a_process_that_cannot_start_is_a_warning_and_one_that_does_not_end_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: Any, **options: Any) -> None:
        raise OSError("no more processes")

    run.write_state(tmp_path, "running")
    warnings: list[str] = []
    monkeypatch.setattr(beside.subprocess, "Popen", refused)
    with beside.tracked(tmp_path, ["mlflow"], warnings.append):
        pass
    assert len(warnings) == 1 and warnings[0].endswith("nnrun track sends it later")

    def late(self: Process, seconds: float) -> int:
        raise beside.subprocess.TimeoutExpired("nnrun", seconds)

    monkeypatch.setattr(beside.subprocess, "Popen", Process)
    monkeypatch.setattr(Process, "wait", late)
    with pytest.raises(KeyError), beside.tracked(tmp_path, ["mlflow"], warnings.append):
        raise KeyError  # of the run itself
    assert len(warnings) == 1
