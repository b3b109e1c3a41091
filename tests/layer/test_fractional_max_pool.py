"""Fractional max pooling: its sequences against the paper's definition, its pooling against torch."""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from nnrun.layer._fractional import Intervals, intervals, pool
from nnrun.layer.fractional_max_pool import fractional_max_pool

pytestmark = pytest.mark.usefixtures("float64")

KEY = jax.random.key(9)
SIZES = [(25, 17), (36, 25), (10, 9), (10, 5), (9, 7), (2, 1), (7, 4)]


def drawn(size, outputs, sequence, overlapping, draws=40):
    run = jax.jit(jax.vmap(lambda key: intervals(key, size, outputs, sequence, overlapping)))
    return [np.asarray(a) for a in run(jax.random.split(KEY, draws))]


@pytest.mark.quick(10)
@pytest.mark.parametrize("overlapping", [True, False])
@pytest.mark.parametrize("sequence", ["random", "pseudorandom"])
@pytest.mark.parametrize(("size", "outputs"), SIZES)
def test_sequences_are_the_papers(size, outputs, sequence, overlapping):
    """Graham, section 2: increasing, from 1, increments of 1 or 2, regions [aᵢ₋₁, aᵢ] or [aᵢ₋₁, aᵢ − 1]."""
    first, last = drawn(size, outputs, sequence, overlapping)
    a = np.concatenate([first + 1, last[:, -1:] + (1 if overlapping else 2)], axis=1)  # counted from 1
    assert a.shape == (40, outputs + 1)
    assert (a[:, 0] == 1).all()
    assert set(np.unique(np.diff(a))) <= {1, 2}
    np.testing.assert_array_equal(last + 1, a[:, 1:] if overlapping else a[:, 1:] - 1)
    assert (last[:, -1] == size - 1).all(), "every row is covered"
    twos = (np.diff(a) == 2).sum(1)
    assert (twos == (size - 1 if overlapping else size) - outputs).all()


def test_pseudorandom_is_the_ceiling_of_an_arithmetic_sequence():
    first, _ = drawn(25, 17, "pseudorandom", False, 200)
    alpha = 25 / 17
    for row in first + 1:
        # a_i = ceil(alpha i + v) for one v in (0, 1]: the v that each entry allows have a common point
        low = max(value - 1 - alpha * i for i, value in enumerate(row))
        high = min(value - alpha * i for i, value in enumerate(row))
        assert low < high + 1e-6
        assert [math.ceil(alpha * i + (low + high) / 2 - 1e-9) for i in range(17)] == row.tolist()
    assert len(np.unique(first, axis=0)) > 10


def test_random_increments_are_in_any_order():
    first, _ = drawn(10, 6, "random", True, 4000)  # three twos and three ones: 20 orders
    orders, counts = np.unique(first, axis=0, return_counts=True)
    assert len(orders) == 20
    assert ((counts - 200) ** 2 / 200).sum() < 19 + 5 * np.sqrt(2 * 19)


def by_hand(x, rows, columns):
    cells = [
        [x[:, r0 : r1 + 1, c0 : c1 + 1].max((1, 2)) for c0, c1 in zip(*columns, strict=True)]
        for r0, r1 in zip(*rows, strict=True)
    ]
    return np.stack([np.stack(row, 1) for row in cells], 1)


@pytest.mark.parametrize("overlapping", [True, False])
def test_pooling_is_the_maximum_of_each_region(overlapping):
    x = np.random.default_rng(0).normal(size=(2, 9, 8, 3))
    rows = intervals(KEY, 9, 6, "random", overlapping)
    columns = intervals(jax.random.key(1), 8, 5, "pseudorandom", overlapping)
    wanted = by_hand(x, *[[np.asarray(a).tolist() for a in one] for one in (rows, columns)])
    np.testing.assert_array_equal(pool(jnp.asarray(x), rows, columns), wanted)


def test_torchs_regions_give_torchs_output(torch_says):
    x = np.random.default_rng(3).normal(size=(2, 9, 8, 3))
    u = (0.3, 0.8)  # of columns, of rows
    weights = np.random.default_rng(4).normal(size=(2, 3, 6, 5))

    def theirs(torch):
        samples = torch.tensor(u, dtype=torch.float64).expand(2, 3, 2).contiguous()
        given = torch.tensor(x).permute(0, 3, 1, 2).requires_grad_()
        y = torch.nn.functional.fractional_max_pool2d(given, 2, output_size=(6, 5), _random_samples=samples)
        y.backward(torch.tensor(weights))
        return y.detach().numpy().transpose(0, 2, 3, 1), given.grad.numpy().transpose(0, 2, 3, 1)

    def starts(size, outputs, u):
        alpha = (size - 2) / (outputs - 1)
        return jnp.asarray(
            [int((i + u) * alpha) - int(u * alpha) for i in range(outputs - 1)] + [size - 2], jnp.int32
        )

    rows, columns = (Intervals(a, a + 1) for a in (starts(9, 6, u[1]), starts(8, 5, u[0])))
    dy = jnp.asarray(weights.transpose(0, 2, 3, 1))
    y, back = jax.vjp(lambda x: pool(x, rows, columns), jnp.asarray(x))
    torch_says(theirs, (y, back(dy)[0]), 1e-13)


