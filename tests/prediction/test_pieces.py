"""Members, folds and pieces put together: averages in one unit, aligned rows, metrics piece by piece."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, multilabel_confusion_matrix

from nnrun.data._piece import Inputs
from nnrun.errors import RunError, SpecError
from nnrun.prediction import folds, folds_evaluation, inputs, out_of_fold, per_class
from nnrun.prediction.adjustment import Temperature
from nnrun.prediction.folds import check_part, in_units_of, warn_of_best
from nnrun.prediction.output import Prediction
from nnrun.prediction.per_class import classes_of, counts_of_labels
from nnrun.prediction.piecewise import PiecewiseMetrics
from nnrun.prediction.request import EvaluationRequest, check
from nnrun.preprocessing import Preprocessing

NOTHING: Any = None


def fitted(
    shift: Any = 0.0, scale: Any = 1.0, classes: tuple[str, ...] = (), targets: tuple[str, ...] = ()
) -> Any:
    one = np.ones(())
    return Preprocessing(classes, (), (2,), "float32", one, one, shift, scale, {}, targets)


def model_of(preprocessing: Preprocessing) -> Any:
    return SimpleNamespace(experiment=SimpleNamespace(dataset=SimpleNamespace(fitted=preprocessing)))


def test_a_fold_speaks_in_the_units_of_the_first() -> None:
    """(z · 4 + 10) is the value, and in units of the other one (value − 2) / 8."""
    z = np.array([[0.5], [-1.0]], np.float32)
    made = in_units_of(fitted(2.0, 8.0), model_of(fitted(10.0, 4.0)), z)
    assert made.dtype == np.float32 and made.shape == (2, 1)
    np.testing.assert_allclose(made[:, 0], (z[:, 0] * 4 + 10 - 2) / 8)
    several = fitted(np.array([1.0, 2]), np.array([3.0, 4]), targets=("a", "b"))
    first = fitted(np.array([0.0, 1]), np.array([2.0, 5]), targets=("a", "b"))
    z = np.array([[1.0, -1.0]])
    np.testing.assert_allclose(
        in_units_of(first, model_of(several), z), [[(1 * 3 + 1) / 2, (-4 + 2 - 1) / 5]]
    )


def test_what_has_one_unit_anyway_keeps_its_bits() -> None:
    z = np.array([[0.1], [0.7]], np.float32)
    assert in_units_of(None, model_of(fitted(3.0)), z) is z
    assert in_units_of(fitted(3.0, 7.0), model_of(fitted(3.0, 7.0)), z) is z
    assert in_units_of(fitted(classes=("a", "b")), model_of(fitted(3.0)), z) is z


@pytest.mark.parametrize(
    ("split", "count", "is_fold", "refused"),
    [("val", 2, True, True), ("train", 2, True, True), ("test", 2, True, False), (None, 2, True, False),
     ("val", 1, True, False), ("val", 2, False, False)],
)  # fmt: skip
def test_folds_are_not_measured_on_what_others_were_trained_on(
    split: str | None, count: int, is_fold: bool, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folds, "is_fold", lambda folder: is_fold)
    given = [Path("cv/fold_1"), Path("cv/fold_2")][:count]
    if refused:
        with pytest.raises(SpecError, match=f"--split {split}: cv averages folds"):
            check_part(given, split)
    else:
        check_part(given, split)


def test_a_best_step_that_the_part_has_chosen_is_said() -> None:
    said: list[str] = []
    warn_of_best("last", said.append)
    warn_of_best("best", said.append)
    assert len(said) == 1 and "write --checkpoint last" in said[0]


# Tables that are read once for each preprocessing


def piece(first: int, count: int, width: int = 2, targets: bool = True) -> Inputs:
    rows = np.arange(first, first + count)
    return Inputs(
        np.tile(rows[:, None], width).astype(np.float32), [f"n{i}" for i in rows], [("id", [str(i) for i in rows])],
        rows.astype(float) if targets else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second"),
    [([4, 4, 2], [4, 4, 2]), ([5, 5], [3, 3, 3, 1]), ([1] * 10, [10]), ([10], [4, 6])],
)
def test_pieces_of_several_readers_are_cut_to_the_same_rows(first: list[int], second: list[int]) -> None:
    """All ten rows once, in order, with what belongs to each."""

    def reader(lengths: list[int], width: int) -> Any:
        starts = np.cumsum([0, *lengths])
        return iter(
            [piece(int(start), length, width) for start, length in zip(starts, lengths, strict=False)]
        )

    made = list(inputs._aligned([reader(first, 2), reader(second, 3)]))
    for a, b in made:
        np.testing.assert_array_equal(a.x[:, 0], b.x[:, 0])
        assert a.x.shape[1] == 2 and b.x.shape[1] == 3
        np.testing.assert_array_equal(a.targets, a.x[:, 0])
        assert a.names == [f"n{int(i)}" for i in a.x[:, 0]] and dict(b.kept)["id"] == [
            str(int(i)) for i in b.x[:, 0]
        ]
    np.testing.assert_array_equal(np.concatenate([a.x[:, 0] for a, _ in made]), np.arange(10))


def test_pieces_without_targets_have_none_when_they_are_cut() -> None:
    made = list(inputs._aligned([iter([piece(0, 4, targets=False)]), iter([piece(0, 2), piece(2, 2)])]))
    assert [a.targets for a, _ in made] == [None, None] and len(made) == 2


def test_members_with_one_table_are_read_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three models the first and the last have the same columns; a warning of both readers is given once."""
    models = [model_of(fitted()._replace(columns=columns)) for columns in (("a",), ("b",), ("a",))]
    for model in models:
        model.block = {}
    read: list[Any] = []

    def inputs_of(x: Any, preprocessing: Preprocessing, warn: Callable[[str], None], _: Any) -> np.ndarray:
        read.append(preprocessing.columns)
        warn("a name that training lacks")
        return np.full((2, 1), float(len(read)))

    monkeypatch.setattr(inputs, "inputs_of", inputs_of)
    monkeypatch.setattr(inputs, "expected_of", lambda *_: None)
    monkeypatch.setattr(inputs, "check_range", lambda *_: None)
    said: list[str] = []
    made = inputs.arrays_for(models, object(), said.append)
    assert read == [("a",), ("b",)] and said == ["a name that training lacks"]
    assert [array[0, 0] for array in made] == [1, 2, 1]
    with pytest.raises(SpecError, match="standard input can be read once"):
        next(inputs.pieces_for(models, Path("-"), said.append))


