"""Optimizers of optax as blocks: which of their options YAML can write, and of which types they are."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

import optax
import pytest

from nnrun.catalog.from_optax import from_optax
from nnrun.options import FixedMark


def options(function: Callable[..., Any]) -> dict[str, Any]:
    """Name -> default of what is left of a function's options."""
    return {name: p.default for name, p in inspect.signature(from_optax(function)).parameters.items()}


def is_fixed(hint: Any) -> bool:
    return any(isinstance(part, FixedMark) for part in get_args(hint))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (optax.adam, {"b1": 0.9, "b2": 0.999, "eps": 1e-8, "eps_root": 0.0, "nesterov": False}),
        (optax.lion, {"b1": 0.9, "b2": 0.99, "weight_decay": 1e-3}),
        (optax.lamb, {"b1": 0.9, "b2": 0.999, "eps": 1e-6, "eps_root": 0.0, "weight_decay": 0.0}),
    ],
)
def test_options_and_their_defaults_are_those_of_optax(
    function: Callable[..., Any], expected: dict[str, Any]
) -> None:
    found = options(function)
    assert found.pop("learning_rate") is inspect.Parameter.empty
    assert {name: found.get(name) for name in expected} == expected
    assert "mask" not in found and "mu_dtype" not in found  # which YAML cannot write


def test_numbers_are_fixed_and_rates_are_knobs() -> None:
    """optax may branch on a number; the learning rate it multiplies with."""
    hints = get_type_hints(from_optax(optax.adamw), include_extras=True)
    assert is_fixed(hints["b1"]) and is_fixed(hints["weight_decay"]) and not is_fixed(hints["learning_rate"])
    assert hints["nesterov"] is bool


def test_types_follow_from_defaults_and_annotations() -> None:
    def made_up(
        learning_rate: float | Callable[[int], float],
        steps: int = 3,
        share: float = 1,
        flag: bool = True,
        clip: float | None = None,
        rate: float | Callable[[int], float] | None = None,
        base_learning_rate: float | None = None,
        needed: int = inspect.Parameter.empty,  # pyright: ignore[reportArgumentType]
        name: str = "x",
        **rest: object,
    ) -> None:
        del learning_rate, steps, share, flag, clip, rate, base_learning_rate, needed, name, rest

    function = from_optax(made_up)
    hints = get_type_hints(function, include_extras=True)
    assert list(hints) == ["learning_rate", "steps", "share", "flag", "clip", "base_learning_rate", "needed"]
    assert (hints["steps"], hints["flag"], hints["needed"]) == (int, bool, int)
    assert is_fixed(hints["share"]) and is_fixed(hints["clip"])  # 1 of a float is a float
    assert all(p.kind is p.KEYWORD_ONLY for p in inspect.signature(function).parameters.values())


def test_an_optimizer_that_yaml_cannot_write_is_refused_with_the_reason() -> None:
    with pytest.raises(LookupError, match=r"optax.clip has no learning_rate, so it is no optimizer"):
        from_optax(optax.clip)

    def wraps(learning_rate: float, inner: Callable[[], None]) -> None:
        del learning_rate, inner

    with pytest.raises(
        LookupError, match=r"optax.wraps needs inner, which YAML cannot write; wrap it in a function"
    ):
        from_optax(wraps)


def test_what_is_made_is_the_optimizer_of_optax() -> None:
    made = from_optax(optax.sgd)(learning_rate=0.5, momentum=0.0)
    state = made.init(1.0)
    update, _ = made.update(4.0, state)
    assert float(update) == -2.0
    assert from_optax(optax.sgd).__name__ == "sgd" and from_optax(optax.sgd).__doc__ == optax.sgd.__doc__
