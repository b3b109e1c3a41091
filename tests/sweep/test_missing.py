"""A sweep of which something was deleted gives the same answer when it continues: every byte but the clock's."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nnrun.record import run as runs
from nnrun.report.sweep import answer
from nnrun.sweep import lifecycle
from nnrun.sweep.batches import InProcess
from nnrun.sweep.engine import Engine

OVER = """
  over: {optimizer.learning_rate: {log: [1e-4, 1e-1]}, model.dropout: [0.1, 0.4]}
  trials: 6
  seeds: 2
  final_seeds: 2
  width: 8
"""
SEARCHES = {
    "random": "random",
    "halton": "halton",
    "grid": "{name: grid, points: 3}",
    "tpe": "{name: tpe, startup: 2, batch: 2}",
    "halving": "{name: halving, eta: 2, first: 0.3}",
    "population": "{name: population, intervals: 3, losers: 0.4}",
}
ASKED = ("sweep.json", "sweep.yaml", "bases")  # what no other file says
CLOCK = ("seconds", "run_dir")


def without_clock(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_clock(inner) for key, inner in value.items() if key not in CLOCK}
    return [without_clock(inner) for inner in value] if isinstance(value, list) else value


def records(folder: Path) -> dict[str, list[str]]:
    """The lines of the records, in their order, and the answer, without what depends on the clock."""
    lines = {name: (folder / name).read_text().splitlines() for name in ("trials.jsonl", "final.jsonl")} | {
        "answer": [json.dumps(answer.as_json(folder))]
    }
    return {
        name: [json.dumps(without_clock(json.loads(line))) for line in content]
        for name, content in lines.items()
    }


def events(folder: Path, engine: Engine) -> Iterator[Any]:
    sweep_plan = lifecycle.continue_sweep(folder, [], engine)
    yield from lifecycle.sweep(sweep_plan, folder, engine, InProcess(engine))


def mutilate(folder: Path, chance: random.Random) -> list[str]:
    """Deletes up to three files or folders, small and large ones alike."""
    names = []
    for _ in range(chance.choice([1, 1, 2, 3])):
        depth = chance.randint(1, 5)
        paths = [
            path
            for path in folder.rglob("*")
            if path.relative_to(folder).parts[0] not in (*ASKED, "state.json")
            and len(path.relative_to(folder).parts) == depth
        ]
        if paths:
            path = chance.choice(sorted(paths))
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            names.append(path.relative_to(folder).as_posix())
    return names


def after(count: int) -> Callable[[Any], bool]:
    """Stops a sweep at its news of this number."""
    left = iter(range(count))
    return lambda event: next(left, None) is None


def check(search: str, seeds: range, write: Any, run: Any, engine: Engine) -> None:
    asked = (write(OVER), f"sweep.search={SEARCHES[search]}")
    whole = run(*asked).folder
    expected = records(whole)
    for seed in seeds:
        chance = random.Random(f"{search} {seed}")
        folder = whole.parent / f"mutilated-{seed}"
        if chance.random() < 0.5:
            shutil.copytree(whole, folder)
        else:
            folder = run(*asked, stop=after(chance.randrange(1, 40))).folder
        deleted = mutilate(folder, chance)
        for _ in events(folder, engine):
            pass
        for name, lines in records(folder).items():
            assert lines == expected[name], (seed, deleted, name)
        assert runs.status(folder) == "done"
        shutil.rmtree(folder)


@pytest.mark.quick("halton")
@pytest.mark.parametrize("search", ["halton", "tpe", "population"])
def test_what_is_missing_is_trained_again(search: str, write: Any, run: Any, engine: Engine) -> None:
    check(search, range(1), write, run, engine)


@pytest.mark.slow
@pytest.mark.parametrize("search", SEARCHES)
def test_what_is_missing_is_trained_again_many_times(
    search: str, write: Any, run: Any, engine: Engine
) -> None:
    check(search, range(36), write, run, engine)


@pytest.mark.quick(1)
@pytest.mark.parametrize("early", [{}, {"train.early_stopping": "{patience: 2 epochs}"}])
def test_a_trial_that_is_made_again_is_packed_with_the_others(
    early: dict[str, str], write: Any, run: Any, engine: Engine
) -> None:
    """Its spec comes from the sweep, those of the others from their folders, where metrics are settled."""
    changes = [f"{key}={value}" for key, value in early.items()]
    whole = run(write(OVER), *changes).folder
    expected = records(whole)
    shutil.rmtree(whole / "trials" / "trial-000")
    (whole / "batches" / "r000-s0.json").unlink()
    structures = {engine.structure(path) for path in (whole / "trials").iterdir()}
    assert {Engine(print).structure(path) for path in (whole / "trials").iterdir()} == structures
    assert len(structures) == 1
    for _ in events(whole, engine):
        pass
    assert records(whole) == expected
