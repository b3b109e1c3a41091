"""The result of a race as a table and as plain data."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from rich.console import Console

from nnrun.race.report import record, table
from nnrun.race.trajectory import Trajectory
from nnrun.types import Surface

SURFACE = Surface(lambda x: x, (0.0, 0.0), ((0.0, 1.0), (0.0, 1.0)), goal=0.00123456, floor=0.0, noise=0.0)
POINTS = np.zeros((3, 2))
TRAJECTORIES = [
    Trajectory("adam", 0.0123456, POINTS, np.array([3.0, 2.0, 0.0012345]), 2),
    Trajectory("newton", None, POINTS, np.array([3.0, 2.0, 1.0]), None),
    Trajectory("[red]sgd", 10.0, POINTS, np.array([3.0, np.inf, np.nan]), None),
]


def lines(width: int = 100) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(table("beale", SURFACE, TRAJECTORIES))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_a_row_for_each_optimizer():
    content = lines()
    start = next(i for i, line in enumerate(content) if line.startswith("optimizer"))
    title, (head, *rows) = " ".join(content[:start]), content[start:]
    assert " ".join(title.split()) == "beale: steps after which the value stays at 0.00123 or below"
    assert head.split() == ["optimizer", "learning", "rate", "steps", "value", "at", "the", "end"]
    assert rows[0].split() == ["adam", "0.0123", "2", "0.00123"]
    assert rows[1].split() == ["newton", "none", "–", "1"]
    assert rows[2].split()[1:] == ["10", "–", "diverged"]


def test_the_same_for_programs():
    content = record("beale", SURFACE, TRAJECTORIES, Path("out/race.png"))
    assert json.loads(json.dumps(content, allow_nan=False)) == {
        "surface": "beale",
        "goal": 0.00123456,
        "picture": "out/race.png",
        "optimizers": [
            {"optimizer": "adam", "learning_rate": 0.0123456, "steps": 2, "value": 0.0012345},
            {"optimizer": "newton", "learning_rate": None, "steps": None, "value": 1.0},
            {"optimizer": "[red]sgd", "learning_rate": 10.0, "steps": None, "value": None},
        ],
    }
    assert record("beale", SURFACE, [], None)["picture"] is None
