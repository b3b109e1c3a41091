"""Knobs and calls, on functions of this file as a catalogue would hold them and on the catalogue's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import pytest
from annotated_types import Ge, MinLen

from nnrun import catalog
from nnrun.catalog import bound
from nnrun.catalog.bound import Bound
from nnrun.duration import Clock, parse
from nnrun.options import Count, Entry, FilePath, FixedMark, Fraction, Positive, Rate, Steps, Widths, is_off
from nnrun.spec import record

CLOCK = Clock(batch_size=10, steps_per_epoch=20, total=200)


def everything(
    outputs: int = 1,
    rate: Rate = 0.1,
    limit: Positive | None = None,
    width: Count = 3,
    widths: Widths = [4],  # noqa: B006 - read only
    scales: list[float] = [0.5],  # noqa: B006 - read only
    every: Steps = 0,
    flag: bool = True,
    text: str = "a",
    number: int | float = 2,
    total: int = 0,
) -> dict[str, Any]:
    """Options of every kind."""
    return dict(locals())


def inner(strength: Fraction = 0.5, wait: Steps = 0, inner: Entry("layer") = None) -> tuple:
    """A block that can hold one more."""
    return strength, wait, inner


def outer(
    outputs: int,
    layers: Annotated[list[Entry("layer")], MinLen(1)],
    head: Entry("layer") | None = None,
    rate: Rate = 0.0,
) -> tuple:
    """A block of blocks."""
    return outputs, layers, head, rate


def bind(function, kind="sample", common=None, **options) -> Bound:
    return Bound(kind, function.__name__, function, options, common or {})


def test_floats_are_knobs_and_nothing_else_is():
    block = bind(everything, rate=0.2, limit=5.0, width=7, widths=[1], scales=[0.5, 2.0], every=parse("1%"),
                 flag=True, text="b", number=3)  # fmt: skip
    assert bound.knobs(block) == {"rate": 0.2, "limit": 5.0, "number": 3.0}


def test_a_whole_number_for_a_float_is_a_knob_in_floating_point():
    found = bound.knobs(bind(everything, rate=1))
    assert (found, type(found["rate"])) == ({"rate": 1.0}, float)


@pytest.mark.parametrize("off", [0.0, 0, None])
def test_off_is_not_a_knob(off):
    block = bind(everything, limit=off)
    assert bound.knobs(block) == {}
    assert bound.call(block, {}, CLOCK)["limit"] is off


def test_common_keys_are_knobs_of_optimizers_alone():
    common = {"clip_norm": 2.0, "weight_decay": 0.0, "batch_size": 64}
    assert bound.knobs(bind(everything, "optimizer", common, rate=0.1)) == {"rate": 0.1, "clip_norm": 2.0}
    assert bound.knobs(bind(everything, "data", {"validation": 0.1})) == {}
    assert bound.knobs(bind(everything, "optimizer", {"clip_norm": None, "weight_decay": 0.5})) == {
        "weight_decay": 0.5
    }


def test_knobs_follow_the_nesting():
    deep = bind(inner, "sample", strength=0.1, inner=bind(inner, "sample", strength=0.2))
    block = bind(
        outer, layers=[deep, bind(inner, "sample", strength=0.0)], head=bind(inner, "sample", strength=0.3)
    )
    assert bound.knobs(block) == {
        "layers": [{"strength": 0.1, "inner": {"strength": 0.2}}, {}],
        "head": {"strength": 0.3},
    }


def test_call_puts_knobs_in_place_and_calls_inner_blocks_first():
    deep = bind(inner, "sample", strength=0.1, wait=parse("10%"), inner=bind(inner, "sample", strength=0.2))
    block = bind(outer, layers=[deep, bind(inner, "sample", strength=0.0)], head=None, rate=0.5)
    knobs = bound.knobs(block)
    assert bound.call(block, knobs, CLOCK, outputs=3) == (
        3,
        [(0.1, 20, (0.2, 0, None)), (0.0, 0, None)],
        None,
        0.5,
    )
    doubled = jax.tree.map(lambda knob: 2 * knob, knobs)
    assert bound.call(block, doubled, CLOCK, outputs=3)[1][0] == (0.2, 20, (0.4, 0, None))
    assert bound.call(block, doubled, CLOCK, outputs=3)[1][1][0] == 0.0  # off stays off


def test_call_with_the_knobs_of_another_depth_is_refused():
    block = bind(outer, layers=[bind(inner, "sample", strength=0.1)])
    with pytest.raises(ValueError):
        bound.call(block, {"layers": [{}, {}]}, CLOCK, outputs=1)


@pytest.mark.parametrize(
    ("written", "steps"), [("2 epochs", 40), ("50%", 100), ("95 examples", 10), ("0%", 0)]
)
def test_durations_arrive_as_steps(written, steps):
    found = bound.call(bind(everything, every=parse(written)), {}, CLOCK)["every"]
    assert (found, type(found)) == (steps, int)


def test_what_is_supplied_goes_only_where_it_is_asked_for():
    assert bound.call(bind(everything), {}, CLOCK, outputs=9, total=5, unheard_of=1)["outputs"] == 9
    assert bound.call(bind(inner), {}, CLOCK, outputs=9) == (0.5, 0, None)


def test_an_option_of_the_spec_is_not_overwritten_by_what_is_supplied():
    """A user's layer may call its own option `outputs`; inside a model, the model's outputs are not meant."""
    block = bind(outer, layers=[bind(everything, "sample", outputs=2)])
    assert bound.call(block, {"layers": [{}]}, CLOCK, outputs=7)[1][0]["outputs"] == 2


def test_defaults_of_the_function_hold_where_nothing_is_written():
    found = bound.call(bind(everything), {}, CLOCK)
    assert found["rate"] == 0.1
    assert found["widths"] == [4]


def test_one_program_serves_every_value_of_a_knob():
    """Nested layers of the real catalogue: dropout inside sequential."""
    layers = [
        Bound("layer", "dropout", catalog.find("layer", "dropout"), {"rate": 0.5}, {}),
        Bound("layer", "flatten", catalog.find("layer", "flatten"), {}, {}),
    ]
    block = Bound("model", "sequential", catalog.find("model", "sequential"), {"layers": layers}, {})
    knobs = bound.knobs(block)
    assert knobs == {"layers": [{"rate": 0.5}, {}]}
    params = {"output": {"kernel": jnp.eye(4), "bias": jnp.zeros(4)}}
    traces = 0

    @jax.jit
    def run(knobs):
        nonlocal traces
        traces += 1
        model = bound.call(block, knobs, CLOCK, outputs=4)
        return model.apply(params, {}, jnp.ones((50, 2, 2)), jax.random.key(0), None)[0]

    kept = [float((run({"layers": [{"rate": rate}, {}]}) != 0).mean()) for rate in (0.1, 0.5, 0.9)]
    assert traces == 1
    assert kept[0] > kept[1] > kept[2]


def test_plain_is_what_one_would_write():
    block = bind(
        outer, layers=[bind(inner, "sample", strength=0.1, wait=parse("1 epochs"))], head=None, rate=0.5
    )
    block = block._replace(common={"warmup": parse(0)})
    assert bound.plain(block) == {
        "name": "outer",
        "layers": [{"name": "inner", "strength": 0.1, "wait": "1 epoch"}],
        "head": None,
        "rate": 0.5,
        "warmup": "0 steps",
    }


@pytest.mark.parametrize(("hint", "kind"), [
    (Entry("layer"), "layer"), (list[Entry("loss")], "loss"), (Entry("layer") | None, "layer"),
    (Annotated[list[Entry("layer")], MinLen(1)], "layer"), (int, None), (Widths, None), (Steps, None),
])  # fmt: skip
def test_entry_kind(hint, kind):
    assert bound.entry_kind(hint) == kind


@pytest.mark.parametrize(
    ("hint", "is_path"), [(FilePath, True), (FilePath | None, True), (str, False), (Path, False)]
)
def test_file_paths(hint, is_path):
    assert bound.is_file_path(hint) == is_path


@pytest.mark.parametrize("rate", [0, 0.0, -0.0])
def test_zero_is_off(rate):
    assert is_off(rate)


@pytest.mark.parametrize("rate", [1e-300, 1, None, jnp.zeros(())])
def test_nothing_else_is(rate):
    assert not is_off(rate)


def test_a_traced_zero_is_not_off():
    assert jax.jit(lambda rate: jnp.array(is_off(rate)))(0.0) == False  # noqa: E712


@pytest.mark.parametrize("kind", catalog.KINDS)
def test_every_float_option_of_the_catalogue_is_a_knob(kind):
    """Written as 0.25, each float option is found, unless it is marked as structure (sizes depend on it)."""
    for name in catalog.names(kind):
        function = catalog.find(kind, name)
        hints = {key: hint for key, hint in bound.hints(function).items() if key != "return"}
        floats = {
            key
            for key, hint in hints.items()
            if (hint is float or getattr(hint, "__origin__", None) is float)
            and not any(isinstance(mark, FixedMark) for mark in getattr(hint, "__metadata__", ()))
        }
        options = dict.fromkeys(hints, 0.25)
        assert set(bound.knobs(Bound(kind, name, function, options, {}))) >= floats


def test_the_numbers_of_records_are_knobs_too():
    """Of every record whose short form is a number that may vary."""
    for kind, name in [(k, n) for k in catalog.KINDS for n in catalog.names(k)]:
        function = catalog.find(kind, name)
        for option, hint in bound.hints(function).items():
            if option == "return" or (kind_of := record.record_of(hint)) is None:
                continue
            first, fixed = kind_of._fields[0], str(record.types_of(kind_of))
            knobs = bound.knobs(Bound(kind, name, function, {option: kind_of(0.25)}, {}))
            varies = "float" in str(record.types_of(kind_of)[first]) and "FixedMark" not in fixed
            assert knobs == ({option: {first: 0.25}} if varies else {})


def test_ranges_ride_on_the_annotation():
    assert bound.hints(everything)["rate"].__metadata__ == (Ge(0),)


def test_a_function_that_returns_something_else_is_refused() -> None:
    block = Bound("model", "mine:net", lambda: 3, {}, {})
    with pytest.raises(bound.WrongResultError, match=r"mine:net returned int; it must return a Layer"):
        bound.call(block, {}, CLOCK)
