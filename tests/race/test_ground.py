"""Where a race takes place, and who takes part: what is refused, and the plane through steps of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun.errors import RunError, SpecError
from nnrun.race import ground, plane
from nnrun.race.entrants import entrant, surface
from nnrun.race.ground import of_run, of_surface
from nnrun.race.plane import pick
from nnrun.race.plane import plane as plane_of
from nnrun.race.trajectory import RATES
from nnrun.record import checkpoint
from nnrun.runner import session
from nnrun.training import flat, programs, start
from nnrun.types import Examples, Layer, Loss, State

pytestmark = pytest.mark.usefixtures("float64")


def folders_of(place: Path, steps: list[int]) -> Path:
    """A run with empty checkpoint folders of these steps."""
    for step in steps:
        (place / "checkpoints" / f"step_{step:08d}").mkdir(parents=True)
    return place


@pytest.mark.parametrize(
    ("known", "steps"),
    [
        ([10, 20, 30, 40, 50], [0, 30, 50]),
        ([10, 20], [0, 10, 20]),
        ([0, 20], [0, 20]),  # a run that was interrupted before its first step has a checkpoint of the start
        ([20], [0, 20]),
    ],
)
def test_the_start_the_middle_and_the_last_checkpoint(known: list[int], steps: list[int], tmp_path):
    assert pick(folders_of(tmp_path, known), None) == steps


def test_an_average_has_no_start(tmp_path):
    (folders_of(tmp_path, [20]) / "ensemble.json").write_text("{}")
    with pytest.raises(
        RunError, match="is an average, which has no start; race over the plane of one of its runs"
    ):
        pick(tmp_path, None)


def test_steps_are_taken_as_they_are_written(tmp_path):
    folders_of(tmp_path, [10, 20, 50])
    assert pick(tmp_path, [50, 20, 10]) == [50, 20, 10]
    assert pick(tmp_path, [50, 0, 10]) == [50, 0, 10]


@pytest.mark.parametrize("steps", [None, [0, 10, 20]])
def test_a_plane_needs_a_checkpoint(steps: list[int] | None, tmp_path):
    message = r"has no checkpoint, and a plane needs one; train it first: nnrun train SPEC$"
    with pytest.raises(RunError, match=message):
        pick(folders_of(tmp_path, []), steps)


@pytest.mark.parametrize("steps", [[10, 20], [10, 20, 20], [10, 20, 40], [10, 20, 30, 30], []])
def test_three_steps_that_there_are_checkpoints_of(steps: list[int], tmp_path):
    folders_of(tmp_path, [10, 20, 30])
    message = r"--checkpoints: got .*; write three of the start, 0, and .* checkpoints of: 0, 10, 20, 30"
    with pytest.raises(SpecError, match=message):
        pick(tmp_path, steps)


@pytest.mark.parametrize("text", ["", "a,b,c", "10,20", "10;20;30", "1.5,2,3", "-1,2,3"])
def test_steps_as_text(text: str, tmp_path):
    folders_of(tmp_path, [10, 20, 30])
    with pytest.raises(SpecError, match=r"--checkpoints: got "):
        of_run(tmp_path, text, pytest.fail)


class Line:
    """An experiment whose parameters are three numbers; the loss is the mean of (w · (1, 2, 3) − y)²."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "checkpoints").mkdir(parents=True)
        zeros = {"w": jnp.zeros(2), "b": jnp.zeros(())}
        self.state = State(jnp.int32(0), zeros, {}, {}, {}, {}, jax.random.key(0), {})
        data = Examples(np.ones((4, 1), np.float32), np.arange(4.0))

        def apply(params: Any, stats: Any, x: Any, key: Any, weight: Any) -> Any:
            return (params["w"] @ jnp.array([1.0, 2.0]) + 3 * params["b"]) * jnp.ones(len(x)), stats

        loss = Loss(lambda z, y: (z - y) ** 2, lambda z, y: {}, dict, "loss", (), False)
        self.experiment: Any = SimpleNamespace(
            model=lambda knobs: Layer(lambda *a: ({}, {}, ()), apply),
            loss=lambda knobs: loss,
            penalty=lambda knobs: lambda params: 0.5 * params["b"] ** 2,
            dataset=SimpleNamespace(train=data),
        )

    def save(self, step: int, w: tuple[float, float], b: float) -> None:
        state = self.state._replace(step=jnp.int32(step), params={"w": jnp.array(w), "b": jnp.array(b)})
        checkpoint.save(self.folder / "checkpoints", step, flat.flatten(state), {}, 0)


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    experiment_line = Line(tmp_path / "run")
    monkeypatch.setattr(start, "one_like", lambda experiment: experiment_line.state)
    monkeypatch.setattr(start, "one_initial", lambda experiment: experiment_line.state)
    monkeypatch.setattr(plane, "normalise", lambda experiment, batch: (batch.x, batch.y))
    return experiment_line


