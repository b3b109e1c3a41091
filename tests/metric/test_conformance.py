"""What every metric keeps to.  Fed by the folder."""

from __future__ import annotations

import re
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from nnrun import catalog
from nnrun.loss.cross_entropy import cross_entropy
from nnrun.loss.squared_error import squared_error
from nnrun.preprocessing import Preprocessing
from nnrun.statistics.metric import ANY
from nnrun.training.tally import Tally
from nnrun.types import Measure

N, CLASSES = 103, ("ant", "bee", "cat", "dog")
FITTED = Preprocessing((), (), (1,), "float32", np.zeros(1), np.ones(1), 0.0, 1.0, {})
DATA = SimpleNamespace(fitted=FITTED)


@pytest.fixture(params=catalog.names("metric"))
def name(request) -> str:
    return request.param


@pytest.fixture
def measure(make, name) -> Measure:
    return make("metric", name, **{"k": 2} if name == "top_k" else {})


def examples(measure: Measure, seed: int = 0, n: int = N) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and targets of the kind that the metric takes, better than chance, with ties."""
    rng = np.random.default_rng(seed)
    if not measure.classifies:
        targets = rng.normal(5, 2, n)
        return targets + rng.normal(size=n).round(1), targets
    labels = rng.integers(0, len(CLASSES), n).astype(np.int32)
    z = (rng.normal(size=(n, len(CLASSES))) + 1.5 * np.eye(len(CLASSES))[labels]).round(1)
    return np.exp(z) / np.exp(z).sum(1, keepdims=True), labels


def value_of(measure: Measure, predictions: np.ndarray, targets: np.ndarray) -> float:
    if measure.terms is None:
        return measure.of_all(predictions, targets)
    return measure.of_averages(measure.each(predictions, targets).mean(0))


def perfect(measure: Measure, targets: np.ndarray) -> np.ndarray:
    return np.eye(len(CLASSES))[targets] if measure.classifies else targets.copy()


def test_the_direction_is_what_it_says(measure):
    predictions, targets = examples(measure)
    best = value_of(measure, perfect(measure, targets), targets)
    now = value_of(measure, predictions, targets)
    assert best > now if measure.rising else best < now
    assert best == pytest.approx(1.0 if measure.rising else 0.0, abs=1e-12)


def test_a_value_lies_within_the_bounds(measure):
    assert measure.bounds != ANY
    for seed in range(20):
        predictions, targets = examples(measure, seed, 17)
        value = value_of(measure, predictions, targets)
        assert np.isnan(value) or measure.bounds[0] <= value <= measure.bounds[1]


def test_the_order_of_examples_does_not_matter(measure):
    predictions, targets = examples(measure)
    order = np.random.default_rng(1).permutation(N)
    assert value_of(measure, predictions[order], targets[order]) == pytest.approx(
        value_of(measure, predictions, targets), rel=1e-12
    )


def test_terms_of_an_example_do_not_depend_on_the_others(measure):
    predictions, targets = examples(measure)
    together = measure.each(predictions, targets)
    assert together.dtype == np.float64
    for i in range(0, N, 10):
        np.testing.assert_array_equal(
            measure.each(predictions[i : i + 1], targets[i : i + 1])[0], together[i]
        )


def test_nothing_is_changed_and_nothing_warns(measure):
    predictions, targets = examples(measure)
    before = predictions.copy(), targets.copy()
    with warnings.catch_warnings(action="error"):
        value_of(measure, predictions, targets)
    np.testing.assert_array_equal(predictions, before[0])
    np.testing.assert_array_equal(targets, before[1])


@pytest.mark.parametrize("pieces", [[N], [32, 32, 32, 7], [64, 39], [96, 7]])
def test_streamed_it_has_the_same_bits_wherever_pieces_end(name, measure, pieces):
    outputs, targets = examples(measure)
    outputs = np.log(outputs) if measure.classifies else outputs[:, None]
    loss = (cross_entropy() if measure.classifies else squared_error())._replace(measures={name: measure})
    values = []
    for edges in ([N], pieces):
        tally, start = Tally(loss, DATA, rows=32), 0  # type: ignore[arg-type]
        for size in edges:
            tally.add(outputs[start : start + size], targets[start : start + size])
            start += size
        values.append(tally.metrics()[name])
    assert values[0] == values[1]
    predictions = np.exp(outputs) if measure.classifies else outputs[:, 0]
    assert values[0] == pytest.approx(value_of(measure, predictions, targets), rel=1e-12)


def test_predictions_that_are_not_finite_are_said(name, measure):
    outputs, targets = examples(measure)
    outputs = np.log(outputs) if measure.classifies else outputs[:, None]
    outputs[50] = np.nan
    loss = (cross_entropy() if measure.classifies else squared_error())._replace(measures={name: measure})
    tally = Tally(loss, DATA, rows=32)  # type: ignore[arg-type]
    tally.add(outputs, targets)
    value = tally.metrics()[name]
    assert np.isnan(value)
    assert value.reason == "predictions are not finite"  # type: ignore[attr-defined]


def test_docstring_says_what_it_is_and_names_every_option(name):
    text = catalog.find("metric", name).__doc__
    assert 0 < len(catalog.summary("metric", name)) <= 110
    assert "Source: " in text
    assert not [opt for opt in catalog.parameters("metric", name) if not re.search(rf"\b{opt}\b", text)]
