"""The picture of a race: contours with the paths on the left, the curves of the values on the right."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import ColorType
from PIL import Image
from scipy.ndimage import zoom

from nnrun.race.trajectory import Trajectory
from nnrun.report.drawing import look, png
from nnrun.report.html import document
from nnrun.types import Surface

__all__ = ["GRID", "draw"]

GRID = 240  # points of a contour map on each axis

_FRAMES = 90
_LETTERS = 140  # in a line of the legend
_PER_SECOND = 15
_REST = 2500  # milliseconds that a moving picture stays at its end
_STILL_DPI, _MOVING_DPI = 110, 80
_LEAST = 1e-8  # of the range of values: what a logarithmic picture shows as 0
_STYLE = """
.race img { min-width: 37rem; }  /* smaller letters could not be read on a phone */
.player { display: flex; gap: 1rem; align-items: center; }
.player input { flex: 1; min-width: 0; }
.player button { font: inherit; min-width: 5rem; }
"""
_PICTURE = """<figure class="race wide">
<img id="picture" alt="the paths of the optimizers over TITLE, and their values"></figure>"""
_PLAYER = """<p class="player"><button id="play">pause</button>
<input id="at" type="range" min="0" value="0" aria-label="step"></p>
<script>
const frames = FRAMES, picture = document.getElementById("picture"), at = document.getElementById("at"),
      play = document.getElementById("play");
