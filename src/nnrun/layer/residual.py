from __future__ import annotations

from typing import Annotated

from annotated_types import MinLen

from nnrun.layer._compose import serial
from nnrun.layer._residual import DepthMask, Survival, residual_block
from nnrun.options import Entry
from nnrun.types import Layer

__all__ = ["residual"]

Layers = Annotated[list[Entry("layer")], MinLen(1)]


def residual(layers: Layers, survival: Survival | None = None, mask: DepthMask = "batch") -> Layer:
    """Residual block: x plus what some layers make of it, skipped at random (stochastic depth).

    y = x + b · f(x) with noise, b ~ Bernoulli(survival);  y = x + survival · f(x) without

    layers     f: blocks such as [{name: dense, units: 64}, {name: relu}], which keep the shape
    survival   probability that f is there in a training step, in (0, 1]; null: always
    mask       batch: b is drawn once a step, and a skipped f is not computed (a population of seeds computes it
               all the same); example: for each example
    The parameters of the i-th layer are found under branch/layer_i.
    Source: He et al. 2016, "Deep residual learning"; Huang et al. 2016, "Deep networks with stochastic depth".
    """
    branch = serial([(f"layer_{i}", layer) for i, layer in enumerate(layers, start=1)])
    if branch.first:
        raise ValueError("layer_1 looks at the inputs of the data; write it as the first layer of the model")
    return residual_block(branch, survival=survival, mask=mask)