@pytest.mark.quick(2)
@pytest.mark.parametrize("overlapping", [True, False])
@pytest.mark.parametrize("sequence", ["random", "pseudorandom"])
def test_gradients_are_those_of_finite_differences(sequence, overlapping):
    x = jnp.asarray(np.random.default_rng(5).permutation(2 * 9 * 8 * 2).reshape(2, 9, 8, 2) / 10.0)
    layer = fractional_max_pool(1.5, sequence, overlapping)
    weigh = jnp.cos(jnp.arange(2 * layer.init(KEY, (9, 8, 2))[2][0] * layer.init(KEY, (9, 8, 2))[2][1] * 2.0))

    def total(x):
        return (layer.apply({}, {}, x, KEY, None)[0].reshape(-1) * weigh).sum()

    check_grads(jax.jit(total), (x,), order=1, modes=["rev"], atol=1e-6, rtol=1e-6)


def test_of_equal_values_one_has_the_gradient():
    x = jnp.ones((1, 5, 5, 1))
    rows = Intervals(jnp.array([0, 1, 3], jnp.int32), jnp.array([1, 3, 4], jnp.int32))
    slope = jax.grad(lambda x: pool(x, rows, rows).sum())(x)
    assert float(slope.sum()) == 9
    assert set(np.unique(np.asarray(slope))) <= {0.0, 1.0, 2.0, 4.0}


def test_nan_wins():
    x = jnp.zeros((1, 9, 9, 1)).at[0, 1, 2, 0].set(jnp.nan)
    y = fractional_max_pool(1.9).apply({}, {}, x, KEY, None)[0]
    assert np.isnan(y).any()
    assert not np.isnan(y).all()


@pytest.mark.quick("True-1.26", "False-1.99")
@pytest.mark.parametrize("ratio", [1.01, 1.26, 1.41421, 1.5, 1.99])
@pytest.mark.parametrize("overlapping", [True, False])
def test_every_size_can_be_shrunk(ratio, overlapping):
    for side in range(2, 40):
        layer = fractional_max_pool(ratio, overlapping=overlapping)
        (h, w, c), x = layer.init(KEY, (side, side + 1, 2))[2], jnp.zeros((1, side, side + 1, 2))
        y = jax.eval_shape(lambda x, layer=layer: layer.apply({}, {}, x, KEY, None)[0], x)
        assert y.shape == (1, h, w, c)
        assert side / 2 <= h + 0.5
        assert h < side
        assert abs(h - side / ratio) < 1


def test_regions_are_new_at_each_step_and_fixed_without_noise():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 12, 12, 2)))
    layer = fractional_max_pool(test_poolings=1)
    steps = [np.asarray(layer.apply({}, {}, x, jax.random.fold_in(KEY, i), None)[0]) for i in range(4)]
    assert all((steps[i] != steps[j]).any() for i in range(4) for j in range(i))
    np.testing.assert_array_equal(*(layer.apply({}, {}, x, None, None)[0] for _ in range(2)))


def test_several_poolings_are_averaged():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 12, 12, 2)))
    outputs = [
        np.asarray(fractional_max_pool().apply({}, {}, x, jax.random.fold_in(jax.random.key(0), i), None)[0])
        for i in range(3)
    ]
    found = fractional_max_pool(test_poolings=3).apply({}, {}, x, None, None)[0]
    np.testing.assert_allclose(found, np.mean(outputs, 0), rtol=1e-12)


@pytest.mark.quick(2)
@pytest.mark.parametrize("overlapping", [True, False])
@pytest.mark.parametrize("sequence", ["random", "pseudorandom"])
def test_the_expectation_in_training_is_the_average_of_many_test_poolings(sequence, overlapping):
    draws, layer = 3000, partial(fractional_max_pool, 1.5, sequence, overlapping)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 7, 6, 2)))
    run = jax.jit(jax.vmap(lambda key: layer().apply({}, {}, x, key, None)[0]))
    trained = np.asarray(run(jax.random.split(KEY, draws)))
    tested = np.asarray(jax.jit(lambda: layer(draws).apply({}, {}, x, None, None)[0])())
    error = trained.std(0) * np.sqrt(2 / draws)  # of the difference of two means
    assert trained.std(0).max() > 0.3
    assert (np.abs(trained.mean(0) - tested) <= 5 * error + 1e-12).all()


def test_impossible_ratios_are_refused():
    for size, outputs in ((10, 4), (10, 10)):
        with pytest.raises(ValueError, match="between 1 and 2"):
            intervals(KEY, size, outputs, "random", overlapping=True)
    with pytest.raises(ValueError, match="images"):
        fractional_max_pool().init(KEY, (7,))