# Metrics piece by piece


class Judge:
    """Squared errors as the only term, and the largest output as a metric that needs all at once."""

    rows = 1

    def __init__(self, classes: tuple[str, ...] = (), collects: bool = False) -> None:
        self.dataset = SimpleNamespace(classes=classes, fitted=fitted(classes=classes))
        self.loss = SimpleNamespace(measures={"most": SimpleNamespace(terms=None if collects else 1)})

    def terms(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return ((outputs[:, 0] - targets) ** 2)[None]

    def metrics(self, means: np.ndarray) -> dict[str, float]:
        return {"mse": float(means[0])}

    def collected(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        return {"most": float(outputs.max()), "count": len(targets)}


def test_pieces_of_any_length_have_the_metrics_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    outputs, targets = rng.normal(size=(20, 3)), rng.integers(0, 3, 20).astype(np.int32)
    for cuts in ([], [7], [1, 2, 19]):
        tally = PiecewiseMetrics(Judge(("a", "b", "c"), collects=True), Path("run"), None)  # type: ignore[arg-type]
        for rows in np.split(np.arange(20), cuts):
            tally.add(outputs[rows], targets[rows])
        assert tally.metrics() == pytest.approx(
            {"mse": np.mean((outputs[:, 0] - targets) ** 2), "most": outputs.max(), "count": 20}
        )
        confusion = tally.classes()["confusion"]  # type: ignore[typeddict-item]
        np.testing.assert_array_equal(confusion, confusion_matrix(targets, outputs.argmax(1)))


def test_labels_in_pieces_are_counted_as_those_of_the_whole() -> None:
    """A label is predicted where its log-odds are above 0."""
    rng = np.random.default_rng(0)
    odds, targets = rng.normal(size=(20, 2)), (rng.random((20, 2)) < 0.4).astype(float)
    judge = Judge()
    pairs = (("no", "yes"), ("cold", "hot"))
    judge.dataset.fitted = fitted(targets=("x", "y"))._replace(label_classes=pairs)
    judge.terms = lambda outputs, targets: (outputs - targets).sum(1)[None]  # type: ignore[method-assign]
    tally = PiecewiseMetrics(judge, Path("run"), None)  # type: ignore[arg-type]
    for rows in np.split(np.arange(20), [3, 11]):
        tally.add(odds[rows], targets[rows])
    counts = multilabel_confusion_matrix(targets > 0.5, odds > 0)
    for entry, of_label in zip(tally.classes()["labels"], counts, strict=True):  # type: ignore[typeddict-item]
        (_, wrongly), (missed, right) = of_label
        assert entry["recall"] == pytest.approx(right / (right + missed))
        assert entry["precision"] == pytest.approx(right / (right + wrongly))


def test_outputs_are_divided_by_the_temperature() -> None:
    tally = PiecewiseMetrics(Judge(), Path("run"), Temperature(4.0, 10))  # type: ignore[arg-type]
    tally.add(np.array([[8.0], [4.0]]), np.array([1.0, 1.0]))
    assert tally.metrics() == {"mse": 0.5}


def test_an_output_that_is_no_number_is_named_by_its_place() -> None:
    tally = PiecewiseMetrics(Judge(), Path("run"), None)  # type: ignore[arg-type]
    tally.add(np.zeros((5, 1)), np.zeros(5))
    with pytest.raises(RunError, match="run: predicts NaN or infinity for the input at index 6"):
        tally.add(np.array([[0.0], [np.nan], [0.0]]), np.zeros(3))


def test_counts_of_labels_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    is_there, predicted = rng.random((50, 3)) < 0.5, rng.random((50, 3)) < 0.3
    np.testing.assert_array_equal(
        counts_of_labels(is_there, predicted), multilabel_confusion_matrix(is_there, predicted)
    )


@pytest.fixture
def predicted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Prediction], Any]:
    def use(prediction: Prediction) -> Any:
        monkeypatch.setattr(per_class, "predict_part", lambda *_: prediction)
        return classes_of(Path("run"), "test", "best", NOTHING, NOTHING)

    return use


