"""What each optimizer is: the lecture's lines, steps on paper, and where it differs from optax's of the same name."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nnrun.optimizer._common import with_common
from nnrun.optimizer.adadelta import adadelta
from nnrun.optimizer.adagrad import adagrad
from nnrun.optimizer.adam import adam
from nnrun.optimizer.adamax import adamax
from nnrun.optimizer.adamw import adamw
from nnrun.optimizer.amsgrad import amsgrad
from nnrun.optimizer.lion import lion
from nnrun.optimizer.momentum import momentum
from nnrun.optimizer.muon import muon, orthogonalised
from nnrun.optimizer.nadam import nadam
from nnrun.optimizer.nesterov import nesterov
from nnrun.optimizer.rmsprop import rmsprop
from nnrun.optimizer.sgd import sgd

pytestmark = pytest.mark.usefixtures("float64")

RANDOM = np.random.default_rng(0).normal(size=(20, 5)) * 10.0 ** np.arange(-2, 3)  # (steps, n)


def updates(transforms, gradients, x=None):
    """The update of each step; one transform, or one a step."""
    several = transforms if isinstance(transforms, list) else [transforms] * len(gradients)
    x = jnp.zeros_like(jnp.asarray(gradients[0], float)) if x is None else x
    state, found = several[0].init(x), []
    with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
        for transform, gradient in zip(several, gradients, strict=True):
            update, state = transform.update(jnp.asarray(gradient, float), state, x)
            x = x + update
            found.append(np.asarray(update))
    return np.stack(found)


def of_the_lecture(name, gradients, rate=0.1, rho=0.9, eps=1e-7):
    """The updates of the lecture's few lines of numpy."""
    m = v = 0.0
    for t, dx in enumerate(gradients, start=1):
        if name == "sgd":
            yield -rate * dx
        elif name == "momentum":
            v = rho * v - rate * dx
            yield v
        elif name == "nesterov":
            before = v
            v = rho * v - rate * dx
            yield -rho * before + (1 + rho) * v
        elif name == "adagrad":
            v = v + dx**2
            yield -rate * dx / (np.sqrt(v) + eps)
        elif name == "rmsprop":
            v = rho * v + (1 - rho) * dx**2
            yield -rate * dx / (np.sqrt(v) + eps)
        elif name == "adam":
            m = rho * m + (1 - rho) * dx
            v = 0.995 * v + (1 - 0.995) * dx**2
            yield -rate * (m / (1 - rho**t)) / (np.sqrt(v / (1 - 0.995**t)) + eps)


@pytest.mark.parametrize(("name", "transform"), [
    ("sgd", sgd(0.1)),
    ("momentum", momentum(0.1)),
    ("nesterov", nesterov(0.1)),
    ("adagrad", adagrad(0.1)),
    ("rmsprop", rmsprop(0.1)),
    ("adam", adam(0.1, 0.9, 0.995, 1e-7)),
])  # fmt: skip
def test_the_lecture(name, transform):
    """With our defaults, but for Adam's b2 and eps."""
    np.testing.assert_allclose(updates(transform, RANDOM), [*of_the_lecture(name, RANDOM)], rtol=1e-12)


def test_adagrad_dies_away_and_rmsprop_does_not():
    steady = np.full((500, 1), 3.0)
    t = np.arange(1, 501)[:, None]
    np.testing.assert_allclose(updates(adagrad(0.1), steady), -0.1 / np.sqrt(t), rtol=1e-6)
    np.testing.assert_allclose(updates(rmsprop(0.1), steady), -0.1 / np.sqrt(1 - 0.9**t), rtol=1e-6)


def test_adam_without_bias_correction_on_paper():
    """Gradients 1 and 1: m = 0.1, 0.19 and v = 0.001, 0.001999; corrected, both steps are the rate."""
    ones = np.ones((2, 1))
    raw = updates(adam(0.5, eps=1e-12, bias_correction=False), ones)
    np.testing.assert_allclose(raw, [[-0.5 * 0.1 / 0.001**0.5], [-0.5 * 0.19 / 0.001999**0.5]], rtol=1e-9)
    np.testing.assert_allclose(updates(adam(0.5, eps=1e-12), ones), [[-0.5], [-0.5]], rtol=1e-9)


def test_adagrad_of_optax_starts_at_a_tenth():
    found = updates(adagrad(0.5), [[0.3], [0.4]])
    np.testing.assert_allclose(found, [[-0.5], [-0.5 * 0.4 / 0.5]], rtol=1e-6)
    theirs = updates(optax.adagrad(0.5), [[0.3], [0.4]])
    np.testing.assert_allclose(theirs, [[-0.5 * 0.3 / 0.19**0.5], [-0.5 * 0.4 / 0.35**0.5]], rtol=1e-6)


