"""Small parts that read a spec: scalars, docstrings, records, names that are nearly right; by hand."""

from __future__ import annotations

import math
import re
from typing import Any, Literal, NamedTuple

import pytest
import yaml
from pydantic import BaseModel, Field

from nnrun.errors import SpecError
from nnrun.options import Fraction
from nnrun.spec import models, record, scalar, schema
from nnrun.spec.docstring import arguments
from nnrun.spec.override import UnreachableError, as_list, contains, put
from nnrun.spec.plain import entry, in_full, is_number
from nnrun.spec.problem import Place, Problem, Problems, error_at, place_of
from nnrun.spec.record import Form, meant
from nnrun.spec.schema import nearest


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("NULL", None), ("nUll", "nUll"), ("true", True), ("FALSE", False),
        ("tRue", "tRue"), ("0", 0), ("-0", 0), ("+7", 7), ("0x1F", 31), ("-0x10", -16), ("0o17", 15), ("0b11", "0b11"),
        ("1e3", 1000.0), ("1E-2", 0.01), (".5", 0.5), ("-.5", -0.5), ("5.", 5.0), ("0.0", 0.0), ("0e7", 0.0),
        ("5e-324", 5e-324), ("1.5e+3", 1500.0), ("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63)),
        ("e3", "e3"), (".", "."), ("-", "-"), ("+", "+"), ("1.2.3", "1.2.3"), ("1-2", "1-2"), ("5%", "5%"),
        ("a_1", "a_1"), ("_1", "_1"), ("1:99", "1:99"), ("12:3a", "12:3a"), ("onto", "onto"), ("nope", "nope"),
        ("inf", "inf"), ("nan", "nan"), ("0x", "0x"), ("0xG", "0xG"), ("a" * 65, "a" * 65),
    ],
)  # fmt: skip
def test_what_an_unquoted_value_is(text: str, value: object) -> None:
    made = scalar.value(text)
    assert made == value and type(made) is type(value)
    if isinstance(value, float) and value:
        assert made == float(text)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("on", "write true, or 'on' for text"), ("Yes", "write true, or 'Yes' for text"),
        ("OFF", "write false, or 'OFF' for text"), ("no", "write false, or 'no' for text"),
        ("017", "write 17, or '017' for text"), ("-08", "write -8, or '-08' for text"),
        ("00", "write 0, or '00' for text"), ("1:30", "write seconds, or '1:30' for text"),
        ("1:59:59.5", "write seconds"), ("1_000", "write 1000, or '1_000' for text"), ("1_0.5_0", "write 10.50"),
        (".inf", "write a finite number"), ("-.INF", "write a finite number"), (".NaN", "write a finite number"),
        ("9223372036854775808", "write at most 18 digits"), ("1e309", "write one below 1e308"),
        ("1e-400", "write 0, or one above 1e-308"), ("0.00e5001", ""), ("1" * 65, "write fewer digits"),
        ("1" * 64 + ".", "write fewer digits"),
    ],
)  # fmt: skip
def test_what_readers_disagree_about_is_refused(text: str, remedy: str) -> None:
    if not remedy:
        assert scalar.value(text) == 0  # which is 0 for everybody
        return
    with pytest.raises(ValueError, match=re.escape(remedy)):
        scalar.value(text)


@pytest.mark.parametrize(
    "text", ["1", "-7", "0.5", "1.5e+3", "true", "null", "text", "a b", "5%", "1-2", ".5"]
)
def test_where_yaml_1_1_agrees_it_is_the_same(text: str) -> None:
    assert scalar.value(text) == yaml.safe_load(text)


# Docstrings


def test_lines_of_a_docstring_about_arguments() -> None:
    doc = """Title   is no argument.

    rate   how fast,
           in [0, 1)
    b1, b2   decay of moments
    other    not an option
    Use: rate   a sentence
    late   continued

    no continuation
      of anything
    """
    assert arguments(doc, {"rate", "b1", "b2", "late", "absent"}) == {
        "rate": "how fast, in [0, 1)", "b1": "decay of moments", "b2": "decay of moments", "late": "continued",
    }  # fmt: skip
    assert arguments(None, {"rate"}) == {} and arguments("rate   in the title", {"rate"}) == {}


# Names that are nearly right


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("learning_rat", ["learning_rate", "momentum"], "did you mean learning_rate?"),
        ("Learning-Rate", ["learning_rate", "momentum"], "did you mean learning_rate?"),
        ("lr", ["learning_rate", "momentum"], "did you mean learning_rate?"),
        ("lr", ["momentum"], "write one of: momentum"),
        ("LR", ["learning_rate"], "did you mean learning_rate?"),
        ("adm", ["Adam", "sgd"], "did you mean Adam?"),
        ("xyz", ["b", "a"], "write one of: a, b"),
        ("xyz", [], "remove it"),
        (3, ["a"], "write one of: a"),
    ],
)
def test_the_nearest_name(name: object, known: list[str], hint: str) -> None:
    assert nearest(name, known) == hint


