"""Layers against Flax, values and gradients; max pooling against windows cut out by hand."""

from __future__ import annotations

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun.layer.batch_norm import batch_norm
from nnrun.layer.conv import conv
from nnrun.layer.dense import dense
from nnrun.layer.flatten import flatten
from nnrun.layer.gelu import gelu
from nnrun.layer.max_pool import max_pool
from nnrun.layer.relu import relu
from nnrun.layer.swiglu import swiglu
from nnrun.layer.tanh import tanh

TOLERANCES = {"float32": 1e-5, "float64": 1e-10}
KEY = jax.random.key(0)


@pytest.fixture(params=TOLERANCES)
def tolerance(request):
    with jax.enable_x64(request.param == "float64"):
        yield TOLERANCES[request.param]


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), float)


def weighed(y):
    return jnp.sin(y + jnp.linspace(0, 3, y.size, dtype=y.dtype).reshape(y.shape)).sum()


def with_gradients(function, *arguments):
    """The result, and the gradients of a function of it by every argument."""

    def value(*arguments):
        y = function(*arguments)
        return weighed(y), y

    slopes = jax.value_and_grad(value, argnums=tuple(range(len(arguments))), has_aux=True)
    (_, y), gradients = jax.jit(slopes)(*arguments)
    return y, gradients


def check_against_flax(layer, module, x, near, flax_rules, tolerance):
    params = jax.eval_shape(lambda: layer.init(KEY, x.shape[1:])[0])
    params = jax.tree.map(lambda a: normal(*a.shape, seed=a.size), params)
    found = with_gradients(lambda p, x: layer.apply(p, {}, x, None, None)[0], params, x)
    with flax_rules():
        near(found, with_gradients(lambda p, x: module.apply({"params": p}, x), params, x), tolerance)


class Gated(nn.Module):
    bias: bool

    def setup(self):
        self.gate, self.value = (nn.Dense(6, use_bias=self.bias) for _ in range(2))

    def __call__(self, x):
        return nn.silu(self.gate(x)) * self.value(x)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 7), (5, 3, 7)])
def test_swiglu(near, flax_rules, tolerance, bias, shape):
    check_against_flax(swiglu(6, bias), Gated(bias), normal(*shape), near, flax_rules, tolerance)


@pytest.mark.parametrize("bias", [True, False])
def test_dense(near, flax_rules, tolerance, bias):
    module = nn.Dense(4, use_bias=bias, dtype=float, param_dtype=float)
    check_against_flax(dense(4, bias=bias), module, normal(5, 3), near, flax_rules, tolerance)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "bias"),
    [(5, 1, "same", True), (3, 2, "same", False), (3, 2, "valid", True), (1, 3, "valid", False)],
)
def test_conv(near, flax_rules, tolerance, kernel, stride, padding, bias):
    module = nn.Conv(
        4, (kernel, kernel), stride, padding.upper(), use_bias=bias, dtype=float, param_dtype=float
    )
    layer = conv(4, kernel, stride, padding, bias)
    check_against_flax(layer, module, normal(3, 7, 10, 2), near, flax_rules, tolerance)


@pytest.mark.parametrize(("layer", "reference"), [
    (relu, nn.relu), (tanh, nn.tanh), (gelu, lambda x: nn.gelu(x, approximate=False)),
])  # fmt: skip
def test_activations(near, tolerance, layer, reference):
    x = jnp.concatenate([normal(1, 50) * 3, jnp.array([[-40.0, -1e-20, 1e-20, 40.0]])], axis=1)
    found = with_gradients(lambda x: layer().apply({}, {}, x, None, None)[0], x)
    near(found, with_gradients(reference, x), tolerance)


def test_flatten_keeps_the_order_of_numpy():
    x = normal(3, 2, 4, 5)
    y, _ = flatten().apply({}, {}, x, None, None)
    np.testing.assert_array_equal(y, np.asarray(x).reshape(3, 40))


POOLS = [(2, 2), (3, 3), (2, 1), (3, 2), (1, 2), (7, 7), (2, 3)]


def pooled(x, size, stride):
    """By hand: the windows stacked, their maximum taken."""
    n, h, w, c = x.shape
    tops, lefts = range(0, h - size + 1, stride), range(0, w - size + 1, stride)
    windows = [x[:, i : i + size, j : j + size].reshape(n, -1, c) for i, j in itertools.product(tops, lefts)]
    return jnp.stack(windows, 1).max(2).reshape(n, len(tops), len(lefts), c)


@pytest.mark.quick("3-2", "2-3", "7-7")
@pytest.mark.parametrize(("size", "stride"), POOLS)
def test_max_pool_takes_whole_windows_only(near, flax_rules, float64, size, stride):
    x = normal(2, 7, 9, 3)  # sides that no window of even size divides
    layer = max_pool(size, stride)
    found = with_gradients(lambda x: layer.apply({}, {}, x, None, None)[0], x)
    assert found[0].shape[1:] == layer.init(KEY, x.shape[1:])[2]
    near(found, with_gradients(lambda x: pooled(x, size, stride), x))
    with flax_rules():
        np.testing.assert_array_equal(found[0], nn.max_pool(x, (size, size), (stride, stride)))


