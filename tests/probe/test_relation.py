"""Whether inputs say anything about targets: kappa and rank correlation by hand, and data in and out of order."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from nnrun.probe import relation
from nnrun.probe.relation import agreement, check_relation
from nnrun.probe.sample import sample_of
from nnrun.types import Dataset

DatasetOf = Callable[..., Dataset]


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for what these data say."""
    monkeypatch.setattr(relation, "_TREES", 12)


@pytest.mark.parametrize("kinds", [(2, 2), (3, 3), (5, 3), (2, 6)])
def test_kappa_is_that_of_scikit_learn_whatever_either_side_uses(kinds: tuple[int, int]) -> None:
    rng = np.random.default_rng(kinds)
    a, b = rng.integers(0, kinds[0], 90), rng.integers(0, kinds[1], 90)
    b[:40] = a[:40]
    assert agreement(a, b, True).size == pytest.approx(cohen_kappa_score(a, b))
    assert agreement(a.astype(float), b, True) == agreement(a, b, True)  # of several labels they are floats


def test_the_chance_of_kappa_has_the_variance_of_all_orders() -> None:
    """Fleiss' variance, of independent draws, is that over all 5040 orders but for the factor n / (n − 1)."""
    a, b = np.array([0, 0, 0, 1, 1, 2, 2]), np.array([0, 0, 1, 1, 2, 2, 2])
    shares = [np.mean(a[list(order)] == b) for order in itertools.permutations(range(7))]
    z = (np.mean(a == b) - np.mean(shares)) / (np.std(shares) * np.sqrt(6 / 7))
    assert agreement(a, b, True).chance == pytest.approx(stats.norm.sf(z), rel=0.15)
    assert agreement(b, a, True) == agreement(a, b, True)


@pytest.mark.parametrize(
    ("predictions", "targets"),
    [([1, 1, 1, 1], [1, 1, 1, 1]), ([0, 0, 0, 0], [0, 0, 0, 0])],
)
def test_one_class_on_both_sides_says_nothing(predictions: list[int], targets: list[int]) -> None:
    assert agreement(np.array(predictions), np.array(targets), True) == (0.0, 1.0)


def test_numbers_agree_as_their_ranks_do_in_one_direction() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=50)
    b = np.exp(a) + rng.normal(size=50)
    ours, theirs = agreement(a, b, False), stats.spearmanr(a, b)
    assert ours.size == pytest.approx(theirs.statistic)
    assert ours.chance == pytest.approx(theirs.pvalue / 2)  # of two sides
    assert agreement(-a, b, False).chance > 0.99


@pytest.mark.parametrize("constant", ["predictions", "targets"])
def test_a_constant_has_no_ranks(constant: str) -> None:
    moving, still = np.arange(40.0), np.full(40, 2.5)
    pair = (still, moving) if constant == "predictions" else (moving, still)
    assert agreement(*pair, False) == (0.0, 1.0)


def test_of_several_targets_the_best_counts_and_pays_for_being_chosen() -> None:
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(40, 3))
    predictions = np.stack([rng.normal(size=40), targets[:, 1] + rng.normal(size=40), np.zeros(40)], 1)
    alone = agreement(predictions[:, 1], targets[:, 1], False)
    assert agreement(predictions, targets, False) == pytest.approx((alone.size, 3 * alone.chance))
    assert agreement(np.zeros((40, 2)), targets[:, :2], False) == (0.0, 1.0)  # not 2


