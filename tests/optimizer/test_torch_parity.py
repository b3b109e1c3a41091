"""Our optimizers against those of torch.optim: 200 steps against torch, or against what it said, and five from a table.

To renew the table: python tests/optimizer/test_torch_parity.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from nnrun.optimizer._common import decoupled_weight_decay
from nnrun.optimizer.adadelta import adadelta
from nnrun.optimizer.adagrad import adagrad
from nnrun.optimizer.adam import adam
from nnrun.optimizer.adamax import adamax
from nnrun.optimizer.adamw import adamw
from nnrun.optimizer.amsgrad import amsgrad
from nnrun.optimizer.momentum import momentum
from nnrun.optimizer.muon import muon
from nnrun.optimizer.nadam import nadam
from nnrun.optimizer.nesterov import nesterov
from nnrun.optimizer.rmsprop import rmsprop
from nnrun.optimizer.sgd import sgd

pytestmark = pytest.mark.usefixtures("float64")

BETAS = {"betas": (0.85, 0.99), "eps": 1e-6}


class Setting(NamedTuple):
    """Ours as a function of the rate, and the class of torch.optim with what makes it the same.

    decay   whether weights decay on top; by hand, as most of torch's methods add the decay to the gradient
    """

    ours: Callable[[Any], optax.GradientTransformation]
    theirs: str
    options: dict[str, Any]
    decay: bool = True


SETTINGS = {
    "sgd": Setting(sgd, "SGD", {}),
    "momentum": Setting(lambda a: momentum(a, 0.8), "SGD", {"momentum": 0.8}),
    "nesterov": Setting(lambda a: nesterov(a, 0.8), "SGD", {"momentum": 0.8, "nesterov": True}),
    "adagrad": Setting(adagrad, "Adagrad", {"eps": 1e-7}),
    "adagrad from 0.3": Setting(
        lambda a: adagrad(a, 1e-10, 0.3), "Adagrad", {"initial_accumulator_value": 0.3}
    ),
    "rmsprop": Setting(lambda a: rmsprop(a, 0.99, 1e-8), "RMSprop", {}),
    "rmsprop, centered": Setting(
        lambda a: rmsprop(a, eps=1e-6, centered=True),
        "RMSprop",
        {"alpha": 0.9, "eps": 1e-6, "centered": True},
    ),
    "rmsprop, momentum": Setting(
        lambda a: rmsprop(a, eps=1e-6, momentum=0.8), "RMSprop", {"alpha": 0.9, "eps": 1e-6, "momentum": 0.8}
    ),
    "adadelta": Setting(adadelta, "Adadelta", {}),
    "adam": Setting(adam, "Adam", {}),
    "adamax": Setting(lambda a: adamax(a, 0.85, 0.99, 1e-6), "Adamax", BETAS),
    "nadam": Setting(nadam, "NAdam", {}),
    "nadam, faster": Setting(
        lambda a: nadam(a, 0.85, 0.99, 1e-6, 0.1), "NAdam", {**BETAS, "momentum_decay": 0.1}
    ),
    "amsgrad": Setting(lambda a: amsgrad(a, 0.85, 0.99, 1e-6), "Adam", {**BETAS, "amsgrad": True}),
    "adamw": Setting(lambda a: adamw(a, weight_decay=0.1), "AdamW", {"weight_decay": 0.1}, decay=False),
    # torch's takes matrices only, so the rest goes to torch's Adam at half the rate
    "muon": Setting(lambda a: muon(a, adam_factor=0.5, b2=0.99), "Muon", {"weight_decay": 0.0}),
    "muon, no nesterov": Setting(
        lambda a: muon(a, 0.8, nesterov=False, adam_factor=0.5, b2=0.99),
        "Muon",
        {"weight_decay": 0.0, "momentum": 0.8, "nesterov": False},
    ),
}

# The parameters after the five steps of `small_case`, first the kernel, then the bias, by torch 2.13.0 in float64.
# fmt: off
TABLE = {
    "sgd": [
        0.575520607171, -0.706775066996, 1.69705127476, 0.217680798104, -0.674523695262, 0.958535250647,
        0.386044700919, -0.274187687184,
    ],
    "momentum": [
        0.785299946779, -0.702923295513, 1.69914127812, 0.267964359033, -0.519926955976, 0.630272095975,
        0.467721492481, -0.267366159433,
    ],
    "nesterov": [
        0.877655721393, -0.616904017006, 1.75194492446, 0.26899986373, -0.601307995243, 0.484438397826,
        0.680221894904, -0.24808061473,
    ],
    "adagrad": [
        0.484488196315, -0.66033349002, 1.69294983473, 0.282313831684, -0.641353094819, 0.964026167049,
        0.148081216229, -0.173934196348,
    ],
    "adagrad from 0.3": [
        0.505182355337, -0.730475305804, 1.67032750656, 0.230151103799, -0.591176292521, 1.00862929607,
        0.191074765289, -0.267083408583,
    ],
    "rmsprop": [
        1.17765229772, 0.736329407281, 2.25562231316, 0.989325474856, -0.912584926245, -1.37179108417,
        0.582825337407, 0.959315539953,
    ],
    "rmsprop, centered": [
        0.669448513053, -0.28015395853, 1.84516908656, 0.475743677406, -0.704686985515, 0.280812058755,
        0.264539280371, 0.123690743463,
    ],
    "rmsprop, momentum": [
        0.852927134562, 0.39329959882, 2.11935107461, 1.02118217091, -0.678071703818, -0.832415301027,
        -0.0683127369913, 0.81566311253,
    ],
    "adadelta": [
        0.408240402807, -0.814566641382, 1.63081079185, 0.204054563126, -0.611701018365, 1.22159043299,
        0.100646350432, -0.29962529168,
    ],
    "adam": [
        0.474055739257, -0.661749979206, 1.7100696644, 0.35119167271, -0.587670558032, 0.860334185463,
        0.0313910233693, -0.139428524381,
    ],
    "adamax": [
        0.430488901632, -0.679727152773, 1.7091111792, 0.338331863047, -0.614884707263, 0.912267821105,
        0.0131001772077, -0.156014461316,
    ],
    "nadam": [
        0.504634539425, -0.639663801862, 1.70519908248, 0.290996392157, -0.651151841127, 0.911738850688,
        0.17742031676, -0.16669735074,
    ],
    "nadam, faster": [
        0.513962214801, -0.633943293186, 1.70717483275, 0.29445620619, -0.649325704306, 0.893165982252,
        0.184056887176, -0.163550242476,
    ],
    "amsgrad": [
        0.480553956876, -0.661994701231, 1.70880136572, 0.348553050601, -0.588980034823, 0.858893569564,
        0.0424979447866, -0.142461874357,
    ],
    "adamw": [
        0.541468525603, -0.790600934099, 2.0104513655, 0.404133084919, -0.699673622718, 1.05439406711,
        0.0313910233693, -0.139428524381,
    ],
    "muon": [
        0.514136061079, -0.680129161377, 1.66181407525, 0.219895734252, -0.614582115981, 1.01157498253,
        0.0653286766694, -0.219753514351,
    ],
    "muon, no nesterov": [
        0.55450949811, -0.68232420746, 1.66583289956, 0.215808571087, -0.591034441755, 0.989618288272,
        0.0653286766694, -0.219753514351,
    ],
}
# fmt: on

Arrays = dict[str, np.ndarray]


def small_case() -> tuple[Arrays, list[Arrays], np.ndarray, float]:
    """Parameters, gradients, rates and weight decay of five steps."""
    params = {"kernel": np.array([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]]), "bias": np.array([0.1, -0.3])}
    waves = [np.cos(t * np.arange(1.0, 9.0)) * t / 2 for t in range(1, 6)]
    gradients = [{"kernel": wave[:6].reshape(3, 2), "bias": wave[6:]} for wave in waves]
    return params, gradients, 0.1 * (1 - np.arange(5) / 10), 0.5


def long_case(precision: str) -> tuple[Arrays, list[Arrays], np.ndarray, float]:
    """200 steps on random arrays with gradients of very different sizes, a falling rate and weight decay."""
    rng = np.random.default_rng(0)
    shapes = {"kernel": (2, 3, 4), "bias": (4,), "temperature": ()}
    draw = lambda size: {k: np.array(size * rng.normal(size=s), precision) for k, s in shapes.items()}  # noqa: E731
    params, gradients = draw(1.0), [draw(10.0 ** (i % 5 - 2)) for i in range(200)]
    return params, gradients, (0.01 * (1 - np.arange(200) / 200)).astype(precision), 0.25


def our_steps(setting: Setting, params: Arrays, gradients: list[Arrays], rates: Any, decay: float) -> Arrays:
    """Parameters after all steps."""

    def step(carry, now):
        params, state = carry
        rate, gradient = now
        update, state = setting.ours(rate).update(gradient, state, params)
        if setting.decay:
            update, _ = decoupled_weight_decay(rate, decay).update(update, optax.EmptyState(), params)
        return (optax.apply_updates(params, update), state), None

    def run(params, gradients, rates):
        return lax.scan(step, (params, setting.ours(rates[0]).init(params)), (rates, gradients))[0][0]

    stacked = {name: np.stack([gradient[name] for gradient in gradients]) for name in params}
    return jax.tree.map(np.asarray, jax.jit(run)(params, stacked, rates))


def torch_steps(
    setting: Setting, params: Arrays, gradients: list[Arrays], rates: Any, decay: float
) -> Arrays:
    """The same by torch, whose matrices are (outputs, inputs); weights but not biases decay before each step."""
    import torch

    def turned(a: np.ndarray) -> np.ndarray:
        return a.reshape(-1, a.shape[-1]).T.copy() if a.ndim > 1 else a

    def turned_back(a: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        return a.T.reshape(shape) if len(shape) > 1 else a

    theirs = {name: torch.nn.Parameter(torch.tensor(turned(a))) for name, a in params.items()}
    optimizers = torch_optimizers(setting, theirs)
    for gradient, rate in zip(gradients, rates, strict=True):
        for name, p in theirs.items():
            p.grad = torch.tensor(turned(gradient[name]))
            if name != "bias" and setting.decay:
                p.data.mul_(1 - float(rate) * decay)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = float(rate) * group.get("factor", 1.0)
            with in_double_precision():
                optimizer.step()
    return {name: turned_back(p.detach().numpy(), params[name].shape) for name, p in theirs.items()}


@contextmanager
def in_double_precision() -> Iterator[None]:
    """NAdam has a number of torch's default dtype, float32; Muon rounds to bfloat16."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with mock.patch.object(torch.Tensor, "bfloat16", torch.Tensor.clone):
            yield
    finally:
        torch.set_default_dtype(before)


