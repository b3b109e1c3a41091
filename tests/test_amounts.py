"""Times, bytes and large numbers with their units: three digits, and never an exponent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nnrun.amounts import figure, short_number, time_text, with_digits


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (2.0, "2 s"), (0.25, "250 ms"), (0.0019, "1.9 ms"), (4.26e-5, "42.6 µs"), (0.0, "0 µs"),
        (0.9994, "999 ms"), (0.9999, "1 s"),  # not 1e+03 ms
        (0.0009994, "999 µs"), (0.0009999, "1 ms"), (3723.0, "3,720 s"),
    ],
)  # fmt: skip
def test_a_time_is_in_the_largest_unit_of_which_it_is_one(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (128_000.0, 4, "128,000"), (128_049.0, 4, "128,000"), (999.96, 4, "1,000"), (999.94, 4, "999.9"),
        (0.05, 3, "0.05"), (12.345, 3, "12.3"), (-4321.0, 2, "-4,300"), (6.7e13, 3, "67,000,000,000,000"),
    ],
)  # fmt: skip
def test_a_large_number_is_in_groups_of_three(value: float, digits: int, text: str) -> None:
    assert with_digits(value, digits) == text


def test_the_letter_changes_where_the_digits_would_be_four() -> None:
    values = (999.4, 999.5, 999_499, 999_500, 1.5e9, 1e13, 2e16)
    assert [short_number(value) for value in values] == ["999", "1k", "999k", "1M", "1.5G", "10T", "20,000T"]


@pytest.mark.parametrize(
    ("value", "digits", "sign", "text"),
    [
        (0.012345, 4, "", "0.01235"), (9999.4, 4, "", "9999"), (45_123.4, 4, "", "45123"), (-45_123.4, 4, "", "-45123"),
        (123.4, 2, "", "123"), (1234.0, 3, "+", "+1234"), (0.5, 3, "+", "+0.5"), (1e16, 4, "", "1e+16"),
        (3.2e-7, 4, "", "3.2e-07"), (0.0, 4, "", "0"),
    ],
)  # fmt: skip
def test_a_value_keeps_all_digits_before_its_point(value: float, digits: int, sign: str, text: str) -> None:
    assert figure(value, digits, sign) == text


def test_no_message_writes_a_number_its_own_way() -> None:
    """`.4g` makes 1.235e+07 of 12345678: `figure` is the one that keeps its digits."""
    for file in (Path(__file__).parents[1] / "src" / "nnrun").rglob("*.py"):
        assert not re.search(r":[+,]?\.[4-9]g\}", file.read_text()), file
