"""Sections with a race over a surface: SGD's zigzag, momentum, the look-ahead, and the lecture's six."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from optimizers_parts import PICTURES, picture, shrunk, table

from nnrun.race import draw, entrants, ground, trajectory
from nnrun.race.trajectory import Trajectory
from nnrun.runner import session

__all__ = ["RACES", "momentum", "nesterov", "six", "zigzag"]

RACES = {  # picture -> its optimizers, as they are written after `nnrun race`
    "zigzag.png": ["{name: sgd, learning_rate: 0.0195}", "sgd", "{name: sgd, learning_rate: 0.009}"],
    "momentum.png": ["sgd", *(f"{{name: momentum, momentum: {rho}}}" for rho in (0.5, 0.9, 0.99))],
    "nesterov.png": [f"{{name: {name}, learning_rate: 0.01}}" for name in ("momentum", "nesterov")],
    "six.gif": [],
    "saddle.png": [f"{{name: {name}, learning_rate: 0.05}}" for name in entrants.LECTURE],
}


def zigzag() -> str:
    """SGD on the long valley, near the rate that is no longer stable, at the best, and at half of it."""
    paths = _race("zigzag.png", "long_valley", 40)
    rows = []
    for path in paths:
        turns = int((np.diff(np.sign(path.points[:, 1])) != 0).sum())
        along, across = np.abs(path.points[-1] / path.points[0])
        cells = [f"{path.learning_rate:.3g}", turns, f"{100 * along:.0f}%", f"{100 * across:.0f}%"]
        rows.append([*cells, f"{path.values[-1]:.2g}"])
    head = ["learning rate", "crossings of the valley", "left along it", "left across it", "value at the end"]
    shown = picture("zigzag.png", "SGD leaps from wall to wall of the valley and creeps along it")
    return f"{shown}\n\n{table(head, rows)}"


def momentum() -> str:
    """SGD and three momenta, each at its best rate."""
    paths = _race("momentum.png", "long_valley", 300)
    head = ["optimizer", "best rate", "steps to the goal", "furthest beyond the minimum", "value at the end"]
    shown = picture(
        "momentum.png", "With momentum the path swings, but runs along the valley and beyond its end"
    )
    return f"{shown}\n\n{table(head, [_row(path) for path in paths])}"


def nesterov() -> str:
    """Momentum and Nesterov at the same rate, and each at its best."""
    same = _race("nesterov.png", "long_valley", 150)
    _, best = _paths("long_valley", 150, ["momentum", "nesterov"])
    head = ["optimizer", "rate", "steps to the goal", "furthest beyond the minimum", "value at the end"]
    shown = picture("nesterov.png", "At the same rate Nesterov settles at once where momentum swings across")
    return f"{shown}\n\n{table(head, [_row(path) for path in [*same, *best]])}"


def six() -> str:
    """The lecture's six: on Beale's function, moving, and on the saddle, all at one rate."""
    beale = _race("six.gif", "beale", 300)
    slow = _race("saddle.png", "saddle", 150)
    _, best = _paths("saddle", 150, entrants.LECTURE)
    rows = []
    for one, two, three in zip(beale, slow, best, strict=True):
        rates = [f"{path.learning_rate:.3g}" for path in (one, three)]
        rows.append([one.label, f"{_steps(one)} ({rates[0]})", _steps(two), f"{_steps(three)} ({rates[1]})"])
    head = ["steps to the goal", "Beale, best rate", "saddle, rate 0.05", "saddle, best rate"]
    shown = picture("six.gif", "Six optimizers race to the minimum of Beale's function")
    still = picture("saddle.png", "The same six leave a saddle, all at the same rate")
    return f"{shown}\n\n{still}\n\n{table(head, rows)}"


def _race(name: str, surface: str, steps: int) -> list[Trajectory]:
    """Runs and draws what `nnrun race` would; no optimizers stand for those of the lecture."""
    place, paths = _paths(surface, steps, RACES[name] or entrants.LECTURE)
    with session.precision(place.precision):
        content = draw.draw(place.surface, paths, place.title, Path(name).suffix, grid=place.grid)
    (PICTURES / name).write_bytes(shrunk(content) if name.endswith(".png") else content)
    return paths


def _paths(surface: str, steps: int, optimizers: Sequence[str]) -> tuple[ground.Ground, list[Trajectory]]:
    place = ground.of_surface(surface, Path.cwd())
    with session.precision(place.precision):
        racers = [entrants.entrant(text, Path.cwd(), steps, place.rates) for text in optimizers]
        paths = [
            trajectory.run(place.surface, one.label, one.make, one.rates, steps, seed=0) for one in racers
        ]
    return place, paths


def _row(path: Trajectory) -> list[str]:
    beyond = max(0.0, float(np.nanmax(path.points[:, 0])))
    rate = f"{path.learning_rate:.3g}"
    return [f"`{path.label}`", rate, _steps(path), f"{beyond:.2g}", f"{path.values[-1]:.2g}"]


def _steps(path: Trajectory) -> str:
    return "not reached" if path.steps is None else str(path.steps)
