"""Folds: each example validates once, in proportion, whole groups; statistics from what a fold trains on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from nnrun.data._folds import Fold, fold_of_rows
from nnrun.data._prepare import prepare
from nnrun.data._split import split_rows
from nnrun.data.csv import csv
from nnrun.errors import DataError
from nnrun.statistics.mean import mean_and_interval
from nnrun.types import Dataset, Examples, Source

LABELS = (np.arange(203) % 7 // 2).astype(np.int32)  # classes of different sizes


def numbered(labels: np.ndarray, test: Examples | None = None) -> Source:
    """Row i holds the number i."""
    classes = tuple(map(str, range(int(labels.max()) + 1))) if labels.dtype == np.int32 else ()
    return Source(
        Examples(np.arange(len(labels), dtype=np.float32)[:, None], labels), test, classes, "feature"
    )


def prepared(source: Source, number: int, folds: int = 5, split_seed: int = 1, **options: bool) -> Dataset:
    fold = Fold(number, folds)
    return prepare(source, validation=0.9, test=0.2, split_seed=split_seed, fold=fold, **options)


def parts(
    labels: np.ndarray, folds: int, repeat: int = 0, groups: np.ndarray | None = None
) -> list[np.ndarray]:
    """The rows that each fold of a partition validates with."""
    rows = np.arange(len(labels))
    divided = [
        fold_of_rows(rows, labels, Fold(repeat * folds + i + 1, folds), 3, groups) for i in range(folds)
    ]
    for val, train in divided:
        assert sorted([*val, *train]) == rows.tolist()
    return [val for val, _ in divided]


@given(st.lists(st.integers(0, 3), min_size=8, max_size=60), st.integers(2, 8), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_each_example_validates_once_and_classes_are_shared_out_to_within_one(
    labels: list[int], folds: int, repeat: int
) -> None:
    y = np.array(labels)
    vals = parts(y, folds, repeat)
    assert sorted(np.concatenate(vals)) == list(range(len(y)))
    sizes = [len(val) for val in vals]
    assert max(sizes) - min(sizes) <= 1
    for label in set(labels):
        counts = [int((y[val] == label).sum()) for val in vals]
        assert max(counts) - min(counts) <= 1


def test_sizes_and_shares_are_those_of_scikit_learn() -> None:
    x = np.zeros((len(LABELS), 1))
    plain = [len(val) for _, val in KFold(5).split(x)]
    assert sorted(len(val) for val in parts(np.zeros(len(LABELS), int), 5)) == sorted(plain)
    theirs = [np.bincount(LABELS[val]) for _, val in StratifiedKFold(5).split(x, LABELS)]
    ours = [np.bincount(LABELS[val]) for val in parts(LABELS, 5)]
    for label in range(4):
        assert sorted(c[label] for c in ours) == sorted(c[label] for c in theirs)


@given(
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 2)), min_size=30, max_size=80), st.integers(2, 4)
)
@settings(max_examples=60, deadline=None)
def test_groups_are_whole_and_no_fold_is_empty(pairs: list[tuple[int, int]], folds: int) -> None:
    groups, labels = np.array(pairs).T
    if len(set(groups)) < folds:
        return
    vals = parts(labels, folds, groups=groups)
    assert sorted(np.concatenate(vals)) == list(range(len(pairs)))
    assert all(len(val) for val in vals)
    of_fold = [set(groups[val]) for val in vals]
    assert sum(map(len, of_fold)) == len(set(groups))


def test_groups_fill_folds_as_evenly_as_scikit_learn_does() -> None:
    groups = np.repeat(np.arange(30), np.arange(30) % 6 + 1)
    labels = np.zeros(len(groups), int)
    theirs = [len(val) for _, val in GroupKFold(4).split(labels, groups=groups)]
    ours = [len(val) for val in parts(labels, 4, groups=groups)]
    assert max(ours) - min(ours) <= max(theirs) - min(theirs) + 1


def test_repeats_are_other_partitions_and_folds_of_a_seed_the_same() -> None:
    first, again, second = (parts(LABELS, 5, repeat) for repeat in (0, 0, 1))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert {frozenset(val) for val in first}.isdisjoint(frozenset(val) for val in second)


def test_the_test_part_is_that_without_folds_and_the_same_for_all() -> None:
    plain = prepare(numbered(LABELS), validation=0.1, test=0.2, split_seed=1)
    for number in (1, 2, 7):
        dataset = prepared(numbered(LABELS), number)
        assert dataset.fitted.parts["test"].chosen == plain.fitted.parts["test"].chosen
        assert (dataset.rows["test"] == plain.rows["test"]).all()
        assert not set(dataset.rows["val"]) & set(dataset.rows["train"])
        np.testing.assert_array_equal(dataset.val.x[:, 0], dataset.rows["val"])


def test_statistics_are_of_what_a_fold_trains_on() -> None:
    for number in (1, 4):
        dataset = prepared(numbered(LABELS), number)
        assert float(dataset.fitted.shift[0]) == pytest.approx(dataset.rows["train"].mean())
        assert float(dataset.fitted.scale[0]) == pytest.approx(dataset.rows["train"].std())


def test_targets_are_shared_out_tenth_by_tenth() -> None:
    targets = np.random.default_rng(0).exponential(size=250).astype(np.float32)
    tenths = np.empty(250, int)
    tenths[targets.argsort(kind="stable")] = np.arange(250) * 10 // 250
    for number in (1, 2, 3):
        val = prepared(numbered(targets), number, stratify=True).rows["val"]
        assert set(np.bincount(tenths[val], minlength=10)) <= {4}  # of 20 beside the test part, in five folds


def test_categories_and_fills_are_fitted_to_each_fold(tmp_path: Path) -> None:
    """One row alone has the name `odd` and the number 10,000: the fold that validates with it knows neither."""
    lines = [
        "n,c,y",
        *(f"{i % 9},{'ab'[i % 2]},{'yn'[i % 3 == 0]}" for i in range(79)),
        "10000,odd,y",
        ",a,n",
    ]
    file = tmp_path / "t.csv"
    file.write_text("\n".join(lines) + "\n")
    source = csv(str(file), "y", categorical=["c"], missing="mean", unknown="zeros")
    seen = []
    for number in range(1, 5):
        dataset = prepared(source, number, folds=4, split_seed=0)
        number_column, names = dataset.fitted.columns
        knows = 79 in dataset.rows["train"]
        seen.append(knows)
        assert ("odd" in (names.categories or ())) == knows
        assert isinstance(number_column.fill, float)
        assert (number_column.fill > 100) == knows
    assert seen.count(False) == 1


def table(folder: Path, options: dict[str, object], rows: int = 40) -> Source:
    file = folder / "t.csv"
    lines = (f"{i},g{i % 4},2024-01-{i % 28 + 1:02d},{'yn'[i % 2]}" for i in range(rows))
    file.write_text("\n".join(["a,g,day,y", *lines]) + "\n")
    return csv(str(file), "y", features=["a"], **options)  # type: ignore[arg-type]


def test_what_cannot_be_divided_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.time is set"):
        prepared(table(tmp_path, {"time": "day"}), 1)
    with pytest.raises(DataError, match=r"has 3 groups .* at most 3"):
        prepared(table(tmp_path, {"split_by": "g"}), 1)
    rare = np.array([0] * 90 + [1] * 4, np.int32)
    with pytest.raises(DataError, match="class '1' has 3 examples"):
        prepared(numbered(rare), 1)
    with pytest.raises(DataError, match=r"got 9, .* at most 8"):
        prepared(numbered(np.linspace(0, 1, 10, dtype=np.float32)), 1, folds=9)


def _accuracies(random: np.random.Generator, examples: int) -> np.ndarray:
    """Of five folds of 400 examples of two classes, each a nearest mean of `examples` of the rows that it may use."""
    labels = (np.arange(400) % 2).astype(np.int32)
    x = random.normal(size=(400, 6)) + np.where(labels[:, None] == 1, 0.4, -0.4)
    source = Source(Examples(x, labels), None, ("0", "1"), "none")
    accuracies = []
    for number in range(1, 6):
        train, val, _ = split_rows(source, 0.2, 0.0, 7, examples, fold=Fold(number, 5))
        rows, held = train[1], val[1]
        means = np.stack([x[rows][labels[rows] == label].mean(0) for label in (0, 1)])
        distances = ((x[held][:, None] - means) ** 2).sum(-1)
        accuracies.append((distances.argmin(1) == labels[held]).mean())
    return np.array(accuracies)


def test_the_interval_of_folds_that_train_on_few_examples_keeps_its_promise() -> None:
    """n_val/n_train of what the folds divide, 80/320; that of the 8 that are trained on, 80/8, is far too wide."""
    random = np.random.default_rng(3)
    samples = [_accuracies(random, 8) for _ in range(300)]
    truth = np.mean(samples)
    intervals = [mean_and_interval(sample.tolist(), ratio=1 / 4) for sample in samples]
    covered = np.mean([abs(mean - truth) <= (half or 0) for mean, half in intervals])
    assert 0.93 <= covered <= 0.995
    wide = np.mean([mean_and_interval(sample.tolist(), ratio=80 / 8)[1] or 0 for sample in samples])
    assert wide > 4 * np.mean([half or 0 for _, half in intervals])


def test_folds_draw_few_examples_each_for_itself() -> None:
    source = numbered(np.zeros(1000, np.float32) + np.arange(1000, dtype=np.float32))
    drawn = [{*split_rows(source, 0.2, 0.0, 1, 100, fold=Fold(n, 5))[0][1].tolist()} for n in (1, 2, 1)]
    assert drawn[0] == drawn[2]
    assert len(drawn[0]) == 100
    assert len(drawn[0] & drawn[1]) < 25  # of 800 each, 600 in common: 9.4 are expected, 75 of one order
