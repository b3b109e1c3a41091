"""data.sampling: balanced, epochs that draw every class equally often."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from nnrun.errors import SpecError
from nnrun.training.feed import make_feed
from nnrun.training.order import PADDING, Classes, positions
from nnrun.training.reader import Reader

LABELS = np.random.default_rng(0).permutation([0] * 700 + [2] * 250 + [3] * 49)  # no example of 1; 999 in all


def epochs(count: int, labels: np.ndarray = LABELS) -> np.ndarray:
    steps = -(-len(labels) // 64)
    rows = positions(5, len(labels), 64, 0, count * steps, classes=Classes(labels)).reshape(count, -1)
    assert ((rows == PADDING).sum(1) == steps * 64 - len(labels)).all()
    return rows


def test_every_class_is_drawn_equally_often():
    for epoch in epochs(4):
        assert Counter(LABELS[epoch[epoch != PADDING]]) == {0: 333, 2: 333, 3: 333}


def test_what_is_left_over_goes_around():
    """1,000 draws of 3 classes: 334 of one of them, another one in each epoch."""
    labels = np.append(LABELS, 0)
    counts = [Counter(labels[epoch[epoch != PADDING]]) for epoch in epochs(3, labels)]
    assert all(sorted(count.values()) == [333, 333, 334] for count in counts)
    assert {max(count, key=count.__getitem__) for count in counts} == {0, 2, 3}


def test_a_rare_example_is_drawn_several_times_a_frequent_one_at_most_once():
    for epoch in epochs(3):
        times = Counter(epoch[epoch != PADDING].tolist())
        assert {times[i] for i in np.flatnonzero(LABELS == 0)} == {0, 1}
        assert {times[i] for i in np.flatnonzero(LABELS == 2)} == {1, 2}
        assert {times[i] for i in np.flatnonzero(LABELS == 3)} == {6, 7}


def test_all_examples_of_a_class_are_drawn_equally_often_in_the_long_run():
    """Binomial(400, 333/700): mean 190, deviation 10; the order within an epoch is mixed."""
    rows = epochs(400)
    times = np.bincount(rows[rows != PADDING], minlength=len(LABELS))[LABELS == 0]
    assert times.mean() == pytest.approx(400 * 333 / 700)
    assert 8 < times.std() < 12
    first_half = LABELS[rows[:, :500]]
    assert np.abs((first_half == 3).mean() - 1 / 3) < 0.01


def test_pieces_are_the_whole():
    rows = epochs(3).reshape(-1, 64)
    again = positions(5, len(LABELS), 64, 13, 22, classes=Classes(LABELS))
    np.testing.assert_array_equal(again, rows[13:35])


def test_a_run_reads_its_own_draws(experiment):
    plan = experiment("mlp", "data.sampling=balanced", "train.seeds=2").plan
    dataset = experiment("mlp").dataset
    read = Reader(make_feed(dataset.train), plan, 13).batches(0, 13).positions
    for lane, seed in zip(read, plan.seeds, strict=True):
        expected = positions(seed, len(dataset.train.y), 100, 0, 13, classes=Classes(dataset.train.y))
        np.testing.assert_array_equal(lane, expected)


def test_weights_of_examples_leave_the_draws_as_they_are(experiment):
    plan, train = experiment("mlp", "data.sampling=balanced").plan, experiment("mlp").dataset.train
    weights = np.linspace(0.5, 2, len(train.y), dtype=np.float32)
    drawn, weighted = (
        Reader(make_feed(train, w), plan, 13).batches(0, 13).positions for w in (None, weights)
    )
    np.testing.assert_array_equal(weighted, drawn)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            ["data.bootstrap=true"],
            "balanced and data.bootstrap both say what an epoch draws; leave one of them out",
        ),
        (
            ["data.name=diabetes", "loss=squared_error"],
            "balanced draws every class equally often, and squared_error predicts numbers",
        ),
        (
            ["data.batch_size=full", "model.dropout=0", "optimizer=lbfgs", "schedule=constant"],
            "the function under it is not one: data.sampling: balanced; weigh classes instead",
        ),
    ],
)
def test_where_it_has_no_meaning_it_is_refused(changes: list[str], message: str, experiment):
    with pytest.raises(SpecError, match=message):
        experiment("mlp", "data.sampling=balanced", *changes)
