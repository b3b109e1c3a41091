"""What all pictures share: colours, labels, and files that are equal where their content is equal."""

from __future__ import annotations

import contextlib
import importlib
import io
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from typing_extensions import TypedDict

from nnrun.statistics.metric import Metric

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "NIGHT",
    "Look",
    "Picture",
    "axis_label",
    "import_ahead",
    "look",
    "plain",
    "png",
    "scale_of",
]

COLOURS = (  # Okabe & Ito 2008: told apart by colour-blind readers too; light ones darker, to be seen on white paper
    "#0072B2", "#D55E00", "#009E73", "#C770A1", "#C78500", "#3493CE", "#000000", "#9C8F00",
)  # fmt: skip
NIGHT = (  # the same by night, as the filter of a page makes them of pictures
    "#4EB0E6", "#E48136", "#21A886", "#B46C97", "#AE781D", "#3C8EC1", "#EFEFEF", "#8D841D",
)  # fmt: skip
_STYLES = ("-", "--", ":")


class Picture(NamedTuple):
    """A picture: name of its file without suffix, heading, what it shows in a sentence, and its content."""

    name: str
    title: str
    caption: str
    png: bytes


class Look(TypedDict):
    """How a line is drawn."""

    color: str
    linestyle: str


def look(i: int) -> Look:
    """Colour and line style of the i-th of several things that are drawn together."""
    return {"color": COLOURS[i % len(COLOURS)], "linestyle": _STYLES[i // len(COLOURS) % len(_STYLES)]}


def scale_of(metric: Metric) -> float:
    """100 for a share, which is shown in percent, else 1."""
    return 100.0 if metric.share else 1.0


def axis_label(metric: Metric) -> str:
    """The name of a metric with its unit."""
    return plain(f"{metric} (%)" if metric.share else metric.name, 40)


def plain(text: str, limit: int = 24) -> str:
    """A name as matplotlib shows it letter by letter: no formulas, nothing that cannot be printed, not too long."""
    shown = "".join(c if c.isprintable() else "?" for c in text)
    shown = shown if len(shown) <= limit else shown[: limit - 1] + "…"
    return shown.replace("$", r"\$")


def import_ahead() -> None:
    """Begins to import what draws, in a thread: it is there when a sweep has its answer, and nobody waited for it."""
    threading.Thread(target=_import_all, name="drawing", daemon=True).start()


def _import_all() -> None:
    with contextlib.suppress(ImportError):  # who draws reports it
        for module in ("matplotlib.figure", "matplotlib.backends.backend_agg", "scipy.special"):
            importlib.import_module(module)


def png(figure: Figure, dpi: float) -> bytes:
    """The figure as PNG, with neither date nor version: equal figures are equal files.

    It is drawn once; matplotlib's savefig draws it twice, and drawing is most of what a picture takes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.image import imsave

    figure.set_dpi(dpi)
    canvas, content = FigureCanvasAgg(figure), io.BytesIO()
    without: dict[str, Any] = {"Software": None}
    canvas.draw()
    imsave(content, canvas.buffer_rgba(), format="png", dpi=dpi, metadata=without)
    return content.getvalue()
