from __future__ import annotations

from typing import Annotated

from annotated_types import MinLen

from nnrun.layer._compose import serial
from nnrun.layer.dense import dense
from nnrun.model._weights import Named
from nnrun.options import Entry
from nnrun.types import Layer

__all__ = ["sequential"]

Layers = Annotated[list[Entry("layer")], MinLen(1)]


def sequential(outputs: int, layers: Layers) -> Layer:
    """Sequential: layers in the order of a list; a dense output layer is added at the end.

    layers   blocks such as [{name: flatten}, {name: dense, units: 64}, {name: relu}], see `nnrun list layer`
    Parameters of the i-th layer are found under layer_i, i from 1, those of the last under output.
    """
    named: Named = [(f"layer_{i}", layer) for i, layer in enumerate(layers, start=1)]
    return serial([*named, ("output", dense(outputs, init="lecun_normal"))])
