"""Dropout: what is dropped, how often, and that nothing else happens."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun.layer._compose import serial
from nnrun.layer.dropout import dropout

KEY = jax.random.key(5)
X = jnp.asarray(np.random.default_rng(0).normal(size=(50, 40)) + 3, jnp.float32)
RATES = [0.1, 0.5, 0.9, 1e-5, 0.999]


@jax.jit
def masked(key, rate, x):
    """Dropout as a program that serves every rate."""
    return dropout(rate).apply({}, {}, x, key, None)[0]


def test_rate_0_is_the_identity_bit_for_bit():
    plain, _ = dropout(0.0).apply({}, {}, X, KEY, jnp.ones(50))
    assert plain is X  # not in the program at all
    np.testing.assert_array_equal(masked(KEY, jnp.float32(0), X), X)


def test_without_a_key_nothing_is_dropped():
    assert dropout(0.5).apply({}, {}, X, None, jnp.ones(50))[0] is X


@pytest.mark.parametrize("rate", RATES)
def test_a_traced_rate_is_the_rate(rate):
    static = jax.jit(lambda key, x: dropout(rate).apply({}, {}, x, key, None)[0])(KEY, X)
    np.testing.assert_array_equal(masked(KEY, jnp.float32(rate), X), static)


@pytest.mark.parametrize("rate", RATES)
def test_kept_units_are_scaled_by_the_exact_keep_probability(rate):
    keep = 1 - round(65536 * rate) / 65536
    assert abs(keep - (1 - rate)) <= 0.5 / 65536 + 1e-12
    y = np.asarray(masked(KEY, jnp.float32(rate), X))
    kept = y != 0
    np.testing.assert_allclose(y[kept], np.asarray(X)[kept] / keep, rtol=1e-6)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_expectation_is_the_input(rate):
    draws = 400
    keys = jax.random.split(KEY, draws)
    mean = jax.jit(jax.vmap(masked, (0, None, None)))(keys, jnp.float32(rate), X).mean(0)
    deviation = np.sqrt(rate / (1 - rate) / draws)  # of mean / x
    z = (np.asarray(mean / X) - 1) / deviation
    assert np.abs(z).max() < 5.5  # 2,000 units
    assert abs(z.mean()) * np.sqrt(z.size) < 5
    assert 0.9 < z.std() < 1.1


def test_masks_differ_by_key_step_and_layer_and_agree_otherwise():
    net = serial([("first", dropout(0.5)), ("second", dropout(0.5))])
    ones = jnp.ones((50, 40))
    run = jax.jit(lambda key: masked(key, jnp.float32(0.5), ones) != 0)
    masks = [run(KEY), run(jax.random.key(6)), *(run(jax.random.fold_in(KEY, step)) for step in range(4))]
    masks.append(net.apply({}, {}, ones, KEY, None)[0] == 4)  # kept by both: a quarter
    for i, one in enumerate(masks[:-1]):
        for other in masks[i + 1 : -1]:
            agreement = float((one == other).mean())
            assert abs(agreement - 0.5) < 5 * 0.5 / np.sqrt(2000)
    assert abs(float(masks[-1].mean()) - 0.25) < 5 * np.sqrt(0.1875 / 2000)
    np.testing.assert_array_equal(run(KEY), masks[0])


def test_rows_of_a_mask_differ():
    mask = np.asarray(masked(KEY, jnp.float32(0.5), jnp.ones((64, 64))) != 0)
    agreement = (mask[:, None] == mask[None]).mean(2)[np.triu_indices(64, 1)]
    assert np.abs(agreement - 0.5).max() < 5.5 * 0.5 / 8


def test_a_dropped_unit_gets_no_gradient_even_where_it_is_infinite():
    x = X.at[0].set(jnp.inf)
    y, gradient = jax.value_and_grad(lambda x: jnp.where(jnp.isfinite(x), masked(KEY, 0.5, x), 0).sum())(x)
    dropped = np.asarray(masked(KEY, 0.5, X)) == 0
    assert np.isfinite(y)
    assert not np.asarray(gradient)[dropped].any()
    assert not np.asarray(masked(KEY, 0.5, x))[0][dropped[0]].any()


IMAGES = jnp.asarray(np.random.default_rng(1).normal(size=(3, 4, 5, 6)) + 30, jnp.float32)


@pytest.mark.parametrize("scaling", ["training", "test"])
@pytest.mark.parametrize(("mask", "shared"), [("element", ()), ("channel", (1, 2)), ("example", (1, 2, 3))])
def test_every_form_has_the_expectation_of_its_output_without_noise(mask, shared, scaling):
    layer, rate, draws = dropout(0.25, scaling, mask), 0.25, 2000
    run = jax.jit(jax.vmap(lambda key: layer.apply({}, {}, IMAGES, key, None)[0]))
    y = np.asarray(run(jax.random.split(KEY, draws)))
    kept = y != 0
    assert (kept == kept.all(tuple(a + 1 for a in shared), keepdims=True)).all()
    quiet = np.asarray(layer.apply({}, {}, IMAGES, None, None)[0])
    np.testing.assert_allclose(quiet, IMAGES if scaling == "training" else IMAGES * (1 - rate), rtol=1e-6)
    np.testing.assert_allclose(y[0][kept[0]], (quiet / (1 - rate))[kept[0]], rtol=1e-5)
    assert np.abs(y.mean(0) / quiet - 1).max() < 5 * np.sqrt(rate / (1 - rate) / draws)


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_in_bfloat16_each_unit_is_rounded_and_not_the_keep_probability_for_all(rate):
    x = jnp.asarray(np.linspace(1, 2, 129), jnp.bfloat16)[None]  # all that bfloat16 has from 1 to 2
    keep, exact = 1 - round(65536 * rate) / 65536, np.asarray(x, np.float64)
    y = np.asarray(dropout(rate).apply({}, {}, x, KEY, None)[0], np.float64)
    z = np.asarray(dropout(rate, scaling="test").apply({}, {}, x, None, None)[0], np.float64)
    for found, wanted in ((y[y != 0], (exact / keep)[y != 0]), (z, exact * keep)):
        np.testing.assert_allclose(found, wanted, rtol=2.0**-8)
        assert abs((found / wanted).mean() - 1) < 3e-4
