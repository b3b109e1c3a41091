"""The average itself, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from nnrun.ensemble.blend import Blend, _fitted, blend_predictions
from nnrun.ensemble.scores import score
from nnrun.ensemble.weights import mixture_weights
from nnrun.prediction.combiner import Combiner

N = 40


def parts_of(width: int, members: int = 3) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    return {part: draw.normal(0, 2, (members, N, width)).astype(np.float32) for part in ("val", "test")}


def labels() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(1)
    return {part: draw.integers(0, 3, N).astype(np.int32) for part in ("val", "test")}


def softmax(z: np.ndarray) -> np.ndarray:
    return special.softmax(z.astype(float), axis=-1)


def test_members_count_equally_on_every_part(make_predicted):
    z = parts_of(3)
    blend = blend_predictions("probabilities", score(make_predicted(z, labels()), "probabilities"))
    assert blend.weights == [1 / 3] * 3
    for part in z:
        np.testing.assert_allclose(blend.predictions(part), softmax(z[part]).mean(0), rtol=1e-12)
        np.testing.assert_allclose(blend.outputs(part), np.log(softmax(z[part]).mean(0)), rtol=1e-10)


def test_logits_are_predictions_after_the_softmax_and_outputs_before_it(make_predicted):
    z = parts_of(3)
    blend = blend_predictions("logits", score(make_predicted(z, labels()), "logits"))
    np.testing.assert_allclose(blend.outputs("test"), z["test"].astype(float).mean(0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        blend.predictions("test"), softmax(z["test"].astype(float).mean(0)), rtol=1e-12
    )


def test_fitted_weights_prefer_the_member_that_is_right_on_validation(make_predicted):
    z, y = parts_of(3), labels()
    z["val"][1] += 4 * np.eye(3, dtype=np.float32)[y["val"]]
    blend = blend_predictions("weighted", score(make_predicted(z, y), "weighted"))
    assert sum(blend.weights) == pytest.approx(1)
    assert blend.weights[1] > 0.8
    mixed = np.tensordot(blend.weights, softmax(z["test"]), 1)
    np.testing.assert_allclose(blend.predictions("test"), mixed, rtol=1e-10)


def test_fitted_weights_of_numbers_see_standardised_targets(make_predicted):
    """The second member is right in units of the standardised target, which is (y − 10) / 4."""
    draw = np.random.default_rng(2)
    y = {part: draw.normal(10, 4, N).astype(np.float32) for part in ("val", "test")}
    z = parts_of(1)
    for part in z:
        z[part][1, :, 0] = (y[part] - 10) / 4
    predicted = make_predicted(z, y, classes=(), target_scale=4.0, target_shift=10.0)
    blend = blend_predictions("weighted", score(predicted, "weighted"))
    np.testing.assert_allclose(blend.weights, [0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(blend.predictions("test")[:, 0], (y["test"] - 10) / 4, atol=1e-5)


@pytest.mark.parametrize("how", ["probabilities", "logits", "vote"])
def test_the_predictions_of_numbers_are_the_mean_whatever_the_average(how: str):
    z = parts_of(1)["test"]
    combiner = Combiner(how, 3, "numbers")
    blend = Blend(combiner, [1 / 3] * 3, {"test": combiner.mean(list(z), [1 / 3] * 3)})
    expected = z.astype(float).mean(0)
    np.testing.assert_allclose(blend.predictions("test"), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(blend.outputs("test"), expected, rtol=1e-10, atol=1e-12)


def test_an_average_of_no_members_is_refused():
    with pytest.raises(ValueError, match="no members"):
        Combiner("probabilities", 0, "classes").mean([], [])
    with pytest.raises(ValueError, match="zip"):
        Combiner("probabilities", 2, "classes").mean([np.zeros((1, 2))] * 2, [1.0])


def test_weights_of_several_labels_are_those_of_a_mixture_for_each_label_of_each_example():
    draw = np.random.default_rng(8)
    truth = draw.integers(0, 2, (40, 3)).astype(float)
    outputs = [(2 * truth - 1) * size + draw.normal(0, 2, (40, 3)) for size in (0.5, 1.5, 1.0)]
    p = [np.where(truth == 1, special.expit(z), special.expit(-z)) for z in outputs]
    expected = mixture_weights(np.stack([likelihood.reshape(-1) for likelihood in p]))
    np.testing.assert_allclose(_fitted(outputs, truth, "labels"), expected, atol=1e-6)
    assert expected.argmax() == 1
