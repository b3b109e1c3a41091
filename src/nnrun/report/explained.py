"""What a spec means, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rich.console import RenderableType

from nnrun.amounts import figure, short_number, time_text
from nnrun.errors import counted, size_text
from nnrun.report.columns import COLUMN_INDENT, column_lines
from nnrun.report.lines import Folded, Joined
from nnrun.report.live import duration
from nnrun.report.plot import FittedCurve
from nnrun.report.settings import setting_text
from nnrun.report.sheet import Sheet, sheet_of

if TYPE_CHECKING:
    from nnrun.preprocessing import About

__all__ = [
    "LayerCost",
    "cost_lines",
    "course_lines",
    "data_lines",
    "folded",
    "grouped",
    "layer_sheet",
    "plan_lines",
    "rule_lines",
    "sections",
]

_MOST = 24  # rows of layers; more are grouped by their blocks
_MARGIN = 4  # characters before the further lines of a sentence, and before equations


class LayerCost(NamedTuple):
    """A row of the table of layers, or several together."""

    path: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: int
    flops: float
    seconds: float
    layers: int = 1


def grouped(costs: Sequence[LayerCost]) -> list[LayerCost]:
    """Rows that lie in one block of the model added up, where there are too many; in the order of the model."""
    if len(costs) <= _MOST:
        return list(costs)
    groups: dict[str, list[LayerCost]] = {}
    for cost in costs:
        groups.setdefault(cost.path[0], []).append(cost)
    return [
        LayerCost(
            (name,), members[-1].shape, sum(cost.parameters for cost in members),
            sum(cost.flops for cost in members), sum(cost.seconds for cost in members), len(members),
        )
        for name, members in groups.items()
    ]  # fmt: skip


def layer_sheet(costs: Sequence[LayerCost]) -> Sheet:
    """The layers: what each puts out, its parameters, its operations, and its share of the time of all."""
    rows, whole = grouped(costs), sum(cost.seconds for cost in costs) or 1.0
    cells = [
        (
            "/".join(cost.path) + (f" ({cost.layers} layers)" if cost.layers > 1 else ""),
            " x ".join(map(str, cost.shape)) or "1",
            f"{cost.parameters:,}",
            short_number(cost.flops),
            f"{cost.seconds / whole:.0%}",
        )
        for cost in rows
    ]
    total = sum(cost.parameters for cost in costs), sum(cost.flops for cost in costs)
    cells.append(("all", "", f"{total[0]:,}", short_number(total[1]), ""))
    return sheet_of(("layer", "puts out", "parameters", "FLOPs", "time"), cells)


def rule_lines(
    name: str, summary: str, equations: Sequence[str], options: Sequence[tuple[str, object, str]]
) -> Iterator[RenderableType]:
    """An optimizer: its equations, and what this spec has for each of its symbols."""
    yield Folded(summary, 0)
    for line in equations:
        *parts, last = line.split(",  ")
        yield Joined([*(f"{part},  " for part in parts), last], _MARGIN)
    margin = max((len(option) for option, _, _ in options), default=0)
    for option, value, about in options:
        text = f"{option:{margin}} = {_value(value)}"
        head = f"  {text:{margin + 12}}  "
        yield Folded(f"{head}{about}", len(head))
    yield f"more: nnrun list optimizer {name}"


def folded(lines: Iterable[str]) -> Iterator[Folded]:
    """Sentences on lines that fit, those after the first further in."""
    for line in lines:
        yield Folded(line, _MARGIN)


def _value(value: object) -> str:
    if isinstance(value, (float, str, bool, int)) or value is None:
        return setting_text(value, 6)
    return str(value)


def course_lines(
    name: str, start: float, peak: float, peak_step: int, end: float, shares: Sequence[float], reacts: bool
) -> Iterator[RenderableType]:
    """The learning rate over the run, and its values where it begins, is highest and ends."""
    yield FittedCurve(shares, ("first step", "last step"), ("0", f"{peak:.3g}"))
    values = f"{start:.3g} at the first step, {peak:.3g} at step {peak_step + 1:,}, {end:.3g} at the last"
    yield Folded(f"{name}: {values}", _MARGIN)
    if reacts:
        yield Folded("it falls when an evaluation finds no improvement, which the curve cannot show", _MARGIN)


def plan_lines(
    steps: int,
    per_epoch: int,
    batch: int,
    examples: int,
    evaluate_every: int,
    log_every: int,
    judge: str | None,
) -> Iterator[str]:
    """Steps, epochs and evaluations."""
    last = examples - (per_epoch - 1) * batch
    short = f", the last of an epoch {last}" if last != batch else ""
    whole = f"{counted(steps, 'step', ',')} {'is' if steps == 1 else 'are'}"
    yield f"{whole} {figure(steps / per_epoch)} epochs of {per_epoch:,}; batches of {batch}{short}"
    count = -(-steps // evaluate_every)
    if judge:
        every = counted(evaluate_every, "step", ",")
        yield f"{counted(count, 'evaluation', ',')}, every {every}; the best step is the best by {judge}"
    else:
        yield "nothing is held out for validation, so nothing is evaluated on the way"
    yield f"metrics are logged every {counted(log_every, 'step', ',')}"


def data_lines(
    about: Sequence[About], notes: Sequence[str], examples: dict[str, int], inputs: tuple[int, ...]
) -> Iterator[RenderableType]:
    """The columns of a table, and the sizes of the parts."""
    yield from (Folded(line, COLUMN_INDENT) for line in column_lines(about))
    yield from folded(notes)
    parts = ", ".join(f"{count:,} in {name}" for name, count in examples.items())
    size = f"{' x '.join(map(str, inputs))} {'input' if inputs == (1,) else 'inputs'} each"
    yield Folded(f"examples: {parts}; {size}", _MARGIN)


def sections(pairs: Sequence[tuple[str, Sequence[RenderableType]]]) -> Iterator[RenderableType]:
    """Each title with what stands below it, an empty line between."""
    for i, (title, content) in enumerate(pairs):
        if i:
            yield ""
        yield title.upper()
        yield from content


def cost_lines(
    seconds: float, step: float, compiling: float, memory: int, state: int, runs: str
) -> Iterator[str]:
    """Time, memory and the size of a checkpoint."""
    yield f"about {duration(seconds)}{runs}: {time_text(step)} a step, {compiling:.1f} s to compile"
    yield f"about {size_text(memory)} of memory for data, parameters and optimizer"
    yield f"a checkpoint has about {size_text(state)}"
