"""metrics.jsonl: numbers come back to the bit, and only a torn last line is forgiven."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnrun.errors import RunError
from nnrun.record import metrics

numbers = st.one_of(st.floats(), st.integers(-(2**63), 2**63), st.floats(width=32).map(np.float32))


@given(st.lists(st.dictionaries(st.text(), numbers), max_size=4))
def test_numbers_come_back_to_the_bit(tmp_path_factory, records):
    path = tmp_path_factory.getbasetemp() / "metrics.jsonl"
    path.write_bytes(b"".join(map(metrics.line, records)))
    found = metrics.read(path)
    assert [list(record) for record in found] == [list(record) for record in records]
    for record, given_record in zip(found, records, strict=True):
        for name, value in given_record.items():
            assert repr(record[name]) == repr(value if isinstance(value, int) else float(value))


@given(st.dictionaries(st.text(), numbers))
def test_a_line_is_strict_json_on_one_line(record):
    line = metrics.line(record)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    json.loads(line, parse_constant=pytest.fail)


def test_what_json_lacks_is_a_string():
    line = metrics.line(
        {"step": np.int64(3), "a": math.nan, "b": np.float32("inf"), "c": -math.inf, "d": 0.1}
    )
    assert line == b'{"step": 3, "a": "NaN", "b": "Infinity", "c": "-Infinity", "d": 0.1}\n'


def test_a_torn_last_line_is_ignored_wherever_it_is_torn(tmp_path):
    whole = metrics.line({"step": 1, "a": 0.5})
    for length in range(len(whole)):
        (tmp_path / "m").write_bytes(whole + whole[:length])
        assert metrics.read(tmp_path / "m") == [{"step": 1, "a": 0.5}]
    (tmp_path / "m").write_bytes(whole + b"\0" * 100)
    assert len(metrics.read(tmp_path / "m")) == 1
    assert metrics.read(tmp_path / "absent") == []


@pytest.mark.parametrize(
    "bad",
    [b'{"a": 1', b"[1]", b"", b'{"a": NaN}', b'{"a": "x"}', b'{"a": true}', b"\xff\x1b[31m", b"[" * 99_999],
)
def test_a_damaged_line_in_the_middle_is_named(bad, tmp_path):
    good = metrics.line({"step": 1})
    (tmp_path / "m").write_bytes(good + bad + b"\n" + good)
    with pytest.raises(RunError, match="m:2: damaged line") as caught:
        metrics.read(tmp_path / "m")
    assert str(caught.value).isprintable()


def test_columns_have_their_own_steps():
    records = [
        {"step": 1, "train/loss": 2},
        {"step": 2, "train/loss": math.nan, "val/loss": 0.5},
        {"other": 1.0},
        {"step": 4, "val/loss": 0.25},
    ]
    found = metrics.columns(records)
    assert list(found) == ["train/loss", "val/loss"]
    np.testing.assert_array_equal(found["train/loss"][0], [1, 2])
    np.testing.assert_array_equal(found["train/loss"][1], [2.0, math.nan])
    np.testing.assert_array_equal(found["val/loss"][0], [2, 4])
    assert found["val/loss"][0].dtype == np.int64 and found["val/loss"][1].dtype == np.float64
    assert metrics.columns([]) == {}
