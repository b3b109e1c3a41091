"""DropConnect: which weights are dropped, and what an evaluation does instead."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from nnrun.layer.batch_norm import batch_norm
from nnrun.layer.conv import conv
from nnrun.layer.dense import dense
from nnrun.layer.dropconnect import dropconnect
from nnrun.layer.dropout import dropout
from nnrun.layer.relu import relu

pytestmark = pytest.mark.usefixtures("float64")

KEY = jax.random.key(2)
INNER = {"dense": (dense(5), (7,)), "conv": (conv(4), (5, 6, 3))}


@pytest.fixture(params=sorted(INNER))
def inner(request):
    """A layer, its parameters with biases away from 0, and three examples."""
    layer, shape = INNER[request.param]
    rng = np.random.default_rng(0)
    params, _, _ = layer.init(KEY, shape)
    params = jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape)), params)
    return layer, params, jnp.asarray(rng.normal(size=(3, *shape)))


def drawn(layer, params, x, draws):
    """Outputs with noise, (draws, n, ...)."""
    run = jax.jit(jax.vmap(lambda key: layer.apply(params, {}, x, key, jnp.ones(len(x)))[0]))
    return np.asarray(run(jax.random.split(KEY, draws)))


@pytest.mark.quick("conv-example", "dense-batch")
@pytest.mark.parametrize("mask", ["batch", "example"])
def test_expectation_and_variance_are_those_of_the_formula(inner, mask):
    layer, params, x = inner
    rate, draws = 0.3, 3000
    y = drawn(dropconnect(layer, rate, mask), params, x, draws)
    keep = 1 - round(65536 * rate) / 65536
    mean = np.asarray(layer.apply(params, {}, x, None, None)[0])
    squares = jax.tree.map(jnp.square, params)
    variance = (1 - keep) / keep * np.asarray(layer.apply(squares, {}, x**2, None, None)[0])
    z = (y.mean(0) - mean) / np.sqrt(variance / draws)
    assert np.abs(z).max() < 5.5
    assert abs(z.mean()) < 1  # sums share weights, so they are not independent
    np.testing.assert_allclose(y.var(0), variance, rtol=0.35)
    assert abs((y.var(0) / variance).mean() - 1) < 0.05


def test_a_mask_serves_the_batch_or_an_example():
    """Four equal examples: the same output under one mask, different ones under their own."""
    params = {"kernel": jnp.ones((6, 8)), "bias": jnp.ones(8)}
    x = jnp.ones((4, 6))
    shared, own = (
        dropconnect(dense(8), 0.5, mask).apply(params, {}, x, KEY, None)[0] for mask in ("batch", "example")
    )
    assert (shared == shared[:1]).all()
    assert all((own[i] != own[j]).any() for i in range(4) for j in range(i))
    # 2 · (weights and biases kept): a whole number of weights, each doubled
    assert set(np.unique(np.asarray(own))) <= {2.0 * k for k in range(8)}


@pytest.mark.quick(1)
@pytest.mark.parametrize("mask", ["batch", "example"])
def test_biases_and_weights_are_dropped_and_a_dropped_one_gets_no_gradient(mask):
    layer = dropconnect(dense(50), 0.5, mask)
    params = {"kernel": jnp.ones((40, 50)), "bias": jnp.ones(50)}
    x = jnp.ones((1, 40))
    run = lambda params, x: layer.apply(params, {}, x, KEY, None)[0]  # noqa: E731
    slopes = jax.grad(lambda params: run(params, x).sum())(params)
    for name, slope in slopes.items():
        assert set(np.unique(np.asarray(slope))) == {0.0, 2.0}, name
    kept = np.asarray(slopes["kernel"]).mean() / 2
    assert abs(kept - 0.5) < 5 * 0.5 / np.sqrt(2000)
    by_weight = np.asarray(run(params, x))[0]
    np.testing.assert_array_equal(by_weight, np.asarray(slopes["kernel"]).sum(0) + np.asarray(slopes["bias"]))


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu", "leaky_relu", "softplus"])
def test_gaussian_is_the_integral_over_the_normal_distribution(activation):
    rng = np.random.default_rng(1)
    params = {"kernel": jnp.asarray(rng.normal(size=(6, 4))), "bias": jnp.asarray(rng.normal(size=4))}
    x = jnp.asarray(rng.normal(size=(2, 6)))
    layer = dropconnect(dense(4), 0.5, inference="gaussian", samples=4000, activation=activation)
    found = layer.apply(params, {}, x, None, None)[0]
    mean = np.asarray(x) @ np.asarray(params["kernel"]) + np.asarray(params["bias"])
    sigma = np.sqrt(np.asarray(x) ** 2 @ np.asarray(params["kernel"]) ** 2 + np.asarray(params["bias"]) ** 2)
    bend = {
        "relu": lambda u: max(u, 0.0),
        "tanh": np.tanh,
        "gelu": lambda u: u * scipy.stats.norm.cdf(u),
        "leaky_relu": lambda u: max(u, 0.01 * u),
        "softplus": lambda u: np.logaddexp(u, 0),
    }[activation]

    def expected(m, s):
        density = scipy.stats.norm(m, s).pdf
        return scipy.integrate.quad(lambda u: bend(u) * density(u), m - 9 * s, m + 9 * s, limit=200)[0]

    wanted = [[expected(m, s) for m, s in zip(*row, strict=True)] for row in zip(mean, sigma, strict=True)]
    np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_gaussian_is_nearer_to_training_than_the_mean_is(inner):
    layer, params, x = inner
    truth = drawn(dropconnect(layer, 0.5, activation="relu"), params, x, 3000).mean(0)
    error = {
        how: np.abs(
            np.asarray(
                dropconnect(layer, 0.5, inference=how, activation="relu").apply(params, {}, x, None, None)[0]
            )
            - truth
        ).mean()
        for how in ("mean", "gaussian")
    }
    assert error["gaussian"] < error["mean"] / 4


def test_rate_0_is_the_layer_bit_for_bit(inner):
    layer, params, x = inner
    plain = layer.apply(params, {}, x, None, None)[0]
    for inference in ("mean", "gaussian"):
        wrapped = dropconnect(layer, 0.0, inference=inference)
        for key in (None, KEY):
            np.testing.assert_array_equal(wrapped.apply(params, {}, x, key, None)[0], plain)
    traced = jax.jit(lambda rate: dropconnect(layer, rate).apply(params, {}, x, KEY, None)[0])
    np.testing.assert_array_equal(traced(0.0), jax.jit(lambda: layer.apply(params, {}, x, None, None)[0])())


@pytest.mark.parametrize("bad", [batch_norm, relu, dropout])
def test_what_has_no_weights_of_its_own_is_refused(bad):
    with pytest.raises(ValueError, match="write inner"):
        dropconnect(bad()).init(KEY, (4,))


def test_dropconnect_inside_dropconnect_is_refused(inner):
    layer, _, x = inner
    for rate in (0.5, 0.0):
        nested = dropconnect(dropconnect(layer, rate), 0.5)
        if rate:
            with pytest.raises(ValueError, match="drops twice; write one of them, with one rate"):
                nested.init(KEY, x.shape[1:])
        else:  # off, so it is not there
            assert nested.init(KEY, x.shape[1:])[0].keys() == {"kernel", "bias"}
    traced = jax.jit(lambda rate: dropconnect(dropconnect(layer, rate), 0.5).init(KEY, x.shape[1:])[0])
    with pytest.raises(ValueError, match="drops twice"):
        traced(0.5)


def test_gaussian_is_finite_where_a_fast_convolution_rounds_below_zero():
    """In float32, of many channels, with dark rows beside bright ones."""
    with jax.enable_x64(False):
        rng = np.random.default_rng(0)
        x = np.maximum(rng.normal(size=(64, 16, 16, 32)), 0).astype(np.float32) * 5
        x[:, 6:11] = 0
        layer = dropconnect(conv(32, bias=False), 0.5, inference="gaussian", samples=5, activation="relu")
        params, _, _ = layer.init(KEY, (16, 16, 32))
        assert np.isfinite(layer.apply(params, {}, jnp.asarray(x), None, None)[0]).all()
