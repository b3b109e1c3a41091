"""What the validation part says of predictions: widths and temperatures by hand, and where there can be none."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from nnrun.errors import DataError, RunError, SpecError
from nnrun.prediction import adjustment
from nnrun.prediction.adjustment import check_level, fit_interval, temperature_of
from nnrun.prediction.combiner import Combiner
from nnrun.preprocessing import Part, Preprocessing

NOTHING: Any = None


class World:
    """Members whose outputs and targets on the validation part are given, and what their folders say."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data: dict[str, Any] = {}
        self.fold, self.kind, self.how, self.members = False, "numbers", "probabilities", 1
        self.mean, self.targets = np.zeros((0, 1)), np.zeros(0)
        self.scale: Any = 1.0
        self.classes: tuple[str, ...] = ()
        self.label_classes: tuple[tuple[str, str], ...] = ()
        self.said: list[str] = []
        self.error: Exception | None = None
        monkeypatch.setattr(adjustment.session, "recorded", lambda member: self.fitted)
        monkeypatch.setattr(adjustment, "block_of", lambda member, kind: self.data)
        monkeypatch.setattr(adjustment, "is_fold", lambda member: self.fold)
        monkeypatch.setattr(adjustment, "mean_for", self.mean_for)

    @property
    def fitted(self) -> Preprocessing:
        one = np.ones(())
        parts = {"val": Part(len(self.targets), "", "")}
        several = ("a", "b") if np.ndim(self.scale) else ()
        return Preprocessing(
            self.classes, (), (2,), "float32", one, one, 0.0 * np.asarray(self.scale), self.scale, parts, several,
            self.label_classes,
        )  # fmt: skip

    def mean_for(self, ensemble: Any, which: str, inputs: Any, *_: Any, needed: list[str]) -> Any:
        assert (which, needed) == ("best", ["val"])
        if self.error:
            raise self.error
        dataset = SimpleNamespace(fitted=self.fitted)
        model = SimpleNamespace(
            experiment=SimpleNamespace(dataset=dataset), targets=lambda part: self.targets, kind=self.kind
        )
        return SimpleNamespace(
            model=model, combiner=Combiner(self.how, self.members, self.kind), mean=self.mean
        )  # type: ignore[arg-type]

    def interval(self, level: float) -> Any:
        return fit_interval(self.ensemble, "best", level, self.said.append, NOTHING)

    def temperature(self) -> Any:
        return temperature_of(self.ensemble, "best", self.said.append, NOTHING)

    @property
    def ensemble(self) -> Any:
        members = [Path(f"run_{i}") for i in range(self.members)]
        return SimpleNamespace(folder=Path("runs/mine"), members=members, how=self.how)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def numbers(world: World, count: int = 19) -> np.ndarray:
    """Outputs in units of 10, and targets that are off by 1, 2, ..., in some order; the errors."""
    rng = np.random.default_rng(0)
    world.scale = 10.0
    errors = rng.permutation(np.arange(1.0, count + 1))
    world.mean = rng.normal(size=(count, 1))
    world.targets = 10 * world.mean[:, 0] + errors * rng.choice([-1, 1], count)
    return errors


@pytest.mark.parametrize(("level", "rank"), [(0.5, 10), (0.9, 18), (0.95, 19), (0.01, 1)])
def test_the_half_width_is_the_error_of_that_rank(level: float, rank: int, world: World) -> None:
    """Of 19 errors 1, 2, ..., 19 that of rank ⌈20 · level⌉, in units of the target."""
    numbers(world)
    made = world.interval(level)
    assert (made.level, made.rank, made.examples) == (level, rank, 19)
    assert made.half_width == pytest.approx(rank)
    assert world.said == []


