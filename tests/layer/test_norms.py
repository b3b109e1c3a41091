"""Layer, group and batch norm against Flax and torch, values and gradients."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun.layer.batch_norm import batch_norm
from nnrun.layer.group_norm import group_norm
from nnrun.layer.layer_norm import layer_norm

pytestmark = pytest.mark.usefixtures("float64")

KEY = jax.random.key(0)
SHAPES = {"vectors": (5, 6), "sequences": (3, 4, 6), "images": (2, 4, 5, 6)}
PARTS = [(True, True), (True, False), (False, True), (False, False)]  # scale, bias


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def parameters(scale, bias):
    names = [name for name, there in (("scale", scale), ("bias", bias)) if there]
    return {name: jnp.asarray(normal(6, seed=len(name))) for name in names}


def with_gradients(apply, params, x):
    """y, and the gradients of Σ y · weighing by params and x."""

    def value(params, x):
        y = apply(params, x)
        return (y * weighing(y.shape)).sum(), y

    (_, y), gradients = jax.jit(jax.value_and_grad(value, argnums=(0, 1), has_aux=True))(params, x)
    return y, gradients


def weighing(shape):
    return jnp.asarray(normal(*shape, seed=9))


@pytest.mark.quick(24)
@pytest.mark.parametrize(("scale", "bias"), PARTS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("groups", [None, 1, 2, 3, 6])
def test_is_that_of_flax(near, flax_rules, groups, shape, scale, bias):
    x = jnp.asarray(normal(*shape, seed=1) * 3 + 1)
    params = parameters(scale, bias)
    common = {"epsilon": 1e-3, "use_scale": scale, "use_bias": bias, "use_fast_variance": False,
              "dtype": jnp.float64, "param_dtype": jnp.float64}  # fmt: skip
    if groups is None:
        layer, module = layer_norm(1e-3, scale, bias), nn.LayerNorm(**common)
    else:
        layer, module = group_norm(groups, 1e-3, scale, bias), nn.GroupNorm(groups, **common)
    assert jax.tree.map(jnp.shape, layer.init(KEY, shape[1:])[0]) == jax.tree.map(jnp.shape, params)
    found = with_gradients(lambda p, x: layer.apply(p, {}, x, KEY, None)[0], params, x)
    with flax_rules():
        wanted = with_gradients(lambda p, x: module.apply({"params": p}, x), params, x)
    near(found, wanted)


def torch_of(module, params, x, torch):
    """y and the gradients of the same sum, from torch, whose channels come second."""
    with torch.no_grad():
        module.weight.copy_(torch.tensor(np.asarray(params["scale"])))
        module.bias.copy_(torch.tensor(np.asarray(params["bias"])))
    first = torch.tensor(np.moveaxis(np.asarray(x), -1, 1), requires_grad=True)
    y = module(first)
    (y * torch.tensor(np.moveaxis(np.asarray(weighing(x.shape)), -1, 1))).sum().backward()
    back = lambda a: np.moveaxis(a.detach().numpy(), 1, -1)  # noqa: E731
    gradients = {"scale": module.weight.grad.numpy(), "bias": module.bias.grad.numpy()}
    return back(y), (gradients, back(first.grad))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("groups", [1, 2, 3])
def test_group_norm_is_that_of_torch(torch_says, shape, groups):
    x, params = jnp.asarray(normal(*shape, seed=2)), parameters(True, True)

    def theirs(torch):
        return torch_of(torch.nn.GroupNorm(groups, 6, eps=1e-5, dtype=torch.float64), params, x, torch)

    found = with_gradients(lambda p, x: group_norm(groups).apply(p, {}, x, None, None)[0], params, x)
    torch_says(theirs, found)


@pytest.mark.parametrize("shape", [(5, 6), (3, 4, 6)], ids=["vectors", "sequences"])
def test_layer_norm_is_that_of_torch(torch_says, shape):
    x, params = normal(*shape, seed=2), parameters(True, True)

    def theirs(torch):
        module = torch.nn.LayerNorm(6, eps=1e-5, dtype=torch.float64)
        with torch.no_grad():
            module.weight.copy_(torch.tensor(np.asarray(params["scale"])))
            module.bias.copy_(torch.tensor(np.asarray(params["bias"])))
        there = torch.tensor(x, requires_grad=True)
        y = module(there)
        (y * torch.tensor(np.asarray(weighing(shape)))).sum().backward()
        gradients = {"scale": module.weight.grad.numpy(), "bias": module.bias.grad.numpy()}
        return y.detach().numpy(), (gradients, there.grad.numpy())

    found = with_gradients(lambda p, x: layer_norm().apply(p, {}, x, None, None)[0], params, jnp.asarray(x))
    torch_says(theirs, found)


@pytest.mark.parametrize("shape", [(6, 6), (4, 5, 2, 6)], ids=["vectors", "images"])
def test_batch_norm_is_that_of_torch_but_for_its_variance(torch_says, shape):
    """torch stores σ² · n / (n − 1), and its momentum is what a step adds: 1 − ours."""
    x, params = jnp.asarray(normal(*shape, seed=2)), parameters(True, True)

    def theirs(torch, evaluating=False):
        kind = torch.nn.BatchNorm1d if len(shape) == 2 else torch.nn.BatchNorm2d
        module = kind(6, eps=1e-5, momentum=0.3, dtype=torch.float64)
        trained = torch_of(module, params, x, torch)
        if not evaluating:
            return *trained, module.running_mean.numpy(), module.running_var.numpy()
        module.zero_grad()
        return torch_of(module.eval(), params, x, torch)

    layer, n = batch_norm(momentum=0.7), x.size // 6
    _, stats, _ = layer.init(KEY, shape[1:])
    weight = jnp.ones(shape[0])
    found = with_gradients(lambda p, x: layer.apply(p, stats, x, None, weight)[0], params, x)
    seen = layer.apply(params, stats, x, None, weight)[1]
    stored = {"mean": seen["mean"], "var": (seen["var"] - 0.7) * n / (n - 1) + 0.7}
    torch_says(theirs, (*found, stored["mean"], stored["var"]))
    found = with_gradients(lambda p, x: layer.apply(p, stored, x, None, None)[0], params, x)
    torch_says(lambda torch: theirs(torch, evaluating=True), found)


def test_each_place_of_an_image_has_mean_0_and_variance_1_and_so_has_each_group():
    x = jnp.asarray(normal(2, 4, 5, 6, seed=3) * 7 + 100)
    for layer, axes in ((layer_norm(1e-12), (3,)), (group_norm(1, 1e-12), (1, 2, 3))):
        y = layer.apply(layer.init(KEY, x.shape[1:])[0], {}, x, None, None)[0]
        np.testing.assert_allclose(y.mean(axes), 0, atol=1e-12)
        np.testing.assert_allclose(y.var(axes), 1, rtol=1e-10)
    grouped = group_norm(2, 1e-12)
    y = grouped.apply(grouped.init(KEY, x.shape[1:])[0], {}, x, None, None)[0]
    for channels in (y[..., :3], y[..., 3:]):  # groups lie side by side
        np.testing.assert_allclose(channels.mean((1, 2, 3)), 0, atol=1e-12)


@pytest.mark.parametrize(("groups", "channels", "write"), [(4, 6, 3), (7, 6, 6), (32, 48, 24), (2, 5, 1)])
def test_groups_that_do_not_divide_the_channels_are_refused(groups, channels, write):
    with pytest.raises(
        ValueError, match=f"groups: {groups} does not divide {channels} channels; write {write}$"
    ):
        group_norm(groups).init(KEY, (8, 8, channels))


def test_batch_norm_over_one_value_is_refused():
    layer = batch_norm()
    params, stats, _ = layer.init(jax.random.key(0), (3,))
    with pytest.raises(ValueError, match="at least two examples"):
        layer.apply(params, stats, jnp.ones((1, 3)), None, jnp.ones(1))
    y, _ = layer.apply(params, stats, jnp.ones((1, 3)), None, None)  # stored statistics need no others
    assert y.shape == (1, 3)


def test_a_last_batch_of_one_example_takes_the_stored_statistics_and_leaves_them():
    layer = batch_norm()
    params, stats, _ = layer.init(jax.random.key(0), (3,))
    stats = {"mean": jnp.array([1.0, 2.0, 3.0]), "var": jnp.array([4.0, 4.0, 1.0])}
    x = jnp.array([[3.0, 0.0, 5.0], [9.0, 9.0, 9.0]])
    y, after = layer.apply(params, stats, x, None, jnp.array([1.0, 0.0]))
    np.testing.assert_allclose(y[0], (x[0] - stats["mean"]) / np.sqrt(stats["var"] + 1e-5), rtol=1e-6)
    for name in stats:
        np.testing.assert_array_equal(after[name], stats[name])


def test_one_image_has_statistics_of_its_own():
    layer = batch_norm()
    x = jnp.asarray(np.random.default_rng(0).normal(2, 3, (1, 4, 4, 2)), float)
    params, stats, _ = layer.init(jax.random.key(0), (4, 4, 2))
    y, _ = layer.apply(params, stats, x, None, jnp.ones(1))
    np.testing.assert_allclose(np.asarray(y).mean((0, 1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(np.asarray(y).std((0, 1, 2)), 1, atol=1e-4)
