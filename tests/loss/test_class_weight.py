"""Weights of classes: the weighted mean by torch's formula, by hand, and the weights of scikit-learn."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from nnrun.loss._class_weight import weights_of
from nnrun.loss.cross_entropy import cross_entropy
from nnrun.training.objective import StepContext, make_objective
from nnrun.types import Batch, Layer

pytestmark = pytest.mark.usefixtures("float64")

CLASSES = ("no", "maybe", "yes")
WEIGHT = {"yes": 3.0, "no": 0.5}
W = np.array([0.5, 1.0, 3.0])
N = 11


def batch(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(N, 3)), rng.integers(0, 3, N)


def by_torch(z: np.ndarray, y: np.ndarray, smoothing: float) -> float:
    """The formulas of torch.nn.CrossEntropyLoss(weight, label_smoothing), reduction mean, for class indices."""
    log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
    total = 0.0
    for row, label in zip(log_p, y, strict=True):
        total += (1 - smoothing) * -W[label] * row[label] + smoothing / 3 * -(W * row).sum()
    return total / W[y].sum()


def objective(loss, z, y, weight, parts: int = 1):
    """The objective of a model whose only parameters are its outputs."""
    model = Layer(
        lambda key, shape: ({}, {}, shape), lambda params, stats, x, key, weight: (params[x[:, 0]], stats)
    )
    x = jnp.arange(len(y), dtype=jnp.int32)[:, None]
    data = Batch(x, jnp.asarray(y, jnp.int32), jnp.asarray(weight))
    return make_objective(StepContext(model, loss, lambda params: jnp.zeros(()), {}, data, None), parts)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("parts", [1, 3])
def test_a_step_takes_the_weighted_mean_as_torch_defines_it(smoothing, parts):
    z, y = batch()
    loss = cross_entropy(smoothing, WEIGHT, CLASSES)
    value, _ = objective(loss, z, y, np.ones(N), parts).whole(jnp.asarray(z))
    assert float(value) == pytest.approx(by_torch(z, y, smoothing), rel=1e-12)


def test_padding_of_a_short_batch_has_no_weight():
    z, y = batch()
    weight = (np.arange(N) < 7).astype(float)
    value, _ = objective(cross_entropy(0.0, WEIGHT, CLASSES), z, y, weight).whole(jnp.asarray(z))
    assert float(value) == pytest.approx(by_torch(z[:7], y[:7], 0.0), rel=1e-12)


def test_the_gradient_of_parts_is_that_of_the_whole():
    z, y = batch()
    loss = cross_entropy(0.1, WEIGHT, CLASSES)
    slopes = [objective(loss, z, y, np.ones(N), parts).gradient(jnp.asarray(z))[1] for parts in (1, 4)]
    np.testing.assert_allclose(slopes[0], slopes[1], rtol=1e-12)
    theirs = jax.grad(lambda z: objective(loss, z, y, np.ones(N)).value_of(z))(jnp.asarray(z))
    np.testing.assert_allclose(slopes[0], theirs, rtol=1e-12)


def test_a_part_has_the_weighted_mean_of_the_loss_and_the_plain_accuracy():
    z, y = batch()
    loss = cross_entropy(0.0, WEIGHT, CLASSES)
    terms = loss.terms(jnp.asarray(z), jnp.asarray(y, jnp.int32))
    metrics = loss.metrics({name: float(term.mean()) for name, term in terms.items()})
    assert metrics["loss"] == pytest.approx(by_torch(z, y, 0.0), rel=1e-12)
    assert metrics["accuracy"] == np.mean(z.argmax(1) == y)


def test_without_weights_nothing_is_weighted():
    assert cross_entropy(0.0, None, CLASSES, (3, 4, 5)).weight is None


def test_balanced_is_that_of_scikit_learn():
    y = np.repeat([0, 1, 2], [50, 7, 3])
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=y)
    np.testing.assert_allclose(weights_of("balanced", CLASSES, np.bincount(y).tolist()), theirs, rtol=1e-15)


def test_what_cannot_be_is_refused_with_what_can():
    with pytest.raises(ValueError, match="there is no class 'never'; the classes are no, maybe, yes"):
        weights_of({"never": 2.0}, CLASSES, ())
    with pytest.raises(ValueError, match="the training part has no example of maybe; write the weights"):
        weights_of("balanced", CLASSES, (3, 0, 2))
