"""Several labels of an example: the loss and the metrics of each and their mean; against NumPy and scikit-learn."""

from __future__ import annotations

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics as sk
from scipy.special import expit

from nnrun import catalog
from nnrun.build.several_targets import loss_of_targets, measures_of_targets
from nnrun.loss.binary_cross_entropy import binary_cross_entropy
from nnrun.preprocessing import Preprocessing
from nnrun.training.predictions import predictions_of
from nnrun.training.sampled import sampled
from nnrun.types import Layer, Loss

pytestmark = pytest.mark.usefixtures("float64")

NAMES = ("rain", "wind", "fog")
N = 60
DRAW = np.random.default_rng(0)
Z = 2 * DRAW.normal(size=(N, 3))
Y = (expit(Z) > DRAW.uniform(size=(N, 3))).astype(np.float64)
P = expit(Z)


def labels_loss() -> Loss:
    return loss_of_targets([binary_cross_entropy()] * 3, NAMES, alike=True)


def test_the_loss_is_the_mean_over_labels():
    value = labels_loss().value(jnp.asarray(Z), jnp.asarray(Y))
    np.testing.assert_allclose(value, -(Y * np.log(P) + (1 - Y) * np.log(1 - P)).mean(1), rtol=1e-9)


def test_the_accuracy_of_each_label_and_of_all_at_once():
    loss = labels_loss()
    terms = loss.terms(jnp.asarray(Z), jnp.asarray(Y))
    means: dict[str, float] = {}
    for name, term in terms.items():
        mean = np.asarray(term).mean(0)
        means |= {f"{name}_{j}": float(mean[j]) for j in range(3)} if mean.ndim else {name: float(mean)}
    metrics, guessed = loss.metrics(means), P > 0.5
    assert metrics["exact_match"] == pytest.approx(sk.accuracy_score(Y, guessed))  # their subset accuracy
    assert metrics["accuracy"] == pytest.approx(1 - sk.hamming_loss(Y, guessed))
    for j, name in enumerate(NAMES):
        assert metrics[f"accuracy({name})"] == pytest.approx(sk.accuracy_score(Y[:, j], guessed[:, j]))
        assert metrics[f"loss({name})"] == pytest.approx(sk.log_loss(Y[:, j], P[:, j]))
    assert {"accuracy", "exact_match", "accuracy(fog)"} <= set(loss.rising)
    assert loss.judge == "loss" and loss.bounds["exact_match"] == (0, 1)


@pytest.mark.parametrize(
    ("name", "options", "theirs"),
    [
        ("f1", {"label": "yes"}, lambda y, p: sk.f1_score(y, p > 0.5)),
        ("f1", {}, lambda y, p: sk.f1_score(y, p > 0.5, average="macro")),
        ("precision", {"label": "yes"}, lambda y, p: sk.precision_score(y, p > 0.5)),
        ("recall", {"label": "no"}, lambda y, p: sk.recall_score(y, p > 0.5, pos_label=0)),
        ("balanced_accuracy", {}, lambda y, p: sk.balanced_accuracy_score(y, p > 0.5)),
        ("mcc", {}, lambda y, p: sk.matthews_corrcoef(y, p > 0.5)),
        ("auroc", {}, sk.roc_auc_score),
        ("average_precision", {"label": "yes"}, sk.average_precision_score),
        ("log_loss", {}, sk.log_loss),
        ("brier", {}, sk.brier_score_loss),
    ],
)
def test_metrics_are_scikit_learns_of_each_label_and_their_mean(name, options, theirs):
    measure = catalog.find("metric", name)(**options, **({"classes": ("no", "yes")} if options else {}))
    measures = measures_of_targets(name, [measure] * 3, NAMES, binary=True)
    each = [theirs(Y[:, j], P[:, j]) for j in range(3)]
    for target, expected in zip(["", *NAMES], [np.mean(each), *each], strict=True):
        ours = measures[f"{name}({target})" if target else name]
        value = ours.of_all(P, Y) if ours.terms is None else ours.of_averages(ours.each(P, Y).mean(0))
        assert value == pytest.approx(expected, rel=1e-9), target


def test_predictions_are_probabilities_also_where_outputs_are_large():
    z = np.array([[0.0, 800.0, -800.0]])
    np.testing.assert_array_equal(predictions_of(z, labels_loss(), SimpleNamespace()), [[0.5, 1.0, 0.0]])


def test_predictions_over_noise_are_means_of_probabilities():
    """Two draws, ±z in turn, of which the mean probability of every label is a half."""
    fitted = Preprocessing(
        (), (), (3,), "float64", np.zeros(3), np.ones(3), np.zeros(3), np.ones(3), {}, NAMES
    )
    seen: list[np.ndarray] = []

    def apply(params, stats, x, key, weight):
        del params, stats, weight
        return x * jnp.where(jax.random.uniform(key) < 0.5, -1.0, 1.0), ()

    model = Layer(lambda key, shape: ((), (), shape), apply)
    experiment = SimpleNamespace(
        loss=lambda knobs: labels_loss(),
        knobs={},
        noise=lambda key: key,
        dataset=SimpleNamespace(fitted=fitted),
    )
    key, x = jax.random.key(0), jnp.asarray(Z)
    predict = sampled(experiment, 50)
    outputs, beside = predict(model, (), (), x, key, jnp.int32(0))
    noise = jax.random.fold_in(key, 3)
    for s in range(50):
        of_sample = jax.random.fold_in(jax.random.fold_in(noise, s), 0)
        seen.append(expit(np.asarray(apply((), (), x, of_sample, None)[0])))
    mean = np.mean(seen, axis=0)
    np.testing.assert_allclose(expit(np.asarray(outputs)), mean, rtol=1e-9)
    entropy = -(mean * np.log(mean) + (1 - mean) * np.log(1 - mean))
    np.testing.assert_allclose(beside["entropy(wind)"], entropy[:, 1], rtol=1e-9)
    np.testing.assert_allclose(beside["entropy"], entropy.mean(1), rtol=1e-9)
    inside = np.mean([-(p * np.log(p) + (1 - p) * np.log(1 - p)) for p in seen], axis=0)
    np.testing.assert_allclose(beside["mutual_information(fog)"], (entropy - inside)[:, 2], atol=1e-12)
