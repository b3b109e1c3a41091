"""What stochastic depth saves: a training step of a deep ResNet with and without it, on this machine.

    python benchmarks/stochastic_depth.py [--depth 32] [--rounds 5] [--steps 20] [--json FILE]

The compiled loop of `nnrun train` on images of random bytes, batch 128, without files; variants interleaved, and
reported as the median over the rounds of the ratio to the plain net.  All variants draw the same batches; a round
continues where the last one ended, so that the rounds skip other blocks.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from rows import Row, prepare_process, write

from nnrun.runner import session
from nnrun.training import programs

VARIANTS = {
    "constant depth": "",
    "p_last 0.5, linear rule, per batch": ", survival: 0.5",
    "p_last 0.5, uniform, per batch": ", survival: {p_last: 0.5, rule: uniform}",
    "p_last 0.5, linear rule, per example": ", survival: {p_last: 0.5, mask: example}",
}
TARGETS = {"p_last 0.5, linear rule, per batch": "≤ 0.75"}  # the paper's saving


def compiled(folder: Path, depth: int, options: str) -> programs.Programs:
    """The programs of one variant."""
    spec = folder / "spec.yaml"
    spec.write_text(
        "data: {name: npz, path: images.npz, batch_size: 128, standardize: image}\n"
        f"model: {{name: resnet, depth: {depth}{options}}}\n"
        "optimizer: {name: momentum, learning_rate: 0.01}\n"
        "train: {duration: 1000 epochs}\n"
    )
    return programs.compile_programs(session.prepare(spec).experiment)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--depth", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    prepare_process()
    write(rows(arguments), arguments.json)


def rows(arguments: argparse.Namespace) -> Iterator[Row]:
    """The rows of the table."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        pixels = np.random.default_rng(0).integers(0, 256, (2000, 32, 32, 3), dtype=np.uint8)
        np.savez(folder / "images.npz", x=pixels, y=np.arange(2000) % 10)
        made = {name: compiled(folder, arguments.depth, options) for name, options in VARIANTS.items()}
    states = {name: one.initial() for name, one in made.items()}
    seconds: dict[str, list[float]] = {name: [] for name in made}
    for turn in range(arguments.rounds + 1):
        for name, one in made.items():
            began = time.perf_counter()
            states[name], log = one.advance(states[name], turn * arguments.steps, arguments.steps)
            jax.block_until_ready(log)
            seconds[name].append((time.perf_counter() - began) / arguments.steps)
    plain = seconds["constant depth"][1:]
    for name, taken in seconds.items():
        print(f"    {1e3 * statistics.median(taken[1:]):6.0f} ms a step  {name}")
        if name in TARGETS:
            ratio = statistics.median(a / b for a, b in zip(taken[1:], plain, strict=True))
            yield Row(
                f"ResNet-{arguments.depth}, {name}: share of constant depth's time", ratio, TARGETS[name]
            )


if __name__ == "__main__":
    main()
