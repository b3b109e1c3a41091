"""Residual blocks and stochastic depth."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun.layer._compose import serial
from nnrun.layer._residual import ALWAYS, StochasticDepth, residual_block, survivals
from nnrun.layer.batch_norm import batch_norm
from nnrun.layer.conv import conv
from nnrun.layer.dense import dense
from nnrun.layer.residual import residual

pytestmark = pytest.mark.usefixtures("float64")

KEY = jax.random.key(4)
BRANCH = serial([("dense", dense(6)), ("norm", batch_norm())])
X = np.random.default_rng(0).normal(size=(8, 6))
ONES = np.ones(8)


@pytest.fixture(scope="module")
def start():
    with jax.enable_x64(True):
        return residual_block(BRANCH).init(KEY, (6,))[:2]


@cache
def _compiled(survival, mask, noisy, weighted):
    def run(params, stats, key):
        weight = jnp.asarray(ONES) if weighted else None
        block = residual_block(BRANCH, None, survival, mask)
        return block.apply(params, stats, jnp.asarray(X), key if noisy else None, weight)

    return jax.jit(run)


def added(start, survival, mask, key, weighted=True):
    """What a block adds to x, and its statistics."""
    y, stats = _compiled(survival, mask, key is not None, weighted)(*start, KEY if key is None else key)
    return np.asarray(y) - X, stats


def test_the_linear_rule_is_the_papers():
    """Huang et al., section 4: with p_L = 0.5 and 54 blocks (ResNet-110), on average 40 are there."""
    found = survivals(StochasticDepth(0.5), 54)
    assert found[-1] == 0.5
    assert found[0] == pytest.approx(1 - 0.5 / 54)
    assert sum(found) == pytest.approx((3 * 54 - 1) / 4)  # the paper's formula for p_L = 0.5, about 40
    assert survivals(StochasticDepth(0.7, "uniform"), 3) == [0.7] * 3
    assert survivals(ALWAYS, 2) == [None, None]


def test_without_noise_the_branch_is_scaled_by_its_survival(start):
    full, _ = added(start, None, "batch", None, weighted=False)
    for mask in ("batch", "example"):
        scaled, _ = added(start, 0.75, mask, None, weighted=False)
        np.testing.assert_allclose(scaled, 0.75 * full, rtol=1e-4)


def test_a_batch_has_all_of_the_branch_or_none(start):
    full, moved = added(start, None, "batch", KEY)
    draws = [added(start, 0.6, "batch", key) for key in jax.random.split(KEY, 60)]
    present = [bool(y.any()) for y, _ in draws]
    assert 20 < sum(present) < 52  # 36 ± 3.8
    for there, (y, stats) in zip(present, draws, strict=True):
        np.testing.assert_allclose(y, full if there else 0 * full, atol=1e-12)
        wanted = moved if there else start[1]
        jax.tree.map(np.testing.assert_allclose, stats, wanted)


def test_an_example_has_all_of_the_branch_or_none(start):
    full, _ = added(start, None, "example", KEY)
    draws = np.stack([added(start, 0.6, "example", key)[0] for key in jax.random.split(KEY, 60)])
    there = np.isclose(draws, full[None]).all(-1)
    assert (there | (draws == 0).all(-1)).all()
    assert abs(there.mean() - 0.6) < 5 * np.sqrt(0.24 / there.size)
    assert (there.any(1) & ~there.all(1)).sum() > 30  # drawn for each on its own


@pytest.mark.quick("example")
@pytest.mark.parametrize("mask", ["batch", "example"])
def test_expectation_is_the_output_without_noise(mask):
    layer = residual([dense(6)], 0.7, mask)
    params, stats, _ = layer.init(KEY, (6,))
    run = jax.jit(jax.vmap(lambda key: layer.apply(params, stats, jnp.asarray(X), key, jnp.asarray(ONES))[0]))
    y = np.asarray(run(jax.random.split(KEY, 3000)))
    wanted = np.asarray(layer.apply(params, stats, jnp.asarray(X), None, None)[0])
    branch = (wanted - X) / 0.7
    z = (y.mean(0) - wanted) / (np.abs(branch) * np.sqrt(0.21 / 3000))
    assert np.abs(z).max() < 5


def test_a_skipped_branch_gets_no_gradient_and_passes_the_gradient_on(start):
    params, stats = start
    seen = set()

    @jax.jit
    def slopes(params, x, key):
        def total(params, x):
            return residual_block(BRANCH, None, 0.5).apply(params, stats, x, key, jnp.asarray(ONES))[0].sum()

        return jax.grad(total, argnums=(0, 1))(params, x)

    for key in jax.random.split(KEY, 12):
        by_params, by_x = slopes(params, jnp.asarray(X), key)
        there = bool(added(start, 0.5, "batch", key)[0].any())
        seen.add(there)
        assert any(np.asarray(leaf).any() for leaf in jax.tree.leaves(by_params)) == there
        if not there:
            np.testing.assert_array_equal(by_x, np.ones_like(X))
    assert seen == {True, False}


def test_a_skipped_branch_is_really_not_computed(start):
    """Not selected from what was computed: the branch notes each time that it runs."""
    calls = []

    def noted(params, stats, x, key, weight):
        jax.debug.callback(lambda: calls.append(1))
        return BRANCH.apply(params, stats, x, key, weight)

    block = jax.jit(
        lambda key: residual_block(BRANCH._replace(apply=noted), None, 0.5).apply(
            *start, jnp.asarray(X), key, jnp.asarray(ONES)
        )[0]
    )
    present = 0
    for key in jax.random.split(KEY, 20):
        present += bool((np.asarray(block(key)) != X).any())
    jax.effects_barrier()
    assert len(calls) == present < 20


@pytest.mark.parametrize("mask", ["batch", "example"])
def test_survival_1_is_the_plain_block_bit_for_bit(start, mask):
    run = jax.jit(
        lambda p: residual_block(BRANCH, None, p, mask).apply(*start, jnp.asarray(X), KEY, jnp.asarray(ONES))[
            0
        ]
    )
    plain = jax.jit(lambda: residual_block(BRANCH).apply(*start, jnp.asarray(X), KEY, jnp.asarray(ONES))[0])()
    np.testing.assert_array_equal(run(1.0), plain)
    np.testing.assert_array_equal(
        added(start, 1.0, mask, None, weighted=False)[0], added(start, None, mask, None, weighted=False)[0]
    )


def test_lanes_are_each_alone(start):
    def block(p, key):
        return residual_block(BRANCH, None, p).apply(*start, jnp.asarray(X), key, jnp.asarray(ONES))

    block = jax.jit(block)
    keys, chances = jax.random.split(KEY, 5), jnp.linspace(0.2, 1, 5)
    y, stats = jax.jit(jax.vmap(block))(chances, keys)
    for i in range(5):
        alone, own = block(chances[i], keys[i])
        np.testing.assert_allclose(y[i], alone, rtol=1e-12)
        jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(a[i], b), stats, own)


def test_a_branch_that_changes_the_shape_is_refused():
    with pytest.raises(ValueError, match=r"adds shape \(5,\) to \(6,\)"):
        residual([dense(5)]).init(KEY, (6,))


def test_shortcut_is_added():
    block = residual_block(conv(4, 3, 2), conv(4, 1, 2))
    params, stats, shape = block.init(KEY, (6, 6, 3))
    x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 6, 6, 3)))
    parts = (conv(4, 3, 2).apply(params["branch"], {}, x, None, None)[0],
             conv(4, 1, 2).apply(params["shortcut"], {}, x, None, None)[0])  # fmt: skip
    y = block.apply(params, stats, x, None, None)[0]
    assert y.shape[1:] == shape == (3, 3, 4)
    np.testing.assert_allclose(y, parts[0] + parts[1], rtol=1e-12)
