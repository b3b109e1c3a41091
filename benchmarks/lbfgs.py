"""L-BFGS of nnrun against those of scipy, torch and optax, full batch, on this machine's CPU.

    pip install -e ".[bench]"
    python benchmarks/lbfgs.py [--rounds 5] [--starts 5] [--history 10] [--l2 1e-4] [--json FILE]

The work: all 1,797 digits, cross-entropy plus λ/2 Σw², from the same start to ‖∇f‖₂ ≤ 1e-4.  Logistic regression
starts at zero; the net, 64-64-10 with tanh, at several draws of its weights, because each start leads every method
to a minimum of its own.

All remember ten pairs and compute the function in float32.  nnrun and optax run as one compiled loop; scipy has
vectors in float64 and calls the same compiled function as they do; torch is eager, with strong_wolfe, on as many
threads as are faster.  scipy and torch test another norm, so they are stopped at their first evaluation with
‖∇f‖₂ ≤ 1e-4, be it of a point that they would accept or not.  Compilation is left out.  The four are timed in turn,
round by round; a ratio is the median over rounds and starts, and more than 1 means that nnrun is faster.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.optimize
import torch
from jax import lax
from jax.flatten_util import ravel_pytree
from rows import Row, prepare_process, write
from sklearn.datasets import load_digits

from nnrun.loss.cross_entropy import cross_entropy
from nnrun.model.linear import linear
from nnrun.model.mlp import mlp
from nnrun.optimizer.lbfgs import lbfgs
from nnrun.penalty.l2 import l2
from nnrun.training.objective import StepContext, make_objective
from nnrun.types import Batch, Objective, Tree

TOLERANCE, LIMIT = 1e-4, 5000
TARGETS = {"scipy": (3.0, 2.5), "torch": (5.0, 3.0), "optax": (1.5, 1.4)}


class Ran(NamedTuple):
    """One optimization."""

    seconds: float
    value: float
    evaluations: int


class Work(NamedTuple):
    """What is minimised, and from where."""

    name: str
    objective: Objective
    starts: list[Tree]
    widths: list[int]  # of all layers, for torch
    strength: float


def works(starts: int, strength: float) -> list[Work]:
    """Logistic regression and the net, on all digits standardised as nnrun does."""
    x, y = load_digits(return_X_y=True)
    x = ((x - x.mean()) / x.std()).astype(np.float32)
    batch = Batch(jnp.asarray(x), jnp.asarray(y, jnp.int32), jnp.ones(len(x)))
    made = []
    for name, model, count, widths in (
        ("logistic regression", linear(10), 1, [64, 10]),
        ("MLP 64-64-10", mlp(10, [64], "tanh", init="lecun_normal"), starts, [64, 64, 10]),
    ):
        objective = make_objective(StepContext(model, cross_entropy(), l2(strength), {}, batch, None))
        draws = [model.init(jax.random.key(seed), (64,))[0] for seed in range(count)]
        made.append(Work(name, objective, draws, widths, strength))
    return made


class ReachedError(Exception):
    """The gradient is small enough."""


def nnrun_runner(work: Work, history: int) -> Callable[[Tree], tuple]:
    """params -> value, evaluations"""
    method, objective = lbfgs(history=history), work.objective

    @jax.jit
    def run(params):
        def body(carry):
            params, memory, _, _, k = carry
            params, memory, found = method.step(objective, params, memory)
            return params, memory, found.value, optax.tree.norm(found.gradient), k + 1

        start = (params, method.init(objective, params), jnp.inf, jnp.inf, 0)
        _, memory, value, _, _ = lax.while_loop(
            lambda carry: (carry[3] > TOLERANCE) & (carry[4] < LIMIT), body, start
        )
        return value, memory.past.evaluations

    return run


def optax_runner(work: Work, history: int) -> Callable[[Tree], tuple]:
    """params -> value, evaluations"""
    solver = optax.lbfgs(memory_size=history)

    def function(params):
        return work.objective(params)[0]

    value_and_grad = optax.value_and_grad_from_state(function)

    @jax.jit
    def run(params):
        def body(carry):
            params, state, evaluations, k = carry
            value, gradient = value_and_grad(params, state=state)
            more = {"value": value, "grad": gradient, "value_fn": function}
            update, state = solver.update(gradient, state, params, **more)
            evaluations += optax.tree.get(state, "num_linesearch_steps")
            return optax.apply_updates(params, update), state, evaluations, k + 1

        def goes_on(carry):
            _, state, _, k = carry
            gradient = optax.tree.get(state, "grad")
            return (k == 0) | ((optax.tree.norm(gradient) > TOLERANCE) & (k < LIMIT))

        _, state, evaluations, _ = lax.while_loop(goes_on, body, (params, solver.init(params), 1, 0))
        return optax.tree.get(state, "value"), evaluations

    return run


def timed(run: Callable[[Tree], tuple], params: Tree) -> Ran:
    began = time.perf_counter()
    value, evaluations = jax.block_until_ready(run(params))
    return Ran(time.perf_counter() - began, float(value), int(evaluations))


def scipy_runner(work: Work, history: int) -> Callable[[Tree], Ran]:
    _, unravel = ravel_pytree(work.starts[0])

    @jax.jit
    def evaluate(x):
        (value, _), gradient = work.objective.gradient(unravel(x))
        return value, ravel_pytree(gradient)[0]

    def function(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = evaluate(x.astype(np.float32))
        seen.append(float(value))
        gradient = np.asarray(gradient, np.float64)
        if np.linalg.norm(gradient) <= TOLERANCE:
            raise ReachedError
        return seen[-1], gradient

    seen: list[float] = []
    options = {"maxcor": history, "gtol": 0, "ftol": 0, "maxiter": LIMIT, "maxfun": 2 * LIMIT}

    def run(params: Tree) -> Ran:
        seen.clear()
        x = np.asarray(ravel_pytree(params)[0], np.float64)
        began = time.perf_counter()
        with contextlib.suppress(ReachedError):
            scipy.optimize.minimize(function, x, jac=True, method="L-BFGS-B", options=options)
        return Ran(time.perf_counter() - began, seen[-1], len(seen))

    return run


class Torch:
    """The same work in torch."""

    def __init__(self, work: Work, history: int, threads: int) -> None:
        self.work, self.history, self.threads = work, history, threads
        x, y = load_digits(return_X_y=True)
        self.x = torch.from_numpy(((x - x.mean()) / x.std()).astype(np.float32))
        self.y = torch.from_numpy(y)

    def __call__(self, params: Tree) -> Ran:
        torch.set_num_threads(self.threads)
        net = self._net(params)
        weights = [p for p in net.parameters() if p.ndim > 1]
        options = {"tolerance_grad": 0.0, "tolerance_change": 0.0, "max_iter": LIMIT}
        solver = torch.optim.LBFGS(
            net.parameters(), **options, history_size=self.history, line_search_fn="strong_wolfe"
        )
        seen: list[torch.Tensor] = []

        def closure():
            solver.zero_grad()
            penalty = self.work.strength / 2 * sum(w.square().sum() for w in weights)
            value = torch.nn.functional.cross_entropy(net(self.x), self.y) + penalty
            value.backward()
            seen.append(value.detach())
            norms = torch._foreach_norm([p.grad for p in net.parameters()])
            if torch.stack(norms).norm() <= TOLERANCE:
                raise ReachedError
            return value

        began = time.perf_counter()
        with contextlib.suppress(ReachedError):
            solver.step(closure)
        return Ran(time.perf_counter() - began, seen[-1].item(), len(seen))

    def _net(self, params: Tree) -> torch.nn.Module:
        layers: list[torch.nn.Module] = []
        for a, b in itertools.pairwise(self.work.widths):
            layers += [torch.nn.Linear(a, b), torch.nn.Tanh()]
        net = torch.nn.Sequential(*layers[:-1])
        arrays = [params[layer] for layer in ("hidden_1", "output") if layer in params]
        with torch.no_grad():
            for layer, made in zip(net[::2], arrays, strict=True):
                layer.weight.copy_(torch.tensor(np.asarray(made["kernel"]).T))
                layer.bias.copy_(torch.tensor(np.asarray(made["bias"])))
        return net


def runners(work: Work, history: int) -> dict[str, Callable[[Tree], Ran]]:
    """By name; torch with the number of threads that was faster in a first pass."""
    torches = [Torch(work, history, threads) for threads in (1, 2)]
    return {
        "nnrun": partial(timed, nnrun_runner(work, history)),
        "scipy": scipy_runner(work, history),
        "torch": min(torches, key=lambda run: min(run(work.starts[0]).seconds for _ in range(2))),
        "optax": partial(timed, optax_runner(work, history)),
    }


def compare(work: Work, history: int, rounds: int) -> tuple[dict[str, list[Ran]], dict[str, list[float]]]:
    """All optimizations by name, and the ratios of each rival's time to nnrun's."""
    run = runners(work, history)
    ran: dict[str, list[Ran]] = {name: [] for name in run}
    for one in run.values():
        one(work.starts[0])
    for _, start in itertools.product(range(rounds), work.starts):
        for name, one in run.items():
            ran[name].append(one(start))
    ratios: dict[str, Any] = {
        name: [a.seconds / b.seconds for a, b in zip(ran[name], ran["nnrun"], strict=True)]
        for name in TARGETS
    }
    return ran, ratios


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--history", type=int, default=10)
    parser.add_argument("--l2", type=float, default=1e-4)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    prepare_process()
    write(rows(arguments), arguments.json)


def rows(arguments: argparse.Namespace) -> Iterator[Row]:
    """The rows of the table; prints for each work what every method needed."""
    for i, work in enumerate(works(arguments.starts, arguments.l2)):
        ran, ratios = compare(work, arguments.history, arguments.rounds)
        print(work.name)
        for name, all_of_it in ran.items():
            ms = statistics.median(one.seconds for one in all_of_it) * 1e3
            evaluations = statistics.median(one.evaluations for one in all_of_it)
            value = statistics.median(one.value for one in all_of_it)
            print(f"    {name}: {ms:7.1f} ms, {evaluations:5.0f} evaluations, value {value:.5f}")
        for name, all_of_it in ratios.items():
            yield Row(f"L-BFGS, {work.name}: {name}", statistics.median(all_of_it), f"≥ {TARGETS[name][i]}")


if __name__ == "__main__":
    main()
