"""The YAML reader: YAML 1.2 scalars, places, refusals, and that whatever is written is read back."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nnrun.spec import scalar, yaml12
from nnrun.spec.problem import Place

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
AMBIGUOUS = st.sampled_from(
    [
        "on", "No", "y", "null", "~", "true", "017", "1:30", "1_000", "1e3", ".nan", "-.INF", "0x1f", "0o7",
        "3", "-", "2024-01-01", "<<", "=", "'", '"', "\\", "#", "&a", "*a", "!t", "%", "@", "`", "|",
        "?", "...", "é", "🜁", "", "- a", "a: b", "a #b", "a\nb", "a\n", " a", "a ", "\t",
        "\x00", "\x1b[31m", "\x85", "\u2028", "\ufeff",
    ]
)  # fmt: skip
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | AMBIGUOUS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | AMBIGUOUS, inner, max_size=4),
    max_leaves=12,
)


def read(text: str | bytes) -> object:
    tree = yaml12.parse(text, "f.yaml")
    assert not list(tree.problems)
    return tree.value


def same(a: object, b: object) -> bool:
    """Equal in value and type, at every level: 1, 1.0 and True are three values."""
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1E5", 1e5), ("-1.5e+3", -1500.0), (".5", 0.5), ("3.", 3.0), ("+7", 7), ("-0", 0),
        ("0", 0), ("0x1F", 31), ("0o17", 15), ("true", True), ("FALSE", False), ("null", None), ("~", None),
        ("NULL", None), ("5%", "5%"), ("30 epochs", "30 epochs"), ("2024-01-01", "2024-01-01"),
        ("nan", "nan"),
        ("1e", "1e"), ("0b11", "0b11"), ("1,000", "1,000"), ("val/loss", "val/loss"), ("1.2.3", "1.2.3"),
        ("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63)), ("tRue", "tRue"),
        ("e5", "e5"),
        ("a" * 1000, "a" * 1000), ("0.1", 0.1), ("0e999", 0.0), ("one_two", "one_two"), ("a:b", "a:b"),
    ],
)  # fmt: skip
def test_unquoted_values_are_those_of_yaml_1_2(text, value):
    assert same(scalar.value(text), value)
    assert same(read(f"x: {text}"), {"x": value})


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("yes", "write true"), ("ON", "write true"), ("off", "write false"),
        ("010", "write 10"), ("-007", "write -7"), ("1:30", "'1:30'"), ("12:30:45.5", "'12:30:45.5'"),
        ("1_0", "write 10"), ("1_0.5_0", "write 10.50"), (".inf", "finite"), ("+.Inf", "finite"),
        (".NaN", "finite"),
        ("9223372036854775808", "18 digits"), ("1e309", "1e308"), ("1e-400", "write 0"),
        ("1" * 65, "fewer digits"),
    ],
)  # fmt: skip
def test_what_readers_disagree_about_is_refused_with_the_fix(text, remedy):
    with pytest.raises(ValueError, match="; write") as caught:
        scalar.value(text)
    assert remedy in str(caught.value)


@pytest.mark.parametrize("text", ["on", "017", "1:30", ".nan", "3", "true", "~", "1e-3"])
def test_quotes_make_text_of_anything(text):
    assert read(f"a: '{text}'\nb: \"{text}\"\nc: |-\n  {text}\n") == {"a": text, "b": text, "c": text}


def test_places_are_those_of_keys_and_of_list_entries():
    tree = yaml12.parse("a: 1\nb:\n  - x\n  - {c: 2}\n", "f.yaml")
    assert tree.value == {"a": 1, "b": ["x", {"c": 2}]}
    assert tree.places == {
        (): Place("f.yaml", 1, 1),
        ("a",): Place("f.yaml", 1, 1),
        ("b",): Place("f.yaml", 2, 1),
        ("b", 0): Place("f.yaml", 3, 5),
        ("b", 1): Place("f.yaml", 4, 5),
        ("b", 1, "c"): Place("f.yaml", 4, 6),
    }


def test_all_problems_of_a_file_are_found_at_once():
    tree = yaml12.parse("a: on\nb: [017, .nan]\na: 2\n", "f.yaml")
    assert [(one.place.line, one.place.column, one.path) for one in tree.problems] == [
        (1, 4, ("a",)),
        (2, 5, ("b", 0)),
        (2, 10, ("b", 1)),
        (3, 1, ("a",)),
    ]


def test_a_byte_order_mark_is_no_part_of_the_text():
    tree = yaml12.parse(b"\xef\xbb\xbfa: 1\n", "f.yaml")
    assert tree.value == {"a": 1}
    assert tree.places[("a",)] == Place("f.yaml", 1, 1)


def test_the_value_of_an_argument_has_the_argument_as_its_place():
    tree = yaml12.parse("[1, on]", "x=[1, on]", argument=True)
    [problem] = tree.problems
    assert str(problem).startswith("argument x=[1, on]: 1: on is true to some readers")


@pytest.mark.parametrize("depth", [1, 49, 50])
def test_fifty_levels_are_enough(depth):
    value = read("[" * depth + "]" * depth)
    for _ in range(depth - 1):
        assert isinstance(value, list)
        (value,) = value
    assert value == []
    assert yaml12.parse("[" * 51 + "]" * 51, "f").problems


@given(PLAIN)
@example(
    {"on": ["017", "1:30", "no", "", "null", "1_0", "0x1", "-", "a: b", "é\n\x85 x ", 1e-5, -0.0, 1e300]}
)
def test_what_is_dumped_is_read_back(value):
    assert same(read(yaml12.dump(value)), value)
    assert same(read(yaml12.dump(value).encode()), value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_keep_every_bit(number):
    (back,) = read(yaml12.dump([number]))
    assert math.copysign(1, back) == math.copysign(1, number)
    assert back == number


@given(st.text(max_size=60) | st.text("[]{}:,-?&*!|>'\"%@`#\n\t ab1._", max_size=60))
def test_any_text_gives_a_tree_or_problems(text):
    for argument in (False, True):
        tree = yaml12.parse(text, "f.yaml", argument=argument)
        assert all(str(one).isprintable() for one in tree.problems)


@given(st.binary(max_size=60))
def test_any_bytes_give_a_tree_or_problems(data):
    assert all(str(one).isprintable() for one in yaml12.parse(data, "f.yaml").problems)
