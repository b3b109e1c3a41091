"""Small sweeps in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nnrun.sweep import lifecycle
from nnrun.sweep.batches import InProcess, News
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


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """write(sweep, base): a sweep file beside its base."""

    def make(sweep: str, base: str = BASE) -> Path:
        (tmp_path / "base.yaml").write_text(base)
        path = tmp_path / "sweep.yaml"
        path.write_text(f"base: base.yaml\nsweep:\n{sweep}")
        return path

    return make


class Sweep:
    """A sweep that has been run, and how to go on with it."""

    def __init__(self, folder: Path, news: list[News]) -> None:
        self.folder, self.news = folder, news

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
def engine() -> Engine:
    """Programs are compiled once for the tests of a file."""
    return Engine(ignore)


@pytest.fixture
def run(tmp_path: Path, engine: Engine) -> Callable[..., Sweep]:
    """run(path, *overrides): a sweep from its file; run(folder): the rest of one that was begun."""
    numbers: Iterator[int] = iter(range(1000))

    def go(path: Path, *overrides: str, stop: Callable[[News | None], bool] | None = None) -> Sweep:
        if path.is_dir():
            folder, setting = path, lifecycle.go_on(path, overrides, engine)
        else:
            place = tmp_path / f"sweep-{next(numbers)}"
            setting, folder = lifecycle.begin(path, overrides, engine, place, tmp_path)
        told: list[News] = []
        course = lifecycle.sweep(setting, folder, engine, InProcess(engine))
        for _, news in course:
            told += [news] if news else []
            if stop and stop(news):
                course.close()
                break
        return Sweep(folder, told)

    return go
