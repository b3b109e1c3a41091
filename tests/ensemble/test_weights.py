"""Fitted weights against a general optimizer of scipy."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from nnrun.ensemble.weights import mixture_weights, regression_weights


def on_simplex(objective, members):
    bounds, total = [(0, 1)] * members, {"type": "eq", "fun": lambda w: w.sum() - 1}
    start = np.full(members, 1 / members)
    return minimize(
        objective, start, bounds=bounds, constraints=[total], options={"ftol": 1e-14, "maxiter": 500}
    )


def test_mixture_weights_reach_the_optimum_of_slsqp():
    p = np.random.default_rng(0).beta(2, 1, (4, 300))
    p[3] *= 0.3  # a bad member, which gets no weight
    weights = mixture_weights(p)

    def loss(w):
        return -np.log(w @ p).mean()

    assert loss(weights) <= on_simplex(loss, 4).fun + 1e-6
    np.testing.assert_allclose(weights.sum(), 1)
    assert (weights >= 0).all()
    assert weights[3] < 1e-3


def test_a_member_that_is_always_better_gets_everything():
    p = np.stack([np.full(50, 0.9), np.full(50, 0.4)])
    np.testing.assert_allclose(mixture_weights(p), [1, 0], atol=1e-4)


def test_equal_members_share():
    p = np.tile(np.linspace(0.1, 0.9, 20), (3, 1))
    np.testing.assert_allclose(mixture_weights(p), [1 / 3] * 3)


def test_regression_weights_reach_the_optimum_of_slsqp():
    draw = np.random.default_rng(2)
    y = draw.normal(size=80)
    z = np.stack([y + draw.normal(0, s, 80) + b for s, b in ((0.4, 0.1), (0.5, -0.2), (2.0, 0), (0.6, 0.3))])
    weights = regression_weights(z, y)

    def loss(w):
        return ((w @ z - y) ** 2).mean()

    np.testing.assert_allclose(weights.sum(), 1)
    assert loss(weights) <= on_simplex(loss, 4).fun + 1e-8