def test_a_character_that_nobody_sees_is_said() -> None:
    made = nearest("learning_rate\u200b", ["learning_rate"])
    assert made.startswith("it contains ") and made.endswith("; did you mean learning_rate?")


# Records


class Mask(NamedTuple):
    """A mask.

    mode   which one
    rate   how much
    """

    mode: Literal["none", "element", "channel"] = "none"
    rate: Fraction = 0.5


def options(mask: Mask = Mask(), size: int = 3) -> None: ...  # noqa: B008


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("element", Mask("element")), ({"mode": "channel"}, Mask("channel")), ({"rate": 0.25}, Mask(rate=0.25)),
        ({"mode": "element", "rate": 0}, Mask("element", 0)), ({}, Mask()),
    ],
)  # fmt: skip
def test_a_record_is_a_block_or_its_first_field(value: Any, expected: Mask) -> None:
    model = models.options_model(options, frozenset())
    problems = Problems({})
    checked = schema.check(model, {"mask": value}, problems)
    assert not problems and checked is not None
    assert models.values(checked) == {"mask": expected, "size": 3}


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        ("elements", ("mask", "mode"), "got \"elements\"; write 'none', 'element' or 'channel'"),
        ({"mode": "none", "rate": 1.5}, ("mask", "rate"), "got 1.5; write a value in [0, 1)"),
        ({"rat": 0.5}, ("mask", "rat"), "unknown key; did you mean rate?"),
        (None, ("mask",), "got null"),
    ],
)
def test_what_is_no_such_record(value: Any, path: tuple, message: str) -> None:
    problems = Problems({})
    block = {"mask": value}
    assert schema.check(models.options_model(options, frozenset()), block, problems) is None
    [problem] = problems
    assert problem.message.startswith(message)
    assert problem.path in (path, path[:1])


def test_a_record_is_written_as_short_as_may_be() -> None:
    assert record.written(Mask("element")) == "element"
    assert record.written(Mask("element", 0.25)) == {"mode": "element", "rate": 0.25}
    assert record.as_block(Mask()) == {"mode": "none", "rate": 0.5}
    assert record.record_of(Mask | None) is Mask and record.record_of(Mask) is Mask
    assert record.record_of(int | None) is None and record.record_of(Mask | int) is None
    assert str(record.form_of(Mask)) == "{mode: ..., rate: ...}"


FORMS = {"norm": Form(("name", "groups"), ("none", "batch", "group")), "dropconnect": Form(("rate", "mask"))}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("batch_norm", True, "norm: batch"),
        ("batch_norm", {"x": 1}, "norm: none, batch or group"),
        ("norm_groups", 4, "norm: {name: ..., groups: 4}"),
        ("groups", 4, "norm: {name: ..., groups: 4}"),
        ("dropconnect_rate", 0.5, "dropconnect: 0.5"),
        ("dropconnect_mask", "example", "dropconnect: {rate: ..., mask: example}"),
        ("weight_mask", "a b", 'dropconnect: {rate: ..., mask: "a b"}'),
        ("learning", 1, None),
        ("my_rate", 1, None),  # the first field alone says nothing
    ],
)
def test_a_key_that_means_a_field_of_a_record(key: str, value: Any, expected: str | None) -> None:
    assert meant(key, value, FORMS) == expected


# Models and their messages


class Section(BaseModel):
    """Some options."""

    model_config = models.STRICT

    share: Fraction = Field(0.5, description="of all")
    count: int = Field(description="how many there are")
    names: list[str] = []
    flag: bool = False
    mode: Literal["a", "b"] = "a"
    best: str | None = None


@pytest.mark.parametrize(
    ("block", "messages"),
    [
        ({}, ["count: missing; add `count: ...` (how many there are)"]),
        ({"count": 1.0}, ["count: got 1.0; write 1"]),
        ({"count": 1.5}, ["count: got 1.5; write a whole number"]),
        ({"count": "3"}, ['count: got "3"; write a whole number without quotes']),
        ({"count": "three"}, ['count: got "three"; write a whole number']),
        ({"count": True}, ["count: got true; write a whole number"]),
        ({"count": 1, "share": 1}, ["share: got 1; write a value in [0, 1)"]),
        ({"count": 1, "names": "a"}, ['names: got "a"; write a list: ["a"]']),
        ({"count": 1, "names": ["a", 3]}, ["names.1: got 3; write text in quotes: '3'"]),
        ({"count": 1, "flag": "yes"}, ['flag: got "yes"; write true or false']),
        ({"count": 1, "flag": "true"}, ['flag: got "true"; write true or false without quotes']),
        ({"count": 1, "mode": "c"}, ["mode: got \"c\"; write 'a' or 'b'"]),
        ({"count": 1, "best": ["a"]}, ['best: got ["a"]; write one text, not a list']),
        (
            {"count": 1, "best": {"x": "y.csv"}},
            ['best: got {"x": "y.csv"}; write text in quotes: \'x: y.csv\''],
        ),
        ({"count": 1, "nmaes": []}, ["nmaes: unknown key; did you mean names?"]),
        (
            {"share": 2, "count": None},
            ["share: got 2; write a value in [0, 1)", "count: got null; write a whole number"],
        ),
        ([1], [": got [1]; write a block of keys"]),
    ],
)
def test_what_is_wrong_with_a_block(block: Any, messages: list[str]) -> None:
    problems = Problems({})
    assert schema.check(Section, block, problems) is None
    made = sorted(f"{'.'.join(map(str, problem.path))}: {problem.message}" for problem in problems)
    expected = sorted(
        f"{message.removeprefix(': ')}" if message.startswith(": ") else message for message in messages
    )
    for text, start in zip((text.removeprefix(": ") for text in made), expected, strict=True):
        assert text.startswith(start)


