"""The picture of a race: what its axes hold, and files that open."""

from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from nnrun.race import draw as draw_module
from nnrun.race.draw import draw
from nnrun.race.trajectory import Trajectory
from nnrun.types import Surface

pytestmark = pytest.mark.usefixtures("float64")

GRID = 30


def bowl() -> Surface:
    """x² + y², whose floor is only estimated at 0.5."""
    window = ((-2.0, 2.0), (-1.0, 1.0))
    return Surface(lambda x: (x**2).sum(), (1.5, 0.5), window, goal=0.01, floor=0.5, noise=0.0)


def trajectory_of(
    label: str = "sgd", rate: float | None = 0.1, steps: int = 8, factor: float = 0.7
) -> Trajectory:
    points = np.array([1.5, 0.5]) * factor ** np.arange(steps + 1)[:, None]
    return Trajectory(label, rate, points, (points**2).sum(1), None)


def plotted(
    trajectories: list[Trajectory], title: str = "a race", **options: object
) -> tuple[Figure, object, list]:
    figure = Figure()
    surface = bowl()._replace(floor=0.0)
    show, moving = draw_module._plot(figure, surface, trajectories, title, GRID, **options)
    return figure, show, moving


def test_the_paths_are_shown_up_to_a_step():
    path = trajectory_of()
    _, show, (trail, head, curve) = plotted([path])
    show(3)
    np.testing.assert_array_equal(np.stack(trail.get_data(), 1), path.points[:4])
    np.testing.assert_array_equal(np.stack(head.get_data(), 1), path.points[3:4])
    np.testing.assert_array_equal(curve.get_xdata(), np.arange(4))
    np.testing.assert_allclose(curve.get_ydata(), path.values[:4])
    show(0)
    assert len(trail.get_xdata()) == 1


def test_a_head_outside_the_picture_waits_hollow_at_the_edge():
    """Beyond the right edge, beyond a corner, and back; the path itself is cut off by its axes."""
    points = np.array([[1.5, 0.5], [3.0, 0.5], [-9.0, 4.0], [1.0, 0.25]])
    path = Trajectory("sgd", 0.1, points, (points**2).sum(1), None)
    figure, show, (trail, head, _) = plotted([path])
    for step, place in enumerate([(1.5, 0.5), (2.0, 0.5), (-2.0, 1.0), (1.0, 0.25)]):
        show(step)
        assert (*head.get_xdata(), *head.get_ydata()) == place
        hollow = step in (1, 2)
        assert (head.get_mfc() == "white") is hollow
        assert (head.get_mec() == "white") is not hollow
    np.testing.assert_array_equal(np.stack(trail.get_data(), 1), points)
    assert trail.get_clip_on()
    assert (figure.axes[0].get_xlim(), figure.axes[0].get_ylim()) == ((-2, 2), (-1, 1))


def test_the_curve_ends_where_the_path_diverges():
    """Not a number is not drawn; what is below the least height shown is drawn there."""
    path = trajectory_of()
    path.values[5:] = np.nan
    path.values[4] = 0.0
    _, show, (_, _, curve) = plotted([path])
    show(8)
    heights = curve.get_ydata()
    assert np.isnan(heights[5:]).all()
    assert heights[4] == pytest.approx(1e-8 * path.values[0])


def test_axes_and_labels():
    figure, _, moving = plotted(
        [trajectory_of(), trajectory_of("lbfgs", None), trajectory_of("x" * 60, 1e-3)]
    )
    left, right = figure.axes
    assert (left.get_xlim(), left.get_ylim()) == ((-2, 2), (-1, 1))
    assert right.get_xlim() == (0, 8)
    assert right.get_yscale() == "log"
    assert right.get_legend() is None  # it would hide the curves
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["sgd  rate 0.1", "lbfgs", "x" * 40 + "  rate 0.001"]
    known, _, _ = plotted([trajectory_of("{name: sgd, learning_rate: 0.1}", 0.1)])
    assert known.legends[0].get_texts()[0].get_text() == "{name: sgd, learning_rate: 0.1}"  # the rate once
    assert len(moving) == 9
    assert figure.get_suptitle() == "a race"
    colours = [line.get_color() for line in moving[::3]]
    assert len(set(colours)) == 3
    dashed = [line for line in right.lines if line.get_linestyle() == "--"]
    assert dashed[0].get_ydata()[0] == pytest.approx(0.01)  # the goal