def test_the_velocity_of_rmsprop_holds_no_rate():
    """decay 0 makes u = 1, so b = 1 and 0.8 + 1; optax keeps the first step at its rate, −0.1."""
    rates, ones = [0.1, 0.01], np.ones((2, 1))
    ours = updates([rmsprop(a, decay=0.0, momentum=0.8) for a in rates], ones)
    np.testing.assert_allclose(ours, [[-0.1], [-0.01 * 1.8]], rtol=1e-6)
    theirs = updates(optax.rmsprop(lambda i: jnp.array(rates)[i], decay=0.0, momentum=0.8), ones)
    np.testing.assert_allclose(theirs, [[-0.1], [-0.8 * 0.1 - 0.01]], rtol=1e-6)


def test_rmsprop_without_momentum_is_that_with_a_momentum_of_0():
    run = jax.jit(lambda rho: rmsprop(0.1, momentum=rho).update(x, rmsprop(0.1, momentum=rho).init(x)))
    x = jnp.asarray(RANDOM[0])
    np.testing.assert_allclose(run(0.0)[0], updates(rmsprop(0.1), RANDOM[:1])[0], rtol=1e-14)
    assert set(run(0.0)[1].memory) == {"s", "b"}
    assert set(rmsprop(0.1).init(x).memory) == {"s"}


def test_rmsprop_centered_divides_by_the_deviation():
    """δ = 0.5: after 4 and 2, m = 0.5 · 2 + 1 = 2 and s = 0.5 · 8 + 2 = 6."""
    found = updates(rmsprop(0.1, decay=0.5, centered=True), [[4.0], [2.0]])
    np.testing.assert_allclose(found, [[-0.1 * 4 / 2], [-0.1 * 2 / 2**0.5]], rtol=1e-6)


@pytest.mark.parametrize("options", [{"centered": True}, {"momentum": 0.9}, {"eps_in_root": True}])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-20, 0.1, 1e15])
def test_every_rmsprop_is_finite(options, size):
    """In float32; a steady gradient has no variance, and round-off could make it negative."""
    transform = rmsprop(0.1, **options)
    g = jnp.full(3, size, jnp.float32) * jnp.array([1, 1.37, -0.11], jnp.float32)
    state, step = transform.init(g), jax.jit(transform.update)
    for _ in range(60):
        update, state = step(g, state)
        assert np.isfinite(update).all()


def test_adadelta_starts_with_small_steps_that_do_not_depend_on_the_size_of_gradients():
    found = updates(adadelta(), RANDOM[:, 2:3] * [1.0, 1e6])
    np.testing.assert_allclose(np.abs(found[0]), (1e-6 / 0.1) ** 0.5, rtol=0.01)
    np.testing.assert_allclose(found[:, 1], updates(adadelta(), RANDOM[:, 2:3] * 1e7)[:, 0], rtol=1e-6)
    growth = np.abs(updates(adadelta(), np.ones((200, 1))))
    assert growth[-1] > 1.5 * growth[0]


def test_adamax_makes_no_step_much_longer_than_the_rate():
    found = np.abs(updates(adamax(0.1), RANDOM))
    assert 0.099 < found.max() < 0.101
    np.testing.assert_array_equal(updates(adamax(0.1), np.zeros((3, 2))), np.zeros((3, 2)))


def test_nadam_on_paper_and_that_of_optax():
    """μ₁ = 0.9(1 − 0.5 · 0.96) = 0.468, μ₂ = 0.9(1 − 0.5 · 0.96²) = 0.48528 with ψ = 1; m = 0.1, v̂ = 1."""
    found = updates(nadam(0.5, momentum_decay=1.0, eps=1e-12), [[1.0]])
    m_hat = 0.48528 * 0.1 / (1 - 0.468 * 0.48528) + (1 - 0.468) / (1 - 0.468)
    np.testing.assert_allclose(found, [[-0.5 * m_hat]], rtol=1e-9)
    theirs = updates(optax.nadam(0.5, eps=1e-12), [[1.0]])
    np.testing.assert_allclose(theirs, [[-0.5 * (0.9 * 0.1 / (1 - 0.9**2) + 1)]], rtol=1e-9)


def test_the_product_of_nadams_momenta_is_one_number_an_array():
    assert jax.tree.leaves(nadam().init({"w": jnp.zeros((3, 4))}).memory["product"])[0].shape == ()


def test_amsgrad_takes_the_maximum_before_the_correction():
    """β₂ = 0.99, gradients 1 and 0.1: v = 0.01 and 0.01, over 0.0199; optax keeps the 1 of the first step."""
    gradients = [[1.0], [0.1]]
    found = updates(amsgrad(0.5, b1=0.0, b2=0.99, eps=1e-12), gradients)
    np.testing.assert_allclose(found, [[-0.5], [-0.5 * 0.1 / (0.01 / 0.0199) ** 0.5]], rtol=1e-9)
    theirs = updates(optax.amsgrad(0.5, b1=0.0, b2=0.99, eps=1e-12), gradients)
    np.testing.assert_allclose(theirs, [[-0.5], [-0.5 * 0.1]], rtol=1e-9)
    paper = optax.amsgrad(0.5, 0.0, 0.99, 1e-12, bias_correction_mu=False, bias_correction_nu=False)
    np.testing.assert_allclose(updates(paper, gradients), [[-5.0], [-0.5]], rtol=1e-9)