def test_numbers_that_are_not_finite_are_no_numbers() -> None:
    problems = Problems({})
    assert schema.check(Section, {"count": 1, "share": math.nan}, problems) is None and len(problems) == 1


# Keys, places and problems


@pytest.mark.parametrize(
    ("outer", "inner", "holds"),
    [
        ("a", "a.b", True), ("a.b", "a", False), ("a", "a", True), ("a", "ab", False), ("a.0", "a.00", True),
        ("a.1", "a.10", False), ("a.b", "a.b.c.d", True),
    ],
)  # fmt: skip
def test_which_key_sets_all_of_another(outer: str, inner: str, holds: bool) -> None:
    assert contains(outer, inner) is holds


def test_what_a_key_sets_and_where() -> None:
    """A block on the way is made, a name becomes a block, and places of what is replaced are gone."""
    here, there = Place("f.yaml", 1, 1), Place("b=1")
    value: dict[str, Any] = {"optimizer": "adam", "list": [{"x": 1}, 2]}
    places = {("list",): here, ("list", 0): here, ("list", 0, "x"): here, ("optimizer",): here}
    assert put(value, "optimizer.rate", 0.5, places, {(): there}, ["optimizer"]) == ("optimizer", "rate")
    assert value["optimizer"] == {"name": "adam", "rate": 0.5} and places["optimizer", "rate"] == there
    put(value, "list.0", {"y": 3}, places, {(): there, ("y",): there}, [])
    assert value["list"] == [{"y": 3}, 2]
    assert places == {
        ("list",): here, ("list", 0): there, ("list", 0, "y"): there, ("optimizer",): here,
        ("optimizer", "rate"): there,
    }  # fmt: skip
    put(value, "new.deep.er", 1, places, {(): there}, [])
    assert value["new"] == {"deep": {"er": 1}} and places["new", "deep"] == there


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("list.2", "the list has no such entry; its entries are: 0 to 1"),
        ("list.x", "the list has no such entry"),
        ("empty.0", "its entries are: none"),
        ("plain.x", 'is "text", with no keys inside; write a shorter key'),
        ("list.1.x", "is 2, with no keys inside"),
        ("a..b", "write a key of the spec such as optimizer.learning_rate"),
        ("", "write a key of the spec"),
    ],
)
def test_a_key_that_leads_nowhere(key: str, message: str) -> None:
    value: dict[str, Any] = {"list": [{"x": 1}, 2], "empty": [], "plain": "text"}
    with pytest.raises(UnreachableError, match=re.escape(message)):
        put(value, key, 0, {}, {(): Place("x")}, [])


def test_overrides_from_python_are_a_list() -> None:
    assert as_list(("a=1", "b=2")) == ["a=1", "b=2"]
    with pytest.raises(SpecError, match=r'overrides: got "a=1"; write a list: \[\'a=1\'\]'):
        as_list("a=1")


def test_a_place_is_that_of_the_nearest_block_that_was_written() -> None:
    file = Place("f.yaml", 3, 5)
    places = {("train",): file}
    assert (
        place_of(("train", "seed"), places) == file
        and str(place_of(("data",), places)) == "argument the spec"
    )
    assert str(error_at(("train", "seed"), "wrong", places)) == "f.yaml:3:5: train.seed: wrong"
    assert str(Problem(Place("a=1"), (), "wrong")) == "argument a=1: wrong"


def test_problems_of_a_translated_block_stand_where_its_keys_were_written() -> None:
    file, other = Place("f.yaml", 3, 5), Place("f.yaml", 9, 1)
    problems = Problems({("sweep", "parameters", "lr"): file, ("sweep",): other})
    inside = problems.inside(("sweep",), {"over": ("parameters",)})
    inside.add(("over", "lr"), "wrong")
    inside.inside(("over",)).add(("lr", 0), "too")
    inside.add(("trials",), "else")
    assert [(problem.place, problem.path) for problem in problems] == [
        (file, ("sweep", "parameters", "lr")), (file, ("sweep", "parameters", "lr", 0)), (other, ("sweep", "trials")),
    ]  # fmt: skip


def test_plain_data() -> None:
    assert is_number(1) and is_number(0.5) and not is_number(True) and not is_number("1")
    assert in_full("adam") == {"name": "adam"} and in_full(["adam"]) == ["adam"] and in_full(None) is None
    assert entry({"a": 1}, "b") is None and entry([4, 5], 1) == 5
