"""Variances of initial weights, estimated from many of them."""

from __future__ import annotations

from typing import get_args

import jax
import numpy as np
import pytest

from nnrun.layer._initializers import Initializer, initialize

SHAPES = [(400, 100), (3, 3, 40, 100)]  # 40,000 weights of a dense layer, 36,000 of a convolution
VARIANCES = {
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
}


def fans(shape):
    field = 9 if len(shape) == 4 else 1
    return field * shape[-2], field * shape[-1]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", [name for name in get_args(Initializer) if "_" in name])
def test_variance_and_distribution(name, shape):
    w = np.asarray(initialize(name, jax.random.key(1), shape), np.float64).ravel()
    variance = VARIANCES[name.split("_")[0]](*fans(shape))
    kurtosis = {"normal": 3.0, "uniform": 1.8}[name.split("_")[1]]
    deviations = 5 / np.sqrt(w.size)  # five standard deviations of an estimate
    assert abs(w.mean()) < deviations * np.sqrt(variance)
    assert abs(w.var() / variance - 1) < deviations * np.sqrt(kurtosis - 1)
    assert abs(np.mean(w**4) / w.var() ** 2 - kurtosis) < 0.2
    if name.endswith("uniform"):
        limit = np.sqrt(3 * variance)
        assert 0.999 * limit < np.abs(w).max() <= limit * (1 + 1e-6)


def test_he_keeps_the_scale_through_ten_relu_layers():
    x = np.random.default_rng(0).normal(size=(200, 300))
    start = np.mean(x**2)
    for i in range(10):
        x = np.maximum(x @ np.asarray(initialize("he_normal", jax.random.key(i), (300, 300)), np.float64), 0)
    assert 0.5 < np.mean(x**2) * 2 / start / 2 < 2


@pytest.mark.parametrize("shape", [(5, 8), (3, 3, 4, 10), (2, 2, 6, 4)])
def test_dirac_hands_channels_on_and_draws_the_rest(shape):
    kernel = np.asarray(initialize("dirac", jax.random.key(2), shape), np.float64)
    same = min(shape[-2:])
    x = np.random.default_rng(0).normal(size=(9, *shape[:-1]))
    middle = x[(slice(None), *((side - 1) // 2 for side in shape[:-2]))]
    axes = len(shape) - 1
    np.testing.assert_allclose(np.tensordot(x, kernel, axes)[:, :same], middle[:, :same], atol=1e-6)
    rest = kernel[..., same:]
    assert rest.size == 0 or abs(rest.std() * np.sqrt(np.prod(shape[:-1])) - 1) < 0.5


def test_dirac_has_the_variance_of_lecun_where_it_is_drawn():
    rest = np.asarray(initialize("dirac", jax.random.key(2), (3, 3, 40, 200)), np.float64)[..., 40:]
    assert abs(rest.var() * 360 - 1) < 5 * np.sqrt(2 / rest.size)


def test_zeros():
    assert not initialize("zeros", jax.random.key(0), (3, 4)).any()


@pytest.mark.parametrize("name", get_args(Initializer))
def test_dtype_is_the_precision_in_force(name, float64):
    assert initialize(name, jax.random.key(0), (3, 4)).dtype == "float64"


def test_keys_give_different_weights():
    first, second = (initialize("he_normal", jax.random.key(i), (30, 40)) for i in range(2))
    assert abs(np.corrcoef(np.ravel(first), np.ravel(second))[0, 1]) < 5 / np.sqrt(1200)