@pytest.mark.parametrize("only", [None, ["*/bias"]])
def test_adamw_is_adam_with_the_key_of_every_optimizer(only):
    params = {"dense": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}}
    gradient = jax.tree.map(lambda a: 0.3 * a, params)
    key = with_common(adam(0.1), 0.1, weight_decay=0.2, decay_only=only)
    own = adamw(0.1, weight_decay=0.2, decay_only=only)
    found, wanted = (t.update(gradient, t.init(params), params)[0]["dense"] for t in (own, key))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-14), found, wanted)
    decayed = {name for name, update in found.items() if np.allclose(update, -0.1 - 0.1 * 0.2)}
    assert decayed == ({"kernel"} if only is None else {"bias"})


def test_adamw_without_decay_is_adam():
    np.testing.assert_array_equal(updates(adamw(0.1, weight_decay=0.0), RANDOM), updates(adam(0.1), RANDOM))


def test_lion_moves_every_coordinate_by_the_rate_and_optax_adds_decay():
    np.testing.assert_array_equal(np.abs(updates(lion(0.1), RANDOM)), np.full(RANDOM.shape, 0.1))
    x, gradient = jnp.array([2.0]), [[1.0]]
    np.testing.assert_allclose(updates(lion(0.1), gradient, x), [[-0.1]])
    np.testing.assert_allclose(updates(optax.lion(0.1), gradient, x), [[-0.1 - 0.1 * 1e-3 * 2]])


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (9, 2), (1, 5), (5, 1)])
def test_newton_schulz_keeps_the_singular_vectors_and_evens_out_the_values(shape):
    u = np.random.default_rng(1).normal(size=shape) * 1e-3
    U, _, Vt = np.linalg.svd(u, full_matrices=False)
    values = U.T @ np.asarray(orthogonalised(jnp.asarray(u), 5)) @ Vt.T
    np.testing.assert_allclose(values, np.diag(np.diag(values)), atol=1e-10)
    assert 0.68 < np.diag(values).min() <= np.diag(values).max() < 1.14


def test_newton_schulz_leaves_nothing_alone():
    np.testing.assert_array_equal(orthogonalised(jnp.zeros((3, 2)), 5), np.zeros((3, 2)))


def muon_updates(gradient, **options):
    transform = muon(0.1, **options)
    return transform.update(gradient, transform.init(gradient), gradient)[0]


def test_muon_takes_matrices_and_adam_the_rest():
    rng = np.random.default_rng(2)
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape))  # noqa: E731
    gradient = {
        "conv": {"kernel": draw(2, 2, 3, 4), "bias": draw(1, 4)},
        "norm": {"scale": draw(2, 2)},
        "head": {"kernel": draw(4, 6)},
        "temperature": draw(),
    }
    found = muon_updates(gradient, adam_factor=0.5, adam_only=["head/*"])
    wanted = adam(0.05, b2=0.95).update(gradient, adam(0.05, b2=0.95).init(gradient))[0]
    for name in ("head", "norm", "temperature"):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), found[name], wanted[name])
    np.testing.assert_allclose(found["conv"]["bias"], wanted["conv"]["bias"], rtol=1e-12)

    flat = orthogonalised(gradient["conv"]["kernel"].reshape(12, 4), 5)
    np.testing.assert_allclose(found["conv"]["kernel"].reshape(12, 4), -0.1 * flat, rtol=1e-9)
    wide = muon_updates({"kernel": gradient["head"]["kernel"]})["kernel"]  # 4 inputs, 6 outputs
    scaled = -0.1 * 1.5**0.5 * orthogonalised(gradient["head"]["kernel"], 5)
    np.testing.assert_allclose(wide, scaled, rtol=1e-9)


def test_muon_of_optax_corrects_momentum_and_gradient_each_for_itself():
    """At the second step, ours looks along 0.5 m + 0.5 g, optax along 0.5 m / 0.875 + 0.5 g / 0.75."""
    first, second = np.eye(2), np.array([[0.0, 2.0], [1.0, 0.0]])
    m = 0.5 * (0.5 * first) + 0.5 * second
    ours = updates(muon(1.0, 0.5), [first, second])[1]
    np.testing.assert_allclose(ours, -orthogonalised(jnp.asarray(0.5 * m + 0.5 * second), 5), rtol=1e-9)
    theirs = updates(optax.contrib.muon(1.0, beta=0.5, eps=1e-20), [first, second])[1]
    mixed = 0.5 * m / 0.875 + 0.5 * second / 0.75
    np.testing.assert_allclose(theirs, -orthogonalised(jnp.asarray(mixed), 5), rtol=1e-9)
    assert np.abs(ours - theirs).max() > 1e-3
