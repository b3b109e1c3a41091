"""What all tests share: strict arithmetic, float64, the real data, catalogue entries with guessed options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import pytest

from nnrun import catalog, options
from nnrun.catalog import bound

ROOT = Path(__file__).resolve().parents[1]

# Mixed dtypes and silent broadcasts between ranks are mistakes; here they raise.
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# What an option that must be written is given, by its name, by its annotation, or by the block it holds.
BY_NAME = {"outputs": 4, "total": 40, "target_scale": 1.0}
BY_ANNOTATION = [
    (options.Count, 3),
    (options.Steps, 10),
    (options.Widths, [6, 5]),
    (options.Rate, 0.1),
    (options.Positive, 0.5),
    (options.Fraction, 0.25),
    (options.Probability, 0.75),
]
BY_KIND = {
    "layer": [("flatten", {}), ("dense", {"units": 3}), ("tanh", {})],
    "optimizer": [("momentum", {"learning_rate": 0.01})],
}


@pytest.fixture
def float64() -> Iterator[None]:
    """Double precision for the length of a test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def quick_compilation() -> Iterator[None]:
    """Compilation in half the time, for what runs once on small arrays and is compared with a tolerance."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="session")
def make() -> Callable[..., Any]:
    """make(kind, name, **options): what a catalogue function returns, required options guessed."""

    def build(kind: str, name: str, **given: Any) -> Any:
        return catalog.find(kind, name)(**{**guess(kind, name), **given})

    return build


def guess(kind: str, name: str) -> dict[str, Any]:
    """A value for each option without a default.  Fails the test, naming the remedy, where none is known."""
    function = catalog.find(kind, name)
    given, hints = {}, bound.hints(function)
    for option in inspect.signature(function).parameters.values():
        if option.default is option.empty:
            given[option.name] = _value(f"{kind} {name}", option.name, hints.get(option.name))
    return given


def _value(where: str, option: str, hint: Any) -> Any:
    if option in BY_NAME:
        return BY_NAME[option]
    for known, value in BY_ANNOTATION:
        if hint == known:
            return value
    inner = bound.entry_kind(hint)
    if inner in BY_KIND:
        made = [catalog.find(inner, name)(**given) for name, given in BY_KIND[inner]]
        return made if bound.holds_list(hint) else made[len(made) // 2]  # of layers, the one that has weights
    raise pytest.fail.Exception(
        f"{where} needs the option {option!r}: {hint}; add a value to BY_NAME or BY_ANNOTATION in {__file__}"
    )