def test_each_of_several_targets_has_its_own_width(world: World) -> None:
    world.scale = np.array([10.0, 0.5])
    world.mean = np.random.default_rng(0).normal(size=(19, 2))
    world.targets = world.mean * world.scale + np.arange(1.0, 20)[:, None] * [1.0, 0.01]
    np.testing.assert_allclose(world.interval(0.9).half_width, [18, 0.18])


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 1.5, float("nan")])
def test_levels_that_are_none(level: float) -> None:
    with pytest.raises(SpecError, match=r"--interval: got .*; write a probability between 0 and 1"):
        check_level(level)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ("a", "b")}, "--interval: runs/mine predicts classes; write --calibrated"),
        ({"label_classes": (("no", "yes"),)}, "--interval: runs/mine predicts labels"),
        (
            {"targets": np.zeros(0)},
            "--interval: is fitted to a validation part, and runs/mine held nothing out",
        ),
        ({"targets": np.zeros(8)}, "--interval 0.9: needs 9 validation examples, and runs/mine has 8"),
        ({"data": {"time": "day"}}, "--interval: runs/mine was split in the order of 'day'"),
        (
            {"fold": True, "members": 2},
            "--interval: is fitted to a validation part, and runs/mine averages folds",
        ),
        ({"error": DataError("gone")}, "--interval: needs the validation part of the run's data: gone"),
        ({"error": RunError("changed")}, "--interval: needs the validation part of the run's data: changed"),
    ],
)
def test_where_there_is_no_interval(change: dict[str, Any], message: str, world: World) -> None:
    numbers(world)
    for name, value in change.items():
        setattr(world, name, value)
    error = type(change["error"]) if "error" in change else SpecError
    with pytest.raises(error, match=re.escape(message)):
        world.interval(0.9)


def test_one_fold_alone_has_an_interval_and_groups_have_a_warning(world: World) -> None:
    numbers(world)
    world.fold, world.data = True, {"split_by": "patient"}
    assert world.interval(0.9).half_width == pytest.approx(18)
    assert len(world.said) == 1 and "rows with equal 'patient' are alike" in world.said[0]


def classes(world: World, sharp: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `sharp` times too large."""
    rng = np.random.default_rng(1)
    z = rng.normal(size=(400, 3))
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    world.kind, world.classes = "classes", ("a", "b", "c")
    world.targets = (rng.random((400, 1)) > p.cumsum(1)).sum(1).astype(np.int32)
    world.how, world.mean = "logits", sharp * z
    return world.mean, world.targets


def test_the_temperature_is_the_best_of_the_validation_part(world: World) -> None:
    z, y = classes(world)

    def loss(log_t: float) -> float:
        return -log_softmax(z / np.exp(log_t), axis=1)[np.arange(400), y].mean()

    made = world.temperature()
    assert made.examples == 400
    assert made.value == pytest.approx(
        np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x), rel=1e-3
    )
    assert 2 < made.value < 4.5


def test_averaged_probabilities_have_a_temperature_too(world: World) -> None:
    z, _ = classes(world)
    expected = world.temperature().value
    world.how, world.members = "probabilities", 2
    world.mean = np.exp(log_softmax(z, axis=1))
    assert world.temperature().value == pytest.approx(expected, rel=1e-5)


def spoil(world: World, name: str) -> None:
    z, y = classes(world)
    changes: dict[str, Callable[[], None]] = {
        "numbers": lambda: setattr(world, "classes", ()),
        "labels": lambda: setattr(world, "label_classes", (("no", "yes"),)),
        "votes": lambda: (setattr(world, "how", "vote"), setattr(world, "members", 3)),
        "scores": lambda: setattr(world, "kind", "scores"),
        "right": lambda: setattr(world, "targets", z.argmax(1).astype(np.int32)),
        "wrong": lambda: setattr(world, "targets", z.argmin(1).astype(np.int32)),
        "nothing": lambda: setattr(world, "targets", y[:0]),
        "folds": lambda: (setattr(world, "fold", True), setattr(world, "members", 2)),
    }  # type: ignore[dict-item]
    changes[name]()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("numbers", "--calibrated: runs/mine predicts numbers; write --interval 0.9"),
        ("labels", "--calibrated: runs/mine predicts several labels"),
        ("votes", "--calibrated: runs/mine counts votes, which are no probabilities"),
        ("scores", "--calibrated: runs/mine gives scores"),
        ("right", "--calibrated: runs/mine is right for all 400 validation examples"),
        ("wrong", "--calibrated: no temperature from 0.01 to 100 fits the 400 validation examples"),
        ("nothing", "--calibrated: is fitted to a validation part, and runs/mine held nothing out"),
        ("folds", "--calibrated: is fitted to a validation part, and runs/mine averages folds"),
    ],
)
def test_where_there_is_no_temperature(name: str, message: str, world: World) -> None:
    spoil(world, name)
    with pytest.raises(SpecError, match=re.escape(message)):
        world.temperature()


def test_one_member_alone_does_not_vote(world: World) -> None:
    """An average of one by votes has the probabilities of that one."""
    z, _ = classes(world)
    expected = world.temperature().value
    world.how, world.mean = "vote", np.exp(log_softmax(z, axis=1))
    assert world.temperature().value == pytest.approx(expected, rel=1e-5)