def loss_of(w: np.ndarray, b: float) -> float:
    return float(np.mean((w @ [1, 2] + 3 * b - np.arange(4)) ** 2) + 0.5 * b**2)


def test_the_plane_goes_through_the_three_checkpoints(line):
    """The parameters are the corners of a triangle; at each the surface has the loss of that checkpoint."""
    corners = {10: ((0.0, 0.0), 0.0), 20: ((1.0, 2.0), 0.5), 30: ((4.0, 0.0), 0.0)}
    for step, (w, b) in corners.items():
        line.save(step, w, b)
    result = plane_of(line.experiment, line.folder, [10, 20, 30])
    # From the first to the last is 4 along w₀; the second lies a quarter along and √(2² + 0.5²) aside.
    np.testing.assert_allclose(result.points, [[0, 0], [0.25, np.hypot(2, 0.5) / 4], [1, 0]], atol=1e-12)
    for point, (w, b) in zip(result.points, corners.values(), strict=True):
        assert float(result.surface.value(jnp.asarray(point))) == pytest.approx(loss_of(np.array(w), b))
    assert result.surface.start == (0.0, 0.0)
    assert result.steps == [10, 20, 30]


def test_the_plane_of_one_checkpoint_goes_through_the_start(line):
    """The other direction is drawn, at a right angle and as long as the way from the start to the checkpoint."""
    line.save(30, (3.0, 0.0), 4.0)
    result = plane_of(line.experiment, line.folder, [0, 30])
    np.testing.assert_allclose(result.points, [[0, 0], [1, 0]], atol=1e-12)
    value = result.surface.value
    assert float(value(jnp.zeros(2))) == pytest.approx(loss_of(np.zeros(2), 0.0))
    assert float(value(jnp.array([1.0, 0.0]))) == pytest.approx(loss_of(np.array([3.0, 0.0]), 4.0))
    # The loss is ((1, 2, 3) · (w, b))² + b² / 2 and lower powers, so second differences tell the directions.
    curvature = [float(value(d) - 2 * value(0 * d) + value(-d)) for d in jnp.eye(2)]
    along, drawn = curvature
    assert along == pytest.approx(2 * ((3 + 12) ** 2 + 16 / 2))
    # What is at a right angle to (3, 0, 4), of length 5: 5 (sin t (0, 1, 0) + cos t (0.8, 0, -0.6)).
    angles = np.linspace(0, np.pi, 1001)
    directions = 5 * np.stack([0.8 * np.cos(angles), np.sin(angles), -0.6 * np.cos(angles)])
    possible = 2 * ((np.array([1, 2, 3]) @ directions) ** 2 + directions[2] ** 2 / 2)
    assert possible.min() <= drawn <= possible.max()
    again = plane_of(line.experiment, line.folder, [0, 30]).surface.value
    assert float(again(jnp.array([0.3, 0.7]))) == float(value(jnp.array([0.3, 0.7])))


def test_the_start_is_where_the_run_began(tmp_path, monkeypatch):
    """The weights of the seed, or, of a run that began with another's, those."""
    (tmp_path / "spec.yaml").write_text(
        "data: iris\nmodel: {name: mlp, hidden: [4]}\noptimizer: {name: adam, learning_rate: 0.01}\n"
        "train: {duration: 2 steps, precision: float64, seed: 7}\n"
    )
    spec = session.prepare(tmp_path / "spec.yaml").experiment
    like = start.one_like(spec)
    state = plane._state_at(spec, tmp_path, 0, like)
    compiled = programs.compile_programs(spec)
    [arrays] = compiled.unpack(compiled.initial())
    for name, array in flat.flatten(state).items():
        np.testing.assert_array_equal(array, arrays[name], err_msg=name)
    name = next(name for name in arrays if name.startswith("params/") and name.endswith("kernel"))
    taken = {name: np.full_like(arrays[name], 0.25)}
    monkeypatch.setattr(plane.weights_from, "read_arrays", lambda folder: taken)
    warm = flat.flatten(plane._state_at(spec, tmp_path, 0, like))
    np.testing.assert_array_equal(warm[name], taken[name])
    others = [other for other in arrays if other.startswith("params/") and other != name]
    assert all(np.array_equal(warm[other], arrays[other]) for other in others)