def test_a_path_that_explodes_does_not_squeeze_the_others():
    wild = trajectory_of("wild")
    wild.values[1:] = 1e9
    figure, _, _ = plotted([trajectory_of(), wild])
    assert figure.axes[1].get_ylim()[1] < 1e4


def test_the_contours_are_the_surface():
    figure, _, _ = plotted([trajectory_of()])
    image = figure.axes[0].images[0].get_array()
    assert image.shape == (draw_module.GRID, draw_module.GRID)
    xs, ys = np.linspace(-2, 2, draw_module.GRID), np.linspace(-1, 1, draw_module.GRID)
    expected = xs[None, :] ** 2 + ys[:, None] ** 2
    # Between the 30 × 30 points it is interpolated by cubic splines.
    shown = np.asarray(image)
    np.testing.assert_allclose(shown[expected > 0.5], expected[expected > 0.5], rtol=0.05)


def test_a_still_picture_is_a_png_of_its_end():
    ticks: list[int] = []
    content = draw(
        bowl(), [trajectory_of()], "title", ".png", lambda: ticks.append(1), GRID, {"end": (0.0, 0.0)}
    )
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "PNG"
        assert image.size == (1100, 525)
    assert len(ticks) == 1


def test_a_gif_plays_for_ever_and_rests_at_its_end(monkeypatch):
    monkeypatch.setattr(draw_module, "_FRAMES", 4)
    ticks: list[int] = []
    content = draw(bowl(), [trajectory_of()], "title", ".gif", lambda: ticks.append(1), GRID)
    with Image.open(io.BytesIO(content)) as image:
        durations = []
        for i in range(image.n_frames):
            image.seek(i)
            durations.append(image.info["duration"])
        assert image.info["loop"] == 0
    assert durations == [60, 60, 60, 2500]  # a GIF counts hundredths of a second
    assert len(ticks) == 4


def test_a_race_of_few_steps_has_a_frame_for_each():
    steps: list[int] = []
    draw(bowl(), [trajectory_of(steps=2)], "title", ".gif", lambda: steps.append(1), GRID)
    assert len(steps) == 3


def test_a_page_holds_its_frames_and_escapes_its_title(monkeypatch):
    monkeypatch.setattr(draw_module, "_FRAMES", 2)
    text = draw(bowl(), [trajectory_of()], '<script>"x"&', ".html", grid=GRID).decode()
    assert "<title>nnrun race: &lt;script&gt;&quot;x&quot;&amp;</title>" in text
    assert '<script>"x"' not in text
    assert not re.search(r"\b(TITLE|FRAMES|SPEED|REST)\b", text)
    [frames] = re.findall(r"const frames = (\[.*?\]),", text)
    images = [base64.b64decode(frame.partition(",")[2]) for frame in json.loads(frames)]
    assert len(images) == 2
    assert images[0] != images[1]
    for image in images:
        assert Image.open(io.BytesIO(image)).format == "PNG"


def test_a_moving_picture_has_the_layout_of_a_still_one():
    """Heads without a place made the axes smaller."""
    places = []
    for moves in (False, True):
        figure = Figure(figsize=(10, 4.8), dpi=40, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        show, moving = draw_module._plot(figure, bowl(), [trajectory_of()], "title", GRID)
        if moves:
            next(draw_module._frames(canvas, show, moving, [0, 8], lambda: None))
        else:
            show(8)
            canvas.draw()
        places.append(figure.axes[0].get_position().bounds)
    np.testing.assert_allclose(*places, atol=1e-3)


def test_legends_of_long_names_are_no_wider_than_the_picture():
    names = [f"{{name: momentum, momentum: 0.{i}}}" for i in range(4)]
    figure, *_ = plotted([trajectory_of(name, 3e-4) for name in names])
    figure.set_size_inches(10, 5)
    FigureCanvasAgg(figure).draw()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width


def test_what_a_progress_display_raises_ends_the_drawing():
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw(bowl(), [trajectory_of()], "title", ".gif", interrupted, GRID)
