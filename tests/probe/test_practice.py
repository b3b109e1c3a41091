"""What a run needs of a machine, against sums by hand: batches, a checkpoint, memory, disk and time."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nnrun.errors import MachineError
from nnrun.probe import practice
from nnrun.probe.check import as_data
from nnrun.probe.finding import Finding, graded, some_of, worst
from nnrun.probe.practice import check_batches, check_checkpoint, check_disk, check_memory, check_time
from nnrun.probe.shared import Shared
from nnrun.record import checkpoint


class Compiled:
    """A program whose loss is the number of the step, and whose parameters are what `after` says of it."""

    names = ("grad/norm", "train/loss")

    def __init__(self, examples: int, batch: int, steps: int, after: dict[int, float] | None = None) -> None:
        plan = SimpleNamespace(steps_per_epoch=-(-examples // batch), batch_size=batch, steps=steps)
        train = SimpleNamespace(y=np.zeros(examples))
        self.experiment = SimpleNamespace(plan=plan, dataset=SimpleNamespace(train=train))
        self.after, self.trained = after or {}, []

    def advance(self, state: object, step: int, count: int) -> tuple[int, int]:
        assert (state, count) == ("first", 1)
        self.trained.append(step)
        return step, step

    def rows(self, log: int, count: int) -> np.ndarray:
        return np.array([[[9.0, 1.0 + log]]])

    def unpack(self, state: int) -> list[dict[str, np.ndarray]]:
        value = self.after.get(state, 0.0)
        return [{"step": np.array(3), "w": np.zeros(2)}, {"step": np.array(3), "w": np.array([1.0, value])}]


def batches_of(*given: Any) -> tuple[Finding, Compiled]:
    compiled = Compiled(*given)
    return check_batches(SimpleNamespace(compiled=compiled, state="first")), compiled  # type: ignore[arg-type]


def test_a_whole_batch_and_the_last_one_of_an_epoch() -> None:
    """Of 70 examples in batches of 32 the third has 6."""
    made, compiled = batches_of(70, 32, 100)
    assert (made.verdict, made.evidence) == ("pass", "a step each: loss 1 on 32 examples, 3 on 6 examples")
    assert made.numbers == {"batch": 32, "last_batch": 6} and compiled.trained == [0, 2]
    made, compiled = batches_of(70, 32, 2)  # a run that ends before it
    assert made.evidence == "a step each: loss 1 on 32 examples" and compiled.trained == [0]
    made, compiled = batches_of(32, 32, 100)
    assert made.evidence == "a step each: loss 1 on 32 examples" and compiled.trained == [0]


@pytest.mark.parametrize(
    ("examples", "after", "words", "remedy"),
    [
        (
            70,
            {2: math.nan},
            "after the step on 6 examples",
            "choose data.batch_size so that no batch is that short",
        ),
        (70, {0: math.inf, 2: math.nan}, "after the step on 32 examples", "see the checks above"),
        (70, {0: math.nan}, "after the step on 32 examples", "see the checks above"),
        (32, {0: math.nan}, "after the step on 32 examples", "see the checks above"),  # there is no short one
        (64, {1: math.nan}, "after the step on 32 examples", "see the checks above"),
    ],
)
def test_a_step_that_ends_in_no_number(examples: int, after: dict, words: str, remedy: str) -> None:
    made, _ = batches_of(examples, 32, 100, after)
    assert made.verdict == "fail" and words in made.evidence and made.remedy == remedy


class Holding:
    """A program that holds these arrays as the state of its first lane."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays

    def unpack(self, state: object) -> list[dict[str, np.ndarray]]:
        return [self.arrays, {}]


def held(arrays: dict[str, np.ndarray]) -> Any:
    return SimpleNamespace(compiled=Holding(arrays), state=None)


ARRAYS = {"w": np.arange(1000, dtype=np.float32), "zero": np.array([1.5, -0.0])}


def test_a_checkpoint_is_written_read_back_and_removed(tmp_path: Path) -> None:
    made = check_checkpoint(held(ARRAYS), tmp_path / "runs" / "deep")
    assert made.verdict == "pass" and list(tmp_path.iterdir()) == []
    assert 4016 < made.numbers["bytes"] < 8000  # type: ignore[operator]
    assert "written and read back" in made.evidence


