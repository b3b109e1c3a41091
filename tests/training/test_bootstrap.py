"""Bootstrap samples: drawn with replacement, one for each seed, the same in every epoch; ends of cycles."""

from __future__ import annotations

import numpy as np
import pytest

from nnrun.errors import SpecError
from nnrun.schedule.cosine_restarts import cosine_restarts
from nnrun.training.feed import make_feed
from nnrun.training.order import PADDING, positions, sample
from nnrun.training.reader import Reader


def test_every_epoch_visits_the_sample_of_the_seed_in_a_new_order():
    rows = positions(3, 1000, 64, 0, 3 * 16, bootstrap=True).reshape(3, -1)
    drawn = np.sort(sample(3, 1000))
    for epoch in rows:
        np.testing.assert_array_equal(np.sort(epoch[epoch != PADDING]), drawn)
    assert not np.array_equal(rows[0], rows[1])
    np.testing.assert_array_equal(positions(3, 1000, 64, 21, 9, bootstrap=True), rows.reshape(-1, 64)[21:30])


def test_samples_are_drawn_with_replacement():
    """Of n draws from n, 1 − 1/e of the examples are there, and each is there once on average."""
    samples = [sample(seed, 20_000) for seed in range(4)]
    for one in samples:
        assert one.min() >= 0 and one.max() < 20_000
        assert len(np.unique(one)) / 20_000 == pytest.approx(1 - np.exp(-1), abs=0.01)
        assert one.mean() == pytest.approx(10_000, rel=0.02)
    assert not np.array_equal(samples[0], samples[1])
    together = np.intersect1d(samples[0], samples[1])
    assert len(together) / 20_000 == pytest.approx((1 - np.exp(-1)) ** 2, abs=0.01)  # independent


def test_each_seed_of_a_population_trains_on_its_own_sample(experiment):
    one = experiment("mlp", "data.bootstrap=true", "train.seeds=2")
    assert one.plan.sampling == "bootstrap"
    found = Reader(make_feed(one.dataset.train), one.plan, 13).batches(0, 13).positions
    for lane, seed in zip(found, one.plan.seeds, strict=True):
        np.testing.assert_array_equal(lane, positions(seed, len(one.dataset.train.y), 100, 0, 13, True))
        assert set(lane[lane != PADDING]) <= set(sample(seed, len(one.dataset.train.y)))
    plain = experiment("mlp")
    assert (
        plain.dataset.fitted.digest == one.dataset.fitted.digest
    )  # the members of a bagged ensemble share their data


def test_the_ends_of_cycles():
    assert cosine_restarts(50, 10).ends == (10, 20, 30, 40, 50)
    assert cosine_restarts(75, 10, growth=2).ends == (10, 30, 70)  # the cycle of 80 steps is cut off
    assert cosine_restarts(9, 10).ends == ()


def test_the_ends_of_cycles_are_kept(experiment):
    """13 steps an epoch; the warm-up comes before the first cycle."""
    cycles = "schedule={name: cosine_restarts, period: 1 epochs}"
    assert experiment("mlp", cycles, "checkpoint.keep=cycle_ends").plan.kept == (13, 26, 39)
    later = "schedule={name: cosine_restarts, period: 1 epochs, warmup: 3 steps}"
    assert experiment("mlp", later, "checkpoint.keep=cycle_ends").plan.kept == (16, 29)
    assert experiment("mlp", cycles).plan.kept == ()
    with pytest.raises(
        SpecError, match=r"checkpoint.keep: cosine has no cycles; write schedule: \{name: cosine_re"
    ):
        experiment("mlp", "checkpoint.keep=cycle_ends")
    with pytest.raises(SpecError, match=r"checkpoint\.keep"):
        experiment("mlp", "checkpoint.keep=cycles")
