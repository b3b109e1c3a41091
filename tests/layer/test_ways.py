"""Convolutions on a CPU without the kernels, against lax's convolution and its gradients."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from nnrun import kernels
from nnrun.layer._convolution import convolve

LABELS = ("NHWC", "HWIO", "NHWC")

CHANNELS = [(16, 16), (24, 18), (3, 16), (8, 8), (1, 32), (16, 4)]  # in, out
SIZES = [(8, 8), (7, 9), (4, 5), (3, 6)]


@pytest.fixture(autouse=True)
def without_kernels():
    with kernels.left_out():
        yield


def reference(x, kernel, stride, padding):
    return lax.conv_general_dilated(x, kernel, (stride, stride), padding.upper(), dimension_numbers=LABELS)


def arrays(size, channels, window=(3, 3), n=2):
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, *size, channels[0])), rng.normal(size=(*window, *channels))


def with_gradients(convolution, x, kernel):
    """y and the gradients by x and kernel of a function that weighs every entry of y differently."""

    def value(x, kernel):
        y = convolution(x, kernel)
        return jnp.sin(y + jnp.linspace(0, 3, y.size, dtype=y.dtype).reshape(y.shape)).sum(), y

    (_, y), gradients = jax.value_and_grad(value, argnums=(0, 1), has_aux=True)(x, kernel)
    return y, *gradients


def both(x, kernel, stride, padding):
    """Found and wanted."""
    return jax.jit(
        lambda x, k: [
            with_gradients(partial(f, stride=stride, padding=padding), x, k) for f in (convolve, reference)
        ]
    )(jnp.asarray(x), jnp.asarray(kernel))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("channels", CHANNELS, ids=str)
def test_numbers_of_channels(near, channels, padding):
    near(*both(*arrays((7, 9), channels), 1, padding))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_sizes_that_no_stride_divides(near, size, stride):
    near(*both(*arrays(size, (16, 16)), stride, "same"))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("window", [(3, 1), (3, 5), (1, 3), (5, 3)], ids=str)
def test_windows_that_are_not_square(near, window):
    near(*both(*arrays((8, 7), (16, 18), window), 1, "same"))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("stride", [2, 3])
def test_a_stride_longer_than_the_window_leaves_inputs_without_gradient(near, stride):
    x, kernel = arrays((7, 8), (3, 5), (1, 1))
    found, wanted = both(x, kernel, stride, "same")
    near(found, wanted)
    dx = np.asarray(found[1])
    assert np.all(dx[:, 1::stride] == 0)
    assert np.any(dx[:, ::stride, ::stride] != 0)


@pytest.mark.parametrize("channels", [(16, 16), (32, 32), (64, 64), (3, 32)], ids=str)
def test_single_precision_keeps_five_digits(near, channels):
    """The promise is 1e-5 of the largest entry; the wanted values are computed in double precision."""
    x, kernel = arrays((16, 16), channels, n=8)
    dy = np.random.default_rng(2).normal(size=(8, 16, 16, channels[1]))

    def pull(f, dtype):
        given = [jnp.asarray(a, dtype) for a in (x, kernel, dy)]
        return jax.jit(
            lambda x, k, dy: (lambda y, back: (y, *back(dy)))(*jax.vjp(lambda *a: f(*a, 1, "same"), x, k))
        )(*given)

    found = pull(convolve, jnp.float32)
    with jax.enable_x64(True):
        wanted = pull(reference, jnp.float64)
    assert {a.dtype for a in found} == {np.dtype("float32")}
    for a, b in zip(found, wanted, strict=True):
        assert np.abs(np.asarray(a, np.float64) - np.asarray(b)).max() < 1e-5 * np.abs(np.asarray(b)).max()


def test_bfloat16_is_summed_in_float32():
    x, kernel = (jnp.asarray(a, jnp.bfloat16) for a in arrays((8, 8), (16, 16)))
    exact = np.asarray(reference(x.astype(jnp.float32), kernel.astype(jnp.float32), 1, "same"))
    found = np.asarray(jax.jit(lambda x, k: convolve(x, k, 1, "same"))(x, kernel).astype(jnp.float32))
    assert np.abs(found - exact).max() < 2**-7 * np.abs(exact).max()


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("wrap", ["checkpoint", "cond", "vmap"])
def test_inside_other_transformations(near, wrap):
    """Recomputed, in a branch that is skipped or not, and member by member."""
    x, kernel = arrays((6, 5), (16, 16))

    def run(f, x, kernel):
        plain = partial(f, stride=1, padding="same")
        if wrap == "checkpoint":
            return with_gradients(jax.checkpoint(plain), x, kernel)
        if wrap == "cond":
            chosen = lambda x, k: lax.cond(x.sum() > -1e9, plain, lambda x, k: 0 * x, x, k)  # noqa: E731
            return with_gradients(chosen, x, kernel)
        return jax.vmap(partial(with_gradients, plain))(jnp.stack([x, 2 * x]), jnp.stack([kernel, -kernel]))

    near(*(jax.jit(partial(run, f))(jnp.asarray(x), jnp.asarray(kernel)) for f in (convolve, reference)))


@pytest.mark.usefixtures("float64")
def test_gradients_of_gradients(near):
    x, kernel = arrays((5, 4), (16, 16), n=1)

    def slope(f, x, kernel):
        return jnp.square(jax.grad(lambda x: jnp.sin(f(x, kernel, 1, "same")).sum())(x)).sum()

    near(*(
        jax.jit(jax.grad(partial(slope, f), argnums=(0, 1)))(jnp.asarray(x), jnp.asarray(kernel))
        for f in (convolve, reference)
    ))  # fmt: skip
