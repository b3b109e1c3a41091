"""A learning-rate range test for a terminal, and as a picture."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nnrun.amounts import figure
from nnrun.errors import counted
from nnrun.report.drawing import COLOURS, plain, png
from nnrun.report.plot import FittedCurve
from nnrun.report.values import number

if TYPE_CHECKING:
    import numpy as np

__all__ = ["curve_of_rates", "picture", "rate_lines", "rounded"]

_DPI = 110


def rounded(rate: float) -> str:
    """A rate with two digits, as one writes it: 0.0034."""
    return f"{rate:.2g}"


def curve_of_rates(rates: np.ndarray, losses: np.ndarray, start: float) -> FittedCurve:
    """The mean loss against the rate: the top row is the loss of the beginning; a gap is a rate that diverges."""
    means = losses.mean(1)
    finite = [value for value in means.tolist() if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(start, 1e-300)
    span = max(high - low, 1e-300)
    shares = [0.03 + 0.97 * (value - low) / span if math.isfinite(value) else 0.0 for value in means.tolist()]
    return FittedCurve(shares, (f"{rates[0]:.2g}", f"{rates[-1]:.2g}"), (figure(low, 3), figure(high, 3)))


def rate_lines(
    key: str, written: float, rates: np.ndarray, losses: np.ndarray, start: float, steps: int,
    suggestion: float | None, stable: float | None, command: Sequence[str],
) -> Iterator[str]:  # fmt: skip
    """What the test says, in sentences; the last is the command that uses it."""
    seeds = losses.shape[1]
    of_seeds = f", the mean of {seeds} seeds" if seeds > 1 else ""
    yield f"training loss after {counted(steps, 'step')} at a constant rate{of_seeds}; it begins at {number(start)}"
    if suggestion is None:
        yield "no rate brings the loss below where it begins; try more steps (--steps), or other ends (--from, --to)"
        return
    best = int(abs(rates - suggestion).argmin())
    spread = f" (seeds {number(losses[best].min())} to {number(losses[best].max())})" if seeds > 1 else ""
    yield f"lowest: {number(losses[best].mean())}{spread} at {key}={rounded(suggestion)}"
    if best in (0, len(rates) - 1):
        yield "that is the end of the range; look further with " + ("--from" if best == 0 else "--to")
    if stable is None:
        yield "even the lowest rate diverges; look further down with --from"
    elif stable < rates[-1]:
        yield f"stable up to {rounded(stable)}: above, a seed diverges or ends higher than it begins"
    nearest = int(abs(_logs(rates) - math.log(written)).argmin()) if written > 0 else 0
    if rates[0] <= written <= rates[-1]:
        reached = losses[nearest].mean()
        yield f"the spec's {figure(written, 6)} " + (
            f"reaches {number(reached)}" if math.isfinite(reached) else "diverges"
        )
    yield "a long run at a constant rate may need a lower one than a short run; a schedule that falls may begin here"
    yield f"use it: nnrun train {shlex.join([*command, f'{key}={rounded(suggestion)}'])}"


def _logs(rates: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.log(rates)


def picture(
    name: str, rates: np.ndarray, losses: np.ndarray, start: float, written: float, suggestion: float | None
) -> bytes:
    """The loss of each seed and their mean against the rate, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.add_subplot()
    for seed in losses.T:
        axes.plot(rates, seed, ".", color=COLOURS[5], ms=3)
    axes.plot(rates, losses.mean(1), "-", color=COLOURS[0], label="mean of the seeds")
    axes.axhline(start, color="0.5", lw=0.8, ls=":", label="where it begins")
    axes.axvline(written, color="0.3", lw=0.8, ls="--", label=f"the spec: {written:.2g}")
    if suggestion is not None:
        axes.axvline(suggestion, color=COLOURS[1], lw=1.2, label=f"lowest: {suggestion:.2g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="training loss at the end", title=plain(name, 60))
    axes.set_ylim(top=start * 1.3)
    axes.legend(fontsize=8, loc="best")
    return png(figure, _DPI)
