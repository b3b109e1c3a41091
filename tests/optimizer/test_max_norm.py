"""Max norm: the weights that lead to a unit never leave a ball, and nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from nnrun.optimizer._common import keep_max_norm, with_common
from nnrun.optimizer._first_order import first_order
from nnrun.optimizer.adam import adam
from nnrun.optimizer.lookahead import lookahead
from nnrun.optimizer.sam import sam
from nnrun.optimizer.sgd import sgd

pytestmark = pytest.mark.usefixtures("float64")


def tree(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape))  # noqa: E731
    return {
        "conv": {"kernel": draw(3, 3, 2, 4), "bias": draw(4)},
        "norm": {"scale": draw(4), "bias": draw(4)},
        "head": {"kernel": draw(5, 3), "bias": draw(3)},
    }


def stepped(transform: Any, params: Any, steps: int = 5) -> Any:
    """Parameters after some steps."""
    gradients = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(tree(9 + i) for i in range(steps)))

    def step(carry, gradient):
        params, state = carry
        update, state = transform.update(gradient, state, params)
        return (optax.apply_updates(params, update), state), None

    return jax.jit(lambda p, g: lax.scan(step, (p, transform.init(p)), g))(params, gradients)[0][0]


def close(found: Any, wanted: Any, tolerance: float = 1e-12) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), found, wanted)


def norms(kernel: Any) -> np.ndarray:
    a = np.asarray(kernel)
    return np.linalg.norm(a.reshape(-1, a.shape[-1]), axis=0)


def test_by_hand():
    """Column (3, 4) + (0, 0) has norm 5 and becomes (1.2, 1.6); (0.6, 0) + (0, 0.8) has norm 1 and stays."""
    params = {"kernel": jnp.array([[3.0, 0.6, 0.0], [4.0, 0.0, 0.0]])}
    update = {"kernel": jnp.array([[0.0, 0.0, 0.0], [0.0, 0.8, 0.0]])}
    found, _ = keep_max_norm(2.0).update(update, optax.EmptyState(), params)
    close(found, {"kernel": jnp.array([[-1.8, 0.0, 0.0], [-2.4, 0.8, 0.0]])}, 1e-15)


@pytest.mark.parametrize("limit", [0.5, 1.5, 100.0])
def test_is_renorm_of_torch_after_each_step(torch_says, limit):
    """torch divides by the norm + 1e-7."""
    start = {name: layer["kernel"] for name, layer in tree(0).items() if "kernel" in layer}

    def theirs(torch):
        params = {name: torch.tensor(np.asarray(kernel)) for name, kernel in start.items()}
        for i in range(5):
            for name in params:
                moved = params[name] - 0.1 * torch.tensor(np.asarray(tree(9 + i)[name]["kernel"]))
                params[name] = torch.renorm(moved, 2, moved.ndim - 1, limit)
        return {name: kernel.numpy() for name, kernel in params.items()}

    found = stepped(with_common(sgd(0.1), 0.1, max_norm=limit), tree(0))
    torch_says(theirs, {name: found[name]["kernel"] for name in start}, 1e-6)


@pytest.mark.parametrize("name", ["conv", "head"])
def test_no_unit_leaves_the_ball_and_some_reach_its_edge(name):
    found = norms(
        stepped(with_common(adam(0.3), 0.3, weight_decay=0.1, max_norm=0.7), tree(0))[name]["kernel"]
    )
    assert found.max() == pytest.approx(0.7, rel=1e-12)
    assert (found <= 0.7 * (1 + 1e-12)).all()


def test_biases_and_scales_are_free_and_a_wide_ball_changes_no_bit():
    free, held = stepped(sgd(0.1), tree(0)), stepped(with_common(sgd(0.1), 0.1, max_norm=0.01), tree(0))
    for layer, name in (("conv", "bias"), ("norm", "scale"), ("norm", "bias"), ("head", "bias")):
        np.testing.assert_array_equal(held[layer][name], free[layer][name])
    wide = stepped(with_common(sgd(0.1), 0.1, max_norm=1e6), tree(0))
    jax.tree.map(np.testing.assert_array_equal, wide, free)


def test_what_is_frozen_stays():
    rates = {"head/*": 0.0, "*": 2.0}
    found = stepped(with_common(sgd(0.1), 0.1, rates=rates, max_norm=0.5), tree(0))
    jax.tree.map(np.testing.assert_array_equal, found["head"], tree(0)["head"])
    assert norms(found["conv"]["kernel"]).max() <= 0.5 * (1 + 1e-12)


def test_a_traced_limit_is_the_limit():
    limits = jnp.array([0.3, 1.0, 50.0])
    lanes = jax.vmap(lambda limit: stepped(with_common(sgd(0.1), 0.1, max_norm=limit), tree(0)))(limits)
    for i, limit in enumerate(limits.tolist()):
        alone = stepped(with_common(sgd(0.1), 0.1, max_norm=limit), tree(0))
        close(jax.tree.map(lambda a, i=i: a[i], lanes), alone)


@pytest.mark.parametrize("wrap", [sam, lambda inner: first_order(lookahead(inner, every=2))])
def test_inside_what_wraps_an_optimizer(wrap):
    """Between two points of a ball is the ball, so lookahead stays in it once it has come there."""
    method = wrap(with_common(sgd(0.5), 0.5, max_norm=0.5))
    target = jnp.asarray(np.random.default_rng(1).normal(size=(4, 3)) * 3)

    def objective(params):
        return jnp.square(params["kernel"] - target).sum(), None

    params = {"kernel": target * 0.01}
    memory = method.init(objective, params)
    for _ in range(4):
        params, memory, _ = method.step(objective, params, memory)
        assert norms(params["kernel"]).max() <= 0.5 * (1 + 1e-12)
    assert norms(params["kernel"]).min() > 0.3  # and that is where the objective is least


SPEC = """
data: {name: iris}
model: {name: mlp, hidden: [8]}
optimizer: {name: momentum, learning_rate: 0.3, max_norm: 0.9}
train: {duration: 30 steps}
"""


def test_a_run(tmp_path: Path) -> None:
    import nnrun

    (tmp_path / "spec.yaml").write_text(SPEC)
    with jax.enable_x64(False):
        result = nnrun.train(tmp_path / "spec.yaml", run_dir=tmp_path / "run")
    found = [norms(layer["kernel"]) for layer in result.params.values()]
    assert max(one.max() for one in found) == pytest.approx(0.9, rel=1e-5)
    assert json.loads((tmp_path / "run/state.json").read_text())["status"] == "done"


@pytest.mark.parametrize(("block", "says"), [
    ("{name: sgd, max_norm: 0}", r"optimizer\.max_norm: got 0; write a value > 0"),
    ("{name: sam, inner: sgd, max_norm: 2}", r"optimizer\.max_norm: sam makes its own steps.*write it inside inner"),
])  # fmt: skip
def test_mistakes(block: str, says: str, tmp_path: Path) -> None:
    import nnrun
    from nnrun.errors import SpecError

    (tmp_path / "spec.yaml").write_text(SPEC)
    with pytest.raises(SpecError, match=says):
        nnrun.train(tmp_path / "spec.yaml", [f"optimizer={block}"], run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()
