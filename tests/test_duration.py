from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnrun import duration
from nnrun.duration import Clock, Duration, parse

CLOCK = Clock(batch_size=50, steps_per_epoch=20, total=400)
UNITS = ["steps", "epochs", "examples", "%", "seconds", "minutes"]


@pytest.mark.parametrize(("text", "amount", "unit"), [
    ("30 epochs", 30, "epochs"), ("1 epoch", 1, "epochs"), ("0.5 epochs", 0.5, "epochs"),
    (".5 epoch", 0.5, "epochs"),
    ("2000 steps", 2000, "steps"), ("2000steps", 2000, "steps"), ("1e3 steps", 1000, "steps"),
    ("1e6 examples", 1e6, "examples"), ("1.5E+6 examples", 1.5e6, "examples"), (" 3 steps ", 3, "steps"),
    ("5%", 5, "%"), ("5 %", 5, "%"), ("12.5 percent", 12.5, "%"), ("100%", 100, "%"),
    ("30 seconds", 30, "seconds"), ("30s", 30, "seconds"), ("2 min", 2, "minutes"),
    ("1 minute", 1, "minutes"),
    (0, 0, "steps"), (0.0, 0, "steps"), (Duration(2, "epochs"), 2, "epochs"),
])  # fmt: skip
def test_what_can_be_written(text, amount, unit):
    assert parse(text) == Duration(amount, unit)


@pytest.mark.parametrize(("value", "says"), [
    (30, "needs a unit; write 30 epochs or 30 steps"), (2.5, "needs a unit"), (-1, "needs a unit"),
    ("30", "not a duration"), ("", "not a duration"), ("epochs", "not a duration"),
    ("-3 epochs", "not a duration"),
    ("3 epochs 2 steps", "not a duration"), ("3 Epochs", "not a duration"), ("1e-3 epochs", "not a duration"),
    ("nan steps", "not a duration"), ("inf epochs", "not a duration"), (True, "not a duration"),
    (False, "not a duration"), (None, "not a duration"), ([], "not a duration"),
    ("3\nepochs\x1b", "not a duration"),
    ("3 weeks", "unknown unit 'weeks'"), ("1e300 epochs", "too long"), ("1e999 epochs", "too long"),
    ("2.5 steps", "a whole number"), ("101%", "at most 100%"),
])  # fmt: skip
def test_what_cannot(value, says):
    with pytest.raises(ValueError, match=re.escape(says)) as caught:
        parse(value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("text", "steps"), [
    ("7 steps", 7), ("3 epochs", 60), ("0.5 epochs", 10), ("2.49 epochs", 50), ("1000 examples", 20),
    ("1026 examples", 21), ("1024 examples", 20), ("5%", 20), ("100%", 400), ("33.3%", 133),
    ("1 example", 1), ("0.001 epochs", 1), ("0.01%", 1), ("0 epochs", 0), ("0%", 0), ("0 steps", 0), (0, 0),
])  # fmt: skip
def test_steps_are_rounded_and_at_least_1_unless_0(text, steps):
    found = parse(text).steps(CLOCK)
    assert (found, type(found)) == (steps, int)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30 seconds", 30), ("2 minutes", 120), ("0.5 min", 30), ("3 steps", None), ("5%", None)],
)
def test_seconds_of_wall_time(text, seconds):
    assert parse(text).seconds == seconds


@pytest.mark.parametrize(
    ("text", "shown"),
    [("30 epoch", "30 epochs"), ("1 epochs", "1 epoch"), ("5 percent", "5%"), ("2min", "2 minutes"),
     ("1e6 examples", "1000000 examples"), ("0.50 epochs", "0.5 epochs"), (0, "0 steps"), ("1%", "1%")],
)  # fmt: skip
def test_shown_as_one_would_write_it(text, shown):
    assert str(parse(text)) == shown


@given(st.floats(0, 1e15), st.sampled_from(UNITS))
def test_what_is_shown_is_read_back_exactly(amount, unit):
    """resolved.yaml holds the text, and a run that is resumed must have as many steps."""
    if unit == "steps":
        amount = float(round(amount))
    if unit == "%":
        amount = min(amount, 100.0)
    written = Duration(amount, unit)
    again = parse(str(written))
    assert again == (Duration(0, "steps") if str(written) == "0" else written)
    assert re.match(duration.PATTERN, str(written))


@given(st.text(max_size=12) | st.integers() | st.floats() | st.none() | st.booleans())
def test_anything_else_is_a_value_error(value):
    try:
        found = parse(value)
    except ValueError:
        return
    assert found.amount >= 0
    assert found.unit in UNITS


@given(
    st.floats(1e-6, 1e6),
    st.sampled_from(["epochs", "examples", "%"]),
    st.integers(1, 999),
    st.integers(1, 999),
)
def test_longer_is_never_fewer_steps(amount, unit, batch_size, per_epoch):
    clock = Clock(batch_size, per_epoch, per_epoch * 7)
    few, more = (Duration(a, unit).steps(clock) for a in (amount, amount * 1.5))
    assert 1 <= few <= more
