"""Checks of the data alone on small data sets: what varies, what is far away, which names are new."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nnrun.preprocessing import About, FittedColumn
from nnrun.probe.examples import check_categories, check_classes, check_constants, check_scale
from nnrun.probe.sample import looked_at, sample_of
from nnrun.types import Dataset

DatasetOf = Callable[..., Dataset]


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


@pytest.mark.parametrize(("count", "verdict"), [(399, "pass"), (403, "warn")])
@pytest.mark.parametrize("scale", [1.0, -1.0])
@pytest.mark.parametrize("shift", [0.0, 50.0])
def test_targets_far_from_the_mean(
    scale: float, shift: float, count: int, verdict: str, dataset_of: DatasetOf
) -> None:
    """Of n equal targets and another one, that is √n deviations from the mean, whatever the unit and the sign."""
    y = shift + scale * np.r_[np.zeros(count), 1.0]
    made = check_classes(dataset_of((normal(count + 1, 2), y)))
    assert made.verdict == verdict
    assert made.numbers == pytest.approx({"distinct": 2, "furthest": np.sqrt(count)})
    several = np.stack([1000 * normal(count + 1), y], 1)
    assert check_classes(dataset_of((normal(count + 1, 2), several))).numbers["furthest"] == pytest.approx(
        np.sqrt(count)
    )


def labelled(dataset_of: DatasetOf, names: list[str], train: list[int], test: list[int]) -> Dataset:
    y, held = (np.repeat(np.arange(len(counts)), counts).astype(np.int32) for counts in (train, test))
    return dataset_of((normal(len(y), 2), y), None, (normal(len(held), 2), held), classes=names)


@pytest.mark.parametrize(
    ("names", "gaps"),
    [
        (["1", "2", "3"], ""),
        (["1", "2", "4", "7"], "3, 5, 6"),
        (["1", "9"], ""),  # codes, which need not follow one another
        (["1", "5", "x"], ""),
        (["-1", "1"], ""),
        (["0", "1", "5"], "2, 3, 4"),
    ],
)
def test_gaps_between_classes_that_are_numbers(names: list[str], gaps: str, dataset_of: DatasetOf) -> None:
    made = check_classes(labelled(dataset_of, names, [20] * len(names), [9] * len(names)))
    assert made.verdict == ("warn" if gaps else "pass")
    assert made.evidence.startswith(
        f"classes are numbers, and {gaps} is missing; " if gaps else f"{len(names)} "
    )


@pytest.mark.parametrize(
    ("train", "test", "verdict", "evidence"),
    [
        ([10, 30], [5, 5], "pass", "2 classes of 10 to 30 training examples"),
        (
            [9, 30],
            [5, 5],
            "warn",
            "fewer than 10 training examples of a; 2 classes of 9 to 30 training examples",
        ),
        ([30, 0], [5, 5], "fail", "no training example of b; 2 classes of 0 to 30 training examples"),
        (
            [30, 30],
            [0, 5],
            "warn",
            "no example of a in the test part; 2 classes of 30 to 30 training examples",
        ),
        (
            [30, 30],
            [5, 4],
            "warn",
            "fewer than 5 test examples of b; 2 classes of 30 to 30 training examples",
        ),
    ],
)
def test_classes_with_few_examples(
    train: list[int], test: list[int], verdict: str, evidence: str, dataset_of: DatasetOf
) -> None:
    made = check_classes(labelled(dataset_of, ["a", "b"], train, test))
    assert (made.verdict, made.evidence) == (verdict, evidence)
    assert made.numbers == {"classes": 2, "fewest": min(train), "most": max(train)}
    assert ("class_weight" in made.remedy) is (train[0] == 9)


def test_both_sides_of_each_label_are_counted(dataset_of: DatasetOf) -> None:
    y = np.c_[np.arange(40) % 2, np.arange(40) < 3].astype(np.float32)
    data = dataset_of((normal(40, 2), y), label_classes=[("cold", "warm"), ("no", "yes")])
    made = check_classes(data)
    assert made.evidence == (
        "fewer than 10 training examples of t1: yes; 2 labels with classes of 3 to 37 training examples"
    )
    assert "class_weight" not in made.remedy  # which several labels do not have


def test_a_feature_that_never_varies(dataset_of: DatasetOf, monkeypatch: pytest.MonkeyPatch) -> None:
    x = normal(30, 4)
    x[:, 2] = 7.0
    assert check_constants(dataset_of((x, x[:, 0]))).evidence.endswith("training examples: input 2")
    x[-1, 2] = 7.5  # in the last piece
    monkeypatch.setattr("nnrun.probe.sample._PIECE", 7 * 4 * 8)  # seven examples at a time
    made = check_constants(dataset_of((x, x[:, 0])))
    assert made.verdict == "pass" and made.numbers == {"features": 4, "constant": 0}


def test_a_column_is_constant_if_all_its_inputs_are(dataset_of: DatasetOf) -> None:
    """Whether a cell is missing does not count; a name that nobody has does not make a column of names constant."""
    columns = [
        FittedColumn("number", indicator=True), FittedColumn("names", ("red", "blue", "green")), FittedColumn("last"),
    ]  # fmt: skip
    number = np.c_[np.full(30, 2.0), np.arange(30) % 2]
    names = np.eye(3)[np.arange(30) % 2]
    x = np.c_[number, names, normal(30)]
    about = (
        About("gone", "feature", "constant", ""), About("left", "excluded", "constant", ""),
        About("number", "feature", "number", ""), About("hollow", "feature", "empty", ""),
    )  # fmt: skip
    made = check_constants(dataset_of((x, x[:, 5]), columns=columns, about=about))
    assert made.evidence == "the same in all training examples: gone, hollow, number"
    x[:, 2:5] = [0, 1, 0]
    x[:, 0] = normal(30)
    made = check_constants(dataset_of((x, x[:, 5]), columns=columns))
    assert made.evidence == "the same in all training examples: names"


def test_pixels_at_the_border_never_vary_and_a_channel_should(dataset_of: DatasetOf) -> None:
    x = normal(30, 4, 4, 3)
    x[:, 0] = 0
    made = check_constants(dataset_of((x, np.arange(30.0)), shift=0.0))
    assert made.verdict == "pass" and made.evidence == "all channels vary in the training part"
    x[..., 1] = 5
    made = check_constants(dataset_of((x, np.arange(30.0)), shift=0.0))
    assert made.verdict == "warn" and made.evidence.endswith(": channel 1")
    x[1:, ..., 1] = x[0, ..., 1] = np.arange(16).reshape(
        4, 4
    )  # differs from place to place, not between images
    assert check_constants(dataset_of((x, np.arange(30.0)), shift=0.0)).verdict == "pass"


def test_vectors_that_are_standardised_as_one_are_pixels(dataset_of: DatasetOf) -> None:
    """An image as a row of numbers: its border does not vary, and that is no fault."""
    x = normal(30, 16)
    x[:, [0, 3, 15]] = 0
    assert check_constants(dataset_of((x, np.arange(30.0)), shift=0.0)).verdict == "pass"
    made = check_constants(dataset_of((np.ones((30, 16)), np.arange(30.0)), shift=0.0))
    assert made.verdict == "warn"


COLOURS = FittedColumn("c", ("blue", "red", "violet"), rare=("grey", "pink"), unknown="other")
SIZES = FittedColumn("s", ("l", "s"), unknown="zeros", indicator=True)


def table_of(rows: list[tuple[int | None, int | None]]) -> np.ndarray:
    """Inputs of both columns for rows of (place of the colour, place of the size); None: no input is 1."""
    x = np.zeros((len(rows), 1 + 4 + 3))
    x[:, 0] = np.arange(len(rows))
    for i, (colour, size) in enumerate(rows):
        if colour is not None:
            x[i, 1 + colour] = 1
        if size is not None:
            x[i, 5 + size] = 1
    return x


def test_names_that_training_lacks_are_counted_by_part(dataset_of: DatasetOf) -> None:
    """The inputs are stored after what is subtracted before rounding, and as they are."""
    train = table_of([(0, 0), (1, 1), (0, 1)])
    val = table_of([(2, 0), (0, None), (2, 1)])
    test = table_of([(3, 0), (1, None)])
    columns = [FittedColumn("a"), COLOURS, SIZES]
    for offset in (np.zeros(8), np.linspace(0.1, 0.9, 8)):
        parts = [(x - offset, np.zeros(len(x))) for x in (train, val, test)]
        data = dataset_of(*parts, columns=columns)._replace(offset=offset)
        made = check_categories(data)
        assert made.verdict == "warn" and made.evidence == (
            "names that training lacks: c 'violet' (2 of val), s (unknown) (1 of val), "
            "c (rare) (1 of test), s (unknown) (1 of test)"
        )
        assert made.numbers == {"columns": 2, "names": 4, "val": 3, "test": 2}
    made = check_categories(dataset_of(*[(train, np.zeros(3))] * 3, columns=columns))
    assert made.verdict == "pass" and "2 columns" in made.evidence
    assert check_categories(dataset_of((train, np.zeros(3)))).verdict == "skip"


def test_the_input_of_missing_cells_is_no_name(dataset_of: DatasetOf) -> None:
    """The last input of the sizes is 1 where a cell is missing; the row has no size all the same."""
    train, val = table_of([(0, 0), (1, 1)]), table_of([(0, None)])
    val[0, 7] = 1
    made = check_categories(
        dataset_of((train, np.zeros(2)), (val, np.zeros(1)), columns=[FittedColumn("a"), COLOURS, SIZES])
    )
    assert made.evidence == "names that training lacks: s (unknown) (1 of val)"


@pytest.mark.parametrize(
    ("shift", "factor", "verdict", "words"),
    [
        (0.0, 1.0, "pass", ""),
        (4.9, 1.0, "pass", ""),
        (5.1, 1.0, "warn", "; 1 of 3 inputs beyond 5, as in input 1"),
        (-5.1, 1.0, "warn", "; 1 of 3 inputs beyond 5, as in input 1"),
        (10.1, 1.0, "fail", "; 1 of 3 inputs beyond 5, as in input 1"),
        (0.0, 4.9, "pass", ""),
        (0.0, 5.1, "warn", "; 1 of 3 inputs beyond 5, as in input 1"),
        (0.0, 10.1, "fail", "; 1 of 3 inputs beyond 5, as in input 1"),
    ],
)
def test_the_size_of_inputs(
    shift: float, factor: float, verdict: str, words: str, dataset_of: DatasetOf
) -> None:
    """The second of three, of mean 0 and deviation 1 but for that; as the model gets it: (x − 100) / 8."""
    x = normal(50, 3)
    x = (x - x.mean(0)) / x.std(0)
    x[:, 1] = x[:, 1] * factor + shift
    data = dataset_of((100 + 8 * x, np.zeros(50)), shift=np.full(3, 100.0), scale=np.full(3, 8.0))
    made = check_scale(data, sample_of(data, "train", 100))
    assert made.verdict == verdict and made.evidence.partition(";")[0] + words == made.evidence
    assert made.numbers == pytest.approx({
        "rms": np.sqrt((2 + shift**2 + factor**2) / 3), "largest_mean": abs(shift),
        "largest_deviation": max(1, factor), "extreme": np.abs(x).max(),
    })  # fmt: skip


def test_inputs_of_nothing_and_single_numbers_far_away(dataset_of: DatasetOf) -> None:
    x = normal(50, 3)
    for factor, verdict in ((0.02, "pass"), (0.005, "fail")):
        data = dataset_of((factor * x / np.sqrt(np.mean(x**2)), np.zeros(50)))
        assert check_scale(data, sample_of(data, "train", 100)).verdict == verdict
    x = normal(2000, 3)
    for extreme, verdict in ((-99.0, "pass"), (101.0, "warn"), (-101.0, "warn")):
        x[7, 1] = extreme
        data = dataset_of((x, np.zeros(2000)))
        made = check_scale(data, sample_of(data, "train", 5000))
        assert made.verdict == verdict
        assert (f"one number at {abs(extreme):g}" in made.evidence) is (verdict == "warn")


def test_a_sample_is_drawn_without_replacement_and_always_the_same(dataset_of: DatasetOf) -> None:
    x = np.arange(300.0).reshape(100, 3)
    data = dataset_of((x, x[:, 0]), shift=np.array([1.0, 2, 3]), scale=np.array([2.0, 4, 8]))
    first, second = sample_of(data, "train", 40), sample_of(data, "train", 40)
    np.testing.assert_array_equal(first.rows, second.rows)
    assert len(np.unique(first.rows)) == 40 and (np.diff(first.rows) > 0).all() and first.rows.max() > 60
    np.testing.assert_array_equal(first.y, 3.0 * first.rows)
    np.testing.assert_allclose(first.z, (x[first.rows] - [1, 2, 3]) / [2, 4, 8])
    np.testing.assert_array_equal(sample_of(data, "train", 100).rows, np.arange(100))


@pytest.mark.parametrize(
    ("count", "shape", "expected"),
    [
        (1000, (4,), 256),
        (100, (4,), 100),
        (1000, (1000,), 200),
        (1000, (100, 100, 3), 32),
        (20, (90000,), 20),
    ],
)
def test_fewer_examples_go_through_the_model_where_they_are_large(
    count: int, shape: tuple[int, ...], expected: int, dataset_of: DatasetOf
) -> None:
    x = np.broadcast_to(np.float32(0), (count, *shape))
    rows = looked_at(dataset_of((x, np.zeros(count)), shift=0.0))
    assert len(np.unique(rows)) == len(rows) == expected and (np.diff(rows) > 0).all()
