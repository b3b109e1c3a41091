"""Averages of predictions against NumPy and scipy by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from nnrun.prediction.combiner import PREDICTIONS, Combiner, name_of, softmax


def members(count: int = 5, examples: int = 40, classes: int = 4) -> list[np.ndarray]:
    draw = np.random.default_rng(1)
    return [draw.normal(0, 3, (examples, classes)).astype(np.float32) for _ in range(count)]


def mean(how: str, outputs: list[np.ndarray]) -> tuple[Combiner, np.ndarray]:
    average = Combiner(how, len(outputs), "classes")
    return average, average.mean(outputs, [1 / len(outputs)] * len(outputs))


def test_probabilities_are_the_mean_softmax():
    outputs = members()
    average, blended = mean("probabilities", outputs)
    expected = special.softmax(np.array(outputs, np.float64), axis=2).mean(0)
    np.testing.assert_allclose(average.probabilities(blended), expected, rtol=1e-13)
    np.testing.assert_allclose(average.outputs(blended), np.log(expected), rtol=1e-12, atol=1e-12)


def test_logits_are_averaged_before_the_softmax():
    outputs = members()
    average, blended = mean("logits", outputs)
    expected = special.softmax(np.array(outputs, np.float64).mean(0), axis=1)
    np.testing.assert_allclose(average.probabilities(blended), expected, rtol=1e-12)


def test_a_vote_is_won_by_the_most_frequent_label_and_ties_by_probability():
    outputs = members(count=4, examples=500)
    average, blended = mean("vote", outputs)
    labels = np.array([z.argmax(1) for z in outputs])
    p = special.softmax(np.array(outputs, np.float64), axis=2).mean(0)
    for i, won in enumerate(blended.argmax(1)):
        votes = np.bincount(labels[:, i], minlength=4)
        leaders = np.flatnonzero(votes == votes.max())
        assert won == leaders[p[i, leaders].argmax()]
    assert any(np.bincount(votes, minlength=4).max() == 2 for votes in labels.T)  # there were ties
    np.testing.assert_allclose(average.probabilities(blended).sum(1), 1)


def test_the_doubt_of_all_others_is_less_than_one_vote():
    """Two unsure votes beat one that is certain, which would win by probability."""
    unsure, certain = np.array([[0.1, 0.0]]), np.array([[0.0, 50.0]])
    assert mean("vote", [unsure, unsure, certain])[1].argmax() == 0
    assert mean("probabilities", [unsure, unsure, certain])[1].argmax() == 1


@pytest.mark.parametrize("how", PREDICTIONS)
def test_an_ensemble_of_one_is_that_member_bit_for_bit(how: str):
    [alone] = members(count=1)
    average, blended = mean(how, [alone])
    assert average.probabilities(blended).tobytes() == softmax(alone).tobytes()


@pytest.mark.parametrize("how", PREDICTIONS)
def test_numbers_are_averaged_as_they_are(how: str):
    outputs = [z[:, :1] for z in members()]
    average = Combiner(how, len(outputs), "numbers")
    blended = average.outputs(average.mean(outputs, [0.2] * 5))
    np.testing.assert_allclose(blended, np.mean(np.array(outputs, np.float64), 0), rtol=1e-12, atol=1e-15)


def test_extreme_outputs_stay_finite():
    outputs = [np.array([[1e5, -1e5, 0.0]], np.float32), np.array([[-1e5, 1e5, 0.0]], np.float32)]
    for how in PREDICTIONS:
        average, blended = mean(how, outputs)
        assert np.isfinite(average.outputs(blended)).all()
        np.testing.assert_allclose(average.probabilities(blended).sum(1), 1)


def test_what_averages_are_called():
    assert [name_of(how, "classes") for how in PREDICTIONS] == list(PREDICTIONS)
    assert [name_of(how, "numbers") for how in ("probabilities", "logits")] == ["mean", "mean"]
    assert [name_of(how, "numbers") for how in ("weighted", "parameters")] == ["weighted", "parameters"]


@pytest.mark.parametrize("how", PREDICTIONS)
def test_scores_stay_what_they_are(how):
    outputs = members()
    average = Combiner(how, len(outputs), "scores")
    blended = average.mean(outputs, [1 / len(outputs)] * len(outputs))
    np.testing.assert_allclose(blended, np.mean(np.asarray(outputs, np.float64), axis=0), rtol=1e-12)
    np.testing.assert_array_equal(average.probabilities(blended), blended)
    np.testing.assert_array_equal(average.outputs(blended), blended)


@pytest.mark.parametrize("how", PREDICTIONS)
def test_each_of_several_labels_is_a_classification_of_two_classes(how):
    """Also where the log-odds are so large that 1 − p is rounded to 0."""
    outputs = [np.vstack([z, [[800.0, -800.0, 40.0, -40.0]]]) for z in members()]
    average = Combiner(how, len(outputs), "labels")
    weights = [1 / len(outputs)] * len(outputs)
    blended = average.mean(outputs, weights)
    for j in range(4):
        pairs = [np.stack([np.zeros(len(z)), z[:, j]], axis=1) for z in outputs]
        of_two, blended_pairs = mean(how, pairs)
        np.testing.assert_array_equal(
            average.probabilities(blended)[:, j], of_two.probabilities(blended_pairs)[:, 1]
        )
        log_odds = np.diff(of_two.outputs(blended_pairs))[:, 0]
        np.testing.assert_allclose(average.outputs(blended)[:, j], log_odds, rtol=1e-12)
    alone = Combiner(how, 1, "labels")
    np.testing.assert_allclose(alone.outputs(alone.mean(outputs[:1], [1.0]))[-1, 2:], [40, -40], rtol=1e-12)
