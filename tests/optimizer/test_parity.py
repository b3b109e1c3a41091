"""Our optimizers against those of optax over 200 steps, and against two steps on paper."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from nnrun.optimizer._common import clip_by_global_norm, decoupled_weight_decay, with_common
from nnrun.optimizer._first_order import first_order
from nnrun.optimizer.adam import adam
from nnrun.optimizer.momentum import momentum
from nnrun.optimizer.sgd import sgd

pytestmark = pytest.mark.usefixtures("quick_compilation")

STEPS = 200
PAIRS = {
    "sgd": (sgd(0.03), optax.sgd(0.03)),
    "momentum": (momentum(0.03, 0.8), optax.sgd(0.03, momentum=0.8)),
    "adam": (adam(0.01, 0.85, 0.99, 1e-6), optax.adam(0.01, 0.85, 0.99, 1e-6)),
    "adam, defaults": (adam(), optax.adam(1e-3)),
}


def tree(seed: int):
    rng = np.random.default_rng(seed)
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape), float)  # noqa: E731
    layer = lambda: {"kernel": draw(3, 4), "bias": draw(4)}  # noqa: E731
    return {"hidden_1": layer(), "norm": {"scale": draw(4), "bias": draw(4)}, "head": {"dense": layer()}}


def stacked():
    """Random gradients of very different sizes, one tree a step."""
    trees = [jax.tree.map(lambda g, i=i: g * 10.0 ** (i % 5 - 2), tree(100 + i)) for i in range(STEPS)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def final(transform, params, gradients):
    """Parameters after all gradients."""

    def step(carry, gradient):
        params, state = carry
        update, state = transform.update(gradient, state, params)
        return (optax.apply_updates(params, update), state), None

    return lax.scan(step, (params, transform.init(params)), gradients)[0][0]


def check(ours, theirs, tolerance):
    params, gradients = tree(0), stacked()
    found = jax.jit(lambda p, g: final(ours, p, g))(params, gradients)
    with jax.numpy_dtype_promotion("standard"):  # optax's bias correction mixes dtypes
        wanted = jax.jit(lambda p, g: final(theirs, p, g))(params, gradients)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), found, wanted)
    return found


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", PAIRS)
def test_200_steps(name, precision):
    with jax.enable_x64(precision == "float64"):
        check(*PAIRS[name], 1e-12 if precision == "float64" else 2e-5)


def test_adamw_decays_kernels_alone(float64):
    ours = with_common(adam(0.01), 0.01, weight_decay=0.1)
    kernels = lambda params: jax.tree_util.tree_map_with_path(lambda p, _: p[-1].key == "kernel", params)  # noqa: E731
    decayed = check(ours, optax.adamw(0.01, weight_decay=0.1, mask=kernels), 1e-12)
    plain = jax.jit(lambda p, g: final(adam(0.01), p, g))(tree(0), stacked())
    np.testing.assert_array_equal(decayed["norm"]["scale"], plain["norm"]["scale"])
    np.testing.assert_array_equal(decayed["head"]["dense"]["bias"], plain["head"]["dense"]["bias"])
    assert (decayed["hidden_1"]["kernel"] != plain["hidden_1"]["kernel"]).all()


@pytest.mark.parametrize("limit", [1e-3, 1.0, 50.0, 1e6])
def test_clipping(float64, limit):
    ours = with_common(momentum(0.03), 0.03, clip_norm=limit)
    check(ours, optax.chain(optax.clip_by_global_norm(limit), optax.sgd(0.03, momentum=0.9)), 1e-12)


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


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_traced_decay_and_clipping_are_the_static_ones(float64, decay):
    def run(limit, decay, rate):
        return final(with_common(sgd(rate), rate, clip_norm=limit, weight_decay=decay), tree(0), stacked())

    found = jax.jit(run)(2.0, decay, 0.05)
    wanted = jax.jit(lambda: run(2.0, decay, 0.05))()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), found, wanted)


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
