"""Optimizer blocks from the command line as methods that can race."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from nnrun import catalog
from nnrun.build.optimizer import MisfitError, learning_rate, make_method
from nnrun.catalog import bound
from nnrun.duration import Clock
from nnrun.errors import SpecError, one_line
from nnrun.race.trajectory import RATES
from nnrun.types import Method, Surface

__all__ = ["LECTURE", "Entrant", "entrant", "surface"]

LECTURE = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")


class Entrant(NamedTuple):
    """One optimizer of a race."""

    label: str
    make: Callable[[Array], Method]  # learning rate -> Method
    rates: np.ndarray | None  # to choose from; None where there is nothing to choose


def surface(text: str, folder: Path) -> Surface:
    """The surface of `beale`, `{name: noisy_quadratic, noise: 2}` or `my_file:my_surface`.  Raises SpecError."""
    return catalog.make_one("surface", text, folder)


def entrant(text: str, folder: Path, steps: int, rates: np.ndarray = RATES, rounded: bool = False) -> Entrant:
    """An entrant from `adam`, `{name: adam, learning_rate: 0.1}` or `my_file:my_optimizer`.

    rates     those to choose from where no learning rate is written
    rounded   whether the function is computed in bfloat16, which a method that compares gradients does not bear
    Raises SpecError.
    """
    block = catalog.bind_one("optimizer", text, folder)
    knobs, clock = bound.knobs(block), Clock(1, 1, steps)
    base = learning_rate(block, knobs)
    free = base is not None and "learning_rate" not in text

    def make(rate: Array) -> Method:
        factor = rate / base if free and base else jnp.ones(())
        return make_method(block, knobs, factor, clock)

    try:
        method = make(jnp.ones(()))
    except (MisfitError, bound.WrongResultError) as error:
        raise SpecError(f"{one_line(text, 60)}: {error}") from None
    if rounded and method.exact:
        raise SpecError(
            f"{one_line(text, 60)}: learns the curvature by comparing gradients from step to step, and this run "
            "rounds them to bfloat16; race a run in float32, or to watch it fail, allow_noise: true"
        )
    if base is None:
        return Entrant(text, make, None)
    return Entrant(text, make, rates if free else np.array([float(base)]))
