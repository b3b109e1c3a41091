"""Architectures against what they are on paper: counts, names, order of layers, and messages for misuse."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun.layer.conv import conv
from nnrun.layer.dense import dense
from nnrun.layer.dropout import dropout
from nnrun.layer.flatten import flatten
from nnrun.layer.max_pool import max_pool
from nnrun.layer.tanh import tanh
from nnrun.model.lenet import lenet
from nnrun.model.linear import linear
from nnrun.model.mlp import mlp
from nnrun.model.sequential import sequential

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
IMAGE = (28, 28, 1)


def shapes(model, x_shape=IMAGE):
    """{path: shape} of the parameters."""
    params = jax.eval_shape(lambda: model.init(KEY, x_shape)[0])
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape for path, leaf in leaves}


def count(model, x_shape=IMAGE):
    return sum(int(np.prod(shape)) for shape in shapes(model, x_shape).values())


@pytest.mark.parametrize(("model", "x_shape", "parameters"), [
    (linear(10), IMAGE, 784 * 10 + 10),
    (linear(1), (10,), 11),
    (mlp(10, [512, 512]), IMAGE, 669_706),
    (mlp(10, [512, 512], dropout=0.5, input_dropout=0.2), IMAGE, 669_706),
    # no bias in the hidden layers, a scale and a bias of batch norm instead
    (mlp(10, [512, 512], batch_norm=True), IMAGE, 669_706 + 2 * 512),
    # 5·5·6 + 6, 5·5·6·16 + 16, 7·7·16·120 + 120, 120·84 + 84, 84·10 + 10
    (lenet(10), IMAGE, 156 + 2_416 + 94_200 + 10_164 + 850),
    (lenet(10, batch_norm=True), IMAGE, 107_786 + 6 + 16 + 120 + 84),
    # sides 32 -> 16 -> 8, three channels
    (lenet(10, filters=[4, 8], kernel=3, hidden=[10]), (32, 32, 3), 112 + 296 + 5_130 + 110),
    (sequential(3, [flatten(), dense(4), tanh()]), (2, 3, 1), 6 * 4 + 4 + 4 * 3 + 3),
])  # fmt: skip
def test_number_of_parameters(model, x_shape, parameters):
    assert count(model, x_shape) == parameters


def test_names_of_parameters():
    assert shapes(mlp(10, [30, 20])) == {
        "hidden_1/kernel": (784, 30), "hidden_1/bias": (30,),
        "hidden_2/kernel": (30, 20), "hidden_2/bias": (20,),
        "output/kernel": (20, 10), "output/bias": (10,),
    }  # fmt: skip
    assert shapes(lenet(10, filters=[2], hidden=[5], batch_norm=True)) == {
        "conv_1/kernel": (5, 5, 1, 2), "conv_norm_1/scale": (2,), "conv_norm_1/bias": (2,),
        "dense/hidden_1/kernel": (392, 5), "dense/norm_1/scale": (5,), "dense/norm_1/bias": (5,),
        "dense/output/kernel": (5, 10), "dense/output/bias": (10,),
    }  # fmt: skip
    assert shapes(sequential(2, [flatten(), dense(3)]), (4,)) == {
        "layer_2/kernel": (4, 3), "layer_2/bias": (3,), "output/kernel": (3, 2), "output/bias": (2,),
    }  # fmt: skip


def test_statistics_have_the_names_of_their_layers():
    stats = jax.eval_shape(lambda: mlp(10, [3, 4], batch_norm=True).init(KEY, (5,))[1])
    assert jax.tree.map(jnp.shape, stats) == {
        "norm_1": {"mean": (3,), "var": (3,)},
        "norm_2": {"mean": (4,), "var": (4,)},
    }
    assert jax.eval_shape(lambda: mlp(10, [3]).init(KEY, (5,))[1]) == {}


def test_mlp_on_paper():
    model = mlp(2, [3], activation="tanh")
    rng = np.random.default_rng(1)
    shape_of = jax.eval_shape(lambda: model.init(KEY, (2, 2, 1))[0])
    params = jax.tree.map(lambda a: rng.normal(size=a.shape).astype(np.float32), shape_of)
    x = np.random.default_rng(0).normal(size=(4, 2, 2, 1)).astype(np.float32)
    hidden = np.tanh(x.reshape(4, 4) @ params["hidden_1"]["kernel"] + params["hidden_1"]["bias"])
    wanted = hidden @ params["output"]["kernel"] + params["output"]["bias"]
    np.testing.assert_allclose(model.apply(params, {}, jnp.asarray(x), None, None)[0], wanted, rtol=1e-5)


def test_linear_starts_at_zero():
    params, _, _ = linear(3).init(KEY, (4,))
    assert not any(leaf.any() for leaf in jax.tree.leaves(params))


def test_layers_draw_weights_and_noise_of_their_own():
    model = mlp(8, [8, 8], dropout=0.5)
    params = jax.jit(lambda: model.init(KEY, (8,))[0])()
    kernels = [np.ravel(params[name]["kernel"]) for name in ("hidden_1", "hidden_2", "output")]
    assert np.abs(np.corrcoef(kernels)[np.triu_indices(3, 1)]).max() < 0.6  # 64 weights: 5 deviations
    wide = sequential(1, [dropout(0.5), dropout(0.5)])
    identity = {"output": {"kernel": jnp.eye(600), "bias": jnp.zeros(600)}}
    both = jax.jit(lambda: wide.apply(identity, {}, jnp.ones((1, 600)), KEY, None)[0])()
    assert 0.2 < np.mean(np.asarray(both) != 0) < 0.3  # a quarter; a half if they shared their noise


def test_a_layer_added_behind_does_not_change_the_weights_before():
    short, long = mlp(10, [6]), mlp(10, [6, 5])
    first, second = jax.jit(
        lambda: [model.init(KEY, (4,))[0]["hidden_1"]["kernel"] for model in (short, long)]
    )()
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("model", "x_shape", "says"), [
    (sequential(2, [dense(3)]), IMAGE, "dense needs a vector per example, got shape (28, 28, 1)"),
    (sequential(2, [conv(3)]), IMAGE, "dense needs a vector per example, got shape (28, 28, 3)"),
    (sequential(2, [flatten(), conv(3)]), IMAGE, "conv needs images (h, w, c), got shape (784,)"),
    (sequential(2, [flatten(), max_pool()]), IMAGE, "max_pool needs images (h, w, c), got shape (784,)"),
    (lenet(10), (30,), "conv needs images (h, w, c), got shape (30,)"),
    (lenet(10, filters=[1] * 5), IMAGE, "max_pool of size 2 does not fit into images of shape (1, 1, 1)"),
])  # fmt: skip
def test_misuse_is_told_in_one_line(model, x_shape, says):
    with pytest.raises(ValueError) as caught:
        model.init(KEY, x_shape)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
