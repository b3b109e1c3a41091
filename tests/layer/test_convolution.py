"""The hand-written gradients of convolution against those that JAX derives, everywhere they are used."""

from __future__ import annotations

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from nnrun.layer._convolution import convolve

pytestmark = pytest.mark.usefixtures("float64")

LABELS = ("NHWC", "HWIO", "NHWC")
GEOMETRIES = [
    pytest.param(*geometry, id="{}-stride{}-kernel{}".format(*geometry))
    for geometry in itertools.product(["same", "valid"], [1, 2, 3], [1, 3, 5])
]


def reference(x, kernel, stride, padding):
    return lax.conv_general_dilated(x, kernel, (stride, stride), padding.upper(), dimension_numbers=LABELS)


def arrays(size, window, n=2, c=2, o=4, lead=()):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(*lead, n, *size, c))
    kernel = rng.normal(size=(*lead, *window, c, o))
    return jnp.asarray(x), jnp.asarray(kernel)


def with_gradients(convolution, x, kernel):
    """y and the gradients by x and kernel of a function of y that weighs every entry differently."""

    def value(x, kernel):
        y = convolution(x, kernel)
        return jnp.sin(y + jnp.linspace(0, 3, y.size).reshape(y.shape)).sum(), y

    (_, y), gradients = jax.value_and_grad(value, argnums=(0, 1), has_aux=True)(x, kernel)
    return y, *gradients


@pytest.mark.parametrize(("padding", "stride", "kernel"), GEOMETRIES)
def test_forward_and_gradients(near, padding, stride, kernel):
    @jax.jit
    def both(x, kernel):
        return [
            with_gradients(partial(f, stride=stride, padding=padding), x, kernel)
            for f in (convolve, reference)
        ]

    near(*both(*arrays((7, 10), (kernel, kernel))))


@pytest.mark.parametrize("n", [1, 6, 11])
def test_every_number_of_examples_is_cut_into_whole_pieces(near, n):
    x, kernel = arrays((6, 5), (3, 3), n=n)
    near(
        jax.jit(partial(with_gradients, partial(convolve, stride=1, padding="same")))(x, kernel),
        jax.jit(partial(with_gradients, partial(reference, stride=1, padding="same")))(x, kernel),
    )


def test_windows_that_are_not_square(near):
    x, kernel = arrays((6, 9), (2, 4))
    found = jax.jit(partial(with_gradients, partial(convolve, stride=2, padding="same")))(x, kernel)
    near(found, jax.jit(partial(with_gradients, partial(reference, stride=2, padding="same")))(x, kernel))


def descend(convolution, loop, x, kernel):
    """Five steps of gradient descent on the kernel inside a loop."""

    def step(kernel):
        def value(kernel):
            return jnp.square(convolution(x, kernel) - 1).mean()

        return kernel - 0.01 * jax.grad(value)(kernel)

    if loop == "scan":
        return lax.scan(lambda k, _: (step(k), None), kernel, length=5)[0]
    return lax.fori_loop(0, 5, lambda _, k: step(k), kernel)


@pytest.mark.parametrize("loop", ["scan", "fori_loop"])
def test_inside_a_loop(near, loop):
    x, kernel = arrays((7, 6), (3, 3))
    found, wanted = (
        jax.jit(partial(descend, partial(f, stride=1, padding="same"), loop))(x, kernel)
        for f in (convolve, reference)
    )
    near(found, wanted)


@pytest.mark.quick(2)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)])
def test_a_population_is_each_member_alone(near, axes, stride):
    x, kernel = arrays((7, 6), (3, 3), lead=(3,))
    x, kernel = (a if axis == 0 else a[0] for a, axis in zip((x, kernel), axes, strict=True))
    run = partial(with_gradients, partial(convolve, stride=stride, padding="valid"))
    alone = jax.jit(partial(with_gradients, partial(reference, stride=stride, padding="valid")))
    together = jax.jit(jax.vmap(run, axes))(x, kernel)
    for i in range(3):
        member = [a[i] if axis == 0 else a for a, axis in zip((x, kernel), axes, strict=True)]
        near(jax.tree.map(lambda a, i=i: a[i], together), alone(*member))


def test_a_population_inside_a_loop_and_a_loop_inside_a_population(near):
    x, kernel = arrays((7, 6), (3, 3), lead=(2,))
    run = partial(descend, partial(convolve, stride=2, padding="same"), "scan")
    alone = partial(descend, partial(reference, stride=2, padding="same"), "scan")
    alone = jax.jit(alone)
    wanted = [[alone(x[i], kernel[j]) for j in range(2)] for i in range(2)]
    near(list(jax.jit(jax.vmap(run))(x, kernel)), [wanted[i][i] for i in range(2)])
    nested = jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))(x, kernel)
    near([list(row) for row in nested], wanted)


def test_gradients_of_gradients(near):
    """Hessian times vector in reverse mode, as a gradient penalty takes it."""
    x, kernel = arrays((5, 4), (3, 3), n=2, o=2)

    def slope(f, x, kernel):
        value = lambda x: jnp.sin(f(x, kernel, 2, "same")).sum()  # noqa: E731
        return jnp.square(jax.grad(value)(x)).sum()

    found, wanted = (
        jax.jit(jax.grad(partial(slope, f), argnums=(0, 1)))(x, kernel) for f in (convolve, reference)
    )
    near(found, wanted)
