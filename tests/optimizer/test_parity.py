"""Our optimizers against those of optax over 200 steps, and against two steps on paper."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from optax.contrib import MuonDimensionNumbers

from nnrun.optimizer._clip import clip_by_global_norm
from nnrun.optimizer._common import decoupled_weight_decay, with_common
from nnrun.optimizer._first_order import first_order
from nnrun.optimizer.adadelta import adadelta
from nnrun.optimizer.adagrad import adagrad
from nnrun.optimizer.adam import adam
from nnrun.optimizer.adamax import adamax
from nnrun.optimizer.adamw import adamw
from nnrun.optimizer.amsgrad import amsgrad
from nnrun.optimizer.lion import lion
from nnrun.optimizer.momentum import momentum
from nnrun.optimizer.muon import muon
from nnrun.optimizer.nadam import nadam
from nnrun.optimizer.nesterov import nesterov
from nnrun.optimizer.rmsprop import rmsprop
from nnrun.optimizer.sgd import sgd

STEPS = 200


def weights(params):
    """True for what decays."""
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key not in ("bias", "scale"), params)


def matrices(params):
    """How optax's Muon is to read our arrays: the last axis of a kernel is its outputs."""
    numbers = lambda p: MuonDimensionNumbers(tuple(range(p.ndim - 1)), p.ndim - 1) if p.ndim > 1 else None  # noqa: E731
    return jax.tree.map(numbers, params)


# Ours and theirs as functions of the learning rate, with the settings that make the definitions coincide.
PAIRS = {
    "sgd": (sgd, optax.sgd),
    "momentum": (lambda a: momentum(a, 0.8), lambda a: optax.sgd(a, momentum=0.8)),
    "nesterov": (lambda a: nesterov(a, 0.8), lambda a: optax.sgd(a, momentum=0.8, nesterov=True)),
    # optax starts at 0.1 and has ε inside the root, with no choice about the second
    "adagrad": (lambda a: adagrad(a, initial_accumulator=0.1, eps_in_root=True), optax.adagrad),
    # optax has ε inside the root unless told otherwise
    "rmsprop": (lambda a: rmsprop(a, 0.8, 1e-6), lambda a: optax.rmsprop(a, 0.8, 1e-6, eps_in_sqrt=False)),
    "rmsprop, root": (lambda a: rmsprop(a, eps=1e-8, eps_in_root=True), optax.rmsprop),
    "rmsprop, centered": (
        lambda a: rmsprop(a, eps=1e-6, centered=True),
        lambda a: optax.rmsprop(a, eps=1e-6, centered=True, eps_in_sqrt=False),
    ),
    "rmsprop, momentum": (  # optax's velocity holds the rate, so the rate must not change
        lambda a: rmsprop(a, eps=1e-6, momentum=0.8),
        lambda a: optax.rmsprop(a, eps=1e-6, momentum=0.8, eps_in_sqrt=False),
    ),
    "adadelta": (lambda a: adadelta(a, 0.8, 1e-5), lambda a: optax.adadelta(a, 0.8, 1e-5)),
    "adam": (lambda a: adam(a, 0.85, 0.99, 1e-6), lambda a: optax.adam(a, 0.85, 0.99, 1e-6)),
    "adamax": (lambda a: adamax(a, 0.85, 0.99, 1e-6), lambda a: optax.adamax(a, 0.85, 0.99, 1e-6)),
    # optax's momentum is b1 from the first step on
    "nadam": (lambda a: nadam(a, 0.85, 0.99, 1e-6, 1e6), lambda a: optax.nadam(a, 0.85, 0.99, 1e-6)),
    # the maximum is taken before or after the correction: no difference while gradients grow
    "amsgrad": (lambda a: amsgrad(a, 0.85, 0.99, 1e-6), lambda a: optax.amsgrad(a, 0.85, 0.99, 1e-6)),
    # optax decays everything unless there is a mask
    "adamw": (
        lambda a: adamw(a, 0.85, 0.99, 1e-6, 0.1),
        lambda a: optax.adamw(a, 0.85, 0.99, 1e-6, weight_decay=0.1, mask=weights),
    ),
    "lion": (lambda a: lion(a, 0.85, 0.95), lambda a: optax.lion(a, 0.85, 0.95, weight_decay=0.0)),
    # with nesterov, optax corrects momentum and gradient each for itself; its ε is added to ‖u‖ as well
    "muon": (
        lambda a: muon(a, 0.9, False, adam_factor=1.0, b1=0.85, b2=0.99, eps=1e-20),
        lambda a: optax.contrib.muon(
            a,
            beta=0.9,
            eps=1e-20,
            nesterov=False,
            adam_b1=0.85,
            adam_b2=0.99,
            muon_weight_dimension_numbers=matrices,
        ),
    ),
}
CONSTANT_ONLY = {"rmsprop, momentum"}
GROWING_ONLY = {"amsgrad"}