def test_how_each_class_is_predicted(predicted: Callable[[Prediction], Any]) -> None:
    rng = np.random.default_rng(0)
    values, targets = (
        rng.random((40, 3)),
        rng.integers(0, 2, 40).astype(np.int32),
    )  # of the last there is none
    made = predicted(Prediction(("a", "b", "c"), values, [], targets))
    np.testing.assert_array_equal(
        made["confusion"], confusion_matrix(targets, values.argmax(1), labels=[0, 1, 2])
    )
    assert made["classes"][2]["recall"] is None and made["classes"][2]["precision"] == 0
    with pytest.raises(SpecError, match="--per-class: run predicts numbers"):
        predicted(Prediction((), rng.random(4), [], rng.random(4)))
    pairs = (("no", "yes"), ("cold", "hot"))
    present = (rng.random((40, 2)) < 0.5).astype(float)
    labels = Prediction((), values[:, :2], [], present, of_targets=("x", "y"), label_classes=pairs)
    entry = predicted(labels)["labels"][1]
    right = (present[:, 1] > 0.5) & (values[:, 1] > 0.5)
    assert entry["recall"] == pytest.approx(right.sum() / (present[:, 1] > 0.5).sum())


# Folds


def fold_predictions(monkeypatch: pytest.MonkeyPatch, *parts: tuple[list[int], list[float]]) -> Prediction:
    """What out_of_fold makes of the rows and values of each fold; the target of a row is ten times the row."""
    predictions = [
        Prediction((), np.array(values), [], 10.0 * np.array(rows), rows=np.array(rows))
        for rows, values in parts
    ]
    monkeypatch.setattr(out_of_fold, "members", lambda folder: [Path(str(i)) for i in range(len(parts))])
    monkeypatch.setattr(out_of_fold.run, "status", lambda folder: "done")
    monkeypatch.setattr(out_of_fold, "predict_part", lambda fold, *_: predictions[int(str(fold))])
    return out_of_fold.out_of_fold(Path("cv"), "last", NOTHING, NOTHING)


