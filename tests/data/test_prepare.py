"""Splits: pure, disjoint, complete, in proportion; standardisation from the training part alone."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnrun.data._prepare import prepare
from nnrun.errors import DataError
from nnrun.preprocessing import FittedColumn, Part
from nnrun.types import Dataset, Examples, Source


def numbered(labels: np.ndarray, test: Examples | None = None) -> Source:
    """Row i holds the number i, so that rows can be told apart."""
    x = np.arange(len(labels), dtype=np.float32)[:, None]
    classes = tuple(map(str, range(int(labels.max()) + 1))) if labels.dtype == np.int32 else ()
    return Source(Examples(x, labels), test, classes, "feature")


LABELS = (np.arange(200) % 7 // 2).astype(np.int32)  # classes of different sizes
TARGETS = np.linspace(-3, 40, 200).astype(np.float32)


def rows(dataset: Dataset) -> list[list[float]]:
    return [part.x[:, 0].tolist() for part in (dataset.train, dataset.val, dataset.test)]


@pytest.mark.parametrize("y", [LABELS, TARGETS], ids=["labels", "targets"])
def test_parts_are_disjoint_complete_and_sized(y: np.ndarray):
    source = numbered(y)
    dataset = prepare(source, validation=0.1, test=0.25, split_seed=3)
    parts = rows(dataset)
    assert [len(part) for part in parts] == [130, 20, 50]
    assert sorted(row for part in parts for row in part) == list(range(200))
    for part in (dataset.train, dataset.val, dataset.test):
        stored = part.y * dataset.fitted.target_scale + dataset.fitted.target_shift
        np.testing.assert_allclose(stored, y[part.x[:, 0].astype(int)], rtol=1e-6, atol=1e-5)
        assert (np.diff(part.x[:, 0]) > 0).all()  # in the order of the source


@pytest.mark.parametrize("y", [LABELS, TARGETS], ids=["labels", "targets"])
def test_the_split_is_a_function_of_the_seed(y: np.ndarray):
    first, again, other = (
        prepare(numbered(y), validation=0.1, test=0.25, split_seed=seed) for seed in (3, 3, 4)
    )
    assert rows(first) == rows(again)
    assert first.fitted.digest == again.fitted.digest
    assert all(one != two for one, two in zip(rows(first), rows(other), strict=True))
    assert first.fitted.digest != other.fitted.digest


def philox(key: int, count: int) -> list[int]:
    """Philox-4x64-10 with counters 1, 2, ...: Salmon, Moraes, Dror & Shaw 2011, in plain integers."""
    mask, out = 2**64 - 1, []
    for counter in range(1, -(-count // 4) + 1):
        c0, c1, c2, c3, k0, k1 = counter, 0, 0, 0, key & mask, key >> 64
        for _ in range(10):
            high0, low0 = divmod(0xD2E7470EE14C6C93 * c0, 2**64)
            high1, low1 = divmod(0xCA5A826395121157 * c2, 2**64)
            c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
            k0, k1 = (k0 + 0x9E3779B97F4A7C15) & mask, (k1 + 0xBB67AE8584CAA73B) & mask
        out += [c0, c1, c2, c3]
    return out[:count]


@pytest.mark.parametrize("seed", [0, 7, 2**64 - 1])
def test_the_order_is_that_of_philox_as_published(seed: int):
    numbers = philox(seed, 202)
    dataset = prepare(numbered(np.resize(TARGETS, 202)), validation=0, test=0.5, split_seed=seed)
    assert rows(dataset)[2] == sorted(sorted(range(202), key=numbers.__getitem__)[:101])


def test_the_split_never_changes():
    dataset = prepare(numbered(LABELS[:20]), validation=0.2, test=0.2, split_seed=0)
    assert rows(dataset)[1:] == [[1, 5, 8, 17], [0, 2, 11, 13]]


def test_the_test_part_does_not_depend_on_the_validation_fraction():
    few, many = (prepare(numbered(LABELS), validation=v, test=0.25, split_seed=0) for v in (0.0, 0.5))
    assert rows(few)[2] == rows(many)[2]
    assert rows(few)[1] == []
    assert few.val.x.shape == (0, 1)


@settings(max_examples=150, deadline=None)
@given(
    counts=st.lists(st.integers(2, 60), min_size=2, max_size=8),
    test=st.floats(0.05, 0.5),
    validation=st.floats(0.05, 0.45),
    seed=st.integers(0, 2**64 - 1),
)
def test_every_part_has_its_share_of_every_class(
    counts: list[int], test: float, validation: float, seed: int
):
    y = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    sizes = (round(len(y) * test), round(len(y) * validation))
    if not all(sizes) or len(y) - sum(sizes) < len(counts):  # one class alone is not trained on
        return
    dataset = prepare(numbered(y), validation=validation, test=test, split_seed=seed)
    held = np.bincount(dataset.test.y, minlength=len(counts))
    assert held.sum() == sizes[0]
    assert (abs(held - np.array(counts) * sizes[0] / len(y)) <= 1 + 1e-9).all()
    val = np.bincount(dataset.val.y, minlength=len(counts))
    assert val.sum() == sizes[1]
    assert (abs(val - (counts - held) * sizes[1] / (len(y) - sizes[0])) <= 1 + 1e-9).all()


def test_a_rare_class_stays_in_the_training_part():
    y = np.array([0] * 30 + [1] * 30 + [2], np.int32)
    for seed in range(20):
        dataset = prepare(numbered(y), validation=0.3, test=0.3, split_seed=seed)
        assert 2 in dataset.train.y


@pytest.mark.parametrize("examples", [4, 61, 129, 130])
def test_a_part_of_the_training_part_keeps_every_class_in_proportion(examples: int):
    whole, part = (
        prepare(numbered(LABELS), validation=0.1, test=0.25, split_seed=3, examples=n)
        for n in (None, examples)
    )
    assert rows(part)[1:] == rows(whole)[1:]
    assert len(part.train.y) == examples
    assert set(rows(part)[0]) <= set(rows(whole)[0])
    assert (np.diff(part.train.x[:, 0]) > 0).all()
    np.testing.assert_array_equal(part.train.y, LABELS[part.train.x[:, 0].astype(int)])
    counts = np.bincount(part.train.y, minlength=4)
    assert (counts > 0).all()
    assert (abs(counts - np.bincount(whole.train.y) * examples / 130) <= 1).all()
    np.testing.assert_allclose(part.shift, part.train.x.mean(axis=0, dtype=np.float64), rtol=1e-6)


def test_which_examples_are_trained_on_is_a_function_of_the_seed():
    def taken(seed: int) -> set[float]:
        return set(rows(prepare(numbered(TARGETS), validation=0, test=0.5, split_seed=seed, examples=20))[0])

    assert taken(1) == taken(1)
    assert taken(1) != taken(2)


def test_a_rare_class_is_kept_among_few_examples():
    y = np.array([0] * 60 + [1] * 60 + [2] * 2, np.int32)
    for seed in range(10):
        dataset = prepare(numbered(y), validation=0, test=0.2, split_seed=seed, examples=6)
        assert set(dataset.train.y.tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (131, r"131 are wanted, the training part holds 130; write at most 130"),
        (3, "3 are too few; .* least 4"),
    ],
)
def test_examples_that_cannot_be_had_are_refused(examples: int, message: str):
    with pytest.raises(DataError, match=f"data.examples: {message}"):
        prepare(numbered(LABELS), validation=0.1, test=0.25, split_seed=3, examples=examples)


def test_a_test_part_of_its_own_is_kept_whole():
    own = Examples(np.full((5, 1), 1e6, np.float32), np.zeros(5, np.int32))
    dataset = prepare(numbered(LABELS, own), validation=0.1, test=0.9, split_seed=0)
    assert dataset.test is own
    assert [len(part) for part in rows(dataset)] == [180, 20, 5]


def test_without_anything_to_cut_nothing_is_copied():
    source = numbered(LABELS, Examples(np.zeros((1, 1), np.float32), np.zeros(1, np.int32)))
    assert prepare(source, validation=0, test=0, split_seed=0).train is source.train


def test_standardisation_comes_from_the_training_part_only():
    source = numbered(TARGETS)
    before = prepare(source, validation=0.2, test=0.2, split_seed=5)
    x, y = (array.copy() for array in source.train)
    held_out = np.concatenate([before.val.x, before.test.x])[:, 0].astype(int)
    x[held_out], y[held_out] = 1e9, -1e9
    after = prepare(source._replace(train=Examples(x, y)), validation=0.2, test=0.2, split_seed=5)
    for name in ("shift", "scale", "target_shift", "target_scale"):
        np.testing.assert_array_equal(getattr(before.fitted, name), getattr(after.fitted, name))
    assert before.fitted.digest != after.fitted.digest
    np.testing.assert_allclose(before.shift, before.train.x.mean(axis=0, dtype=np.float64), rtol=1e-6)
    assert before.fitted.target_shift == pytest.approx(before.targets["train"].mean(), rel=1e-6)
    assert before.fitted.target_scale == pytest.approx(before.targets["train"].std(), rel=1e-6)


def test_labels_are_not_standardised():
    dataset = prepare(numbered(LABELS), validation=0.1, test=0.1, split_seed=0)
    assert (dataset.fitted.target_shift, dataset.fitted.target_scale) == (0.0, 1.0)


def test_the_digest_of_a_part_is_of_type_shape_and_bytes():
    dataset = prepare(numbered(LABELS), validation=0.1, test=0.1, split_seed=0)
    for name, part in (("train", dataset.train), ("val", dataset.val), ("test", dataset.test)):
        content = b"".join(f"{array.dtype.str}{array.shape}".encode() + array.tobytes() for array in part)
        described = dataset.fitted.parts[name]
        assert described[:2] == (len(part.y), hashlib.sha256(content).hexdigest())


def test_another_split_has_other_examples_also_where_the_targets_are_alike():
    """Labels are split class by class and stand in the order of the source: on sorted labels all splits look alike."""
    labels = np.repeat(np.arange(4, dtype=np.int32), 10)
    first, again, other = (
        prepare(numbered(labels), validation=0.1, test=0.1, split_seed=seed).fitted.parts["test"]
        for seed in (0, 0, 1)
    )
    assert first == again and first.chosen != other.chosen


def test_the_digest_of_the_data_is_of_all_parts_and_names():
    fitted = prepare(numbered(LABELS), validation=0.1, test=0.1, split_seed=0).fitted
    others = [
        fitted._replace(classes=("0", "1", "2", "x")),
        fitted._replace(columns=(FittedColumn("a"),)),
        fitted._replace(columns=(FittedColumn("a", ("b", "c")),)),
        *(fitted._replace(parts={**fitted.parts, name: Part(1, "0", "0")}) for name in fitted.parts),
    ]
    assert len({fitted.digest, *(other.digest for other in others)}) == 7
    assert fitted._replace(scale=fitted.scale * 2).digest == fitted.digest


@pytest.mark.parametrize(
    ("validation", "test", "message"),
    [
        (0.1, 0.001, "180 for training, 20 for validation and 0 for testing"),
        (0.001, 0.1, "180 for training, 0 for validation and 20 for testing"),
        (0.5, 0.5, "0 for training, 100 for validation and 100 for testing"),
        (0.9, 0.9, "0 for training"),
    ],
)
def test_an_empty_part_is_refused_with_counts_and_remedy(validation: float, test: float, message: str):
    with pytest.raises(DataError, match=f"data: 200 examples would be split into {message}.*; change data"):
        prepare(numbered(LABELS), validation=validation, test=test, split_seed=0)


def test_an_unsound_source_is_refused():
    with pytest.raises(DataError, match="200 inputs but 199 targets"):
        source = numbered(LABELS)
        prepare(
            source._replace(train=source.train._replace(y=LABELS[:-1])), validation=0, test=0.1, split_seed=0
        )
