"""state.json of runs that train together, and what it says when they end in an error."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import pytest

from nnrun.errors import DataError, DivergedError, Interrupted, MachineError
from nnrun.record import run
from nnrun.runner.mark import Mark
from nnrun.runner.status import Group, StateFiles, by_group, compiling, ending, group_of, is_over
from nnrun.types import Plan

RunAt = Callable[..., Path]
Planned = Callable[..., Plan]


def lane(plan: Plan, status: str = "running", step: int = 4, improved: int | None = None) -> Any:
    mark = None if improved is None else Mark(improved, 0.5, 0.5)
    return SimpleNamespace(status=status, step=step, live=status == "running", plan=plan, improved=mark)


def states(*folders: Path) -> list[tuple[str, int | None, str | None]]:
    read = [run.read_state(folder) for folder in folders]
    return [(state["status"], state.get("step"), state.get("reason")) for state in read]


@pytest.mark.parametrize(
    ("seeds", "names"),
    [(range(1), ["."]), (range(7, 8), ["."]), (range(3, 6), ["seed_3", "seed_4", "seed_5"])],
)
def test_one_seed_is_the_folder_itself(seeds: range, names: list[str], tmp_path: Path) -> None:
    group = group_of(tmp_path, seeds)
    assert [member.relative_to(tmp_path).as_posix() for member in group.members] == names
    assert group.single == (names == ["."])


def test_a_single_member_below_the_folder_is_still_a_group(tmp_path: Path) -> None:
    assert not Group(tmp_path, [tmp_path / "seed_0"]).single


@pytest.mark.parametrize(
    ("status", "summary", "over"),
    [("done", True, True), ("done", False, False), ("diverged", True, True), ("running", True, False),
     ("failed", True, False), ("interrupted", True, False), ("created", False, False)],
)  # fmt: skip
def test_a_run_is_over_when_its_summary_is_there_too(
    status: str, summary: bool, over: bool, run_at: RunAt
) -> None:
    folder = run_at("a", status)
    if summary:
        (folder / "summary.json").write_text("{}")
    assert is_over(folder) is over


def test_lanes_are_dealt_to_their_groups_in_order(tmp_path: Path) -> None:
    groups = [group_of(tmp_path / name, range(count)) for name, count in (("a", 2), ("b", 1), ("c", 3))]
    parts = [part for _, part in by_group(groups, list("uvwxyz"))]
    assert parts == [["u", "v"], ["w"], ["x", "y", "z"]]
    assert by_group(groups, list("uvw"))[1:] == [(groups[1], ["w"]), (groups[2], [])]
    assert [path.relative_to(tmp_path).as_posix() for path in StateFiles(groups).folders] == [
        "a/seed_0", "a/seed_1", "b", "c/seed_0", "c/seed_1", "c/seed_2"
    ]  # fmt: skip


def test_every_lane_says_how_far_it_is_and_one_that_has_ended_keeps_its_word(
    run_at: RunAt, tmp_path: Path, planned: Planned
) -> None:
    plan = planned()
    run_at("a"), run_at("a/seed_0"), run_at("a/seed_1"), run_at("b")
    files = StateFiles([group_of(tmp_path / "a", range(2)), group_of(tmp_path / "b", range(1))])
    files.write(
        "interrupted", [lane(plan, step=8), lane(plan, "diverged", step=5), lane(plan, step=8)], reason="why"
    )
    assert states(*files.folders) == [
        ("interrupted", 8, "why"),
        ("diverged", 5, "why"),
        ("interrupted", 8, "why"),
    ]
    assert states(tmp_path / "a") == [("interrupted", None, "why")]


def test_a_group_that_has_ended_is_left_alone(run_at: RunAt, tmp_path: Path, planned: Planned) -> None:
    for name in ("a", "a/seed_0", "a/seed_1"):
        run_at(name, "done", step=20)
    run_at("b", step=3)
    files = StateFiles([group_of(tmp_path / "a", range(2)), group_of(tmp_path / "b", range(1))])
    files.write("failed", [lane(planned(), step=9)] * 3, reason="disk full")
    assert states(*files.folders) == [("done", 20, None), ("done", 20, None), ("failed", 9, "disk full")]


def test_without_lanes_steps_are_those_that_were_reached_before(run_at: RunAt, tmp_path: Path) -> None:
    run_at("a"), run_at("a/seed_0", step=12), run_at("a/seed_1", "diverged", step=7)
    StateFiles([group_of(tmp_path / "a", range(2))]).write("failed", reason="out of memory")
    assert states(tmp_path / "a" / "seed_0", tmp_path / "a" / "seed_1", tmp_path / "a") == [
        ("failed", 12, "out of memory"), ("diverged", 7, None), ("failed", None, "out of memory"),
    ]  # fmt: skip


def test_a_run_that_stopped_early_says_so_and_its_group_how_many_did(
    run_at: RunAt, tmp_path: Path, planned: Planned
) -> None:
    plan = planned(patience_metric="val/loss", patience=4)
    run_at("a"), run_at("a/seed_0"), run_at("a/seed_1")
    files = StateFiles([group_of(tmp_path / "a", range(2))])
    early, late = lane(plan, "done", step=12, improved=8), lane(plan, "done", step=20, improved=16)
    files.write_member(1, early)
    files.write_member(0, late)
    first, second = states(*files.folders)
    assert first == ("done", 20, None)
    assert second[:2] == ("done", 12)
    assert second[2] == (
        "stopped early at step 12: val/loss has not improved since step 8 (train.early_stopping.patience: 4 steps)"
    )
    files.write("done", [late, early])
    ((_, _, reason),) = states(tmp_path / "a")
    assert reason and reason.startswith(
        "1 of 2 seeds stopped early, at step 12: val/loss has not improved for 4 steps"
    )


@pytest.fixture
def group(run_at: RunAt, tmp_path: Path) -> StateFiles:
    run_at("a", step=4), run_at("a/seed_0", step=4), run_at("a/seed_1", "done", step=20)
    return StateFiles([group_of(tmp_path / "a", range(2))])


def test_a_signal_while_a_program_is_compiled_leaves_runs_that_can_go_on(
    group: StateFiles, tmp_path: Path
) -> None:
    with (
        pytest.raises(Interrupted, match=r"interrupted; `nnrun resume .*/a` continues") as raised,
        compiling(group),
    ):
        raise Interrupted(signal.SIGTERM)
    assert raised.value.exit_code == 143
    assert states(*group.folders) == [("interrupted", 4, None), ("done", 20, None)]
    with pytest.raises(DataError), compiling(group):
        raise DataError("another matter")


@pytest.mark.parametrize("error", [Interrupted(2), DivergedError("the loss"), GeneratorExit()])
def test_what_has_been_recorded_already_is_not_recorded_again(
    error: BaseException, group: StateFiles, planned: Planned
) -> None:
    before = states(*group.folders)
    with pytest.raises(type(error)), ending(group, planned()):
        raise error
    assert states(*group.folders) == before


def test_an_error_on_purpose_is_the_reason(group: StateFiles, planned: Planned, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="disk full"), ending(group, planned()):
        raise MachineError("disk full")
    assert states(*group.folders, tmp_path / "a") == [
        ("failed", 4, "disk full"), ("done", 20, None), ("failed", None, "disk full")
    ]  # fmt: skip
    assert not (tmp_path / "a" / "crash.log").exists()


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes")]
)
@pytest.mark.parametrize(
    ("batch", "seeds", "advice"),
    [(64, (0,), "train.accumulate=2 or data.batch_size=32"), (1, (0,), "a smaller model"),
     (9, (0, 1), "train.accumulate=2 or data.batch_size=4 or fewer train.seeds")],
)  # fmt: skip
def test_too_little_memory_has_advice_in_numbers(
    error: Exception, batch: int, seeds: tuple[int, ...], advice: str, group: StateFiles, planned: Planned
) -> None:
    with pytest.raises(MachineError) as raised, ending(group, planned(batch_size=batch, seeds=seeds)):
        raise error
    assert str(raised.value) == f"out of memory; try {advice}"
    assert states(group.folders[0]) == [("failed", 4, str(raised.value))]


def test_too_little_memory_of_a_gpu_may_be_taken_by_others(
    group: StateFiles, planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """jax takes three quarters of it at once; a CPU gives each process what it asks for."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with pytest.raises(MachineError) as raised, ending(group, planned(batch_size=64)):
        raise MemoryError
    advice = "if other processes use this GPU, start each with XLA_PYTHON_CLIENT_PREALLOCATE=false"
    assert str(raised.value) == f"out of memory; try train.accumulate=2 or data.batch_size=32; {advice}"


def test_a_bug_leaves_its_traceback_in_the_folder(
    group: StateFiles, planned: Planned, tmp_path: Path
) -> None:
    with pytest.raises(ZeroDivisionError), ending(group, planned()):
        raise ZeroDivisionError("by nothing")
    assert states(group.folders[0]) == [("failed", 4, "ZeroDivisionError; see crash.log")]
    log = (tmp_path / "a" / "crash.log").read_text()
    assert log.startswith("Traceback") and log.rstrip().endswith("ZeroDivisionError: by nothing")


def test_an_error_that_cannot_be_recorded_is_still_the_error(group: StateFiles, planned: Planned) -> None:
    (group.folders[0] / "state.json").write_text("damaged")
    with pytest.raises(DataError, match="the data"), ending(group, planned()):
        raise DataError("the data")
    with pytest.raises(ZeroDivisionError), ending(group, planned()):
        raise ZeroDivisionError