def test_every_example_has_the_prediction_of_the_fold_that_did_not_see_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = fold_predictions(monkeypatch, ([5, 1], [0.5, 0.1]), ([3, 0], [0.3, 0.0]))
    np.testing.assert_allclose(made.values, [0.0, 0.1, 0.3, 0.5])
    assert (
        made.rows is not None and made.rows.tolist() == [0, 1, 3, 5] and made.kept == [("row", [0, 1, 3, 5])]
    )
    assert made.targets is not None and made.targets.tolist() == [0, 10, 30, 50]


def test_repeats_are_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    made = fold_predictions(
        monkeypatch, ([0, 2], [1.0, 3.0]), ([1], [5.0]), ([1, 2], [7.0, 4.0]), ([0], [2.0])
    )
    np.testing.assert_allclose(made.values, [1.5, 6.0, 3.5])


def test_a_fold_that_is_not_done_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out_of_fold, "members", lambda folder: [folder / "fold_1", folder / "fold_2"])
    monkeypatch.setattr(
        out_of_fold.run, "status", lambda folder: "done" if folder.name == "fold_1" else "diverged"
    )
    with pytest.raises(RunError, match="cv/fold_2: diverged, so its examples have no prediction"):
        out_of_fold.out_of_fold(Path("cv"), "last", NOTHING, NOTHING)


@pytest.mark.parametrize(
    ("statuses", "kept", "message"),
    [
        ("done done", 2, ""),
        ("done diverged", 1, "left out because they diverged: cv/1"),
        ("diverged diverged", 0, "cv: all its folds diverged"),
        ("done crashed", 0, "cv: 1 of 2 folds have not ended; `nnrun resume cv` continues"),
        ("running diverged", 0, "cv: 1 of 2 folds have not ended"),
    ],
)
def test_folds_that_count(statuses: str, kept: int, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = statuses.split()
    monkeypatch.setattr(folds_evaluation.run, "status", lambda folder: known[int(folder.name)])
    said: list[str] = []
    given = [Path("cv/0"), Path("cv/1")]
    if not kept:
        with pytest.raises(RunError, match=message):
            folds_evaluation._done(Path("cv"), given, said.append)
        return
    assert folds_evaluation._done(Path("cv"), given, said.append) == given[:kept]
    assert said == ([message] if message else [])


# What an evaluation is asked for


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (EvaluationRequest(per_class=True, samples=3), "--per-class"),
        (EvaluationRequest(source=Path("f.csv"), split="test"), "what to measure on?"),
        (EvaluationRequest(target=("y",)), "--target: names the true values in a file"),
        (EvaluationRequest(samples=3, metrics=("f1",)), "--samples: is about a part"),
        (EvaluationRequest(samples=3, source=Path("f.csv")), "--samples: is about a part"),
        (EvaluationRequest(samples=3, average="ema"), "--samples: is about a part"),
        (EvaluationRequest(samples=3, calibrated=True), "--samples: is about a part"),
    ],
)
def test_options_that_do_not_go_together(request_: EvaluationRequest, message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        check(request_)


def test_options_that_do() -> None:
    for request_ in (
        EvaluationRequest(samples=3), EvaluationRequest(per_class=True, metrics=("f1",)),
        EvaluationRequest(source=Path("f.csv"), target=("y",), average="ema"), EvaluationRequest(split="val"),
    ):  # fmt: skip
        check(request_)
    assert EvaluationRequest().part == "test" and not EvaluationRequest().on_host
