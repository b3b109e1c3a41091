"""Inputs as cells again, and weights as pictures."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from nnrun.look.cells import cells_of
from nnrun.look.examples import _in_digits
from nnrun.look.filters import pictures_of
from nnrun.preprocessing import Date, FittedColumn


def decoded(picture: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))))


def test_inputs_become_their_cells_again() -> None:
    columns = (
        FittedColumn("age", fill=40.0, indicator=True),
        FittedColumn("town", ("Bonn", "Köln"), rare=("Ulm", "Hof")),
        FittedColumn("seen", date=Date(("weekday", "days"), "2024-02-01")),
        FittedColumn("size"),
    )
    #                  age  missing  Bonn Köln rare  weekday   days  size
    inputs = np.array([40.0, 1.0, 0.0, 0.0, 1.0, 0.43, -0.9, 28.0, 1.5])
    assert cells_of(columns, inputs) == {"age": "", "town": "(rare)", "seen": "2024-02-29", "size": "1.5"}
    inputs = np.array([31.0, 0.0, 0.0, 1.0, 0.0, 0.43, -0.9, 0.5, 1e-7])
    assert cells_of(columns, inputs) == {
        "age": "31", "town": "Köln", "seen": "2024-02-01 12:00", "size": "1e-07",
    }  # fmt: skip
    assert cells_of((FittedColumn("town", ("Bonn", "Köln"), unknown="zeros"),), np.zeros(2)) == {
        "town": "(unknown)"
    }


def test_a_cell_that_may_have_been_missing_says_so() -> None:
    """Without an indicator 55 is the cell of the file, or the median that a missing one was filled with."""
    columns = (FittedColumn("age", fill=55.0), FittedColumn("town", ("Bonn", "Köln"), fill="Köln"))
    assert cells_of(columns, np.array([55.0, 0.0, 1.0])) == {
        "age": "55 (or missing)",
        "town": "Köln (or missing)",
    }
    assert cells_of(columns, np.array([55.5, 1.0, 0.0])) == {"age": "55.5", "town": "Bonn"}
    own = (FittedColumn("town", ("", "Bonn"), fill=""),)  # missing cells are a category of their own
    assert cells_of(own, np.array([1.0, 0.0])) == {"town": ""}


def test_cells_are_those_of_the_file_and_not_what_rounding_left_of_them() -> None:
    columns = (FittedColumn("calls"), FittedColumn("signup", date=Date(("days",), "2020-01-01")))
    offset = np.array([1.37, 431.123456789])  # means of a training part
    for days, day in ((78.0, "2020-03-19"), (20000.0, "2074-10-04"), (1.25, "2020-01-02 06:00")):
        stored = (np.array([0.0, days]) - offset).astype(np.float32)
        assert cells_of(columns, stored, offset) == {"calls": "0", "signup": day}
    stored = (np.array([1e-3, 0.0]) - offset).astype(np.float32)
    assert cells_of(columns, stored, offset) == {"calls": "0.001", "signup": "2020-01-01"}


def test_white_is_the_largest_value_of_the_images() -> None:
    photo = np.random.default_rng(0).permutation(256)[:72].astype(np.uint8).reshape(2, 3, 4, 3)
    photo[0, 0, 0, 0] = 255
    assert all((decoded(png) == image).all() for png, image in zip(pictures_of(photo), photo, strict=True))
    digits = np.array([[[[1], [0]]], [[[8], [16]]]], np.uint8)
    assert [decoded(png).tolist() for png in pictures_of(digits)] == [[[16, 0]], [[128, 255]]]
    floats = np.array([[[[-1.0], [0.0]]], [[[1.0], [3.0]]]])
    assert [decoded(png).tolist() for png in pictures_of(floats)] == [[[0, 64]], [[128, 255]]]
    assert pictures_of(np.zeros((2, 3, 4, 2))) == [] == pictures_of(np.zeros((2, 5)))


def test_a_difference_is_seen_in_the_numbers() -> None:
    assert _in_digits(1_000_003.0, 1_000_002.25) == ("1000003", "1000002.25", "-0.75")
    assert _in_digits(0.5, 0.4) == ("0.5", "0.4", "-0.1")
    assert _in_digits(2.0, 2.0) == ("2", "2", "0")