def tree(seed: int, *axes: int):
    """Random parameters, or gradients with axes in front."""
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.normal(size=(*axes, *shape))  # noqa: E731
    return {
        "hidden_1": {"kernel": draw(3, 4), "bias": draw(4)},
        "flatten": {},
        "head": {"conv": {"kernel": draw(2, 2, 2, 3)}},
        "temperature": draw(),
    }


def stacked(growing: bool = False):
    """Random gradients of very different sizes, one a step, or one that grows."""
    steps = np.arange(STEPS)
    sizes = 1.02**steps if growing else 10.0 ** (steps % 5 - 2)

    def sized(g):
        return sizes.reshape(-1, *(1,) * (g.ndim - 1)) * (g[:1] if growing else g)

    return jax.tree.map(lambda g: jnp.asarray(sized(g), float), tree(1, STEPS))


def start():
    return jax.tree.map(lambda a: jnp.asarray(a, float), tree(0))


def final(transform, params, gradients):
    """Parameters after all gradients."""

    def step(carry, gradient):
        params, state = carry
        update, state = transform.update(gradient, state, params)
        return (optax.apply_updates(params, update), state), None

    return lax.scan(step, (params, transform.init(params)), gradients)[0][0]


def final_of_ours(make, rates, decay, params, gradients):
    """The same with the rate of each step and with weight decay."""

    def step(carry, now):
        params, state = carry
        rate, gradient = now
        transform = optax.with_extra_args_support(make(rate))
        update, state = transform.update(gradient, state, params)
        decayed = decoupled_weight_decay(rate, decay).update(update, optax.EmptyState(), params)[0]
        return (optax.apply_updates(params, decayed), state), None

    return lax.scan(step, (params, make(rates[0]).init(params)), (rates, gradients))[0][0]


def final_of_theirs(make, rates, decay, params, gradients):
    decayed = optax.add_decayed_weights(lambda i: -rates[i] * decay, mask=weights)
    return final(optax.chain(make(lambda i: rates[i]), decayed), params, gradients)


def check(ours, theirs, tolerance):
    params, gradients = start(), stacked()
    found = jax.jit(lambda p, g: final(ours, p, g))(params, gradients)
    with jax.numpy_dtype_promotion("standard"):  # optax's bias correction mixes dtypes
        wanted = jax.jit(lambda p, g: final(theirs, p, g))(params, gradients)
    close(found, wanted, tolerance)
    return found


def close(found, wanted, tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), found, wanted)


@pytest.mark.parametrize("name", PAIRS)
def test_200_steps_with_schedule_and_weight_decay(float64, name):
    """In float64 and in float32, the latter against optax in float64 on the same numbers."""
    ours, theirs = PAIRS[name]
    single = jax.tree.map(lambda a: a.astype(jnp.float32), (start(), stacked(name in GROWING_ONLY)))
    double = jax.tree.map(lambda a: a.astype(jnp.float64), single)
    run = jax.jit(lambda *a: final_of_ours(ours, *a))
    reference = jax.jit(lambda *a: final_of_theirs(theirs, *a))
    falling = 0.01 * (1 - np.arange(STEPS, dtype=np.float32) / STEPS)
    for rates, decay in [(np.full(STEPS, 0.01, np.float32), 0.0), (falling, 0.25)]:
        if decay and name in CONSTANT_ONLY:
            continue
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes in its corrections
            wanted = reference(jnp.asarray(rates, float), decay, *double)
        close(run(jnp.asarray(rates, float), decay, *double), wanted, 1e-11)
        close(run(jnp.asarray(rates), np.float32(decay), *single), wanted, 2e-5)


def test_weight_decay_leaves_biases_and_scales_alone(float64):
    ours = with_common(adam(0.01), 0.01, weight_decay=0.1)
    decayed = check(ours, optax.adamw(0.01, weight_decay=0.1, mask=weights), 1e-12)
    plain = jax.jit(lambda p, g: final(adam(0.01), p, g))(start(), stacked())
    np.testing.assert_array_equal(decayed["hidden_1"]["bias"], plain["hidden_1"]["bias"])
    assert (decayed["hidden_1"]["kernel"] != plain["hidden_1"]["kernel"]).all()


def test_clipping(float64):
    ours = lambda limit: with_common(momentum(0.03), 0.03, clip_norm=limit)  # noqa: E731
    theirs = lambda limit: optax.chain(optax.clip_by_global_norm(limit), optax.sgd(0.03, momentum=0.9))  # noqa: E731
    found, wanted = (jax.jit(lambda limit, t=t: final(t(limit), start(), stacked())) for t in (ours, theirs))
    for limit in (1e-3, 1.0, 50.0, 1e6):
        close(found(limit), wanted(limit), 1e-12)


