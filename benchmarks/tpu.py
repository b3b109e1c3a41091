"""Whether nnrun's training step compiles for TPUs, and what a TPU would hold: without one, by XLA's compiler for it.

    pip install libtpu
    python benchmarks/tpu.py [--only adam,vit] [--write]

Each program is compiled for one or eight chips of a TPU v5e, of 16 GB each, which need not be there.  Printed are the
memory that XLA plans for a chip (arguments, results and temporaries of a chunk of steps) and what chips exchange in a
step.  A program that does not fit is refused by the compiler.  Nothing is run, so there are no times and no losses.
`--write` puts the table into docs/scaling.md.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["TPU_SKIP_MDS_QUERY"] = "1"  # no cloud is asked what machine this is
os.environ["TPU_ACCELERATOR_TYPE"] = "v5litepod-8"
os.environ["TPU_WORKER_HOSTNAMES"] = "localhost"
os.environ["TPU_WORKER_ID"] = "0"

import jax
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from nnrun.runner import session
from nnrun.training.fsdp import gathering, in_parts
from nnrun.training.loop import compile_chunk
from nnrun.training.start import one_like

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "scaling.md"
BLOCK = re.compile(r"(<!-- made by benchmarks/tpu.py -->\n)(.*?)(<!-- to here -->)", re.DOTALL)
DIGITS = "data: {name: digits, batch_size: 64}\n"
ADAM = "optimizer: {name: adam, learning_rate: 1e-3}\n"
MLP = "model: {name: mlp, hidden: [128], dropout: 0.5}\n"
RESNET = "model: {name: resnet, depth: 8}\n"
DEEP = "data: {name: digits, batch_size: 512}\nmodel: {name: vit, patch: 2, width: 256, blocks: 6}\n" + ADAM
WIDE = (
    "data: {name: digits, batch_size: 64}\nmodel: {name: vit, patch: 2, width: 4096, blocks: 4, heads: 32}\n"
)
COLLECTIVES = re.compile(
    r" (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\("
)


class Work(NamedTuple):
    """A spec, and for how many chips it is compiled."""

    what: str
    chips: int
    spec: str


WORKS = {
    "adam": Work("MLP 64-128-10 with dropout, Adam", 1, DIGITS + MLP + ADAM),
    "lbfgs": Work(
        "MLP 64-128-10, L-BFGS", 1,
        "data: {name: digits, batch_size: full}\nmodel: {name: mlp, hidden: [128]}\noptimizer: lbfgs\n",
    ),
    "muon": Work("MLP with dropout, Muon", 1, DIGITS + MLP + "optimizer: {name: muon, learning_rate: 0.01}\n"),
    "convnet": Work("convnet", 1, DIGITS + "model: convnet\n" + ADAM),
    "fmp": Work("net of fractional max pooling", 1, DIGITS + "model: {name: fmp_net}\n" + ADAM),
    "resnet": Work(
        "ResNet-8, stochastic depth, EMA", 1,
        DIGITS + "model: {name: resnet, depth: 8, survival: 0.8}\naverage: {name: ema, decay: 0.99}\n" + ADAM,
    ),
    "bfloat16": Work("ResNet-8 in bfloat16", 1, DIGITS + RESNET + ADAM + "train: {precision: bfloat16}\n"),
    "shared": Work("ResNet-8, the batch shared", 8, DIGITS + RESNET + ADAM),
    "vit": Work("transformer, 4.8 M parameters, batch 512", 1, DEEP),
    "remat": Work("the same, train.remat: blocks", 1, DEEP + "train: {remat: blocks}\n"),
    "wide": Work("transformer, 810 M parameters, Adam", 1, WIDE + ADAM),
    "wide_shared": Work("the same, the batch shared", 8, WIDE + ADAM),
    "wide_parts": Work("the same, train.fsdp: true", 8, WIDE + ADAM + "train: {fsdp: true}\n"),
}  # fmt: skip


def compiled(work: Work) -> tuple[str, str]:
    """The memory of a chip and what is exchanged, as text."""
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "spec.yaml"
        spec.write_text(work.spec)
        experiment = session.prepare(spec, ["train.duration=8 steps"], in_memory=False).experiment
    devices = topologies.get_topology_desc(platform="tpu", topology_name="v5e:2x4").devices
    place = NamedSharding(Mesh(np.array(devices[: work.chips]), ("batch",)), PartitionSpec())
    like = one_like(experiment)
    if experiment.plan.fsdp:
        like, experiment = in_parts(place, like), gathering(experiment, place)
    x, y = (jax.ShapeDtypeStruct(part.shape, part.dtype) for part in experiment.dataset.train)
    try:
        program = compile_chunk(experiment, like, x, y, None, 64, place).compiled
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return "does not fit", ""
    plan = program.memory_analysis()  # type: ignore[attr-defined]
    size = plan.argument_size_in_bytes + plan.output_size_in_bytes + plan.temp_size_in_bytes
    exchanged = Counter(COLLECTIVES.findall(program.as_text()))  # type: ignore[attr-defined]
    return f"{size / 2**20:,.0f}", ", ".join(f"{count} {name}" for name, count in sorted(exchanged.items()))


def lines(names: list[str]) -> Iterator[str]:
    """The table."""
    yield "| program | chips | MiB on each | exchanged in a step |"
    yield "| --- | --- | --- | --- |"
    for name in names:
        work = WORKS[name]
        yield f"| {work.what} | {work.chips} | {' | '.join(compiled(work))} |"


def main() -> None:
    """Prints the table, and writes it into the document where asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(WORKS))
    parser.add_argument("--write", action="store_true", help="the table into docs/scaling.md")
    arguments = parser.parse_args()
    jax.default_backend = lambda: "tpu"  # which forms of a convolution are built depends on it
    print(f"jax {jax.__version__}")
    table = ""
    for line in lines(arguments.only.split(",")):
        print(line, flush=True)
        table += f"{line}\n"
    if arguments.write:
        text = DOCUMENT.read_text(encoding="utf-8")
        DOCUMENT.write_text(BLOCK.sub(lambda block: f"{block[1]}{table}{block[3]}", text), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
