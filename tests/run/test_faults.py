"""Every I/O call of a run fails once: exit 0 or 6, never a traceback, and resuming ends in the same bytes."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nnrun.errors import MachineError
from nnrun.record import run
from nnrun.runner import driver, session
from nnrun.storage import disk
from nnrun.training import shards

ERRORS = [errno.ENOSPC, errno.EIO, errno.EACCES]
SPEC = """
data: {name: iris, batch_size: 32}
model: {name: mlp, hidden: [4], dropout: 0.2}
optimizer: {name: adam}
train: {duration: 5 epochs, log_every: 3 steps, seeds: SEEDS}
checkpoint: {every: 7 steps, keep: 2}
"""


class Failing:
    """The system's calls, one of which fails."""

    def __init__(self, real: Any, index: int, number: int) -> None:
        self.real, self.left, self.number = real, index, number
        self.calls = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self.real, name)

        def tried(*arguments: Any) -> Any:
            self.calls += 1
            if name != "close" and self.calls == self.left:
                raise OSError(self.number, os.strerror(self.number))
            return call(*arguments)

        return tried


@pytest.fixture(params=[1, 2], ids=["solo", "population"], scope="module")
def prepared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[session.Prepared]:
    """An experiment that is compiled only once."""
    spec = tmp_path_factory.mktemp("spec") / "spec.yaml"
    spec.write_text(SPEC.replace("SEEDS", str(request.param)))
    ready = session.prepare(spec)
    compiled = shards.compile_shards(ready.experiment)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "compile_shards", lambda experiment: compiled)
        yield ready


def train(prepared: session.Prepared, folder: Path) -> None:
    for _ in driver.train(prepared.experiment, folder, lambda message: None):
        pass


@pytest.mark.quick("solo-9")
@pytest.mark.parametrize("step", [9, 1])
def test_any_call_may_fail(
    step: int, prepared: session.Prepared, tmp_path: Path, same: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each ninth of the many calls, so that lanes and errors take turns; of a run alone each fourth."""
    if len(prepared.experiment.plan.seeds) == 1:
        step = min(step, 4)
    clean = session.create(prepared, tmp_path / "clean", tmp_path)
    counter = Failing(disk.system, 0, 0)
    monkeypatch.setattr(disk, "system", counter)
    train(prepared, clean)
    assert counter.calls > 100
    monkeypatch.setattr(disk, "system", counter.real)
    for index in range(1, counter.calls + 1, step):
        number = ERRORS[index % len(ERRORS)]
        folder = session.create(prepared, tmp_path / f"run-{index}", tmp_path)
        monkeypatch.setattr(disk, "system", Failing(counter.real, index, number))
        try:
            train(prepared, folder)
        except MachineError as error:
            assert str(folder) in str(error)
        finally:
            monkeypatch.setattr(disk, "system", counter.real)
        if run.read_state(folder)["status"] != "done":
            train(prepared, folder)
        same(clean, folder)


def test_a_folder_that_cannot_be_created_is_one_line(prepared: session.Prepared, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="file"):
        session.create(prepared, None, tmp_path / "file" / "runs")


def test_out_of_memory_is_one_line_with_a_batch_size_to_try(
    prepared: session.Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*arguments: Any) -> None:
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 99999999999 bytes.")

    folder = session.create(prepared, tmp_path / "run", tmp_path)
    monkeypatch.setattr(driver, "chunks", explode)
    with pytest.raises(MachineError, match=r"data\.batch_size=16\b"):
        train(prepared, folder)
    assert run.read_state(folder)["status"] == "failed"


@pytest.mark.quick("solo")
def test_a_run_folder_is_created_whole_or_not_at_all(
    prepared: session.Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = Failing(disk.system, 0, 0)
    monkeypatch.setattr(disk, "system", counter)
    session.create(prepared, tmp_path / "counted", tmp_path)
    monkeypatch.setattr(disk, "system", counter.real)
    for index in range(1, counter.calls + 1):
        folder = tmp_path / f"run-{index}"
        monkeypatch.setattr(disk, "system", Failing(counter.real, index, errno.ENOSPC))
        with contextlib.suppress(MachineError):
            session.create(prepared, folder, tmp_path)
        monkeypatch.setattr(disk, "system", counter.real)
        left = list(folder.iterdir()) if folder.exists() else []
        assert not left or run.read_state(folder)["status"] == "created"
