"""What outputs say: probabilities, margins of scores, numbers in their units."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from scipy.special import softmax as of_scipy

from nnrun.loss.cross_entropy import cross_entropy
from nnrun.loss.hinge import hinge
from nnrun.loss.squared_error import squared_error
from nnrun.preprocessing import Preprocessing
from nnrun.training.predictions import predictions_of

FITTED = Preprocessing((), (), (1,), "float32", np.zeros(1), np.ones(1), 10.0, 4.0, {})
DATA = SimpleNamespace(fitted=FITTED)


def predicted(loss, outputs) -> np.ndarray:
    return predictions_of(np.asarray(outputs, np.float32), loss, DATA)  # type: ignore[arg-type]


def test_logits_become_probabilities_in_float64():
    z = np.random.default_rng(0).normal(0, 30, (20, 4)).astype(np.float32)
    p = predicted(cross_entropy(), z)
    assert p.dtype == np.float64
    np.testing.assert_allclose(p, of_scipy(z.astype(np.float64), axis=1), rtol=1e-13)


def test_scores_become_margins_which_only_comparisons_decide():
    z = np.array([[1.0, 3.0, 2.5], [2.0, 2.0, 0.0]])
    np.testing.assert_allclose(predicted(hinge(), z), [[-2.0, 0.5, -0.5], [0.0, 0.0, -2.0]])
    np.testing.assert_allclose(predicted(hinge(), z + np.array([[5.0], [-7.0]])), predicted(hinge(), z))


def test_numbers_are_in_the_units_of_the_target():
    np.testing.assert_allclose(predicted(squared_error(4.0), [[0.0], [-0.5]]), [10.0, 8.0])


def test_numbers_are_standardised_and_brought_back_by_one_pair_of_rules():
    values = np.array([10.0, 8.0, 11.5])
    np.testing.assert_allclose(FITTED.from_units(values), [0.0, -0.5, 0.375])
    np.testing.assert_allclose(FITTED.to_units(FITTED.from_units(values)[:, None]), values)
