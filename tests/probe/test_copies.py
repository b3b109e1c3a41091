"""Inputs that are there more than once, counted by hand: between the parts, and under two labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nnrun.preprocessing import FittedColumn
from nnrun.probe import copies
from nnrun.probe.copies import _pairs_by_chance, check_conflicts, check_duplicates, digests_of
from nnrun.probe.finding import Finding
from nnrun.probe.sample import sample_of
from nnrun.types import Dataset

DatasetOf = Callable[..., Dataset]


def letters(text: str) -> list[bytes]:
    return [letter.encode() for letter in text]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Finding]:
    """found(by_chance, train=, val=, test=): the finding on these digests, where chance makes so many equal pairs."""

    def check(by_chance: float, **digests: list[bytes]) -> Finding:
        monkeypatch.setattr(copies, "_pairs_by_chance", lambda dataset, sample, total: by_chance)
        nothing: Any = None
        return check_duplicates(nothing, nothing, {"train": [], "val": [], "test": [], **digests})

    return check


def test_digests_tell_inputs_apart_to_the_last_bit(dataset_of: DatasetOf) -> None:
    x = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, np.nextafter(2.0, 3.0)], [2.0, 1.0]])
    made = digests_of(dataset_of((x, np.zeros(4)), (x[2:3], np.zeros(1))))
    assert made["train"][0] == made["train"][1]
    assert len(set(made["train"])) == 3
    assert made["val"] == made["train"][2:3] and made["test"] == []
    assert digests_of(dataset_of((np.asfortranarray(x), np.zeros(4))))["train"] == made["train"]


def test_large_parts_are_read_in_pieces(dataset_of: DatasetOf, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(50, 4))
    whole = digests_of(dataset_of((x, np.zeros(50))))["train"]
    for size in (1, 32, 33, 200):  # bytes; an example has 32
        monkeypatch.setattr("nnrun.probe.sample._PIECE", size)
        assert digests_of(dataset_of((x, np.zeros(50))))["train"] == whole
    assert len(set(whole)) == 50


@pytest.mark.parametrize(
    ("train", "val", "verdict", "within"),
    [
        ("abcdefghij", "klmnopqrst", "pass", 0.0),
        ("abcdefghij", "abcopqrstu", "fail", 0.0),  # three of ten
        ("abcdefghij", "abmnopqrst", "pass", 0.0),  # two may be an accident
        ("aabbccddee", "abcdeabcde", "pass", 1.0),  # few values: all of training is there twice
        ("aabcdefghi", "aaaaaaaaaa", "fail", 0.2),  # all, where chance gives two
        ("aabbcdefgh", "abcmnopqrs", "pass", 0.4),  # three, where chance gives four
        ("aabbcdefgh", "abcdefghno", "pass", 0.4),  # eight of ten: 0.4 + 3 √(0.4 · 0.6 / 10) = 0.86
        ("aabbcdefgh", "abcdefghan", "fail", 0.4),  # nine of ten are more than that
        ("aaabcdefgh", "", "pass", 0.3),
    ],
)
def test_duplicates_beyond_those_of_chance(
    train: str, val: str, verdict: str, within: float, found: Callable[..., Finding]
) -> None:
    made = found(math.inf, train=letters(train), val=letters(val))
    assert made.verdict == verdict
    assert made.numbers["within_train"] == pytest.approx(within)
    assert made.numbers.get("val_in_train") == (sum(letter in train for letter in val) if val else None)
    shared = sum(letter in train for letter in val)
    share = f" ({10 * shared}.0%)" if shared else ""
    repeated = sum(train.count(letter) > 1 for letter in train)
    held_out = f"{shared} of 10 val inputs{share} are training inputs too" if val else "no part is held out"
    training = f"; {repeated} of 10 training inputs ({10 * repeated}.0%) are there more than once"
    assert made.evidence == held_out + (training if repeated else "")
    assert (made.remedy != "") is (verdict == "fail")


@pytest.mark.parametrize(
    ("train", "val", "pairs"),
    [
        ("aabbccddee", "abcdeabcde", 5 * 6),  # each letter four times
        ("aabbcdefgh", "abcmnopqrs", 3 + 3 + 1),  # a and b three times, c twice
        ("aabbcdefgh", "abmnopqrst", 0),  # two inputs are not worth a word
    ],
)
def test_copies_that_all_parts_have_alike_and_chance_does_not_make(
    train: str, val: str, pairs: int, found: Callable[..., Finding]
) -> None:
    """It is said where there are more pairs of equal inputs than chance makes of such values."""
    for by_chance, verdict in ((pairs - 1, "warn" if pairs else "pass"), (pairs, "pass")):
        made = found(by_chance, train=letters(train), val=letters(val))
        assert made.verdict == verdict and (made.remedy != "") is (verdict == "warn")
        assert ("do not repeat by chance" in made.evidence) is (verdict == "warn")
        assert "about as many" not in made.evidence  # it has the figures


def test_few_duplicates_of_many_are_no_fault(found: Callable[..., Finding]) -> None:
    """A hundredth may be chance, more is a fault; either part can have it."""
    train = [str(i).encode() for i in range(1000)]
    others = [str(i).encode() for i in range(2000, 3000)]
    for count, verdict in ((10, "pass"), (11, "fail")):
        held = train[:count] + others[count:]
        for part, rest in [("val", "test"), ("test", "val")]:
            made = found(math.inf, **{"train": train, part: held, rest: others[:500]})
            assert made.verdict == verdict and made.numbers[f"{part}_in_train"] == count


def test_half_as_many_more_than_chance_gives_are_still_chance(found: Callable[..., Finding]) -> None:
    """A fifth of training is there twice; of a thousand inputs a quarter is, far beyond a binomial count."""
    train = [str(i).encode() for i in [*range(9000), *range(1000)]]
    for count, verdict in ((299, "pass"), (301, "fail")):
        held = train[:count] + [str(-i).encode() for i in range(1, 1001 - count)]
        assert found(math.inf, train=train, val=held).verdict == verdict


def conflicting(dataset_of: DatasetOf, **more: object) -> Dataset:
    """The input 3 is an a twice and a b once, in all parts; 7 is a c twice, which is no conflict."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 2)), np.zeros(20, np.int32)
    x[[5, 9]], y[[5, 9]] = 7.0, 2
    x[12], y[12] = 3.0, 0
    val, test = (
        (np.array([[3.0, 3.0]]), np.array([1], np.int32)),
        (np.full((1, 2), 3.0), np.zeros(1, np.int32)),
    )
    return dataset_of((x, y), val, test, classes=["a", "b", "c"], **more)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "train example 12: a and val example 0: b"),
        (
            {"rows": {"train": np.arange(100, 120), "val": np.array([7])}},
            "row 112 (train): a and row 7 (val): b",
        ),
        ({"files": {"train": [f"{i}.png" for i in range(20)]}}, "12.png: a and val example 0: b"),
    ],
)
def test_an_input_under_two_labels_is_named(more: dict, words: str, dataset_of: DatasetOf) -> None:
    """Three of 22 examples share an input; a model that says a of it is wrong once."""
    data = conflicting(dataset_of, **more)
    made = check_conflicts(data, sample_of(data, "train", 100), digests_of(data))
    assert made.verdict == "warn"
    assert made.evidence.startswith(f"1 input with more than one label, such as {words}; ")
    assert made.numbers == {"inputs": 1, "examples": 3, "best_accuracy": pytest.approx(21 / 22)}


