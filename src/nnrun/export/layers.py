"""What the NumPy reference has to compute for a multi-layer perceptron: its layers, in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["layers_of"]

_NORMS = {"batch": "batch_norm", "group": "group_norm", "layer": "group_norm"}


def layers_of(block: Mapping[str, Any], rates: bool = False) -> list[dict[str, object]] | str:
    """The layers of a model as numpy_model.py takes them, or why it cannot.

    block   name and options of the model, every default filled in
    rates   whether it gives logarithms of what it predicts
    """
    end: list[dict[str, object]] = [{"kind": "dense", "name": "output"}]
    if rates:
        end.append({"kind": "activation", "name": "exp"})
    if block["name"] == "linear":
        return end
    if block["name"] != "mlp":
        return f"numpy_model.py is for mlp and linear, this is {block['name']}"
    if block["dropconnect"]["inference"] != "mean":
        return "numpy_model.py has no gaussian inference of dropconnect"
    scaled = block["dropout_scaling"] == "test"
    layers: list[dict[str, object]] = []
    if scaled and block["input_dropout"]:
        layers.append({"kind": "factor", "factor": 1 - block["input_dropout"]})
    for number, _ in enumerate(block["hidden"], start=1):
        layers.append({"kind": "dense", "name": f"hidden_{number}"})
        layers += _norm(block["norm"], number)
        layers.append({"kind": "activation", "name": block["activation"]})
        if scaled and block["dropout"]:
            layers.append({"kind": "factor", "factor": 1 - block["dropout"]})
    return [*layers, *end]


def _norm(norm: Mapping[str, Any], number: int) -> list[dict[str, object]]:
    if norm["name"] == "none":
        return []
    layer: dict[str, object] = {"kind": _NORMS[norm["name"]], "name": f"norm_{number}"}
    if norm["name"] == "group":
        layer["groups"] = norm["groups"]
    return [layer]
