"""Metrics against scikit-learn and scipy, to 1e-9: ties, absent classes, one class, and what is undefined."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn import metrics as sk

from nnrun.metric._ranks import ranks
from nnrun.metric.accuracy import accuracy
from nnrun.metric.auroc import auroc
from nnrun.metric.average_precision import average_precision
from nnrun.metric.balanced_accuracy import balanced_accuracy
from nnrun.metric.brier import brier
from nnrun.metric.calibration_error import calibration_error
from nnrun.metric.f1 import f1
from nnrun.metric.log_loss import log_loss
from nnrun.metric.mae import mae
from nnrun.metric.mape import mape
from nnrun.metric.mcc import mcc
from nnrun.metric.median_absolute_error import median_absolute_error
from nnrun.metric.pinball import pinball
from nnrun.metric.precision import precision
from nnrun.metric.r2 import r2
from nnrun.metric.recall import recall
from nnrun.metric.rmse import rmse
from nnrun.metric.spearman import spearman
from nnrun.metric.top_k import top_k
from nnrun.statistics.calibration import reliability
from nnrun.types import Measure, Undefined

NAMES = ("a", "b", "c", "d", "e")


def value_of(measure: Measure, predictions, targets) -> float:
    predictions, targets = np.asarray(predictions, float), np.asarray(targets)
    if measure.terms is None:
        return measure.of_all(predictions, targets)
    return measure.of_averages(measure.each(predictions, targets).mean(0))


def drawn(seed: int, classes: int, n: int = 200, digits: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, with ties if there are few digits, and labels of rare and frequent classes."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, n, p=rng.dirichlet(np.ones(classes)))
    z = (rng.normal(size=(n, classes)) + np.eye(classes)[labels]).round(digits)
    p = np.exp(z)
    return p / p.sum(1, keepdims=True), labels


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    return labels[:, None] == np.arange(classes)


CASES = [(seed, classes, digits) for seed in range(6) for classes in (2, 3, 5) for digits in (0, 1, 9)]


@pytest.mark.quick(18)
@pytest.mark.parametrize(("seed", "classes", "digits"), CASES)
def test_labels(seed, classes, digits):
    p, y = drawn(seed, classes, digits=digits)
    chosen = p.argmax(1)
    with warnings.catch_warnings(action="ignore"):  # classes that are absent, which is what this is about
        wanted = {
            accuracy(): sk.accuracy_score(y, chosen),
            balanced_accuracy(): sk.balanced_accuracy_score(y, chosen),
            f1(): sk.f1_score(y, chosen, average="macro"),
            f1("micro"): sk.f1_score(y, chosen, average="micro"),
            precision("micro"): sk.precision_score(y, chosen, average="micro"),
            recall("micro"): sk.recall_score(y, chosen, average="micro"),
        }
        if set(chosen) >= set(y):
            wanted[precision()] = sk.precision_score(y, chosen, average="macro")
        if set(y) >= set(chosen):
            wanted[recall()] = sk.recall_score(y, chosen, average="macro")
        if len(set(y)) > 1 and len(set(chosen)) > 1:
            wanted[mcc()] = sk.matthews_corrcoef(y, chosen)
        for k in set(y) & set(chosen):
            name = NAMES[k]
            wanted[f1(label=name, classes=NAMES)] = sk.f1_score(y, chosen, labels=[k], average=None)[0]
            wanted[precision(label=name, classes=NAMES)] = sk.precision_score(
                y, chosen, labels=[k], average=None
            )[0]
            wanted[recall(label=name, classes=NAMES)] = sk.recall_score(y, chosen, labels=[k], average=None)[
                0
            ]
    for measure, value in wanted.items():
        assert value_of(measure, p, y) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize(("seed", "classes", "digits"), CASES)
def test_probabilities(seed, classes, digits):
    p, y = drawn(seed, classes, digits=digits)
    every = np.arange(classes)
    assert value_of(log_loss(), p, y) == pytest.approx(sk.log_loss(y, p, labels=every), abs=1e-9)
    theirs = sk.brier_score_loss(y, p[:, 1] if classes == 2 else p, labels=every)
    assert value_of(brier(), p, y) == pytest.approx(theirs, abs=1e-9)
    for k in range(1, classes):
        scores = p[:, 1] if classes == 2 else p
        theirs = sk.top_k_accuracy_score(y, scores, k=k, labels=every)
        if classes > 2:  # of two classes scikit-learn compares with 1/2
            assert value_of(top_k(k), p, y) == pytest.approx(theirs, abs=1e-9)
    for bins in (15, 4):
        assert value_of(calibration_error(bins), p, y) == pytest.approx(
            reliability(p, y, bins).error, abs=1e-12
        )


@pytest.mark.parametrize(("seed", "classes", "digits"), CASES)
def test_rankings(seed, classes, digits):
    p, y = drawn(seed, classes, digits=digits)
    there = np.unique(y)
    actual = one_hot(y, classes)
    for k in there:
        measure = average_precision(NAMES[k], NAMES)
        assert value_of(measure, p, y) == pytest.approx(
            sk.average_precision_score(actual[:, k], p[:, k]), abs=1e-9
        )
        if len(there) > 1:
            theirs = sk.roc_auc_score(actual[:, k], p[:, k])
            assert value_of(auroc(NAMES[k], NAMES), p, y) == pytest.approx(theirs, abs=1e-9)
    if len(there) == classes:
        theirs = np.mean([sk.average_precision_score(actual[:, k], p[:, k]) for k in range(classes)])
        assert value_of(average_precision(), p, y) == pytest.approx(theirs, abs=1e-9)
        theirs = sk.roc_auc_score(y, p[:, 1] if classes == 2 else p, multi_class="ovr")
        assert value_of(auroc(), p, y) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("digits", [0, 9])
@pytest.mark.parametrize("middle", [0.5, 1e6])
def test_numbers(seed, digits, middle):
    rng = np.random.default_rng(seed)
    y = (rng.normal(middle, 2, 150)).round(digits) + 0.25  # none is 0
    z = (y + rng.normal(size=150)).round(digits)
    wanted = {
        rmse(): sk.root_mean_squared_error(y, z),
        mae(): sk.mean_absolute_error(y, z),
        median_absolute_error(): sk.median_absolute_error(y, z),
        mape(): sk.mean_absolute_percentage_error(y, z),
        r2(target_shift=middle): sk.r2_score(y, z),
        spearman(): spearmanr(y, z).statistic,
        pinball(0.9): sk.mean_pinball_loss(y, z, alpha=0.9),
        pinball(0.5): sk.mean_absolute_error(y, z) / 2,
    }
    for measure, value in wanted.items():
        assert value_of(measure, z, y) == pytest.approx(value, rel=1e-9)


def test_ranks_of_ties_by_hand():
    np.testing.assert_array_equal(ranks(np.array([3.0, 1.0, 3.0, 2.0, 3.0])), [4, 1, 4, 2, 4])


def test_a_probability_of_0_counts_as_scikit_learn_has_it():
    p, y = np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([1, 0])
    assert value_of(log_loss(), p, y) == pytest.approx(sk.log_loss(y, p), abs=1e-9)


HALF = np.full((4, 2), 0.5)
SURE = np.array([[0.9, 0.1]] * 4)


@pytest.mark.parametrize(("measure", "predictions", "targets", "reason"), [
    (auroc(classes=("no", "yes")), HALF, [0] * 4, "there is no example of yes"),
    (auroc(classes=("no", "yes")), HALF, [1] * 4, "all examples are of yes"),
    (auroc("no", ("no", "yes")), HALF, [0] * 4, "all examples are of no"),
    (average_precision(classes=("no", "yes")), HALF, [0] * 4, "there is no example of yes"),
    (precision(classes=("no", "yes")), SURE, [0, 0, 0, 1], "there is no prediction of yes"),
    (precision(label="yes", classes=("no", "yes")), SURE, [0] * 4, "there is no prediction of yes"),
    (recall(classes=("no", "yes")), SURE, [1] * 4, "there is no example of no"),
    (recall(label="yes", classes=("no", "yes")), SURE, [0] * 4, "there is no example of yes"),
    (f1(label="yes", classes=("no", "yes")), SURE, [0] * 4, "there is neither an example nor a prediction of yes"),
    (mcc(), SURE, [0, 1, 0, 1], "all predictions are of one class"),
    (mcc(), [[0.9, 0.1], [0.1, 0.9]], [1, 1], "all examples are of one class"),
    (mape(), [1.0, 2.0], [0.0, 2.0], "a target is 0"),
    (r2(target_shift=3.0), [1.0, 2.0], [7.1, 7.1], "all targets are equal"),
    (spearman(), [1.0, 2.0], [7.1, 7.1], "all targets are equal"),
    (spearman(), [2.0, 2.0], [7.1, 7.2], "all predictions are equal"),
])  # fmt: skip
def test_what_is_undefined_says_why_and_is_never_0(measure, predictions, targets, reason):
    with warnings.catch_warnings(action="error"):
        value = value_of(measure, predictions, targets)
    assert isinstance(value, Undefined)
    assert np.isnan(value)
    assert value.reason == reason


def test_one_class_in_a_part_where_the_metric_has_a_value():
    labels = np.zeros(4, int)
    assert value_of(balanced_accuracy(), SURE, labels) == 1.0
    assert value_of(accuracy(), SURE, labels) == 1.0
    assert value_of(f1(), SURE, labels) == 1.0  # the other class is neither there nor predicted
    assert value_of(f1(), SURE, labels + 1) == 0.0  # both are: one without a hit, one that is never predicted


@pytest.mark.parametrize("make", [f1, precision, recall, auroc, average_precision])
def test_a_class_that_does_not_exist_is_refused_with_those_that_do(make):
    with pytest.raises(ValueError, match="there is no class 'maybe'; the classes are no, yes"):
        make(label="maybe", classes=("no", "yes"))
    assert make(label=1, classes=("0", "1")).rising  # a name that YAML reads as a number


def test_top_k_of_too_few_classes_is_refused():
    with pytest.raises(ValueError, match="write k below 3"):
        top_k(3, ("a", "b", "c"))