@pytest.mark.parametrize("fault", ["another bit", "a name less"])
def test_a_checkpoint_that_comes_back_changed(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = checkpoint.load

    def damaged(path: Path) -> Any:
        content = load(path)
        arrays = {"w": content.arrays["w"], "zero": np.array([1.5, 0.0])}
        return content._replace(arrays=arrays if fault == "another bit" else {"w": content.arrays["w"]})

    monkeypatch.setattr(checkpoint, "load", damaged)
    made = check_checkpoint(held(ARRAYS), tmp_path)
    assert (made.verdict, made.remedy) == ("fail", "look at the disk") and made.evidence.endswith(
        ", not the same"
    )


def test_a_place_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    made = check_checkpoint(held(ARRAYS), tmp_path / "file")
    assert made.verdict == "fail" and made.evidence.endswith(f"{tmp_path / 'file'} is no folder")
    assert "--runs-root" in made.remedy

    def full(*_: object) -> None:
        raise MachineError("disk full")

    monkeypatch.setattr(checkpoint, "save", full)
    assert check_checkpoint(held(ARRAYS), tmp_path).evidence == f"{tmp_path}: disk full"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_state_that_is_not_finite_is_no_fault_of_the_disk(tmp_path: Path) -> None:
    made = check_checkpoint(held({"w": np.array([1.0, np.nan])}), tmp_path)
    assert (made.verdict, made.remedy) == ("fail", "see the checks above")
    assert "w holds NaN or infinity" in made.evidence


def planned(**plan: Any) -> Any:
    fixed = {"keep": 3, "kept": (), "steps": 1000, "log_every": 10, "evaluate_every": 100, "seeds": (0,)}
    return SimpleNamespace(plan=SimpleNamespace(**{**fixed, **plan}))


@pytest.mark.parametrize(
    ("plan", "runs", "checkpoints", "lines", "of"),
    [
        ({}, 1, 5, 110, ""),  # three, the best one, and one that is being written
        ({"kept": (500, 1000)}, 1, 7, 110, ""),
        ({"seeds": (0, 1, 2, 3)}, 1, 4 * 5, 4 * 110, " (4 seeds)"),
        ({"log_every": 3}, 5, 5 * 5, 5 * 343, " (5 folds)"),
    ],
)
def test_the_disk_that_a_run_needs(
    plan: dict,
    runs: int,
    checkpoints: int,
    lines: int,
    of: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needed = checkpoints * 7000 + lines * 400
    monkeypatch.setattr(practice, "state_bytes", lambda experiment: 7000)
    asked: list[Path] = []
    for free, verdict in (
        (needed - 1, "fail"),
        (needed, "warn"),
        (needed / 0.81, "warn"),
        (needed / 0.79, "pass"),
    ):

        def usage(path: Path, free: float = free) -> Any:
            asked.append(path)
            return SimpleNamespace(free=free)

        monkeypatch.setattr(practice.shutil, "disk_usage", usage)
        made = check_disk(planned(**plan), tmp_path / "not" / "there", runs)
        assert made.numbers == {"bytes": needed, "free": free}
        assert made.verdict == verdict
        assert made.evidence.endswith(f"free{of}")
    assert set(asked) == {tmp_path}


@pytest.mark.parametrize(
    ("needed", "free", "verdict"),
    [(79, 100, "pass"), (80, 100, "pass"), (81, 100, "warn"), (81, None, "pass"), (101, 100, "fail")],
)
def test_memory_beside_what_is_free(
    needed: int, free: int | None, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(experiment: object, like: object) -> None:
        if free is not None and needed > free:
            raise MachineError("too large; use less")

    monkeypatch.setattr(practice, "memory_of", lambda experiment, lanes: needed)
    monkeypatch.setattr(practice, "free_memory", lambda: free)
    monkeypatch.setattr(practice, "one_like", lambda experiment: None)
    monkeypatch.setattr(practice, "refuse_too_large", refuse)
    made = check_memory(planned())
    assert made.verdict == verdict and made.numbers == {"bytes": needed, "free": free}
    assert (made.remedy == "too large; use less") is (verdict == "fail")


@pytest.mark.parametrize(
    ("steps", "runs", "seconds", "words"),
    [
        (1000, 1, 8 + 2, "about 10 s: 1,000 steps of 2 ms, 8.0 s to compile"),
        (1000, 5, 50, "about 50 s: 1,000 steps of 2 ms, 8.0 s to compile, 5 times"),
        (150_000, 1, 308, "about 5 min: 150,000 steps of 2 ms, 8.0 s to compile"),
        (6_300_000, 1, 12_608, "about 3.5 h: 6,300,000 steps of 2 ms, 8.0 s to compile"),
    ],
)
def test_the_time_of_a_run(steps: int, runs: int, seconds: float, words: str) -> None:
    compiled = SimpleNamespace(experiment=planned(steps=steps))
    measured = SimpleNamespace(compiled=compiled, compile_seconds=8.0, step_seconds=0.002)
    made = check_time(measured, runs)  # type: ignore[arg-type]
    assert made.evidence == words
    assert made.numbers == {"seconds": pytest.approx(seconds), "compile_seconds": 8.0, "step_seconds": 0.002}


def test_the_worst_of_several_verdicts() -> None:
    assert worst([]) == "skip"
    assert worst(["skip", "pass"]) == "pass" and worst(["warn", "pass"]) == "warn"
    assert worst(["pass", "fail", "warn"]) == "fail"
    assert [graded(value, 1, 2) for value in (1, 1.5, 2, 2.5)] == ["pass", "warn", "warn", "fail"]


def test_names_beyond_four_are_counted() -> None:
    assert some_of(list("abcd")) == "a, b, c, d" and some_of(list("abcdef")) == "a, b, c, d and 2 more"


def test_numbers_that_json_lacks_are_null() -> None:
    numbers = {"a": math.nan, "b": math.inf, "c": None, "d": 2, "e": 0.5}
    made = as_data([Finding("x", "pass", "seen", "", numbers), Finding("y", "warn", "seen", "do")])
    assert made["verdict"] == "warn"
    assert made["checks"][0]["numbers"] == {"a": None, "b": None, "c": None, "d": 2, "e": 0.5}
    assert [entry["check"] for entry in made["checks"]] == ["x", "y"]


def test_what_checks_share_is_made_once() -> None:
    calls: list[int] = []
    shared = Shared(lambda: calls.append(1))
    assert (shared(), shared()) == (None, None) and len(calls) == 1
