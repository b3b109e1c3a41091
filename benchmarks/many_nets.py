"""What a step of one net costs where many nets 64-128-10 train at once, beside the ways that others have for it.

    pip install -e ".[bench]"
    python benchmarks/many_nets.py [--nets 1 4 16 64 256 1024] [--epochs 20] [--rounds 3] [--write] [--json FILE]

Every net has initial weights, an order of examples and masks of dropout of its own, and trains with Adam in float32 on
1,216 digits in batches of 64: whole batches only, since not all ways know short ones.  Fewer nets train
for more epochs; without compilation; what is shown are microseconds of a net and step, medians of interleaved rounds.

    whole run         what `nnrun train` does: logs each 50 steps, evaluates after each epoch, writes the run folder of
                      every seed with its checkpoints, and the summary
    its loop          the same compiled programs, logged; no evaluation and no files
    plain jax         PureJaxRL's way: jit(vmap(train)), a scan over epochs of a scan over steps, optax's Adam; the
                      whole training is one call, which logs nothing and cannot be interrupted
    torch.func.vmap   stacked parameters, gradients by vmap(grad_and_value), one fused Adam, orders drawn before; one or
                      two threads, what was faster in a first pass
    torch             a net of the same kind alone, eager: what nets one after another cost

`--write` puts the table into docs/scaling.md.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import gpu_torch
import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from jax import Array, lax, random
from rows import Row, prepare_process, write
from train_mlp import time_nnrun

from nnrun.runner import session
from nnrun.sweep.engine import many_files
from nnrun.training.chunks import chunks
from nnrun.training.shards import compile_shards

SPEC = """
data: {name: digits, batch_size: 64, examples: 1216}
model: {name: mlp, hidden: [128], dropout: 0.5}
optimizer: {name: adam, learning_rate: 1e-3}
train: {duration: EPOCHS epochs, seeds: NETS}
"""
DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "scaling.md"
BLOCK = re.compile(r"(<!-- made by benchmarks/many_nets.py -->\n)(.*?)(<!-- to here -->)", re.DOTALL)
WAYS = ("whole run", "its loop", "plain jax", "torch.func.vmap", "torch")
BATCH, STEPS_PER_EPOCH, CLASSES = 64, 19, 10
FULL = (
    64  # nets from which on each trains the epochs that were asked for; fewer train longer, to be measurable
)
_TORCH_STEPS = 20_000  # of all nets together in one measurement: each step of torch costs the same

Timer = Callable[[], float]  # -> microseconds of a net and step


class Work(NamedTuple):
    """What all ways do."""

    prepared: session.Prepared
    x: np.ndarray  # (n, 64) float32, standardised
    y: np.ndarray  # (n,)
    nets: int
    epochs: int

    @property
    def steps(self) -> int:
        """Of each net."""
        return self.epochs * STEPS_PER_EPOCH


def work_of(nets: int, epochs: int, folder: Path) -> Work:
    """This many nets, as nnrun reads them from a spec."""
    epochs *= max(1, FULL // nets)
    spec = folder / f"{nets}.yaml"
    spec.write_text(SPEC.replace("EPOCHS", str(epochs)).replace("NETS", str(nets)))
    prepared = session.prepare(spec)
    data = prepared.experiment.dataset
    x = (np.asarray(data.train.x, np.float32).reshape(len(data.train.y), -1) - data.shift) / data.scale
    assert prepared.experiment.plan.steps == epochs * STEPS_PER_EPOCH
    return Work(prepared, np.ascontiguousarray(x, np.float32), np.asarray(data.train.y), nets, epochs)


def whole_run(work: Work, folder: Path) -> Timer:
    """`nnrun train` from the end of compiling to the summary."""

    def measure() -> float:
        with many_files(), tempfile.TemporaryDirectory(dir=folder) as place:
            return per_net(work, time_nnrun(work.prepared, Path(place)))

    return measure


def loop(work: Work) -> Timer:
    """The compiled programs of a run, chunk after chunk."""
    experiment = work.prepared.experiment
    plan = experiment.plan._replace(evaluate_every=experiment.plan.steps)
    compiled = compile_shards(experiment._replace(plan=plan))

    def measure() -> float:
        state = compiled.initial()
        began = time.perf_counter()
        for chunk in chunks(compiled, state, 0, work.steps):
            state = chunk.state
        compiled.unpack(state)
        return per_net(work, time.perf_counter() - began)

    return measure


def plain_jax(work: Work) -> Timer:
    """One call that trains all nets from their keys to their parameters."""
    train = jax.jit(jax.vmap(partial(trained, jnp.asarray(work.x), jnp.asarray(work.y), work.epochs)))
    keys = random.split(random.key(0), work.nets)
    compiled = train.lower(keys).compile()

    def measure() -> float:
        began = time.perf_counter()
        jax.block_until_ready(compiled(keys))
        return per_net(work, time.perf_counter() - began)

    return measure


def trained(x: Array, y: Array, epochs: int, key: Array) -> tuple[Any, Array]:
    """The parameters of a net, and its mean loss in the last epoch."""
    optimizer = optax.adam(1e-3)

    def loss_of(params: Any, x: Array, y: Array, key: Array) -> Array:
        hidden = jax.nn.relu(x @ params["kernel_1"] + params["bias_1"])
        hidden = jnp.where(random.bernoulli(key, 0.5, hidden.shape), 2 * hidden, 0.0)
        outputs = hidden @ params["kernel_2"] + params["bias_2"]
        return optax.softmax_cross_entropy_with_integer_labels(outputs, y).mean()

    def step(carry: Any, inputs: tuple[Array, Array]) -> tuple[Any, Array]:
        (params, memory), (rows, key) = carry, inputs
        loss, slopes = jax.value_and_grad(loss_of)(params, x[rows], y[rows], key)
        updates, memory = optimizer.update(slopes, memory)
        return (optax.apply_updates(params, updates), memory), loss

    def epoch(carry: Any, key: Array) -> tuple[Any, Array]:
        order, noise = random.split(key)
        rows = random.permutation(order, len(x)).reshape(STEPS_PER_EPOCH, BATCH)
        carry, losses = lax.scan(step, carry, (rows, random.split(noise, STEPS_PER_EPOCH)))
        return carry, losses.mean()

    first, second, key = random.split(key, 3)
    params = {
        "kernel_1": random.normal(first, (x.shape[1], 128)) * (2 / x.shape[1]) ** 0.5,
        "bias_1": jnp.zeros(128),
        "kernel_2": random.normal(second, (128, CLASSES)) * (2 / 128) ** 0.5,
        "bias_2": jnp.zeros(CLASSES),
    }
    (params, _), losses = lax.scan(epoch, (params, optimizer.init(params)), random.split(key, epochs))
    return params, losses[-1]


def torch_vmap(work: Work) -> Timer:
    """Stacked nets, with the number of threads that is faster."""
    steps = gpu_torch.mlps(work.x, work.y, work.nets, compiled=False, together=0)
    count = int(np.clip(_TORCH_STEPS // work.nets, 20, 400))

    def measure(threads: int) -> float:
        torch.set_num_threads(threads)
        return steps.time(count) * 1e3 / work.nets

    threads = min((1, 2), key=measure)
    return partial(measure, threads)


def torch_alone(work: Work) -> Timer:
    """One net: as many one after another take as many times its time."""
    steps = gpu_torch.mlp(work.x, work.y, compiled=False, together=0)

    def measure() -> float:
        torch.set_num_threads(1)
        return steps.time(400) * 1e3

    return measure


def per_net(work: Work, seconds: float) -> float:
    """Microseconds of a net and step."""
    return seconds / work.steps / work.nets * 1e6


def rows(numbers: list[int], epochs: int, rounds: int, document: Path | None) -> Iterator[Row]:
    """A line for each number of nets; the rows are the ways of others against a whole run."""
    table = f"| nets | {' | '.join(WAYS)} |\n| --- |{' --- |' * len(WAYS)}\n"
    print(table, end="", flush=True)
    for nets in numbers:
        with tempfile.TemporaryDirectory() as place:
            work = work_of(nets, epochs, Path(place))
            timers = (whole_run(work, Path(place)), *(way(work) for way in OTHERS))
            times = [[timer() for timer in timers] for _ in range(rounds + 1)][1:]
        medians = [statistics.median(column) for column in zip(*times, strict=True)]
        line = f"| {nets:,} | {' | '.join(f'{value:.0f}' for value in medians)} |\n"
        print(line, end="", flush=True)
        table += line
        for index, way in enumerate(WAYS[2:], 2):
            ratio = statistics.median(measured[index] / measured[0] for measured in times)
            yield Row(f"{nets} nets 64-128-10, whole run: {way}", ratio, "none")
    if document:
        text = document.read_text(encoding="utf-8")
        document.write_text(BLOCK.sub(lambda block: f"{block[1]}{table}{block[3]}", text), encoding="utf-8")


OTHERS = (loop, plain_jax, torch_vmap, torch_alone)


def main() -> None:
    """Prints the table, then the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nets", type=int, nargs="+", default=[1, 4, 16, 64, 256, 1024])
    parser.add_argument("--epochs", type=int, default=20, help="of each net; fewer than 64 nets train longer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--write", action="store_true", help="the table into docs/scaling.md")
    arguments = parser.parse_args()
    prepare_process()
    document = DOCUMENT if arguments.write else None
    write(list(rows(arguments.nets, arguments.epochs, arguments.rounds, document)), arguments.json)


if __name__ == "__main__":
    main()