def classes_of(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Three features, of which the first decides between three classes, with some noise."""
    x = rng.normal(size=(count, 3))
    y = np.digitize(x[:, 0] + 0.3 * rng.normal(size=count), [-0.5, 0.5]).astype(np.int32)
    return x, y


def shuffled(pair: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return pair[0], np.random.default_rng(1).permutation(pair[1])


def numbers_of(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(size=(count, 3))
    return x, x[:, 0] ** 2 + 0.1 * rng.normal(size=count)


@pytest.mark.parametrize(
    ("count", "is_shuffled", "verdict"),
    [
        (29, False, "skip"),
        (30, False, "pass"),
        (199, True, "warn"),
        (200, True, "fail"),
        (200, False, "pass"),
    ],
)
@pytest.mark.parametrize("kind", [classes_of, numbers_of])
def test_shuffled_targets(
    kind: Callable[..., tuple[np.ndarray, np.ndarray]], count: int, is_shuffled: bool, verdict: str,
    dataset_of: DatasetOf,
) -> None:  # fmt: skip
    """Of few examples it is no wonder that they say nothing; of fewer than thirty nothing can be said."""
    pair = kind(np.random.default_rng(0), count)
    data = dataset_of(shuffled(pair) if is_shuffled else pair, classes="abc" if kind is classes_of else ())
    made = check_relation(data, sample_of(data, "train", 2000))
    assert made.verdict == verdict, made
    assert (made.remedy != "") is (verdict in ("warn", "fail"))
    assert ("kappa" in made.evidence) is (kind is classes_of and verdict != "skip")


def test_targets_that_are_all_alike_cannot_be_judged(dataset_of: DatasetOf) -> None:
    x, _ = classes_of(np.random.default_rng(0), 60)
    data = dataset_of((x, np.zeros(60, np.int32)), classes="ab")
    assert check_relation(data, sample_of(data, "train", 2000)).verdict == "skip"


@pytest.mark.parametrize("part", ["val", "test"])
@pytest.mark.parametrize("kind", [classes_of, numbers_of])
def test_a_part_in_another_order_is_named(
    kind: Callable[..., tuple[np.ndarray, np.ndarray]], part: str, dataset_of: DatasetOf
) -> None:
    rng = np.random.default_rng(0)
    train, healthy, sorted_apart = kind(rng, 300), kind(rng, 120), shuffled(kind(rng, 120))
    parts = {"val": healthy, "test": healthy, part: sorted_apart}
    data = dataset_of(train, **parts, classes="abc" if kind is classes_of else ())
    made = check_relation(data, sample_of(data, "train", 2000))
    assert made.verdict == "fail" and f"targets of the {part} part" in made.remedy
    in_order = dataset_of(train, healthy, healthy, classes="abc" if kind is classes_of else ())
    made = check_relation(in_order, sample_of(in_order, "train", 2000))
    assert made.verdict == "pass" and made.numbers["val"] == made.numbers["test"]
    assert made.numbers["val"] == pytest.approx(made.numbers["train"], abs=0.15)


def test_parts_that_are_too_small_or_nearly_of_one_class_are_not_judged(dataset_of: DatasetOf) -> None:
    rng = np.random.default_rng(0)
    small = shuffled(classes_of(rng, 29))
    x, _ = classes_of(rng, 100)
    one_sided = x, np.r_[np.ones(9), np.zeros(91)].astype(np.int32)
    data = dataset_of(classes_of(rng, 300), small, one_sided, classes="abc")
    made = check_relation(data, sample_of(data, "train", 2000))
    assert made.verdict == "pass" and set(made.numbers) == {"train", "chance"}
    enough = x, np.r_[np.ones(10), np.zeros(90)].astype(np.int32)
    data = dataset_of(classes_of(rng, 300), None, enough, classes="abc")
    assert "test" in check_relation(data, sample_of(data, "train", 2000)).numbers


def test_several_labels_and_several_targets(dataset_of: DatasetOf) -> None:
    """It is enough that one of them can be told; a target that never varies in a part says nothing of it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    told = x[:, 0] > 0
    labels = np.stack([told, rng.random(300) < 0.5], 1).astype(np.float32)
    data = dataset_of((x, labels), (x[:60], labels[:60]), label_classes=[("no", "yes")] * 2)
    made = check_relation(data, sample_of(data, "train", 2000))
    assert made.verdict == "pass" and made.numbers["train"] > 0.8
    blind = np.stack([rng.permutation(told), rng.random(300) < 0.5], 1).astype(np.float32)
    data = dataset_of((x, blind), label_classes=[("no", "yes")] * 2)
    assert check_relation(data, sample_of(data, "train", 2000)).verdict == "fail"
    numbers = np.stack([x[:, 0] ** 2, rng.normal(size=300)], 1)
    still = np.stack([numbers[:60, 0], np.full(60, 1.5)], 1)
    data = dataset_of((x, numbers), (x[:60], still))
    made = check_relation(data, sample_of(data, "train", 2000))
    assert made.verdict == "pass" and made.numbers["val"] > 0.8


def test_images_are_reduced_to_their_main_components(dataset_of: DatasetOf) -> None:
    """Two patterns under noise in 12 × 12 pixels."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 80).astype(np.int32)
    patterns = rng.normal(size=(2, 12, 12, 1))
    x = patterns[y] + 0.5 * rng.normal(size=(80, 12, 12, 1))
    data = dataset_of((x, y), (x[:40], y[:40]), classes="ab")
    made = check_relation(data, sample_of(data, "train", 2000))
    assert made.verdict == "pass" and made.numbers["train"] > 0.7
