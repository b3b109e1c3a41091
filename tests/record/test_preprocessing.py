"""preprocessing.json: every bit comes back, every damage is noticed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nnrun.errors import RunError
from nnrun.preprocessing import PARTS, FittedColumn, Part, Preprocessing
from nnrun.record import preprocessing
from nnrun.record.pack import seal

names = st.text(max_size=6)
finite = st.floats(allow_nan=False, allow_infinity=False)
shapes = st.sampled_from([(), (1,), (3,), (2, 3, 1)])


@st.composite
def fits(draw: st.DrawFn) -> Preprocessing:
    shape = draw(shapes)
    return Preprocessing(
        classes=tuple(draw(st.lists(names, unique=True))),
        columns=tuple(
            FittedColumn(name, draw(st.none() | st.lists(names).map(tuple))) for name in draw(st.lists(names))
        ),
        shape=shape or (4, 4, 1),
        dtype=draw(st.sampled_from(["uint8", "float32", "float64"])),
        shift=draw(arrays.arrays(np.float64, shape, elements=finite)),
        scale=draw(arrays.arrays(np.float64, shape, elements=finite)),
        target_shift=draw(finite),
        target_scale=draw(finite),
        parts={name: Part(draw(st.integers(0, 2**40)), draw(names), draw(names)) for name in PARTS},
    )


@settings(deadline=None)
@given(fits())
def test_every_bit_comes_back(tmp_path_factory: pytest.TempPathFactory, fitted: Preprocessing) -> None:
    folder = tmp_path_factory.mktemp("run")
    preprocessing.write(folder, fitted)
    content = preprocessing.read(folder)
    for name in Preprocessing._fields:
        value, expected = getattr(content, name), getattr(fitted, name)
        if isinstance(expected, np.ndarray):
            assert (value.shape, value.dtype, value.tobytes()) == (
                expected.shape,
                expected.dtype,
                expected.tobytes(),
            )
        else:
            assert repr(value) == repr(expected)
    assert content.digest == fitted.digest


FITTED = Preprocessing(
    classes=("no", "yes"),
    columns=(FittedColumn("a", marks=("-999",)), FittedColumn("b", ("u", "v"))),
    shape=(3,),
    dtype="float64",
    shift=np.array([1.25, 0.5, 0.5]),
    scale=np.array([2.5, 0.5, 0.5]),
    target_shift=0.0,
    target_scale=1.0,
    parts={"train": Part(70, "a1", "t"), "val": Part(10, "b2", "u"), "test": Part(20, "c3", "v")},
)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_a_changed_or_missing_byte_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("run")
    preprocessing.write(folder, FITTED)
    file = folder / preprocessing.PREPROCESSING
    content = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[place:]
    else:
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(bytes(content))
    try:
        content = preprocessing.read(folder)
    except RunError as error:
        assert str(error).startswith(f"{file}: ") and "; " in str(error)
    else:  # blanks between the values
        assert repr(content) == repr(FITTED)


def test_a_folder_without_the_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        RunError, match=rf"missing.*; restore it, or train again: nnrun train {tmp_path}/spec"
    ):
        preprocessing.read(tmp_path)


def test_a_newer_format_is_told_apart_from_damage(tmp_path: Path) -> None:
    (tmp_path / "preprocessing.json").write_bytes(seal({"format": 3, "other": 1}))
    with pytest.raises(RunError, match="format 3, this nnrun reads 2; use the nnrun that wrote it"):
        preprocessing.read(tmp_path)
    (tmp_path / "preprocessing.json").write_bytes(seal({"format": 2, "classes": 3}))
    with pytest.raises(RunError, match="not written by nnrun"):
        preprocessing.read(tmp_path)


def test_people_can_read_it(tmp_path: Path) -> None:
    preprocessing.write(tmp_path, FITTED)
    content = json.loads((tmp_path / "preprocessing.json").read_text())
    assert content["task"] == "classification"
    assert content["inputs"]["shift"] == [1.25, 0.5, 0.5]
    assert content["inputs"]["columns"][1] == {"name": "b", "categories": ["u", "v"]}
    assert content["parts"]["test"] == {"examples": 20, "sha256": "c3", "chosen": "v"}


def test_a_record_of_before_several_targets_is_read_as_it_was(tmp_path: Path) -> None:
    """Of one target the file has the bytes that it had, without names; the digest of its data is the same."""
    preprocessing.write(tmp_path, FITTED)
    described = json.loads((tmp_path / preprocessing.PREPROCESSING).read_text())
    assert described["targets"] == {"shift": 0.0, "scale": 1.0}
    assert preprocessing.read(tmp_path).targets == ()
    several = FITTED._replace(
        classes=(), targets=("u", "v"), target_shift=np.array([0.1, 2.0]), target_scale=np.array([3.0, 1 / 3])
    )
    preprocessing.write(tmp_path, several)
    assert repr(preprocessing.read(tmp_path)) == repr(several)
    assert several.digest != several._replace(targets=()).digest
    described = json.loads((tmp_path / preprocessing.PREPROCESSING).read_text())
    described["targets"]["shift"] = [0.1]
    content = {key: value for key, value in described.items() if key != "sha256"}
    (tmp_path / preprocessing.PREPROCESSING).write_bytes(seal(content))
    with pytest.raises(RunError, match="2 targets, and units of shape"):
        preprocessing.read(tmp_path)
