"""What `sweep.over` means: ranges, choices, whole blocks; and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnrun.space import Dimension
from nnrun.spec.yaml12 import parse
from nnrun.sweep.over import read_over


def alternatives(text: str) -> Any:
    tree = parse(text, "sweep.yaml")
    assert not tree.problems
    read = read_over(tree.value, tree.problems)
    assert not tree.problems, list(tree.problems)
    return read


def wrong(text: str) -> str:
    tree = parse(text, "sweep.yaml")
    read_over(tree.value, tree.problems)
    [problem] = tree.problems
    return str(problem)


def test_ranges_and_choices() -> None:
    [one] = alternatives(
        "optimizer.learning_rate: {log: [1e-4, 1]}\nmodel.dropout: {uniform: [0.0, 0.6]}\n"
        "train.accumulate: {int: [1, 4]}\nmodel.hidden: [[64], [64, 64]]\nschedule.final: {normal: [0, 2]}\n"
        "data.batch_size: {log_int: [8, 128]}\ntrain.random: fast"
    )
    assert one.space == (
        Dimension("optimizer.learning_rate", "log", 1e-4, 1.0),
        Dimension("model.dropout", "uniform", 0.0, 0.6),
        Dimension("train.accumulate", "int", 1.0, 4.0),
        Dimension("model.hidden", "choice", values=([64], [64, 64])),
        Dimension("schedule.final", "normal", 0.0, 2.0),
        Dimension("data.batch_size", "log_int", 8.0, 128.0),
    )
    assert (one.label, one.settings) == ("trial", {"train.random": "fast"})


def test_a_choice_of_one_is_a_value() -> None:
    [one] = alternatives("model.hidden: [[64, 64]]\noptimizer.b1: {choice: [0.8]}")
    assert (one.space, one.settings) == ((), {"model.hidden": [64, 64], "optimizer.b1": 0.8})


def test_whole_blocks_are_alternatives_with_ranges_of_their_own() -> None:
    sgd, momentum, adam = alternatives(
        "optimizer:\n  - {name: sgd, learning_rate: {log: [1e-3, 1]}}\n"
        "  - {name: momentum, learning_rate: 0.1, momentum: [0.8, 0.9]}\n  - adam\nmodel.dropout: {uniform: [0, 1]}"
    )
    assert [one.label for one in (sgd, momentum, adam)] == ["sgd", "momentum", "adam"]
    assert sgd.settings == {"optimizer": {"name": "sgd"}}
    assert momentum.settings == {"optimizer": {"name": "momentum", "learning_rate": 0.1}}
    assert adam.settings == {"optimizer": {"name": "adam"}}
    assert [d.path for d in momentum.space] == ["optimizer.momentum", "model.dropout"]
    assert [d.path for d in adam.space] == ["model.dropout"]


def test_several_lists_of_blocks_are_combined_and_equal_names_numbered() -> None:
    found = alternatives("optimizer: [adam, {name: adam, b1: 0.8}]\nschedule: [constant, {name: cosine}]")
    assert [one.label for one in found] == [
        "adam-constant",
        "adam-cosine",
        "adam-constant-2",
        "adam-cosine-2",
    ]
    assert found[2].settings["optimizer"] == {"name": "adam", "b1": 0.8}


def test_lists_of_blocks_are_factors_and_each_block_is_a_level() -> None:
    """A list of one block, or values to choose from, are none."""
    found = alternatives(
        "optimizer: [adam, {name: adam, b1: 0.8}]\nschedule: [constant, cosine]\nloss: [hinge]"
    )
    assert [dict(alternative.factors) for alternative in found] == [
        {"optimizer": "adam", "schedule": "constant"},
        {"optimizer": "adam", "schedule": "cosine"},
        {"optimizer": "adam-2", "schedule": "constant"},
        {"optimizer": "adam-2", "schedule": "cosine"},
    ]
    assert [dict(alternative.factors) for alternative in alternatives("model.dropout: [0, 0.5]")] == [{}]


def test_a_list_of_blocks_in_a_list_key() -> None:
    """`augment` holds lists: each entry of a choice is what stands there."""
    none, one, two = alternatives("augment: [[], cutout, [{name: mixup, alpha: {uniform: [0, 1]}}, cutout]]")
    assert [none.label, one.label, two.label] == ["none", "cutout", "mixup-cutout"]
    assert none.settings["augment"] == []
    assert two.settings["augment"] == [{"name": "mixup"}, "cutout"]
    assert [d.path for d in two.space] == ["augment.0.alpha"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "x.y: {log: [1, 0.1]}",
            "sweep.yaml:1:1: x.y: the range [1, 0.1] is empty; write the lower end first",
        ),
        ("x.y: {log: [-1, 1]}", "the logarithm of -1 does not exist; write a lower end > 0, such as 0.001"),
        ("x.y: {uniform: [1, 1]}", "the range [1, 1] is empty"),
        ("x.y: {uniform: [1]}", "got [1]; write two numbers: {uniform: [low, high]}"),
        ("x.y: {uniform: [a, 2]}", "write two numbers"),
        ("x.y: {int: [1.5, 2]}", "got [1.5, 2]; write two whole numbers"),
        ("x.y: {normal: [0, 0]}", "write {normal: [mean, deviation]} with a deviation > 0"),
        ("x.y: []", "write a list of at least one value"),
        ("train.seeds: [1, 2]", "the sweep sets this; write sweep.seeds"),
        ("x.y: [1, 2, 1]", "in which a value comes twice; write each once"),
        (
            "model.dropconnect: [0.1, {rate: {uniform: [0, 0.5]}, mask: example}]",
            'model.dropconnect: {"uniform": [0, 0.5]} stands inside a value of a choice, which is fixed; write '
            "model.dropconnect.rate as a key of its own, or whole blocks of model as alternatives",
        ),
        (
            "model: [{name: mlp, dropconnect: [0.1, {rate: {log: [0.1, 0.5]}}]}, lenet]",
            'model.0.dropconnect: {"log": [0.1, 0.5]} stands inside a value of a choice',
        ),
    ],
)
def test_what_is_no_range(text: str, message: str) -> None:
    assert message in wrong(text)


RANGES = [
    Dimension("a", "uniform", -2.0, 3.0), Dimension("a", "log", 1e-5, 10.0), Dimension("a", "int", -1, 5),
    Dimension("a", "log_int", 1, 1000), Dimension("a", "choice", values=("x", 1, None)), Dimension("a", "normal", 1, 2),
]  # fmt: skip


@settings(deadline=None)
@given(st.sampled_from(RANGES), st.floats(0, 1, exclude_max=True))
def test_a_value_stands_where_it_came_from(dimension: Dimension, u: float) -> None:
    """at(where(at(u))) = at(u), inside the range."""
    value = dimension.at(u)
    assert 0 <= dimension.where(value) < 1
    again = dimension.at(dimension.where(value))
    if isinstance(value, float):
        assert math.isclose(value, again, rel_tol=2e-5, abs_tol=2e-5)
    else:
        assert value == again
    if dimension.kind not in ("choice", "normal"):
        assert dimension.low <= value <= dimension.high


@pytest.mark.parametrize(
    ("dimension", "values"),
    [
        (Dimension("a", "uniform", 0.0, 1.0), [0, 0.5, 1]),
        (Dimension("a", "log", 1e-2, 1.0), [0.01, 0.1, 1]),
        (Dimension("a", "int", 1, 3), [1, 2, 3]),
        (Dimension("a", "choice", values=("x", "y", "z", "w")), ["x", "y", "z", "w"]),
    ],
)
def test_a_grid_has_both_ends_and_all_choices(dimension: Dimension, values: list[Any]) -> None:
    assert (
        [dimension.at(u) for u in dimension.grid(3)] == pytest.approx(values)
        if isinstance(values[0], float)
        else [dimension.at(u) for u in dimension.grid(3)] == values
    )


def test_every_whole_number_is_equally_likely() -> None:
    dimension = Dimension("a", "int", 2, 5)
    values = [dimension.at((i + 0.5) / 400) for i in range(400)]
    assert [values.count(n) for n in (2, 3, 4, 5)] == [100] * 4


def test_the_logarithm_is_uniform() -> None:
    """A tenth of the range [1e-5, 1] in logarithms holds a tenth of the draws."""
    dimension = Dimension("a", "log", 1e-5, 1.0)
    values = [dimension.at((i + 0.5) / 1000) for i in range(1000)]
    assert sum(1e-3 <= value < 1e-2 for value in values) == pytest.approx(200, abs=1)


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ("optimizer: [sgd, adam]", "optimizer.learning_rate: {log: [1e-3, 1]}"),
        ("model.hidden: [[8, 8], [16]]", "model.hidden.0: [4, 8]"),
        ("train: [{duration: 1 epochs}, {duration: 2 epochs}]", "train.random: fast"),
    ],
)
def test_keys_that_overlap_are_refused_in_either_order(outer: str, inner: str) -> None:
    for first, second in ((outer, inner), (inner, outer)):
        message = wrong(f"{first}\n{second}")
        assert message.startswith(f"sweep.yaml:2:1: {second.partition(': ')[0]}: it overlaps with "), message
        assert f"write only {outer.partition(': ')[0]}, with {inner.partition(': ')[0]} inside" in message


def test_keys_that_only_begin_alike_do_not_overlap() -> None:
    alternatives(
        "optimizer.b1: [0.8, 0.9]\noptimizer.b10: [1, 2]\nmodel.hidden.1: [1, 2]\nmodel.hidden.10: [3, 4]"
    )


@pytest.mark.parametrize(
    "text",
    [
        "train: [{seed: 5}, {seed: 6}]",
        "train: {choice: [{seed: 5}, {duration: 1 epochs}]}",
        "train: {seed: [5, 6]}",
    ],
)
def test_what_the_sweep_sets_is_refused_inside_a_block_too(text: str) -> None:
    assert "the sweep sets train.seed; write it into the base, and sweep.seeds" in wrong(text)


def test_a_value_of_a_choice_may_be_a_record_or_a_list() -> None:
    values = ([64, 64], {"rate": 0.5, "mask": "example"}, {"rate": [0.1, 0.2]})
    [whole] = alternatives("model.dropconnect: [[64, 64], {rate: 0.5, mask: example}, {rate: [0.1, 0.2]}]")
    assert whole.space == (Dimension("model.dropconnect", "choice", values=values),)


def test_a_varying_entry_of_a_list_keeps_its_place() -> None:
    """Else the drawn entry would take the place of the next one."""
    [one] = alternatives("augment: [[{choice: [translate, rotate]}, cutout]]")
    assert one.settings == {"augment": [None, "cutout"]}
    assert one.space == (Dimension("augment.0", "choice", values=("translate", "rotate")),)


def test_one_entry_of_a_list_has_one_key() -> None:
    message = wrong("model.hidden.0: [4, 8]\nmodel.hidden.00: [4, 8]")
    assert message.endswith("model.hidden.00: it is the same as model.hidden.0; write it once")
