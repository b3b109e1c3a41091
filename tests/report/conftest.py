"""Folders of sweeps as `nnrun sweep` writes them, with made-up numbers."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from rich.console import RenderableType

from nnrun.commands import console
from nnrun.report.sweep.answer import write_answer

# Accuracy at the best setting, for each alternative.
TRUTH = {"sgd": 0.93, "nesterov": 0.967, "adam": 0.968}
RATES = {"sgd": 0.3, "nesterov": 0.03, "adam": 3e-3}
RANGE = (1e-4, 1.0)


def lines(file: Path, records: Sequence[Mapping[str, Any]]) -> None:
    file.write_text("".join(json.dumps(record) + "\n" for record in records))


def write_group(folder: Path, curves: Mapping[int, Sequence[float]], setting: str = "sgd") -> None:
    """A group of seeds: folder/seed_N with metrics at steps 10, 20, ...; test metrics equal to the last value."""
    folder.mkdir(parents=True)
    runs = []
    for seed, values in curves.items():
        one = folder / f"seed_{seed}"
        one.mkdir()
        records = [{"step": 10 * (i + 1), "val/accuracy": value} for i, value in enumerate(values)]
        lines(one / "metrics.jsonl", records)
        lines(one / "timing.jsonl", [{"step": r["step"], "seconds": r["step"] / 100} for r in records])
        (one / "state.json").write_text('{"status": "done"}')
        summary = {
            "status": "done",
            "steps": 10 * len(values),
            "best": {"metric": "val/accuracy", "value": max(values), "step": 10 * len(values)},
            "metrics": {
                "best": {
                    "val/accuracy": max(values),
                    "test/accuracy": values[-1],
                    "test/loss": 1 - values[-1],
                }
            },
        }
        (one / "summary.json").write_text(json.dumps(summary))
        runs.append({"run": one.name, **summary})
    (folder / "state.json").write_text('{"status": "done"}')
    (folder / "summary.json").write_text(
        json.dumps({"status": "done", "steps": 30, "runs": runs, "mean": {}, "ci95": {}})
    )
    first = min(curves)
    (folder / "resolved.yaml").write_text(
        f"name: x\ndata:\n  name: digits\n  split_seed: 0\noptimizer:\n  name: {setting}\n  learning_rate: 0.1\n"
        f"train:\n  seed: {first}\n  seeds: {len(curves)}\n"
    )


@pytest.fixture
def make_sweep(tmp_path: Path) -> Callable[..., Path]:
    """See `sweeps_in`."""
    return sweeps_in(tmp_path)


@pytest.fixture(scope="session")
def written_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of two alternatives with its answer; not to be changed."""
    make = sweeps_in(tmp_path_factory.mktemp("sweeps"))
    folder = make(trials=12, wanted=12, final=6, truth={"sgd": 0.93, "adam": 0.968})
    write_answer(folder)
    return folder


def sweeps_in(place: Path) -> Callable[..., Path]:
    """make_sweep(trials=, final=, ...): a folder of a sweep over three optimizers and their learning rates.

    trials  how many of each have ended
    final   how many fresh seeds; 0: not there yet
    truth   alternative -> accuracy at its best learning rate
    """

    def make(
        trials: int = 20,
        final: int = 10,
        final_wanted: int = 10,
        truth: Mapping[str, float] = TRUTH,
        bases: Sequence[str] = ("digits",),
        noise: float = 0.003,
        wanted: int = 20,
        search: str = "random",
        name: str = "optimizers",
    ) -> Path:
        folder = place / name
        folder.mkdir()
        random = np.random.default_rng(0)
        low, high = RANGE
        rate = {"path": "optimizer.learning_rate", "kind": "log", "low": low, "high": high}
        hidden = {"path": "model.hidden", "kind": "choice", "values": [[32], [64, 64]]}
        about = {
            "format": 2,
            "name": name,
            "metric": "val/accuracy",
            "goal": "max",
            "bounds": [0, 1],
            "adaptive": False,
            "search": search,
            "seed": 0,
            "trials": wanted,
            "seeds": 3,
            "final_seeds": final or final_wanted,
            "bases": list(bases),
            "alternatives": [
                {"label": label, "settings": {"optimizer.name": label}, "dimensions": [rate, hidden]}
                for label in truth
            ],
        }
        (folder / "sweep.json").write_text(json.dumps(about))
        (folder / "state.json").write_text('{"status": "running"}')
        done, finals = [], []
        for base in bases:
            prefix = f"{base}/" if len(bases) > 1 else ""
            for label, best in truth.items():
                mine = [_trial(base, prefix, label, best, number, random, noise) for number in range(trials)]
                done += mine
                able = [one for one in mine if one["status"] == "done"]
                if not final or not able:
                    continue
                chosen = max(able, key=lambda one: one["value"])
                seeds = list(range(10_000, 10_000 + final))
                curves = {seed: _curve(best + noise * random.standard_normal()) for seed in seeds}
                write_group(folder / "final" / prefix / label, curves, label)
                last = [values[-1] for values in curves.values()]
                finals.append(
                    {
                        **{key: chosen[key] for key in ("base", "alternative", "trial", "settings")},
                        "run": f"final/{prefix}{label}",
                        "seeds": seeds,
                        "status": "done",
                        "metrics": {
                            "val/accuracy": last,
                            "test/accuracy": [value - 0.005 for value in last],
                            "test/loss": [1 - value for value in last],
                        },
                        "steps": 30,
                        "seconds": 1.0,
                    }
                )
        lines(folder / "trials.jsonl", done)
        lines(folder / "final.jsonl", finals)
        return folder

    return make


def _curve(end: float) -> list[float]:
    return [0.5 * end, 0.9 * end, end]


def _trial(
    base: str, prefix: str, label: str, best: float, number: int, random: np.random.Generator, noise: float
) -> dict[str, Any]:
    """Accuracy falls with the square of the distance from the best rate, in decades; rates far above diverge."""
    low, high = RANGE
    rate = float(low * (high / low) ** random.random())
    away = math.log10(rate / RATES.get(label, 0.01))
    lost = away > 1.5
    values = [min(best - 0.05 * away**2 + noise * random.standard_normal(), 1.0) for _ in range(3)]
    return {
        "trial": f"{prefix}{label}-{number:03d}",
        "base": base,
        "alternative": label,
        "number": number,
        "run": f"trials/{prefix}{label}-{number:03d}",
        "settings": {"optimizer.learning_rate": rate, "model.hidden": [[32], [64, 64]][number % 2]},
        "status": "diverged" if lost else "done",
        "value": None if lost else sum(values) / 3,
        "values": [None] * 3 if lost else values,
        "metrics": {}
        if lost
        else {"val/accuracy": values, "test/accuracy": [value - 0.005 for value in values]},
        "judged_on": "a b",
        "steps": 5 if lost else 30,
        "seconds": 1.0,
        "reason": "the loss became infinite" if lost else None,
    }


@pytest.fixture(scope="session")
def screens() -> ModuleType:
    """The module beside this one."""
    place = importlib.util.spec_from_file_location("screens", Path(__file__).with_name("screens.py"))
    assert place and place.loader
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


@pytest.fixture
def fits_all_screens(screens: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """fits_all_screens(content, encoding): asserts that no word of what a command shows is cut on any screen."""

    def check(content: Sequence[RenderableType], encoding: str) -> None:
        # A table is changed where it is made ASCII.
        screens.assert_whole(lambda: console.show(*deepcopy(content)), encoding, monkeypatch, escapes=False)

    return check