def torch_optimizers(setting: Setting, params: dict[str, Any]) -> list[Any]:
    """Those that take all parameters together; AdamW leaves the bias alone."""
    import torch

    if not hasattr(torch.optim, setting.theirs):
        pytest.skip(f"this version of torch has no {setting.theirs}")
    theirs = getattr(torch.optim, setting.theirs)
    weights, biases = (
        [p for name, p in params.items() if (name == "bias") == is_bias] for is_bias in (False, True)
    )
    if setting.theirs == "Muon":
        rest = [{"params": [p for p in params.values() if p.ndim < 2], "factor": 0.5}]
        matrices = [p for p in params.values() if p.ndim > 1]
        return [theirs(matrices, **setting.options), torch.optim.Adam(rest, betas=(0.9, 0.99))]
    if "weight_decay" in setting.options:
        return [theirs([{"params": weights}, {"params": biases, "weight_decay": 0.0}], **setting.options)]
    return [theirs([*weights, *biases], **setting.options)]


def in_a_row(params: Arrays) -> np.ndarray:
    return np.concatenate([params["kernel"].reshape(-1), params["bias"]])


@pytest.mark.parametrize("name", SETTINGS)
def test_five_steps_are_those_of_the_table(name):
    with jax.disable_jit():  # less work than compiling for five steps
        found = our_steps(SETTINGS[name], *small_case())
    np.testing.assert_allclose(in_a_row(found), TABLE[name], rtol=1e-11)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_table_is_what_torch_gives(name):
    pytest.importorskip("torch")
    np.testing.assert_allclose(in_a_row(torch_steps(SETTINGS[name], *small_case())), TABLE[name], rtol=1e-11)


