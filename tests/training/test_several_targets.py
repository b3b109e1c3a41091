"""Several targets: the loss and the metrics of one, for each and as the mean; against NumPy and scikit-learn."""

from __future__ import annotations

import math
from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics as sk
from scipy.stats import spearmanr

from nnrun import catalog
from nnrun.build.several_targets import loss_of_targets, measures_of_targets
from nnrun.loss.huber import huber
from nnrun.loss.poisson import poisson
from nnrun.loss.quantile import quantile
from nnrun.loss.squared_error import squared_error
from nnrun.metric.r2 import r2
from nnrun.statistics.metric import metric_of, target_of
from nnrun.types import Loss

pytestmark = pytest.mark.usefixtures("float64")

NAMES = ("height", "CO (mg/m3)", "a(b")  # brackets and slashes are no part of the grammar
SCALES = np.array([3.0, 0.01, 200.0])
N = 50
DRAW = np.random.default_rng(0)
Z = DRAW.normal(size=(N, 3))
Y = Z + 0.3 * DRAW.normal(size=(N, 3))


def reported(loss: Loss, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    terms = loss.terms(jnp.asarray(outputs), jnp.asarray(targets))
    means = {name: np.asarray(term).mean(0) for name, term in terms.items()}
    one = {name: float(mean) for name, mean in means.items() if mean.ndim == 0}
    each = {
        f"{name}_{j}": float(mean[j]) for name, mean in means.items() for j in range(mean.size) if mean.ndim
    }
    return loss.metrics(one | each)


def of_targets(make) -> Loss:
    return loss_of_targets([make(target_scale=scale) for scale in SCALES.tolist()], NAMES)


def test_the_loss_is_the_mean_over_targets():
    value = of_targets(squared_error).value(jnp.asarray(Z), jnp.asarray(Y))
    np.testing.assert_allclose(value, ((Z - Y) ** 2 / 2).mean(1), rtol=1e-12)
    value = of_targets(lambda target_scale: huber(0.2, target_scale)).value(jnp.asarray(Z), jnp.asarray(Y))
    error = np.abs(Z - Y)
    expected = np.where(error <= 0.2, error**2 / 2, 0.2 * (error - 0.1)).mean(1)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    value = of_targets(lambda target_scale: quantile(0.9, target_scale)).value(jnp.asarray(Z), jnp.asarray(Y))
    expected = [sk.mean_pinball_loss(y, z, alpha=0.9) for z, y in zip(Z, Y, strict=True)]
    np.testing.assert_allclose(value, expected, rtol=1e-12)


def test_metrics_are_those_of_each_target_and_their_mean():
    metrics = reported(of_targets(squared_error), Z, Y)
    z, y = Z * SCALES, Y * SCALES
    for name, function in {
        "rmse": sk.root_mean_squared_error,
        "mae": sk.mean_absolute_error,
        "r2": sk.r2_score,
    }.items():
        assert metrics[name] == pytest.approx(function(y, z, multioutput="uniform_average"), rel=1e-12)
        each = [metrics[f"{name}({target})"] for target in NAMES]
        np.testing.assert_allclose(each, function(y, z, multioutput="raw_values"), rtol=1e-12)
    assert metrics["loss"] == pytest.approx(((Z - Y) ** 2).mean() / 2)


def test_deviance_of_counts():
    rates, counts = np.exp(Z), DRAW.poisson(2, size=(N, 3)) + 0.0
    metrics = reported(of_targets(poisson), rates, counts)
    each = [
        sk.mean_poisson_deviance(counts[:, j] * scale, rates[:, j] * scale) for j, scale in enumerate(SCALES)
    ]
    np.testing.assert_allclose([metrics[f"deviance({name})"] for name in NAMES], each, rtol=1e-12)
    assert metrics["deviance"] == pytest.approx(np.mean(each))
    assert of_targets(poisson).positive


def test_names_bounds_and_directions_are_known_of_each_target():
    loss = of_targets(squared_error)
    assert (loss.judge, loss.classifies) == ("loss", False)
    for target in NAMES:
        for average in ("", "ema/"):
            metric = metric_of(f"val/{average}r2({target})", loss.rising, loss.bounds)
            assert (metric.rising, metric.bounds) == (True, (-math.inf, 1.0))
            metric = metric_of(f"val/{average}rmse({target})", loss.rising, loss.bounds)
            assert (metric.rising, metric.bounds) == (False, (0.0, math.inf))
            assert target_of(metric.name) == target
    assert target_of("val/rmse") is None


def test_equal_targets_say_of_which_they_are():
    y = Y.copy()
    y[:, 1] = 0.5
    metrics = reported(of_targets(squared_error), Z, y)
    assert math.isnan(metrics["r2"]) and not math.isnan(metrics["r2(height)"])
    assert metrics["r2"].reason == "of CO (mg/m3), all targets are equal"  # type: ignore[attr-defined]


def test_a_loss_of_the_users_own_may_have_weights_and_use_the_unit():
    def own(target_scale: float) -> Loss:
        loss = squared_error(target_scale)
        return loss._replace(
            value=lambda z, y: target_scale * jnp.abs(z[:, 0] - y), weight=lambda z, y: target_scale + 0 * y
        )

    loss = of_targets(own)
    value = loss.value(jnp.asarray(Z), jnp.asarray(Y))
    np.testing.assert_allclose(value, (SCALES * np.abs(Z - Y)).mean(1), rtol=1e-12)
    assert loss.weight is not None
    np.testing.assert_allclose(loss.weight(jnp.asarray(Z), jnp.asarray(Y)), np.full(N, SCALES.mean()))


FUNCTIONS = {
    "rmse": sk.root_mean_squared_error,
    "mae": sk.mean_absolute_error,
    "median_absolute_error": sk.median_absolute_error,
    "mape": sk.mean_absolute_percentage_error,
    "r2": sk.r2_score,
    "pinball": partial(sk.mean_pinball_loss, alpha=0.9),
    "spearman": lambda y, z, multioutput: np.array(
        [spearmanr(a, b)[0] for a, b in zip(y.T, z.T, strict=True)]
    ),
}


def test_every_metric_of_numbers_is_compared(make):
    names = catalog.names("metric")
    numbers = [
        name for name in names if not make("metric", name, **{"k": 2} if name == "top_k" else {}).classifies
    ]
    assert sorted(FUNCTIONS) == numbers


@pytest.mark.parametrize("name", FUNCTIONS)
def test_metrics_of_the_catalogue_against_scikit_learn(make, name):
    one = make("metric", name)
    z, y = Z * SCALES + 1000, Y * SCALES + 1000
    raw = FUNCTIONS[name](y, z, multioutput="raw_values")
    ones = [r2(target_shift=float(mean)) for mean in y.mean(0)] if name == "r2" else [one] * 3
    measures = measures_of_targets(name, ones, NAMES)
    values = {
        key: measure.of_all(z, y)
        if measure.terms is None
        else measure.of_averages(measure.each(z, y).mean(0))
        for key, measure in measures.items()
    }
    assert values.pop(name) == pytest.approx(np.mean(raw), rel=1e-9)
    np.testing.assert_allclose([values[f"{name}({target})"] for target in NAMES], raw, rtol=1e-9)
