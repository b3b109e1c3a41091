"""Calibration against a hand computation, scikit-learn, and a search over temperatures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special
from sklearn.calibration import calibration_curve

from nnrun.statistics.calibration import error_by_chance, fit_temperature, is_at_end, reliability, scaled


def predictions(examples: int = 400, classes: int = 5, sharp: float = 3.0):
    draw = np.random.default_rng(0)
    z = draw.normal(size=(examples, classes))
    labels = np.array([draw.choice(classes, p=p) for p in special.softmax(z, axis=1)])
    return special.log_softmax(sharp * z, axis=1), labels


def test_the_error_on_paper():
    """Two bins of 2 and 1 examples: (2/3)·|0.5 − 0.7| + (1/3)·|1 − 0.95| = 0.15."""
    p = np.array([[0.7, 0.3], [0.3, 0.7], [0.05, 0.95]])
    found = reliability(p, np.array([0, 0, 1]))
    assert found.error == pytest.approx(0.15)
    assert found.counts == [2, 1]
    assert found.confidence == pytest.approx([0.7, 0.95])
    assert found.accuracy == pytest.approx([0.5, 1.0])


def test_calibrated_probabilities_are_seldom_called_uncalibrated_and_others_often():
    """Over data drawn as the probabilities say, p <= 0.05 in at most 5% (and some); of sharper ones nearly always."""
    random = np.random.default_rng(1)
    alarms = {1.0: 0, 3.0: 0}
    for sharp in alarms:
        for _ in range(200):
            z = random.normal(size=(150, 3))
            p = special.softmax(z, axis=1)
            labels = (random.random((150, 1)) > p.cumsum(1)).sum(1)
            alarms[sharp] += (
                error_by_chance(reliability(special.softmax(sharp * z, axis=1), labels))[1] <= 0.05
            )
    assert alarms[1.0] <= 18  # binomial(200, 0.05) is above that once in 100
    assert alarms[3.0] >= 190


def test_what_chance_makes_on_paper():
    """One bin of two examples at 0.5: errors 0.5, 0, 0.5 with chances 1/4, 1/2, 1/4, so 0.25 on average."""
    p = np.array([[0.5, 0.5], [0.5, 0.5]])
    usual, at_least = error_by_chance(reliability(p, np.array([0, 0])))
    assert usual == pytest.approx(0.25, abs=0.02) and at_least == pytest.approx(0.5, abs=0.05)
    assert error_by_chance(reliability(p, np.array([0, 1])))[1] == 1.0


def test_bins_are_those_of_scikit_learn():
    log_p, labels = predictions()
    p = np.exp(log_p)
    found = reliability(p, labels)
    right = (p.argmax(1) == labels).astype(int)
    accuracy, confidence = calibration_curve(right, p.max(1), n_bins=15)
    np.testing.assert_allclose(found.accuracy, accuracy)
    np.testing.assert_allclose(found.confidence, confidence)
    assert found.error == pytest.approx(np.abs(accuracy - confidence) @ np.array(found.counts) / len(labels))


def test_a_mean_that_is_rounded_above_one_is_one():
    p = np.array([[1.0000001, 0.0]] * 20)
    assert error_by_chance(reliability(p, np.zeros(20, int)))[1] == 1.0


def test_certain_and_right_is_calibrated():
    p = np.eye(3)[[0, 1, 2, 2]]
    assert reliability(p, np.array([0, 1, 2, 2])).error == 0
    assert reliability(p, np.array([1, 2, 0, 0])).error == 1


@pytest.mark.parametrize("sharp", [0.5, 3.0])
def test_the_temperature_minimises_the_loss(sharp):
    log_p, labels = predictions(sharp=sharp)

    def loss(t):
        return -special.log_softmax(log_p / t, axis=1)[np.arange(len(labels)), labels].mean()

    found = fit_temperature(log_p, labels)
    grid = np.geomspace(found / 2, found * 2, 4001)
    assert loss(found) <= min(map(loss, grid)) + 1e-12
    assert found == pytest.approx(sharp, rel=0.3)  # labels were drawn from the softmax at sharpness 1
    np.testing.assert_allclose(scaled(log_p, found), special.softmax(log_p / found, axis=1))
    assert reliability(scaled(log_p, found), labels).error < reliability(np.exp(log_p), labels).error


def test_where_every_example_is_right_there_is_no_best_temperature():
    log_p, _ = predictions()
    assert fit_temperature(log_p, log_p.argmax(1)) is None


def test_probabilities_that_are_worse_than_chance_have_no_best_temperature():
    """Their loss falls for ever as they approach equal ones."""
    log_p = np.log(np.tile([[0.9, 0.1], [0.1, 0.9]], (50, 1)))
    best = log_p.argmax(1)
    few = np.arange(100) < 4
    wrong = fit_temperature(log_p, np.where(few, best, 1 - best))
    right = fit_temperature(log_p, np.where(few, 1 - best, best))
    assert wrong is not None and is_at_end(wrong)
    assert right == pytest.approx(np.log(9) / np.log(24), rel=1e-4)  # 96 of 100 are right, for odds of 24
    assert not is_at_end(right)