@pytest.mark.parametrize(("make", "steps"), [
    (lambda: sgd(0.1), [(0.5, -0.05), (-2.0, 0.2)]),
    # v = 0.5, then 0.9 · 0.5 − 2 = −1.55
    (lambda: momentum(0.1, 0.9), [(0.5, -0.05), (-2.0, 0.155)]),
    # m̂ = g, v̂ = g²; then m = 0.9 · 0.05 − 0.2, v = 0.99 · 0.0025 + 0.04, corrected by 0.19 and 0.0199
    (lambda: adam(0.1, 0.9, 0.99, 1e-3), [
        (0.5, -0.1 * 0.5 / (0.5 + 1e-3)),
        (-2.0, -0.1 * (-0.155 / 0.19) / ((0.042475 / 0.0199) ** 0.5 + 1e-3)),
    ]),
])  # fmt: skip
def test_two_steps_on_paper(float64, make, steps):
    transform, w = make(), jnp.array([[7.0]])
    state = transform.init(w)
    for gradient, wanted in steps:
        update, state = transform.update(jnp.array([[gradient]]), state, w)
        np.testing.assert_allclose(update.item(), wanted, rtol=1e-14)


def test_clip_then_step_then_decay_on_paper(float64):
    """g = (3, 4) has norm 5; clipped to 1 it is (0.6, 0.8).  w loses 0.1 · 0.2 of itself, b nothing."""
    params = {"kernel": jnp.array([10.0]), "bias": jnp.array([10.0])}
    gradient = {"kernel": jnp.array([3.0]), "bias": jnp.array([4.0])}
    transform = with_common(sgd(0.1), 0.1, clip_norm=1.0, weight_decay=0.2)
    update, _ = transform.update(gradient, transform.init(params), params)
    np.testing.assert_allclose(update["kernel"], [-0.06 - 0.2], rtol=1e-14)
    np.testing.assert_allclose(update["bias"], [-0.08], rtol=1e-14)


@pytest.mark.parametrize(("params", "wanted"), [
    ({"encoder": {"block_2": {"conv_1": {"kernel": jnp.ones((1, 2, 2)), "bias": jnp.ones(2)}}}}, {"kernel"}),
    ({"scales": {"kernel": jnp.ones((2, 1))}, "biases": {"norm": {"scale": jnp.ones(2)}}}, {"kernel"}),
    ({"table": {"embedding": jnp.ones((5, 2))}, "bias": jnp.ones(())}, {"embedding"}),
    ([jnp.ones((2, 2)), jnp.ones(2)], {0}),
    ((({"kernel": jnp.ones((2, 2)), "bias": jnp.ones((1, 2))},),), {"kernel"}),
])  # fmt: skip
def test_biases_and_scales_are_left_alone_in_any_tree(params, wanted):
    """By the parameter's own name, whatever the names around it; by its axes where it has none."""
    decay = decoupled_weight_decay(0.5, 0.5)
    update, _ = decay.update(jax.tree.map(jnp.zeros_like, params), decay.init(params), params)
    changed = {
        getattr(path[-1], "key", getattr(path[-1], "idx", None)): leaf.min()
        for path, leaf in jax.tree_util.tree_leaves_with_path(update)
        if leaf.any()
    }
    assert set(changed) == wanted
    assert set(map(float, changed.values())) == {-0.25}


def test_what_is_off_is_absent():
    plain = sgd(0.1)
    assert with_common(plain, 0.1) is plain
    assert with_common(plain, 0.1, clip_norm=None, weight_decay=0.0) is plain


def test_traced_decay_and_clipping_are_the_static_ones(float64):
    def run(limit, decay, rate):
        return final(with_common(sgd(rate), rate, clip_norm=limit, weight_decay=decay), start(), stacked())

    traced = jax.jit(run)
    for decay in (0.0, 0.3):
        static = jax.jit(lambda decay=decay: run(2.0, decay, 0.05))
        close(traced(2.0, decay, 0.05), static(), 1e-12)


def test_clipping_leaves_zero_and_small_gradients_untouched_and_shows_nan():
    clip = clip_by_global_norm(1.0)
    for g in (jnp.zeros(3), jnp.array([0.3, -0.4, 0.0])):
        np.testing.assert_array_equal(clip.update({"w": g}, clip.init(None))[0]["w"], g)
    broken = clip.update({"w": jnp.array([1.0]), "b": jnp.array([jnp.nan])}, clip.init(None))[0]
    assert jnp.isnan(broken["b"]).all()


def test_weight_decay_without_parameters_says_what_is_missing():
    decay = decoupled_weight_decay(0.1, 0.1)
    with pytest.raises(ValueError, match="needs the parameters"):
        decay.update({"w": jnp.ones(1)}, decay.init(None))


def test_first_order_takes_one_gradient_and_reports_it(float64):
    calls = 0

    def objective(x):
        nonlocal calls
        calls += 1
        return (x**2).sum(), {"seen": x}

    method = first_order(sgd(0.25))
    x = jnp.array([3.0, -4.0])
    params, _, evaluation = method.step(objective, x, method.init(objective, x))
    assert calls == 1
    np.testing.assert_array_equal(params, [1.5, -2.0])  # x − 0.25 · 2x
    np.testing.assert_array_equal(evaluation.aux["seen"], x)  # of the point where the step began
    assert float(evaluation.value) == 25.0
    np.testing.assert_array_equal(evaluation.gradient, [6.0, -8.0])
