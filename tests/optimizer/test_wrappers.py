"""What can be put around an optimizer: clipping, groups, weight decay by pattern, lookahead, SAM, optax by name."""

from __future__ import annotations

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from optax import contrib

from nnrun.catalog import bound
from nnrun.catalog.from_optax import from_optax
from nnrun.optimizer._clip import clip_adaptively, clip_by_array_norm, clip_by_value
from nnrun.optimizer._common import decoupled_weight_decay, group_rates, with_common
from nnrun.optimizer._first_order import first_order
from nnrun.optimizer.adam import adam
from nnrun.optimizer.lookahead import lookahead
from nnrun.optimizer.momentum import momentum
from nnrun.optimizer.sam import sam
from nnrun.optimizer.sgd import sgd

pytestmark = pytest.mark.usefixtures("float64")


def tree(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape) * 10.0 ** rng.integers(-2, 2))  # noqa: E731
    return {
        "conv": {"kernel": draw(3, 3, 2, 4), "bias": draw(4)},
        "head": {"kernel": draw(5, 3), "bias": draw(3)},
        "scalar": draw(),
        "empty": {},
    }


def final(transform: Any, steps: int = 60) -> Any:
    """Parameters after gradients of many sizes."""
    gradients = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(tree(9 + i) for i in range(steps)))

    def step(carry, gradient):
        params, state = carry
        update, state = transform.update(gradient, state, params)
        return (optax.apply_updates(params, update), state), None

    with jax.numpy_dtype_promotion("standard"):
        params = tree(0)
        return jax.jit(lambda p, g: lax.scan(step, (p, transform.init(p)), g))(params, gradients)[0][0]


def close(found: Any, wanted: Any, tolerance: float = 1e-11) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), found, wanted)


@pytest.mark.quick("0.3")
@pytest.mark.parametrize("limit", [0.01, 0.3, 1e4])
def test_clipping_is_that_of_optax(limit):
    close(
        final(optax.chain(clip_by_value(limit), sgd(0.1))),
        final(optax.chain(optax.clip(limit), optax.sgd(0.1))),
    )
    close(
        final(optax.chain(clip_by_array_norm(limit), sgd(0.1))),
        final(optax.chain(by_array_norm_on_paper(limit), optax.sgd(0.1))),
    )
    close(
        final(optax.chain(clip_adaptively(limit), sgd(0.1))),
        final(optax.chain(optax.adaptive_grad_clip(limit), optax.sgd(0.1))),
    )


def by_array_norm_on_paper(limit: float) -> optax.GradientTransformation:
    return optax.stateless_with_tree_map(lambda g, _: g / jnp.maximum(1.0, jnp.sqrt(jnp.vdot(g, g)) / limit))


def test_each_group_has_its_own_rate_and_the_first_pattern_counts():
    rates = {"conv/bias": 0.0, "conv/*": 0.5, "*/bias": 3.0}
    plain, grouped = final(sgd(0.1)), final(with_common(sgd(0.1), 0.1, rates=rates))
    factors = {
        "conv": {"kernel": 0.5, "bias": 0.0},
        "head": {"kernel": 1.0, "bias": 3.0},
        "scalar": 1.0,
        "empty": {},
    }
    moved = jax.tree.map(lambda after, before: after - before, plain, tree(0))
    close(grouped, jax.tree.map(lambda start, by, f: start + f * by, tree(0), moved, factors))


def test_a_group_rate_scales_the_decay_too():
    """AdamW in a group of half the rate is AdamW with half the learning rate."""
    both = with_common(adam(0.01), 0.01, weight_decay=0.3, rates={"*": 0.5})
    close(final(both), final(with_common(adam(0.005), 0.005, weight_decay=0.3)))


def test_decay_by_pattern():
    update, _ = decoupled_weight_decay(0.5, 0.5, ["head/*", "scalar"]).update(
        jax.tree.map(jnp.zeros_like, tree(0)), optax.EmptyState(), tree(0)
    )
    close(update["head"], jax.tree.map(lambda w: -0.25 * w, tree(0)["head"]))
    close(update["scalar"], -0.25 * tree(0)["scalar"])
    assert not any(leaf.any() for leaf in jax.tree.leaves(update["conv"]))


def test_group_rates_leave_a_tree_without_names_alone():
    found, _ = group_rates({"kernel": 0.0}).update([jnp.ones(2)], optax.EmptyState())
    close(found, [jnp.ones(2)])


