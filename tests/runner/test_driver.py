"""When checkpoints are due, what several runs keep, how they are interrupted, and what a trace is of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nnrun.errors import Interrupted, SpecError
from nnrun.record import checkpoint, run
from nnrun.runner import driver, profile
from nnrun.runner.driver import _advance, _due, _end_here, _interrupt, _keep
from nnrun.runner.profile import check_target, profiled
from nnrun.runner.recorder import Recorder
from nnrun.runner.status import StateFiles, group_of
from nnrun.types import Plan

Planned = Callable[..., Plan]
Recording = Callable[..., Recorder]
Rows = Callable[[int, int], np.ndarray]


@pytest.mark.parametrize(
    ("changes", "step", "seconds", "due"),
    [
        ({"checkpoint_every": 4}, 8, 0.0, True), ({"checkpoint_every": 4}, 9, 1e9, False),
        ({"checkpoint_every": 0}, 8, 0.0, False), ({"checkpoint_every": 0}, 20, 0.0, True),
        ({"checkpoint_every": 0, "checkpoint_seconds": 30.0}, 7, 30.0, True),
        ({"checkpoint_every": 0, "checkpoint_seconds": 30.0}, 7, 29.9, False),
        ({"checkpoint_every": 4, "checkpoint_seconds": 30.0}, 8, 1.0, True),
        ({"checkpoint_every": 0, "kept": (5, 11)}, 11, 0.0, True),
        ({"checkpoint_every": 0, "kept": (5, 11)}, 12, 0.0, False),
        ({"checkpoint_every": 0, "checkpoint_seconds": 0.0}, 1, 0.0, True),
    ],
)  # fmt: skip
def test_a_checkpoint_is_due_by_steps_by_the_clock_where_a_cycle_ends_and_at_the_end(
    changes: dict[str, Any], step: int, seconds: float, due: bool, planned: Planned
) -> None:
    assert _due(planned(steps=20, **changes), step, seconds) is due


@pytest.fixture
def three(recording: Recording, tmp_path: Path) -> tuple[list[Recorder], StateFiles]:
    """Three seeds in step, at step 0."""
    run_folders = [tmp_path / "g", *(tmp_path / "g" / f"seed_{seed}" for seed in range(3))]
    recorders = [recording(f"g/seed_{seed}") for seed in range(3)]
    for folder in run_folders:
        run.write_state(folder, "running", step=0)
    return recorders, StateFiles([group_of(tmp_path / "g", range(3))])


def arrays(*values: float) -> list[dict[str, np.ndarray]]:
    return [{"params/w": np.full(2, value, np.float32)} for value in values]


def chunk(*rows: np.ndarray, accuracies: tuple[float, ...] | None = None) -> Any:
    metrics = accuracies and [{"val/accuracy": value, "val/loss": 1.0} for value in accuracies]
    return SimpleNamespace(rows=rows, metrics=metrics)


def saved(recorders: list[Recorder]) -> list[list[int]]:
    return [checkpoint.steps(recorder.folder / "checkpoints") for recorder in recorders]


def statuses(state_files: StateFiles) -> list[tuple[str, int | None]]:
    states = [run.read_state(folder) for folder in state_files.folders]
    return [(state["status"], state.get("step")) for state in states]


def test_a_seed_that_diverges_ends_alone(three: Any, rows_of: Rows) -> None:
    recorders, state_files = three
    lost = rows_of(1, 4)
    lost[2, 0] = np.nan
    assert _advance(chunk(rows_of(1, 4), lost, rows_of(1, 4), accuracies=(0.5, 0.9, 0.1)), recorders) == [
        True,
        False,
        True,
    ]
    _keep(recorders, arrays(1, 1, 1), [True, False, True], True, state_files)
    assert saved(recorders) == [[4], [], [4]]
    assert statuses(state_files) == [("running", 0), ("diverged", 3), ("running", 0)]
    assert _advance(chunk(rows_of(5, 8), rows_of(5, 8), rows_of(5, 8)), recorders) == [False] * 3
    assert [recorder.step for recorder in recorders] == [8, 3, 8]  # it takes no more rows
    _keep(recorders, arrays(2, 2, 2), [False] * 3, True, state_files)
    assert saved(recorders) == [[4, 8], [], [4, 8]]


def test_nothing_is_written_where_nothing_is_due(three: Any, rows_of: Rows) -> None:
    recorders, state_files = three
    _advance(chunk(*[rows_of(1, 4)] * 3, accuracies=(0.5, 0.5, 0.5)), recorders)
    _keep(recorders, arrays(1, 1, 1), [True] * 3, False, state_files)
    assert saved(recorders) == [[], [], []] and statuses(state_files) == [("running", 0)] * 3


def test_a_signal_leaves_all_seeds_resumable_at_their_step(
    three: Any, rows_of: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorders, state_files = three
    monkeypatch.setattr(driver.signals, "pending", lambda: 15)
    _advance(chunk(*[rows_of(1, 4)] * 3), recorders)
    with pytest.raises(
        Interrupted, match=r"^interrupted at step 4; `nnrun resume .*/g` continues$"
    ) as raised:
        _interrupt(recorders, state_files)
    assert raised.value.exit_code == 143
    assert statuses(state_files) == [("interrupted", 4)] * 3
    assert run.read_state(tmp_path / "g")["status"] == "interrupted"


def test_runs_that_lose_a_rung_end_where_they_are(three: Any, rows_of: Rows) -> None:
    recorders, state_files = three
    _advance(chunk(*[rows_of(1, 4)] * 3), recorders)
    _keep(recorders, arrays(1, 1, 1), [False] * 3, True, state_files)
    recorders[1].status = "diverged"
    _end_here(recorders, state_files)
    assert statuses(state_files) == [
        ("done", 4),
        ("running", 0),
        ("done", 4),
    ]  # what has ended was written then
    assert [recorder.ended for recorder in recorders] == [True, False, True]


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What jax's profiler is told, and a clock that moves a second at a look."""
    told: list[Any] = []
    clock = iter(range(1, 100))
    monkeypatch.setattr(profile.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(profile.jax.profiler, "start_trace", lambda folder, **options: told.append(folder))
    monkeypatch.setattr(profile.jax.profiler, "stop_trace", lambda: told.append("stop"))
    return told


def turns(*steps: int) -> Iterator[Any]:
    for step in steps:
        yield SimpleNamespace(progress=SimpleNamespace(step=step))


def test_a_trace_is_of_the_seconds_after_the_first_steps(traces: list[Any], tmp_path: Path) -> None:
    """It begins after the first turn with steps; at the fourth look after that more than 3 seconds are over."""
    training = turns(0, 0, 4, 8, 12, 16, 20, 24, 28)
    seen = [(turn.progress.step, len(traces)) for turn in profiled(training, tmp_path)]
    assert seen == [(0, 0), (0, 0), (4, 0), (8, 1), (12, 1), (16, 1), (20, 1), (24, 2), (28, 2)]
    assert traces == [tmp_path, "stop"]


@pytest.mark.parametrize(("steps", "expected"), [((0, 4, 8), 2), ((0, 0), 0), ((), 0)])
def test_a_run_that_ends_sooner_is_traced_to_its_end(
    steps: tuple[int, ...], expected: int, traces: list[Any], tmp_path: Path
) -> None:
    assert len(list(profiled(turns(*steps), tmp_path))) == len(steps)
    assert len(traces) == expected and (not traces or traces[-1] == "stop")


def test_a_trace_goes_to_a_new_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    check_target(tmp_path / "empty")
    check_target(tmp_path / "new" / "deep")
    for name, words in (
        ("file", "already exists; name a new folder"),
        (".", "already exists"),
        ("file/new", "cannot be"),
    ):
        with pytest.raises(SpecError, match=f"--profile .*: {words}"):
            check_target(tmp_path / name)
