"""What goes through the layers of a run, and the gradients that come back: as plain data, and as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from typing_extensions import TypedDict

from nnrun.errors import counted
from nnrun.report.html import PageColumn, table

__all__ = ["Inside", "OfLayer", "OfLeaf", "inside_html"]

_DIGITS = 3
_MANY = 0.5  # of the units of a layer: more of them dead or saturated deserve a look
_ROWS = 24  # of a table that is open from the start
_NONE = "–"


class OfLayer(TypedDict):
    """What a layer puts out for the examples of a batch; null for what is no finite number.

    shape   of its output for one example
    zeros   the share of its numbers that are exactly 0
    idle    of an activation, the share of units whose slope is next to nothing for nearly all examples: dead or
            saturated; else null
    """

    name: str
    shape: list[int]
    mean: float | None
    std: float | None
    zeros: float
    idle: float | None


class OfLeaf(TypedDict):
    """An array of parameters and the gradient of the loss of a batch; null for what is no finite number.

    size       root mean square of its numbers
    gradient   the norm of its gradient
    ratio      ‖gradient‖ / ‖parameters‖; null where all parameters are 0
    """

    name: str
    numbers: int
    size: float | None
    gradient: float | None
    ratio: float | None


class Inside(TypedDict):
    """A batch of training examples on its way through a run, without noise, augmentation and penalties.

    examples   how many
    layers     innermost only, in order; [] for a module of another library, which hides its layers
    """

    examples: int
    layers: list[OfLayer]
    parameters: list[OfLeaf]


def inside_html(inside: Inside) -> str:
    """The part of the section of a run that is about its layers."""
    examples = counted(inside["examples"], "training example")
    return "".join(
        [
            "<h3>What goes through its layers, and the gradients</h3>",
            f'<p class="dim">{examples}, without noise, augmentation and penalties.</p>',
            _idle(inside["layers"]),
            _layers(inside["layers"]),
            _parameters(inside["parameters"]),
        ]
    )


def _idle(layers: Sequence[OfLayer]) -> str:
    """The layers of which most units do nothing."""
    items = "".join(
        f"<li>{100 * layer['idle']:.0f}% of the units of {escape(layer['name'])} are dead or saturated: a smaller "
        "learning rate, other initial weights, a norm, or leaky_relu or gelu keep units alive.</li>"
        for layer in layers
        if layer["idle"] is not None and layer["idle"] >= _MANY
    )
    if items:
        return f'<div class="note"><strong>Worth a look</strong><ul>{items}</ul></div>'
    idle = [(layer["idle"], layer["name"]) for layer in layers if layer["idle"] is not None]
    if not idle:
        return ""
    share, name = max(idle)
    return (
        f'<p class="dim">No layer is dead: most units are dead or saturated in {escape(name)}, {_share(share)}.</p>'
        if share
        else '<p class="dim">No unit is dead or saturated.</p>'
    )


def _layers(layers: Sequence[OfLayer]) -> str:
    if not layers:
        return '<p class="dim">The layers of this model cannot be looked into.</p>'
    heads = ("mean", "standard deviation", "zeros", "dead or saturated units")
    columns = [PageColumn("layer"), PageColumn("puts out"), *(PageColumn(head, "number") for head in heads)]
    rows = [
        [
            layer["name"], " × ".join(map(str, layer["shape"])) or "1", _number(layer["mean"]), _number(layer["std"]),
            _share(layer["zeros"]), _share(layer["idle"]),
        ]
        for layer in layers
    ]  # fmt: skip
    return _folded("layers", columns, rows)


def _parameters(leaves: Sequence[OfLeaf]) -> str:
    heads = ("numbers", "root mean square", "norm of the gradient", "gradient / parameters")
    columns = [PageColumn("parameters"), *(PageColumn(head, "number") for head in heads)]
    rows = [
        [
            leaf["name"], str(leaf["numbers"]), _number(leaf["size"]), _number(leaf["gradient"]),
            _number(leaf["ratio"]),
        ]
        for leaf in leaves
    ]  # fmt: skip
    return _folded("arrays of parameters", columns, rows)


def _folded(what: str, columns: Sequence[PageColumn], rows: Sequence[Sequence[str]]) -> str:
    """The table; behind a line where it is long."""
    content = table(columns, rows)
    if len(rows) <= _ROWS:
        return content
    return f"<details><summary>{len(rows)} {what}</summary>{content}</details>"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.{_DIGITS}g}"


def _share(value: float | None) -> str:
    return _NONE if value is None else f"{100 * value:.1f}%"