@pytest.mark.parametrize("name", SETTINGS)
def test_200_steps_with_schedule_and_weight_decay(torch_says, name):
    """In float64, and our float32 against torch's float64 on the same numbers."""
    params, gradients, rates, decay = long_case("float32")
    wide = jax.tree.map(lambda a: a.astype(np.float64), (params, gradients, rates))
    for tolerance, case in [(1e-11, wide), (2e-5, (params, gradients, rates))]:
        found = our_steps(SETTINGS[name], *case, np.asarray(decay, case[2].dtype))
        torch_says(lambda _: torch_steps(SETTINGS[name], *wide, decay), found, tolerance)


def test_torch_adds_the_decay_of_adam_to_the_gradient(torch_says):
    """Which is the penalty l2 here; AdamW is something else."""
    params, gradients, _, _ = small_case()

    def theirs(torch):
        p = torch.nn.Parameter(torch.tensor(params["kernel"]))
        method = torch.optim.Adam([p], lr=0.1, weight_decay=0.5)
        for gradient in gradients:
            p.grad = torch.tensor(gradient["kernel"])
            method.step()
        return p.detach().numpy()

    x = y = jnp.asarray(params["kernel"])
    ours, decoupled = adam(0.1), adamw(0.1, weight_decay=0.5)
    state, other = ours.init(x), decoupled.init(y)
    for gradient in gradients:
        update, state = ours.update(gradient["kernel"] + 0.5 * x, state)
        x = x + update
        update, other = decoupled.update(jnp.asarray(gradient["kernel"]), other, y)
        y = y + update
    torch_says(theirs, x, 1e-12)
    assert np.abs(y - x).max() > 0.1


def test_torch_rounds_newton_schulz_to_bfloat16(torch_says):
    gradient = small_case()[1][0]["kernel"]

    def theirs(torch):
        p = torch.nn.Parameter(torch.zeros(2, 3, dtype=torch.float64))
        p.grad = torch.tensor(gradient.T.copy())
        torch.optim.Muon([p], lr=1.0, weight_decay=0.0).step()
        return p.detach().numpy().T

    x = jnp.zeros((3, 2))
    update, _ = muon(1.0).update(jnp.asarray(gradient), muon(1.0).init(x), x)
    torch_says(theirs, update, 3e-2)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        torch_says(theirs, update, 1e-5)


def main() -> None:
    """Prints the table as torch gives it."""
    for name, setting in SETTINGS.items():
        numbers = [f"{number:.12g}" for number in in_a_row(torch_steps(setting, *small_case()))]
        print(
            f'    "{name}": [\n        {", ".join(numbers[:6])},\n        {", ".join(numbers[6:])},\n    ],'
        )


if __name__ == "__main__":
    main()
