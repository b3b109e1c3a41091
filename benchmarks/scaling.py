"""What each of several devices computes and sends, from the compiled program of a step; two cores cannot show seconds.

    python benchmarks/scaling.py [--write]

Eight simulated devices of this machine's CPU.  Strong scaling: a batch of 256 examples on 1, 2, 4 and 8 devices.  Weak
scaling: 32 examples for each device.  Operations are those of one device in a step, as XLA counts them; bytes are the
sums over all devices in a step, beside those of the parameters.  Convolutions are those of a GPU, plain ones: a CPU
has forms of its own, whose gradients are summed before they are small.  Then a transformer whose state is in parts
(train.fsdp): what one device holds, as XLA plans it.  `--write` puts the tables into docs/scaling.md.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"

import jax
import numpy as np
from jax import lax

from nnrun.layer import conv
from nnrun.layer._canonical import LABELS
from nnrun.runner import session
from nnrun.training.programs import compile_programs

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "scaling.md"
MARKS = "<!-- made by benchmarks/scaling.py -->", "<!-- made by benchmarks/scaling.py, in parts -->"
COUNTS = (1, 2, 4, 8)
EXCHANGES = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter|collective-broadcast"
STRONG, WEAK = 256, 32
SPECS = {
    "MLP 64-512-512-10": "model: {name: mlp, hidden: [512, 512], dropout: 0.2, norm: batch}\n",
    "ResNet-8": "model: {name: resnet, depth: 8}\n",
}
TRANSFORMER = (
    "model: {name: vit, patch: 2, width: 256, blocks: 6}\noptimizer: {name: adam, learning_rate: 1e-3}\n"
    "average: {name: ema, decay: 0.99}\ndata: {name: digits, batch_size: 64}\n"
)
TRAIN = "train: {duration: 4 steps, log_every: 4 steps}\noptimizer: {name: momentum, learning_rate: 0.1}\n"


def plain_convolution(x: jax.Array, kernel: jax.Array, stride: int, padding: str) -> jax.Array:
    """What `convolve` is where there is no CPU."""
    strides = (stride, stride)
    return lax.conv_general_dilated(x, kernel, strides, padding.upper(), dimension_numbers=LABELS)


class Cost(NamedTuple):
    """Of one device in a step."""

    operations: float
    sent: int  # bytes
    parameters: int  # bytes


def cost(model: str, batch: int, devices: int) -> Cost:
    """What the compiled step says of itself."""
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "spec.yaml"
        data = f"data: {{name: digits, batch_size: {batch}}}\n"
        spec.write_text(f"{data}{TRAIN.replace('}', f', devices: {devices}}}', 1)}{model}")
        programs = compile_programs(session.prepare(spec, []).experiment)
    advance: Any = programs.chunk.compiled
    arrays = programs.unpack(programs.initial())[0]
    parameters = sum(array.nbytes for path, array in arrays.items() if path.startswith("params/"))
    return Cost(advance.cost_analysis()["flops"], bytes_sent(advance.as_text()), parameters)


def bytes_sent(program: str, operation: str = EXCHANGES) -> int:
    """Bytes of all that the devices of a program send each other, or of some operations only."""
    sizes = 0
    for shapes in re.findall(rf"= (\([^)]*\)|\S+) (?:{operation})(?:-start)?\(", program):
        for kind, dimensions in re.findall(r"([a-z]+\d+)\[([\d,]*)\]", shapes):
            count = int(np.prod([int(size) for size in dimensions.split(",") if size] or [1]))
            sizes += int(kind.strip("fsup")) // 8 * count
    return sizes


def lines() -> Iterator[str]:
    """The table, a line for each model, way of scaling and number of devices."""
    yield "| model | batch | devices | operations of each, 10⁶ | sent, bytes | parameters, bytes |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, model in SPECS.items():
        for way in ("strong", "weak"):
            for devices in COUNTS:
                batch = STRONG if way == "strong" else WEAK * devices
                step = cost(model, batch, devices)
                computed = f"{step.operations / 1e6:.1f}"
                yield f"| {name} | {batch} | {devices} | {computed} | {step.sent:,} | {step.parameters:,} |"


def lines_in_parts() -> Iterator[str]:
    """What a device holds of a transformer, whole and in parts, in MiB."""
    yield "| devices | each holds | its share of the state | with all of a step | gathered in a step | summed |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for devices, in_parts in ((1, False), (8, False), (2, True), (4, True), (8, True)):
        with tempfile.TemporaryDirectory() as folder:
            spec = Path(folder) / "spec.yaml"
            spec.write_text(
                f"{TRANSFORMER}train: {{duration: 4 steps, devices: {devices}, fsdp: {in_parts}}}\n"
            )
            programs = compile_programs(session.prepare(spec, []).experiment)
        advance: Any = programs.chunk.compiled
        state = programs.initial()
        leaves = jax.tree.leaves(state._replace(key=jax.random.key_data(state.key)))
        held = sum(leaf.addressable_shards[0].data.nbytes for leaf in leaves)
        plan = advance.memory_analysis()
        step = plan.argument_size_in_bytes + plan.output_size_in_bytes + plan.temp_size_in_bytes
        exchanged = [bytes_sent(advance.as_text(), kind) for kind in ("all-gather", "all-reduce")]
        cells = [f"{size / 2**20:.1f}" for size in (held, step, *exchanged)]
        yield f"| {devices} | {'a part' if in_parts else 'all'} | {' | '.join(cells)} |"


def main() -> None:
    """Prints the tables, and writes it into the document where asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="the tables into docs/scaling.md")
    arguments = parser.parse_args()
    conv.convolve = plain_convolution
    for mark, rows in zip(MARKS, (lines(), lines_in_parts()), strict=True):
        table = ""
        for line in rows:
            print(line, flush=True)
            table += f"{line}\n"
        if arguments.write:
            block = re.compile(f"({re.escape(mark)}\n)(.*?)(<!-- to here -->)", re.DOTALL)
            text = DOCUMENT.read_text(encoding="utf-8")
            DOCUMENT.write_text(block.sub(rf"\g<1>{table}\g<3>", text), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