def test_without_conflicts_and_without_labels(dataset_of: DatasetOf) -> None:
    x = np.array([[1.0], [1.0], [2.0]] * 10)
    data = dataset_of((x, np.array([0, 0, 1] * 10, np.int32)), classes="ab")
    assert check_conflicts(data, sample_of(data, "train", 100), digests_of(data)).verdict == "pass"
    data = dataset_of((x, np.arange(30.0)))
    assert check_conflicts(data, sample_of(data, "train", 100), digests_of(data)).verdict == "skip"


def test_several_labels_contradict_each_other_in_any_of_them(dataset_of: DatasetOf) -> None:
    x, y = np.random.default_rng(0).normal(size=(20, 2)), np.zeros((20, 2), np.float32)
    x[3] = x[11]
    y[11] = [0, 1]
    data = dataset_of((x, y), label_classes=[("no", "yes"), ("cold", "warm")])
    made = check_conflicts(data, sample_of(data, "train", 100), digests_of(data))
    assert made.verdict == "warn"
    assert "train example 3: no, cold and train example 11: no, warm" in made.evidence


def test_pairs_that_chance_makes(dataset_of: DatasetOf) -> None:
    """All four values of two bits, once each: a pair agrees in a bit with chance 1/3; √(1/3 · 1/3) of 45 pairs."""
    bits = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1], [1, 1]])  # a copy says nothing of chance
    data = dataset_of((bits, np.zeros(5)))
    assert _pairs_by_chance(data, sample_of(data, "train", 9), 10) == pytest.approx(45 / 3)
    numbers = np.stack([np.arange(4.0), np.array([0.0, 1, 0, 1])], 1)
    data = dataset_of((numbers, np.zeros(4)))
    assert _pairs_by_chance(data, sample_of(data, "train", 9), 10) == 0  # no two agree in the first
    data = dataset_of((np.ones((4, 2)), np.zeros(4)))
    assert _pairs_by_chance(data, sample_of(data, "train", 9), 10) == math.inf
    names = [FittedColumn("colour", ("red", "blue", "green"))]
    hot = np.eye(3)[[0, 0, 1, 2]]
    data = dataset_of((np.c_[hot, [0.0, 1, 0, 1]], np.zeros(4)), columns=[*names, FittedColumn("a")])
    # of 6 pairs 1 agrees in the colour, 2 in the number
    assert _pairs_by_chance(data, sample_of(data, "train", 9), 10) == pytest.approx(
        45 * math.sqrt(1 / 6 * 2 / 6)
    )


def test_equal_images_are_never_chance(dataset_of: DatasetOf) -> None:
    """Black and white pixels take few values, and yet no two photographs are the same."""
    x = np.random.default_rng(0).integers(0, 2, (40, 2, 2, 1)).astype(np.uint8)
    data = dataset_of((x, np.tile([0, 1], 20).astype(np.int32)), classes="ab")
    made = check_conflicts(data, sample_of(data, "train", 100), digests_of(data))
    assert made.verdict == "warn"


@pytest.mark.parametrize(("bits", "verdict"), [(2, "pass"), (30, "warn")])
def test_conflicts_that_chance_makes_are_no_fault(bits: int, verdict: str, dataset_of: DatasetOf) -> None:
    """Forty rows of two bits are 180 equal pairs at least, where 260 are expected; of thirty bits none is."""
    x = np.random.default_rng(0).integers(0, 2, (40, bits)).astype(float)
    if bits == 2:
        x = np.tile([[0.0, 0], [0, 1], [1, 0], [1, 1]], (10, 1))
    x[4] = x[0]
    y = np.repeat([0, 1], [4, 36]).astype(np.int32)
    data = dataset_of((x, y), classes="ab")
    made = check_conflicts(data, sample_of(data, "train", 100), digests_of(data))
    assert made.verdict == verdict and made.evidence.startswith(f"{4 if bits == 2 else 1} input")
    assert made.evidence.endswith("so that chance does it") is (verdict == "pass")
