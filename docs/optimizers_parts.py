"""What the sections of the optimizers' tour share: training, averages with intervals, tables and pictures."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import nnrun
from nnrun.report.drawing import COLOURS
from nnrun.statistics.mean import mean_and_interval

__all__ = [
    "COLOURS",
    "EPOCH",
    "PICTURES",
    "ROOT",
    "band",
    "curve",
    "figure",
    "picture",
    "plain_ticks",
    "plus_minus",
    "save",
    "shrunk",
    "table",
    "train",
]

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
EPOCH = 422  # steps: 54,000 examples of MNIST in batches of 128
_LOOK: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
}
_WIDTH = 900  # pixels
_DPI = 100


def train(config: str, *overrides: str) -> list[nnrun.Result]:
    """The finished runs of a config, one for each seed; their folder is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        spec = ROOT / "configs" / f"{config}.yaml"
        result = nnrun.train(spec, overrides, run_dir=Path(folder) / "run")
    return result.runs or [result]


def curve(runs: Sequence[nnrun.Result], name: str) -> tuple[np.ndarray, np.ndarray]:
    """A metric of all runs: steps (n,) and values (runs, n).  Runs that diverged have no place here."""
    assert all(run.status == "done" for run in runs), [run.status for run in runs]
    return runs[0].metrics[name][0], np.stack([run.metrics[name][1] for run in runs])


def plus_minus(values: Iterable[float], form: str = ".3f", scale: float = 1.0) -> str:
    """Mean and half of the 95% interval, as text."""
    mean, half = mean_and_interval([scale * float(value) for value in values])
    return f"{mean:{form}}" if half is None else f"{mean:{form}} ± {half:{form}}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of markdown; numbers, that is all columns but the first, are set to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def picture(name: str, says: str) -> str:
    """The line of markdown that shows a picture; `says` is for those who do not see it."""
    return f"![{says}](pictures/{name})"


def figure(panels: int, height: float = 3.8, **options: Any) -> tuple[Figure, np.ndarray]:
    """A figure with panels side by side, (panels,) axes."""
    mpl.rcParams.update(_LOOK)
    made = Figure(figsize=(_WIDTH / _DPI, height), dpi=_DPI, layout="constrained")
    return made, made.subplots(1, panels, squeeze=False, **options)[0]


def band(axes: Any, x: np.ndarray, values: np.ndarray, label: str, colour: str, style: str = "-") -> None:
    """The mean of values (runs, n) as a line, and its 95% interval as a band around it."""
    means, halves = np.array([mean_and_interval(column.tolist()) for column in values.T]).T
    axes.plot(x, means, style, lw=1.5, color=colour, label=label)
    axes.fill_between(x, np.maximum(means - halves, 1e-9), means + halves, color=colour, alpha=0.2, lw=0)


def plain_ticks(axes: Any, *ticks: float) -> None:
    """Marks a logarithmic y axis at these values, written as they are."""
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def save(made: Figure, name: str) -> None:
    """Writes a figure into the folder of pictures."""
    content = io.BytesIO()
    made.savefig(content, format="png")
    (PICTURES / name).write_bytes(shrunk(content.getvalue()))


def shrunk(png: bytes) -> bytes:
    """A PNG of at most 900 pixels' width and 256 colours."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    if image.width > _WIDTH:
        height = round(image.height * _WIDTH / image.width)
        image = image.resize((_WIDTH, height), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(content, "PNG", optimize=True)
    return content.getvalue()
