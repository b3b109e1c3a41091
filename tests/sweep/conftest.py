"""Small sweeps in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nnrun.sweep import engine as engine_module
from nnrun.sweep import lifecycle
from nnrun.sweep.batches import Event, InProcess
from nnrun.sweep.engine import Engine

BASE = """
name: tiny
data: {name: digits, batch_size: 256, examples: 256}
model: {name: mlp, hidden: [8], dropout: 0.2}
optimizer: {name: adam, learning_rate: 0.01}
train: {duration: 6 epochs, log_every: 1 epochs, evaluate_every: 1 epochs, precision: float64}
"""


def ignore(message: str) -> None:
    del message


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where sweep files lie: programs belong to the folder of a spec, so the tests of a file share it."""
    return tmp_path_factory.mktemp("written")


@pytest.fixture
def write(written: Path) -> Callable[[str, str], Path]:
    """write(sweep, base): a sweep file beside its base."""

    def make(sweep: str, base: str = BASE) -> Path:
        (written / "base.yaml").write_text(base)
        path = written / "sweep.yaml"
        path.write_text(f"base: base.yaml\nsweep:\n{sweep}")
        return path

    return make


class Sweep:
    """A sweep that has been run, and how to continue it."""

    def __init__(self, folder: Path, event: list[Event]) -> None:
        self.folder, self.event = folder, event

    def lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]

    def results(self) -> list[dict[str, Any]]:
        """What must not depend on how a sweep was carried out."""
        lines = [*self.lines("trials.jsonl"), *self.lines("final.jsonl")]
        return sorted(
            ({key: value for key, value in line.items() if key != "seconds"} for line in lines),
            key=lambda line: line["run"],
        )


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """Programs are compiled once for the tests of a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_module, "_COMPILED", 64)
        yield Engine(ignore)


@pytest.fixture
def run(tmp_path: Path, engine: Engine) -> Callable[..., Sweep]:
    """run(path, *overrides): a sweep from its file; run(folder): the rest of one that was begun."""
    numbers: Iterator[int] = iter(range(1000))

    def go(path: Path, *overrides: str, stop: Callable[[Event | None], bool] | None = None) -> Sweep:
        if path.is_dir():
            folder, sweep_plan = path, lifecycle.continue_sweep(path, overrides, engine)
        else:
            place = tmp_path / f"sweep-{next(numbers)}"
            sweep_plan, folder = lifecycle.begin(path, overrides, engine, place, tmp_path)
        told: list[Event] = []
        loop = lifecycle.sweep(sweep_plan, folder, engine, InProcess(engine))
        for _, event in loop:
            told += [event] if event else []
            if stop and stop(event):
                loop.close()
                break
        return Sweep(folder, told)

    return go