@pytest.mark.parametrize(("every", "alpha"), [(5, 0.5), (3, 0.8), (1, 0.25)])
def test_lookahead_is_that_of_optax(every, alpha):
    """Which keeps two sets of parameters and returns the fast ones."""
    theirs = optax.lookahead(optax.adam(0.05), every, alpha)
    params = optax.LookaheadParams.init_synced(tree(0))
    state = theirs.init(params)
    with jax.numpy_dtype_promotion("standard"):
        for i in range(20):
            update, state = theirs.update(tree(9 + i), state, params)
            params = optax.apply_updates(params, update)
    close(final(lookahead(adam(0.05), every, alpha), 20), params.fast)


def rosenbrock(x):
    return jnp.square(1 - x[0]) + 100 * jnp.square(x[1] - jnp.square(x[0])), {"seen": x}


def run(method: Any, steps: int) -> Any:
    x = jnp.array([-1.2, 1.0])

    def step(carry, _):
        params, memory, evaluation = method.step(rosenbrock, *carry)
        return (params, memory), evaluation

    return jax.jit(lambda: lax.scan(step, (x, method.init(rosenbrock, x)), length=steps))()


def test_sam_is_that_of_optax():
    """contrib.sam with every second gradient taken at the perturbed point, and the outer step at the first."""
    found = run(sam(momentum(1e-4, 0.9), 0.05), 30)[0][0]
    theirs = contrib.sam(
        optax.sgd(1e-4, momentum=0.9),
        optax.chain(contrib.normalize(), optax.sgd(0.05)),
        sync_period=2,
        opaque_mode=True,
    )
    x = jnp.array([-1.2, 1.0])
    state, gradient = theirs.init(x), jax.grad(lambda x: rosenbrock(x)[0])
    with jax.numpy_dtype_promotion("standard"):
        for _ in range(30):
            update, state = theirs.update(gradient(x), state, x, grad_fn=lambda x, _: gradient(x))
            x = optax.apply_updates(x, update)
    close(found, x, 1e-9)


@pytest.mark.parametrize("wrap", [sam, lambda inner: first_order(lookahead(inner))])
def test_what_is_inside_may_ask_for_the_value(wrap):
    with jax.numpy_dtype_promotion("standard"):
        (x, _), evaluations = run(wrap(optax.polyak_sgd()), 20)
    assert evaluations.value[-1] < evaluations.value[0]
    assert np.isfinite(x).all()


def test_sam_reports_the_point_where_the_step_began():
    (_, _), evaluations = run(sam(sgd(1e-4)), 2)
    np.testing.assert_allclose(evaluations.aux["seen"][0], [-1.2, 1.0])
    np.testing.assert_allclose(evaluations.value[0], 24.2)


NAMES = ["adam", "adamw", "lamb", "lion", "rmsprop", "sgd", "yogi", "adafactor", "lbfgs", "rprop"]


@pytest.mark.quick("adamw", "adafactor", "lbfgs")
@pytest.mark.parametrize("name", NAMES)
def test_optimizers_of_optax_keep_their_options_and_run(name):
    function = getattr(optax, name)
    made = from_optax(function)
    kept, theirs = inspect.signature(made).parameters, inspect.signature(function).parameters
    assert set(kept) <= set(theirs)
    assert "learning_rate" in kept
    assert all(parameter.default == theirs[key].default for key, parameter in kept.items())
    block = bound.Bound("optimizer", f"optax:{name}", made, {"learning_rate": 0.01}, {})
    assert bound.knobs(block) == {"learning_rate": 0.01}
    with jax.numpy_dtype_promotion("standard"):
        found = run(first_order(made(learning_rate=0.01)), 2)[0][0]
        x, transform = jnp.array([-1.2, 1.0]), function(0.01)
        state = transform.init(x)
        value_fn = lambda x: rosenbrock(x)[0]  # noqa: E731
        for _ in range(2):
            value, grad = jax.value_and_grad(value_fn)(x)
            extended = optax.with_extra_args_support(transform)
            update, state = extended.update(grad, state, x, value=value, grad=grad, value_fn=value_fn)
            x = optax.apply_updates(x, update)
    close(found, x)


@pytest.mark.parametrize("name", ["scale_by_adam", "cosine_decay_schedule", "masked"])
def test_what_is_no_optimizer_is_refused(name):
    with pytest.raises(LookupError, match=rf"optax\.{name} has no learning_rate"):
        from_optax(getattr(optax, name))


def test_options_that_yaml_cannot_write_are_left_out():
    kept = inspect.signature(from_optax(optax.adamw)).parameters
    assert {"b1", "b2", "eps", "eps_root", "weight_decay", "nesterov"} <= set(kept)
    assert not {"mask", "mu_dtype"} & set(kept)
    assert kept["nesterov"].annotation is bool
