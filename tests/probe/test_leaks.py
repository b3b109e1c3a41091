"""Features that give the target away, each alone: where the line lies, by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nnrun.preprocessing import FittedColumn
from nnrun.probe.finding import Finding
from nnrun.probe.leaks import _spread_within, _strangers, check_leaks
from nnrun.probe.sample import sample_of
from nnrun.types import Dataset

DatasetOf = Callable[..., Dataset]


def found(data: Dataset) -> Finding:
    return check_leaks(data, sample_of(data, "train", 5000))


def test_von_neumanns_ratio_by_hand(dataset_of: DatasetOf) -> None:
    """Along x the targets 0, 1, 2, ... go up by 1: n − 1 steps over 2 Σ (y − ȳ)² = n(n² − 1) / 6."""
    rng = np.random.default_rng(0)
    for count, verdict in ((30, "pass"), (40, "warn")):
        y = np.arange(float(count))
        x = np.stack([np.exp(-y / 10), rng.normal(size=count)], 1)
        made = found(dataset_of((x, y)))
        assert made.numbers["closest"] == pytest.approx((count - 1) / (count * (count**2 - 1) / 6))
        assert made.verdict == verdict, "the line lies at 0.005; 30 steps are 0.0064"
    assert made.evidence.startswith("input 0 alone gives away the target") and "leave it out" in made.remedy
    made = found(dataset_of((np.stack([y, -y], 1), y)))
    assert made.evidence.startswith("input 0, input 1: each alone gives away the target")
    assert (
        made.remedy == "would they be known when predictions are made? if not, leave them out (data.exclude)"
    )


def test_independent_targets_have_a_ratio_of_about_1(dataset_of: DatasetOf) -> None:
    rng = np.random.default_rng(0)
    made = found(dataset_of((rng.normal(size=(2000, 1)), 7 + 3 * rng.normal(size=2000))))
    assert made.verdict == "pass" and made.numbers["closest"] == pytest.approx(1, abs=0.1)


def test_labels_that_change_as_often_as_there_are_classes(dataset_of: DatasetOf) -> None:
    """Three classes in blocks of 100: 2 changes, and 2% of the 2/3 of chance beside them, so 5 of 299 are allowed."""
    y = np.repeat([2, 0, 1], 100).astype(np.int32)
    for flipped, changes, verdict in (([], 2, "warn"), ([50, 299], 5, "warn"), ([50, 70], 6, "pass")):
        labels = y.copy()
        labels[flipped] = (labels[flipped] + 2) % 3
        made = found(dataset_of((np.arange(300.0)[:, None], labels), classes="abc"))
        assert made.numbers["closest"] == pytest.approx(changes / 299)
        assert made.verdict == verdict
        assert f"in no order at {1 - sum(np.bincount(labels) ** 2) / 300**2:.1%}" in made.evidence


def test_a_value_that_all_share_decides_nothing(dataset_of: DatasetOf) -> None:
    """Examples of one value are in no order, whatever order the file has."""
    y = np.repeat([0, 1], 150).astype(np.int32)
    made = found(dataset_of((np.ones((300, 1)), y), classes="ab"))
    assert made.verdict == "pass" and made.numbers["closest"] == pytest.approx(0.5, abs=0.1)


def test_one_class_alone_is_given_away_by_nothing(dataset_of: DatasetOf) -> None:
    made = found(dataset_of((np.arange(60.0)[:, None], np.zeros(60, np.int32)), classes="ab"))
    assert made.verdict == "pass"


@pytest.mark.parametrize(("per_name", "verdict"), [(4, "pass"), (5, "warn")])
def test_a_name_needs_some_examples_to_tell(per_name: int, verdict: str, dataset_of: DatasetOf) -> None:
    """Sixty names whose labels alternate: along the sorted codes labels change at each name."""
    codes = np.repeat(np.arange(60.0), per_name)
    y = (codes % 2).astype(np.int32)
    made = found(dataset_of((codes[:, None], y), classes="ab"))
    assert made.verdict == verdict
    assert (made.numbers["closest"] == 0) is (
        verdict == "warn"
    )  # each has the label of the others of its name
    made = found(dataset_of((codes[:, None], 5.0 * (codes % 2))))
    assert made.verdict == verdict


def test_names_are_looked_at_as_one_feature(dataset_of: DatasetOf) -> None:
    """Four names of one column, two for each label; no single input of 0 or 1 decides it."""
    rng = np.random.default_rng(0)
    which = rng.integers(0, 4, 200)
    x = np.c_[rng.normal(size=200), np.eye(4)[which]]
    columns = [FittedColumn("a"), FittedColumn("code", ("k", "l", "m", "n"))]
    data = dataset_of((x, (which % 2).astype(np.int32)), classes="ab", columns=columns)
    assert found(data).evidence.startswith("code alone gives away")


def test_of_several_targets_any_one_given_away_is_a_leak(dataset_of: DatasetOf) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (200, 2))
    numbers = np.stack([rng.normal(size=200), x[:, 1] ** 3], 1)
    assert found(dataset_of((x, numbers))).evidence.startswith("input 1 alone")
    labels = np.stack([rng.random(200) < 0.5, x[:, 0] > 0], 1).astype(np.float32)
    made = found(dataset_of((x, labels), label_classes=[("no", "yes")] * 2))
    assert made.evidence.startswith("input 0 alone") and made.numbers["closest"] == pytest.approx(1 / 199)


@pytest.mark.parametrize(("count", "width"), [(29, 2), (40, 4097)])
def test_too_few_examples_or_too_many_inputs(count: int, width: int, dataset_of: DatasetOf) -> None:
    x = np.arange(count * width, dtype=float).reshape(count, width)
    assert found(dataset_of((x, x[:, 0]))).verdict == "skip"


def test_strangers_are_counted_among_the_others_of_a_value() -> None:
    """Against a plain loop over all examples."""
    rng = np.random.default_rng(0)
    feature, labels = rng.integers(0, 5, 60).astype(float), rng.integers(0, 3, 60)
    feature[-1], labels[-1] = 9.0, 0  # alone
    right = 0
    for i in range(59):
        others = [labels[j] for j in range(60) if j != i and feature[j] == feature[i]]
        right += max(range(3), key=others.count) == labels[i]
    assert _strangers(labels, feature) == pytest.approx(1 - right / 60)


def test_the_spread_within_values_is_their_unbiased_variance() -> None:
    """Of each value the sample variance times its examples; of one that is alone, all that it is off the mean."""
    rng = np.random.default_rng(0)
    feature, y = rng.integers(0, 6, 80).astype(float), rng.normal(size=80)
    feature[-1] = 9.0
    groups = [y[feature == value] for value in range(6)]
    within = sum(len(group) * np.var(group, ddof=1) for group in groups) + (y[-1] - y.mean()) ** 2
    shares = _spread_within(y, np.c_[feature, rng.normal(size=80), np.ones(80)])
    assert shares == pytest.approx([within / (80 * y.var()), 1, 1])
