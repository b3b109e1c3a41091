"""How long compiling took last time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from nnrun.errors import MachineError
from nnrun.record import compile_times
from nnrun.storage import fsio

SPEC = "model:\n  name: mlp\n  hidden: [8]\noptimizer:\n  learning_rate: {}\ntrain:\n  seed: {}\n"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[float]:
    """The clock, which stands still, in a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def run_of(tmp_path: Path, name: str, rate: str = "0.001", seed: int = 0, spec: str = SPEC) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "resolved.yaml").write_text(spec.format(rate, seed))
    return folder


def compile_for(folder: Path, seconds: float, clock: list[float]) -> str:
    def compile_programs() -> str:
        clock[0] += seconds
        return "programs"

    return compile_times.timed(folder, compile_programs)()


def test_runs_of_one_structure_share_it(tmp_path: Path, clock: list[float]) -> None:
    first = run_of(tmp_path, "first")
    assert compile_times.last_seconds(first) is None
    assert compile_for(first, 12.34, clock) == "programs"
    assert compile_times.last_seconds(run_of(tmp_path, "second", "1e-4", seed=7)) == 12.3
    wider = run_of(tmp_path, "wider", spec=SPEC.replace("[8]", "[16]"))
    assert compile_times.last_seconds(wider) is None
    compile_for(first, 3.0, clock)
    assert compile_times.last_seconds(first) == 3.0


def test_next_to_nothing_is_forgotten(tmp_path: Path, clock: list[float]) -> None:
    """With programs that are cached: the long time of the first run would be wrong from then on."""
    folder = run_of(tmp_path, "run")
    compile_for(folder, 20.0, clock)
    compile_for(folder, 0.3, clock)
    assert compile_times.last_seconds(folder) is None


def test_only_the_newest_are_kept(
    tmp_path: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of five kinds the newest three, by when each was compiled last and not first."""
    monkeypatch.setattr(compile_times, "_MOST", 3)
    runs = [run_of(tmp_path, f"run-{i}", spec=SPEC.replace("[8]", f"[{i}]")) for i in range(5)]
    cache = tmp_path / "cache/nnrun/compile-seconds"
    for age, i in enumerate((0, 1, 2, 0, 3, 4)):  # 0 is compiled again after 2
        compile_for(runs[i], 10.0 + i, clock)
        os.utime(compile_times._file(runs[i]), (1e9 + age, 1e9 + age))
    (cache / "ancient").write_text("3.0\n")
    os.utime(cache / "ancient", (1.0, 1.0))
    compile_for(runs[4], 14.0, clock)
    assert [compile_times.last_seconds(folder) for folder in runs] == [10.0, None, None, 13.0, 14.0]
    assert len(list(cache.iterdir())) == 3


def test_a_cache_that_cannot_be_written_stops_nothing(
    tmp_path: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise MachineError(f"{path}: no space")

    monkeypatch.setattr(fsio, "write_file", full)
    folder = run_of(tmp_path, "run")
    assert compile_for(folder, 20.0, clock) == "programs" and compile_times.last_seconds(folder) is None
