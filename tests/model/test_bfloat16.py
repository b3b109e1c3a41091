"""Mixed precision: 8 bits inside of a model, 24 around it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun import catalog
from nnrun.layer._compose import serial
from nnrun.layer.batch_norm import batch_norm
from nnrun.layer.conv import conv
from nnrun.layer.dense import dense
from nnrun.layer.layer_norm import layer_norm
from nnrun.model._bfloat16 import in_bfloat16

KEY = jax.random.key(4)
STEP = 2.0**-8  # half of the distance of two neighbours of bfloat16, relative
SMALL = {
    "vgg": {"width": 4, "hidden": [16]},
    "convnet": {"filters": [4, 6], "convs": 1, "hidden": [6]},
    "resnet": {"depth": 8, "width": 4},
    "wide_resnet": {"depth": 10, "widen": 1},
    "fmp_net": {"filters": 2, "blocks": 4},
    "vit": {"patch": 2, "width": 8, "blocks": 2, "heads": 2},
}


def rounded(a):
    return a.astype(jnp.bfloat16).astype(jnp.float32)


def distance(found, wanted) -> float:
    """Of two trees, relative to the norm of the second."""
    a, b = (jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)]) for tree in (found, wanted))
    return float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))


@pytest.mark.quick(5)
@pytest.mark.parametrize("name", catalog.names("model"))
def test_outputs_gradients_and_statistics_are_float32(make, name):
    model = in_bfloat16(make("model", name, outputs=3, **SMALL.get(name, {})))
    shape = (7,) if name == "sequential" else (12, 10, 1)

    def run(x):
        params, stats, _ = model.init(KEY, shape)

        def total(params):
            y, after = model.apply(params, stats, x, KEY, jnp.ones(4))
            return y.sum(), (y, after)

        return jax.value_and_grad(total, has_aux=True)(params)

    results = jax.eval_shape(run, jax.ShapeDtypeStruct((4, *shape), jnp.float32))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(results)} == {"float32"}


@pytest.mark.quick("mlp", "lenet")
@pytest.mark.parametrize("name", ["mlp", "lenet", "vit"])
def test_outputs_gradients_and_statistics_are_near_to_those_of_float32(make, name):
    model = make("model", name, outputs=3, **SMALL.get(name, {}))
    x = jax.random.normal(KEY, (16, 12, 10, 1))
    params, stats, _ = model.init(KEY, x.shape[1:])

    def run(layer):
        def total(params):
            y, after = layer.apply(params, stats, x, None, jnp.ones(16))
            return jax.nn.log_softmax(y)[:, 0].mean(), (y, after)

        return jax.jit(jax.value_and_grad(total, has_aux=True))(params)

    (_, exact), slope = run(model)
    (_, result), slope_of_result = run(in_bfloat16(model))
    assert 0 < distance(result[0], exact[0]) < 16 * STEP
    assert 0 < distance(slope_of_result, slope) < 16 * STEP
    if jax.tree.leaves(stats):
        assert distance(result[1], exact[1]) < 4 * STEP


def test_a_dense_layer_is_products_of_rounded_numbers_summed_in_float32():
    layer = dense(5)
    params, _, _ = layer.init(KEY, (4096,))
    x = 1 + jax.random.uniform(KEY, (7, 4096))
    y, _ = in_bfloat16(layer).apply(params, {}, x, None, None)
    exact = np.asarray(rounded(x), np.float64) @ np.asarray(rounded(params["kernel"]), np.float64)
    np.testing.assert_allclose(y, exact, rtol=STEP, atol=1e-4)


def test_a_convolution_likewise_with_its_gradients():
    layer = conv(16, init="glorot_uniform", bias=False)
    params, _, _ = layer.init(KEY, (8, 8, 16))
    x, direction = jax.random.normal(KEY, (2, 8, 8, 16)), rounded(jax.random.normal(KEY, (2, 8, 8, 16)))

    def slopes(layer, params, x):
        def total(params, x):
            y = layer.apply(params, {}, x, None, None)[0]
            return (y * direction.astype(y.dtype)).sum()

        return jax.grad(total, argnums=(0, 1))(params, x)

    few = slopes(in_bfloat16(layer), params, x)
    with jax.enable_x64(True):
        exact = jax.tree.map(
            np.asarray, slopes(layer, *jax.tree.map(lambda a: rounded(a).astype(float), (params, x)))
        )
    for found, wanted in zip(jax.tree.leaves(few), jax.tree.leaves(exact), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=STEP, atol=1e-3 * np.abs(wanted).max())


@pytest.mark.parametrize("norm", [batch_norm(), layer_norm()], ids=["batch", "layer"])
def test_moments_of_norms_have_the_digits_of_float32(norm):
    """4096 numbers around 8, a deviation of 1: summed in 8 bits their mean and variance would be nonsense."""
    x = rounded(8 + jax.random.normal(KEY, (4096, 1) if norm.init(KEY, (1,))[1] else (1, 4096)))
    params, stats, _ = norm.init(KEY, x.shape[1:])
    y, _ = in_bfloat16(norm).apply(params, stats, x, None, jnp.ones(len(x)))
    exact = (np.asarray(x, np.float64) - np.asarray(x).mean()) / np.asarray(x, np.float64).std()
    np.testing.assert_allclose(y, exact, rtol=STEP, atol=1e-4)


def test_the_gradient_of_a_bias_that_many_places_share_is_summed_in_float32():
    layer = serial([("conv", conv(2, 1, init="zeros")), ("norm", layer_norm())])
    params, _, _ = layer.init(KEY, (32, 32, 1))
    x = jnp.zeros((64, 32, 32, 1))

    def total(params):
        return in_bfloat16(layer).apply(params, {}, x, None, None)[0].sum()

    np.testing.assert_array_equal(jax.jit(jax.grad(total))(params)["norm"]["bias"], 64 * 32 * 32)
