"""Code and data of one moment: a process that trains a batch has what the sweep began with, or says what differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nnrun.errors import RunError
from nnrun.sweep import lifecycle, moment
from nnrun.sweep.batches import Event, carry_out
from nnrun.sweep.engine import Engine, RunBatch
from nnrun.sweep.moment import ChangedError, check_code, check_specs

MODULE = '''
from widths import width
from nnrun.layer._compose import serial
from nnrun.layer.dense import dense
from nnrun.types import Layer

def net(outputs: int) -> Layer:
    """Mine."""
    return serial([("inner", dense(width())), ("output", dense(outputs))])
'''
BASE = """
data: {name: csv, path: table.csv, target: y, batch_size: 32}
model: {name: "nets:net"}
optimizer: {name: adam, learning_rate: 0.01}
train: {duration: 2 epochs}
"""
SWEEP = "\n  over: {optimizer.learning_rate: [1e-3, 1e-2]}\n  search: grid\n  final_seeds: 0\n"


def ignore(message: str) -> None:
    del message


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """What lies beside a sweep file is edited here, so each test has a folder of its own."""
    return tmp_path


@pytest.fixture
def sent(write: Any, tmp_path: Path) -> tuple[Path, RunBatch, dict[str, Any]]:
    """A sweep's folder, a batch of it, and what the sweep's process says of code and data."""
    (tmp_path / "nets.py").write_text(MODULE)
    (tmp_path / "widths.py").write_text("def width():\n    return 4\n")
    rows = [f"{i % 7},{i % 5},{i % 3}" for i in range(120)]
    (tmp_path / "table.csv").write_text("\n".join(["a,b,y", *rows, ""]))
    engine = Engine(ignore)
    sweep_plan, folder = lifecycle.begin(write(SWEEP, BASE), [], engine, tmp_path / "sweep", tmp_path)
    batches: list[RunBatch] = []

    class Sender:
        def train(self, root: Path, waiting: Any) -> Any:
            batches.extend(waiting)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(lifecycle.sweep(sweep_plan, folder, engine, Sender()))
    return folder, batches[0], engine.moment.expected()


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


@pytest.mark.parametrize("name", ["nets.py", "widths.py"])
@pytest.mark.parametrize("edit", [lambda path: append(path, "# edited\n"), lambda path: path.unlink()])
def test_an_edited_module_is_noticed(name: str, edit: Callable[[Path], None], sent, tmp_path):
    _, _, expected = sent
    check_code(expected)
    edit(tmp_path / name)
    with pytest.raises(
        ChangedError, match=rf"{name}: it has changed while the sweep runs; put it back as it was"
    ):
        check_code(expected)


def test_an_edited_table_is_noticed_by_who_reads_it_anew(sent, tmp_path):
    folder, batch, expected = sent
    append(tmp_path / "table.csv", "1,1,1\n")
    with pytest.raises(ChangedError, match="train part has changed"):
        next(Engine(ignore).train(folder, batch, expected))


def test_an_edited_table_is_noticed_by_a_process_that_reads_it_twice(sent, tmp_path):
    """Only a few datasets are held at a time."""
    folder, batch, _ = sent
    engine = Engine(ignore)
    checked = engine.spec(folder / batch.runs[0])
    engine.experiment(checked, folder / batch.runs[0])
    append(tmp_path / "table.csv", "1,1,1\n")
    engine._shared.clear()
    engine._datasets.clear()
    with pytest.raises(ChangedError, match="train part has changed"):
        engine.experiment(checked, folder / batch.runs[0])


def test_nnruns_own_code_is_compared(sent, tmp_path, monkeypatch):
    _, _, expected = sent
    monkeypatch.setattr(moment, "_home", lambda: tmp_path)
    with pytest.raises(ChangedError, match="nnrun has changed while the sweep runs"):
        check_code(expected)


def test_an_edited_spec_of_a_run_is_noticed(sent):
    folder, batch, _ = sent
    runs = [folder / name for name in batch.runs]
    check_specs(runs)
    append(runs[1] / "resolved.yaml", "# edited\n")
    with pytest.raises(
        ChangedError, match=rf"{runs[1].name}/resolved.yaml: it has changed since; restore it"
    ):
        check_specs(runs)


def test_what_has_changed_is_the_fault_of_no_trial(tmp_path):
    """The sweep ends at once, and no trial is marked as failed."""

    class Trainer:
        def train(self, root: Path, batches: Any) -> Any:
            yield Event(batches[0], 0, "failed", ChangedError("nets.py: it has changed"))

    (tmp_path / "batches").mkdir()
    with pytest.raises(RunError, match=r"nets.py"):
        list(carry_out(tmp_path, [RunBatch("r000-s0-00", ["a", "b"], 2)], Trainer()))
    assert not list((tmp_path / "batches").iterdir())