def test_max_pool_windows_do_not_overlap_unless_asked():
    x = normal(2, 8, 8, 1)
    np.testing.assert_array_equal(
        max_pool(2).apply({}, {}, x, None, None)[0], max_pool(2, 2).apply({}, {}, x, None, None)[0]
    )


@pytest.mark.parametrize("stride", [2, 1])
def test_max_pool_gives_the_gradient_of_a_tie_to_one_and_works_below_zero(stride):
    layer = max_pool(2, stride)
    x = jnp.array([[-3.0, -1.0], [-1.0, -1.0]]).reshape(1, 2, 2, 1)
    y, gradient = jax.value_and_grad(lambda x: layer.apply({}, {}, x, None, None)[0].sum())(x)
    assert y == -1
    assert sorted(gradient.ravel().tolist()) == [0, 0, 0, 1]
    assert gradient.ravel()[0] == 0


@pytest.mark.parametrize("place", range(9))
def test_max_pool_shows_nan(place):
    x = jnp.arange(9.0).at[place].set(jnp.nan).reshape(1, 3, 3, 1)
    assert jnp.isnan(max_pool(3).apply({}, {}, x, None, None)[0]).all()


@pytest.mark.parametrize("size", [2, 3])
def test_max_pool_of_a_population(near, size):
    x = normal(3, 2, 7, 7, 2)
    run = lambda x: with_gradients(lambda x: max_pool(size, 2).apply({}, {}, x, None, None)[0], x)  # noqa: E731
    near(jax.tree.map(lambda a: a[1], jax.jit(jax.vmap(run))(x)), run(x[1]), 1e-6)


@pytest.fixture(params=[(6, 3), (4, 5, 2, 3)], ids=["vectors", "images"])
def norm_case(request, float64):
    """x, params and stats of batch norm, away from their start."""
    names = ["scale", "bias", "mean", "var"]
    vectors = {name: jnp.asarray(np.random.default_rng(i).random(3) + 0.5) for i, name in enumerate(names)}
    halves = [{name: vectors[name] for name in names} for names in (("scale", "bias"), ("mean", "var"))]
    return normal(*request.param, seed=5) * 2 + 1, *halves


def norm_with_gradients(apply, params, x):
    """y and stats, gradients by params and x."""

    def value(params, x):
        y, stats = apply(params, x)
        return weighed(y), (y, stats)

    (_, result), gradients = jax.jit(jax.value_and_grad(value, argnums=(0, 1), has_aux=True))(params, x)
    return result, gradients


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(near, flax_rules, norm_case, training):
    x, params, stats = norm_case
    layer = batch_norm(momentum=0.8, eps=1e-3)
    module = nn.BatchNorm(
        use_running_average=not training, momentum=0.8, epsilon=1e-3, use_fast_variance=False,
        dtype=jnp.float64, param_dtype=jnp.float64,
    )  # fmt: skip

    def reference(params, x):
        variables = {"params": params, "batch_stats": stats}
        y, new = module.apply(variables, x, mutable=["batch_stats"])
        return y, new["batch_stats"] if training else stats

    weight = jnp.ones(x.shape[0]) if training else None
    found = norm_with_gradients(lambda p, x: layer.apply(p, stats, x, None, weight), params, x)
    with flax_rules():
        near(found, norm_with_gradients(reference, params, x))


def test_batch_norm_leaves_mean_0_and_variance_1(float64):
    layer = batch_norm(eps=1e-12)
    x = normal(64, 3) * 7 + 100
    params, stats, _ = layer.init(KEY, (3,))
    y, new = layer.apply(params, stats, x, None, jnp.ones(64))
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(0), 1, rtol=1e-10)
    np.testing.assert_allclose(new["mean"], 0.1 * x.mean(0))
    np.testing.assert_allclose(new["var"], 0.9 + 0.1 * x.var(0))


def test_batch_norm_of_a_padded_batch_is_that_of_the_smaller_batch(near, norm_case):
    x, params, stats = norm_case
    layer, weight = batch_norm(), jnp.asarray(np.arange(x.shape[0]) % 2, float)
    rows = np.flatnonzero(weight)

    def padded(params, x):
        y, new = layer.apply(params, stats, x, None, weight)
        return y[rows], new

    found = norm_with_gradients(padded, params, x)
    small = lambda p, x: layer.apply(p, stats, x, None, jnp.ones(len(rows)))  # noqa: E731
    wanted, (by_params, by_x) = norm_with_gradients(small, params, x[rows])
    near(found, (wanted, (by_params, jnp.zeros_like(x).at[rows].set(by_x))), 1e-12)


@pytest.mark.parametrize(("layer", "shape", "says"), [
    (dense(3), (4, 4, 1), "put flatten before it"),
    (conv(3), (16,), "use it before flatten"),
    (conv(3, kernel=5, padding="valid"), (9, 4, 1), "does not fit into images of shape (9, 4, 1)"),
    (max_pool(2), (16,), "use it before flatten"),
    (max_pool(3), (5, 2, 1), "does not fit into images of shape (5, 2, 1)"),
])  # fmt: skip
def test_a_layer_in_the_wrong_place_says_what_to_do(layer, shape, says):
    with pytest.raises(ValueError) as caught:
        layer.init(KEY, shape)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