let playing = true, rest = 0;
at.max = frames.length - 1;
const show = () => { picture.src = frames[at.value]; };
at.oninput = () => { playing = false; play.textContent = "play"; show(); };
play.onclick = () => { playing = !playing; play.textContent = playing ? "pause" : "play"; };
setInterval(() => {
  if (!playing) return;
  if (+at.value === frames.length - 1 && (rest += SPEED) < REST) return;
  rest = 0;
  at.value = (+at.value + 1) % frames.length;
  show();
}, SPEED);
show();
</script>"""


def draw(
    surface: Surface,
    trajectories: Sequence[Trajectory],
    title: str,
    suffix: str,
    tick: Callable[[], None] = lambda: None,
    grid: int = GRID,
    marks: Mapping[str, tuple[float, float]] | None = None,
) -> bytes:
    """The content of a PNG, or of a GIF or HTML page that plays, by the suffix of its file.

    grid   points of the contour map on each axis where the surface is evaluated; between them it is smooth
    marks   points of the surface to show, by name
    tick   called for every frame, for a progress display; what it raises ends the drawing
    A path is cut off where it leaves the window, and drawn again where it comes back; meanwhile its head is hollow
    and at the nearest edge.
    """
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        still = suffix == ".png"
        figure = Figure(
            figsize=(10, 4.6 + 0.18 * math.ceil(len(trajectories) / _columns(trajectories))),
            dpi=_STILL_DPI if still else _MOVING_DPI,
            layout="constrained",
        )
        canvas = FigureCanvasAgg(figure)
        lowest = min(float(np.nanmin(trajectory.values)) for trajectory in trajectories)
        surface = surface._replace(floor=min(surface.floor, lowest))  # that of a plane is only estimated
        show, moving = _plot(figure, surface, trajectories, title, grid)
        for name, point in (marks or {}).items():
            figure.axes[0].plot(*point, "k^", ms=5)
            figure.axes[0].annotate(name, point, textcoords="offset points", xytext=(5, 5), fontsize=8)
        last = len(trajectories[0].values) - 1
        if still:
            show(last)
            tick()
            return png(figure, figure.dpi)
        steps = np.unique(np.linspace(0, last, _FRAMES).round().astype(int)).tolist()
        frames = list(_frames(canvas, show, moving, steps, tick))
    return _page(frames, title) if suffix == ".html" else _gif(frames)


def _frames(
    canvas: FigureCanvasAgg,
    show: Callable[[int], None],
    moving: list[Line2D],
    steps: list[int],
    tick: Callable[[], None],
) -> Iterator[Image.Image]:
    """A picture for each of the steps; what does not move is drawn once."""
    show(steps[0])  # an empty line without clipping would upset the layout
    for line in moving:
        line.set_animated(True)
    canvas.draw()
    behind = canvas.copy_from_bbox(canvas.figure.bbox)
    for step in steps:
        show(step)
        canvas.restore_region(behind)
        for line in moving:
            line.axes.draw_artist(line)  # type: ignore[union-attr]
        yield Image.fromarray(np.asarray(canvas.buffer_rgba()).copy()).convert("RGB")
        tick()


def _gif(frames: list[Image.Image]) -> bytes:
    """A GIF that plays for ever and rests at its end; one palette for all frames, so that nothing flickers."""
    palette = frames[-1].quantize(255, dither=Image.Dither.NONE)
    fewer = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    content = io.BytesIO()
    times = [*[1000 // _PER_SECOND] * (len(fewer) - 1), _REST]
    fewer[0].save(
        content, "GIF", save_all=True, append_images=fewer[1:], duration=times, loop=0, optimize=False
    )
    return content.getvalue()


def _page(frames: list[Image.Image], title: str) -> bytes:
    """An HTML page that holds the frames, plays them, and lets one drag through them."""
    pictures = []
    for frame in frames:
        content = io.BytesIO()
        frame.quantize(255, dither=Image.Dither.NONE).save(content, "PNG")
        pictures.append("data:image/png;base64," + base64.b64encode(content.getvalue()).decode())
    picture = _PICTURE.replace("TITLE", escape(title))
    player = _PLAYER.replace("SPEED", str(1000 // _PER_SECOND)).replace("REST", str(_REST))
    player = player.replace("FRAMES", json.dumps(pictures))
    return document(f"nnrun race: {title}", [picture, player], style=_STYLE).encode()


def _plot(
    figure: Figure, surface: Surface, trajectories: Sequence[Trajectory], title: str, grid: int
) -> tuple[Callable[[int], None], list[Line2D]]:
    """Draws what does not move; returns the function that shows the first steps of the paths, and its lines."""
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    figure.suptitle(title)
    _contours(left, surface, grid)
    scale = _scale(surface, trajectories)
    lines = []
    for i, trajectory in enumerate(trajectories):
        style = look(i)
        (trail,) = left.plot([], [], lw=1.6, **style)
        (head,) = left.plot([], [], "o", ms=6, mew=0.8, clip_on=False)
        (curve,) = right.plot([], [], lw=1.6, label=_label(trajectory), **style)
        lines.append((trail, head, curve))
    right.set(
        xlabel="step", ylabel="value above the least", yscale="log", xlim=(0, len(trajectories[0].values) - 1)
    )
    heights = np.concatenate([trajectory.values for trajectory in trajectories]) - surface.floor
    top = max(float(np.nanmax(np.where(heights < 1e3 * heights[0], heights, np.nan))), scale)
    right.set_ylim(scale, 2 * top)
    right.axhline(max(surface.goal - surface.floor, scale), color="0.6", lw=0.8, ls="--")
    columns = _columns(trajectories)
    figure.legend(loc="outside lower center", ncols=columns, fontsize=8, frameon=False)

    def show(step: int) -> None:
        for trajectory, (trail, head, curve) in zip(trajectories, lines, strict=True):
            trail.set_data(trajectory.points[: step + 1, 0], trajectory.points[: step + 1, 1])
            _place(head, trajectory.points[step], surface.window, trail.get_color())
            curve.set_data(
                np.arange(step + 1), np.maximum(trajectory.values[: step + 1] - surface.floor, scale)
            )

    return show, [line for three in lines for line in three]


def _place(
    head: Line2D,
    point: np.ndarray,
    window: tuple[tuple[float, float], tuple[float, float]],
    colour: ColorType,
) -> None:
    """A head at a point (2,) of its path, or hollow at the edge next to it while the path is outside."""
    low, high = np.array(window).T
    nearest = np.clip(point, low, high)
    inside = bool((nearest == point).all())
    head.set_data(nearest[:1], nearest[1:])
    head.set(mfc=colour if inside else "white", mec="white" if inside else colour)


def _columns(trajectories: Sequence[Trajectory]) -> int:
    """How many columns of a legend are as wide as the picture at most."""
    longest = max(len(_label(trajectory)) for trajectory in trajectories)
    return max(1, min(3, len(trajectories), _LETTERS // (longest + 6)))  # 6: the line and the gaps


def _label(trajectory: Trajectory) -> str:
    """Its name, and its rate where the name does not say it."""
    names_rate = trajectory.learning_rate is None or "learning_rate" in trajectory.label[:40]
    rate = "" if names_rate else f"  rate {trajectory.learning_rate:.2g}"
    return f"{trajectory.label[:40]}{rate}"


def _scale(surface: Surface, trajectories: Sequence[Trajectory]) -> float:
    """The least height above the floor that the curves show."""
    start = max(float(trajectory.values[0]) for trajectory in trajectories) - surface.floor
    return max(start, 1e-12) * _LEAST


def _contours(axes: Axes, surface: Surface, grid: int) -> None:
    (left, right), (bottom, top) = surface.window
    xs, ys = np.linspace(left, right, grid), np.linspace(bottom, top, grid)
    points = jnp.asarray(np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2), float)
    values = np.asarray(jax.jit(lambda p: jax.lax.map(surface.value, p, batch_size=64))(points))
    heights = np.asarray(zoom(values.reshape(grid, grid), GRID / grid)) - surface.floor
    xs, ys = np.linspace(left, right, GRID), np.linspace(bottom, top, GRID)
    low = max(float(np.quantile(heights, 0.002)), 1e-6 * float(heights.max()))
    levels = np.geomspace(low, float(heights.max()), 22)
    shown = np.maximum(heights, low)
    extent = (left, right, bottom, top)
    look = {"norm": BoundaryNorm(levels.tolist(), 256), "cmap": "Blues", "alpha": 0.55}
    axes.imshow(shown, extent=extent, origin="lower", aspect="auto", **look)
    axes.contour(xs, ys, shown, levels, colors="0.55", linewidths=0.4)
    axes.plot(*surface.start, "k+", ms=9)
    axes.set(xlim=(left, right), ylim=(bottom, top))