def test_the_window_has_room_around_the_three_points(line):
    for step, w in ((10, (0.0, 0.0)), (20, (0.0, 4.0)), (30, (4.0, 0.0))):
        line.save(step, w, 0.0)
    result = plane_of(line.experiment, line.folder, [10, 20, 30])
    assert result.surface.window == (pytest.approx((-0.6, 1.6)), pytest.approx((-0.6, 1.6)))
    grid = np.linspace(-0.6, 1.6, 25)
    losses = [loss_of(np.array([4 * x, 4 * y]), 0.0) for x in grid for y in grid]
    assert result.surface.floor == pytest.approx(min(losses))
    start = loss_of(np.zeros(2), 0.0)
    assert result.surface.goal == pytest.approx(min(losses) + 0.05 * (start - min(losses)))


@pytest.mark.parametrize("second", [(2.0, 0.0), (2.0, 1e-3), (0.0, 0.0), (-7.0, 0.0)])
def test_three_points_on_a_line_have_no_plane(second: tuple[float, float], line):
    for step, w in ((10, (0.0, 0.0)), (20, second), (30, (4.0, 0.0))):
        line.save(step, w, 0.0)
    with pytest.raises(
        RunError, match=r"the steps 10, 20, 30 lie on a line; choose others with --checkpoints"
    ):
        plane_of(line.experiment, line.folder, [10, 20, 30])


def test_a_first_and_a_last_checkpoint_that_are_equal_have_no_plane(line):
    for step, w in ((10, (1.0, 1.0)), (20, (2.0, 0.0)), (30, (1.0, 1.0))):
        line.save(step, w, 0.0)
    with pytest.raises(RunError, match="lie on a line"):
        plane_of(line.experiment, line.folder, [10, 20, 30])


def test_the_ground_of_a_run_names_its_steps(line, monkeypatch):
    for step, w in ((20, (0.0, 4.0)), (30, (4.0, 0.0))):
        line.save(step, w, 0.0)
    plan = SimpleNamespace(precision="float64")
    experiment = SimpleNamespace(**vars(line.experiment) | {"plan": plan})
    prepared = SimpleNamespace(experiment=experiment)
    monkeypatch.setattr(ground.session, "rebuild", lambda folder, warn, parts: prepared)
    for steps in (None, " 0, 20 ,30"):
        result = of_run(line.folder, steps, pytest.fail)
        assert result.title == "run, steps 0, 20, 30"
        assert result.marks == {"start": (0, 0), "step 20": pytest.approx((0, 1)), "step 30": (1, 0)}
        assert (result.precision, result.grid, result.steps) == ("float64", 33, 100)
        assert set(result.rates) < set(RATES) and len(result.rates) == 11


def test_the_ground_of_a_surface(tmp_path):
    result = of_surface("beale", tmp_path)
    assert (result.title, result.marks, result.precision) == ("beale", {}, "float64")
    assert result.steps == 300
    assert result.rates is RATES
    assert float(result.surface.value(jnp.array([3.0, 0.5]))) == pytest.approx(0)


@pytest.mark.parametrize(
    ("make", "text", "message"),
    [
        (surface, "bale", r"did you mean beale"),
        (surface, "{name: beale, depth: 3}", r"depth"),
        (surface, "{name: noisy_quadratic, noise: -1}", r"noise"),
        (surface, "[beale]", r"."),
        (surface, "", r"."),
        (lambda text, folder: entrant(text, folder, 10), "adamm", r"did you mean adam"),
        (lambda text, folder: entrant(text, folder, 10), "{name: adam, learning_rate: -1}", r"learning_rate"),
        (lambda text, folder: entrant(text, folder, 10), "{name: adam", r"."),
        (lambda text, folder: entrant(text, folder, 10), "missing:adam", r"missing"),
    ],
)
def test_what_cannot_race_is_refused_in_a_line(make: Callable[..., Any], text: str, message: str, tmp_path):
    with pytest.raises(SpecError, match=message) as caught:
        make(text, tmp_path)
    assert all("\n" not in str(problem) for problem in caught.value.problems)


def test_a_function_that_returns_something_else_is_refused(tmp_path):
    (tmp_path / "mine.py").write_text(
        "def wrong():\n    return 3\ndef method(learning_rate: float = 0.1):\n    return 'x'\n"
    )
    with pytest.raises(SpecError, match=r"surface: .*wrong"):
        surface("mine:wrong", tmp_path)
    with pytest.raises(SpecError, match=r"mine:method"):
        entrant("mine:method", tmp_path, 10)
