"""Small promises of a race: what is advised, who is first, where a path ends, and what a picture has beside paths."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from nnrun.errors import SpecError
from nnrun.optimizer._first_order import first_order
from nnrun.optimizer.sgd import sgd
from nnrun.race import draw as draw_module
from nnrun.race import trajectory as trajectory_module
from nnrun.race.draw import draw
from nnrun.race.entrants import Entrant, entrant
from nnrun.race.plane import _remedy, _shaped, pick
from nnrun.race.report import record
from nnrun.race.trajectory import Trajectory, _rank, run
from nnrun.record import provenance
from nnrun.types import Method, Surface

pytestmark = pytest.mark.usefixtures("float64")

WINDOW = ((-2.0, 2.0), (-1.0, 3.0))
BOWL = Surface(lambda x: (x**2).sum(), (1.5, 0.5), WINDOW, goal=0.01, floor=0.0, noise=0.0)


def path_of(label: str, *values: float, steps: int | None = None, points: Any = None) -> Trajectory:
    given = np.zeros((len(values), 2)) if points is None else np.array(points, float)
    return Trajectory(label, 0.1, given, np.array(values), steps)


def test_the_fastest_is_first_then_the_lowest_then_whoever_diverged() -> None:
    paths = [
        path_of("lost", 1.0, math.nan), path_of("high", 1.0, 0.5), path_of("low", 1.0, 0.25),
        path_of("slow", 1.0, 0.0, steps=7), path_of("fast", 1.0, 0.009, steps=3), path_of("out", 1.0, math.inf),
    ]  # fmt: skip
    names = [entry["optimizer"] for entry in record("bowl", BOWL, paths, None)["optimizers"]]
    assert names == ["fast", "slow", "low", "high", "lost", "out"]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (
            [2, 1, 0.9, 0.9],
            [2, 2, 1, 0.1],
        ),  # it stays at the goal from the first step on, the other from the second
        ([2, 2, 2, 1], [0.1, 0.1, 0.1, 1.1]),  # one that leaves the goal again has not reached it
        ([9] * 18 + [3, 3], [2] * 18 + [3, 4]),  # the last tenth counts
        ([2, 2, 2], [2, 2, math.inf]),
    ],
)
def test_the_rank_of_a_path(better: list[float], worse: list[float]) -> None:
    assert _rank(1.0, np.array(better, float)) < _rank(1.0, np.array(worse, float))


def test_a_path_that_is_far_away_has_diverged() -> None:
    """On −x₀ from 0 a step of rate r moves by r: a window of width 4 counts up to 4000 from its middle."""
    slope = Surface(lambda x: -x[0] + 0 * x[1], (0.0, 1.0), WINDOW, goal=-math.inf, floor=0.0, noise=0.0)
    path = run(slope, "sgd", lambda rate: first_order(sgd(rate)), np.array([399.9]), 12, 0)
    assert np.isfinite(path.values[:11]).all() and path.points[10, 0] == pytest.approx(3999)
    path = run(slope, "sgd", lambda rate: first_order(sgd(rate)), np.array([400.1]), 12, 0)
    assert np.isfinite(path.values[:10]).all()
    assert np.isnan(path.points[10:]).all() and np.isnan(path.values[10:]).all()


def test_the_point_at_which_the_value_is_infinite_is_none() -> None:
    """1 / (x₀ − 1), reached in one step: the value there is infinite, so the path ends before."""
    pole = Surface(lambda x: 1 / jnp.abs(x[0]) + 0 * x[1], (1.0, 1.0), WINDOW, 0.0, 0.0, 0.0)

    def step(objective: Any, x: jax.Array, memory: Any) -> Any:
        return x - jnp.array([0.5, 0.0]), memory, None

    path = run(pole, "mine", lambda rate: Method(lambda objective, x: (), step), None, 3, 0)
    np.testing.assert_array_equal(path.values, [1, 2, math.inf, 2])
    np.testing.assert_array_equal(path.points[:, 0], [1, 0.5, math.nan, -0.5])
    assert path.learning_rate is None


def test_noise_tilts_the_surface_and_is_not_in_the_values() -> None:
    """The gradient of step t has noise · z(t) beside it, with z of the key of the seed folded with t."""
    noisy = BOWL._replace(noise=2.0)
    path = run(noisy, "sgd", lambda rate: first_order(sgd(rate)), np.array([0.1]), 3, 7)
    x = np.array(BOWL.start)
    for t in range(3):
        z = np.asarray(jax.random.normal(jax.random.fold_in(jax.random.key(7), t), (2,)))
        x = x - 0.1 * (2 * x + 2.0 * z)
        np.testing.assert_allclose(path.points[t + 1], x, rtol=1e-9)
        assert path.values[t + 1] == pytest.approx((x**2).sum())


def test_a_method_that_refuses_is_named() -> None:
    def refuse(rate: Any) -> Method:
        raise ValueError("needs\nthree numbers")

    with pytest.raises(SpecError, match=r"^mine: needs.*three numbers$") as caught:
        trajectory_module.run(BOWL, "mine", refuse, None, 3, 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("adam", [0.5, 2.0]),
        ("{name: adam, learning_rate: 0.25}", [0.25]),
        ("{name: adam, b1: 0.5}", [0.5, 2.0]),
    ],
)
def test_rates_are_tried_where_none_is_written(text: str, rates: list[float], tmp_path: Path) -> None:
    made = entrant(text, tmp_path, 10, np.array([0.5, 2.0]))
    assert isinstance(made, Entrant) and made.rates is not None
    np.testing.assert_array_equal(made.rates, rates)


def test_an_optimizer_that_cannot_be_wrapped_is_refused_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"^\{name: lookahead, inner: lbfgs\}: lbfgs makes its own steps"):
        entrant("{name: lookahead, inner: lbfgs}", tmp_path, 10)


# What to do where there are too few checkpoints


def origin(folder: Path, *argv: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text(json.dumps({"argv": ["nnrun", *argv]}))
    return folder


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["train", "my spec.yaml", "train.seed=3"], "'my spec.yaml' train.seed=3"),
        (["train", "a.yaml", "--run-dir", "x", "checkpoint.keep=1", "-q", "--tag=good"], "a.yaml"),
        (["train", "--quiet", "a.yaml"], "SPEC"),
        (["sweep", "a.yaml"], "SPEC"),
        ([], "SPEC"),
    ],
)
def test_the_command_that_trains_a_run(
    argv: list[str], command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "read", lambda folder: {"argv": ["nnrun", *argv]})
    assert _remedy(origin(tmp_path / "run", *argv)) == f"train it first: nnrun train {command}"


def test_a_seed_of_a_group_may_have_a_checkpoint(tmp_path: Path) -> None:
    for seed, count in ((0, 0), (1, 3)):
        for step in range(count):
            (tmp_path / f"seed_{seed}" / "checkpoints" / f"step_{step:08d}").mkdir(parents=True)
        (tmp_path / f"seed_{seed}" / "checkpoints").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"seed_{seed}" / "state.json").write_text("{}")
    assert _remedy(tmp_path) == (
        f"it is a group; take one of its runs: nnrun race --run {tmp_path / 'seed_1'}"
    )
    assert pick(tmp_path / "seed_1", None) == [0, 1, 2]


def test_a_flat_vector_as_a_tree() -> None:
    like = {"a": jnp.zeros((2, 3)), "b": jnp.zeros((), jnp.float32), "c": jnp.zeros(2)}
    made = _shaped(np.arange(9.0), like)
    np.testing.assert_array_equal(made["a"], [[0, 1, 2], [3, 4, 5]])
    assert made["b"] == 6 and made["b"].dtype == jnp.float32 and made["c"].tolist() == [7, 8]


# The picture


def axes_of(surface: Surface, *paths: Trajectory) -> tuple[Figure, Any]:
    figure = Figure()
    show, _ = draw_module._plot(figure, surface, paths, "title", 12)
    show(len(paths[0].values) - 1)
    return figure, show


def test_the_curves_reach_from_a_hundred_millionth_to_twice_the_highest() -> None:
    path = path_of("sgd", 4.0, 1.0, 0.25)
    figure, _ = axes_of(BOWL, path, path_of("adam", 4.0, 8.0, 5000.0))  # more than a thousandfold is left out
    assert figure.axes[1].get_ylim() == pytest.approx((4e-8, 16.0))
    goal = next(line for line in figure.axes[1].lines if line.get_linestyle() == "--")
    assert goal.get_ydata()[0] == pytest.approx(0.01)
    figure, _ = axes_of(BOWL._replace(goal=0.0), path)
    goal = next(line for line in figure.axes[1].lines if line.get_linestyle() == "--")
    assert goal.get_ydata()[0] == pytest.approx(4e-8)  # a goal of the floor itself has no logarithm


def test_curves_are_heights_above_the_floor() -> None:
    figure, _ = axes_of(BOWL._replace(floor=0.2), path_of("sgd", 4.2, 1.2, 0.7))
    np.testing.assert_allclose(figure.axes[1].lines[0].get_ydata(), [4.0, 1.0, 0.5])


def test_the_start_is_marked_and_so_are_named_points(monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(draw_module, "png", lambda figure, dpi: figures.append(figure) or b"")
    path = path_of("sgd", 4.0, 1.0, points=[[1.5, 0.5], [0.0, 0.0]])
    draw(BOWL, [path], "title", ".png", grid=12, marks={"step 10": (1.0, 2.0)})
    left = figures[0].axes[0]
    marked = {line.get_marker(): (line.get_xdata()[0], line.get_ydata()[0]) for line in left.lines}
    assert marked["+"] == (1.5, 0.5) and marked["^"] == (1.0, 2.0) and marked["o"] == (0.0, 0.0)
    assert [text.get_text() for text in left.texts] == ["step 10"] and left.texts[0].xy == (1.0, 2.0)


def test_a_floor_that_a_path_falls_below_is_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a plane is only estimated, and a logarithm of less than 0 is nothing."""
    figures: list[Figure] = []
    monkeypatch.setattr(draw_module, "png", lambda figure, dpi: figures.append(figure) or b"")
    draw(BOWL._replace(floor=0.5), [path_of("sgd", 4.0, 0.25)], "title", ".png", grid=12)
    np.testing.assert_allclose(figures[0].axes[1].lines[0].get_ydata(), [3.75, 3.75e-8])


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (3, 1), (4, 2), (7, 3)])
def test_a_picture_has_room_for_the_names_of_all(
    count: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(draw_module, "png", lambda figure, dpi: figures.append(figure) or b"")
    draw(BOWL, [path_of(f"m{i}", 4.0, 1.0) for i in range(count)], "title", ".png", grid=12)
    assert figures[0].get_size_inches()[1] == pytest.approx(4.6 + 0.18 * rows)
    assert len(figures[0].legends[0].get_texts()) == count


def test_the_contours_of_a_surface_are_higher_away_from_its_floor() -> None:
    """On an oblong window rows are y and columns x."""
    tilted = BOWL._replace(value=lambda x: x[0] + 10 * x[1] + 12)
    figure, _ = axes_of(tilted, path_of("sgd", 4.0, 1.0))
    image = np.asarray(figure.axes[0].images[0].get_array())
    assert figure.axes[0].images[0].get_extent() == [-2.0, 2.0, -1.0, 3.0]
    assert image[-1, -1] == pytest.approx(44, rel=1e-6) and image[-1, 0] == pytest.approx(40, rel=1e-6)
    assert image[0, -1] == pytest.approx(4, rel=0.01)


def test_frames_of_a_gif_share_the_palette_of_the_last() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("white", "red")]
    frames[1].putpixel((0, 0), (255, 255, 255))
    with Image.open(io.BytesIO(draw_module._gif(frames))) as image:
        assert image.n_frames == 2
        shown = [image.seek(i) or np.asarray(image.convert("RGB")) for i in range(2)]
    assert (shown[0] == 255).all() and (shown[1][1:] == [255, 0, 0]).all()


def test_the_rates_are_even_in_their_logarithm() -> None:
    rates = trajectory_module.RATES
    assert (rates[0], rates[-1], len(rates)) == (pytest.approx(1e-5), pytest.approx(10), 49)
    np.testing.assert_allclose(rates[8:] / rates[:-8], 10)
