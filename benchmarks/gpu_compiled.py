"""What a training step is on a GPU that is not there: XLA's compiler for GPUs needs none.

    pip install "jax[cuda13]" -e .
    python benchmarks/gpu_compiled.py [--only adam,resnet] [--write]

Each program is compiled for one or eight H200, as nnrun compiles it by default (deterministic kernels).  Printed are,
of one step: the kernels that are launched, copies, products and convolutions that are calls of cuBLAS and cuDNN, the
times that the device waits until the host has read something (a loop whose length is not known, a branch), what
several GPUs exchange, and the memory that XLA plans for each.  Nothing is run, and no
kernel is chosen by measuring, so there are no times.  `--write` puts the table into docs/gpu.md.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_SKIP_CUDA_CONSTRAINTS_CHECK"] = "1"  # there is no driver whose version could be looked at
os.environ["XLA_FLAGS"] = "--xla_gpu_deterministic_ops=true"

import jax
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from nnrun.runner import session
from nnrun.training.fsdp import gathering, in_parts
from nnrun.training.loop import compile_chunk, in_a_row
from nnrun.training.start import one_like
from nnrun.types import Experiment

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "gpu.md"
BLOCK = re.compile(r"(<!-- made by benchmarks/gpu_compiled.py -->\n)(.*?)(<!-- to here -->)", re.DOTALL)
H200 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32
  shared_memory_per_block: 49152 shared_memory_per_core: 233472 shared_memory_per_block_optin: 232448
  threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: 4800000000000 l2_cache_size: 52428800 clock_rate_ghz: 1.98 device_memory_size: 150000000000
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  cuda_compute_capability { major: 9 }
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 12 }
device_description_str: "NVIDIA H200"
"""
DIGITS = "data: {name: digits, batch_size: 64}\n"
ADAM = "optimizer: {name: adam, learning_rate: 1e-3}\n"
MLP = "model: {name: mlp, hidden: [128], dropout: 0.5}\n"
CONV = (
    "model: {name: sequential, layers: [{name: conv, filters: 32}, {name: relu}, {name: conv, filters: 64}, "
    "{name: relu}, {name: max_pool}, {name: flatten}, {name: dense, units: 10}]}\n"
)
VIT = "model: {name: vit, patch: 2, width: 128, blocks: 4, heads: 4}\n"
RESNET = "model: {name: resnet, depth: 20}\n"
NOTHING = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "partition-id"}
COMPUTATION = re.compile(r"^(?:ENTRY )?%(\S+) \(.*\{$")
OPERATION = re.compile(r"^ +(?:ROOT )?%\S+ = .*?[)\]}] ([a-z][a-z0-9-]*)\(")
BRANCHES = re.compile(r"(?:branch_computations=\{|true_computation=)(.*?)(?:\}|, metadata|$)")
NAME = re.compile(r"%([\w.-]+)")
BODY = re.compile(r"body=%([\w.-]+)")
EXCHANGE = re.compile(
    r"(all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start|-done)?$"
)
KNOWN = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')


class Work(NamedTuple):
    """A spec, how many nets its program trains, and how many GPUs share each batch."""

    what: str
    spec: str
    nets: int = 1
    gpus: int = 1


WORKS = {
    "adam": Work("MLP 64-128-10 with dropout, Adam", DIGITS + MLP + ADAM),
    "nets": Work("256 of them in one program", DIGITS + MLP + ADAM, 256),
    "muon": Work("MLP with dropout, Muon", DIGITS + MLP + "optimizer: {name: muon, learning_rate: 0.01}\n"),
    "lbfgs": Work(
        "MLP 64-128-10, L-BFGS",
        "data: {name: digits, batch_size: full}\nmodel: {name: mlp, hidden: [128]}\noptimizer: lbfgs\n",
    ),
    "convnet": Work("conv32-conv64", DIGITS + CONV + ADAM),
    "convnets": Work("32 of them in one program", DIGITS + CONV + ADAM, 32),
    "vit": Work("transformer, 0.8 million parameters", DIGITS + VIT + ADAM),
    "fmp": Work("net of fractional max pooling", DIGITS + "model: {name: fmp_net}\n" + ADAM),
    "resnet": Work("ResNet-20", DIGITS + RESNET + ADAM),
    "bfloat16": Work("ResNet-20 in bfloat16", DIGITS + RESNET + ADAM + "train: {precision: bfloat16}\n"),
    "mixup": Work("ResNet-20, mixup", DIGITS + RESNET + ADAM + "augment: [mixup]\n"),
    "shared": Work("ResNet-20, the batch shared", DIGITS + RESNET + ADAM, gpus=8),
    "parts": Work("transformer, train.fsdp: true", DIGITS + VIT + ADAM + "train: {fsdp: true}\n", gpus=8),
    "depth": Work(
        "ResNet-20, stochastic depth", DIGITS + "model: {name: resnet, depth: 20, survival: 0.8}\n" + ADAM
    ),
}


class Counts(NamedTuple):
    """What one step launches."""

    kernels: int = 0
    copies: int = 0
    calls: int = 0  # of libraries
    waits: int = 0  # for the host
    exchanges: int = 0  # with other GPUs

    def plus(self, other: Counts, times: int = 1) -> Counts:
        """The sum with so many of another."""
        return Counts(*(a + times * b for a, b in zip(self, other, strict=True)))


def of_operation(kind: str) -> Counts:
    """What an operation that is neither a loop nor a branch launches."""
    if EXCHANGE.match(kind):
        return Counts(exchanges=not kind.endswith("-done"))
    if kind == "custom-call":
        return Counts(calls=1)
    return Counts(copies=1) if kind.startswith("copy") else Counts(kernels=1)


def counts_of_step(program: str) -> Counts:
    """What a step launches, from the text of the compiled loop over steps.

    Of a loop inside a step whose length is not known, one turn is counted, and a wait; of a branch, the one that
    launches more.
    """
    computations: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in program.splitlines():
        if (begins := COMPUTATION.match(line)) is not None:
            lines = computations[begins[1]] = []
        elif line.startswith(" "):
            lines.append(line)

    bodies = {
        inner[1]: bool(KNOWN.search(line))
        for lines in computations.values()
        for line in lines
        if (inner := BODY.search(line)) is not None
    }

    def branches_of(line: str) -> list[str]:
        listed = BRANCHES.search(line)
        assert listed is not None
        return [name for name in NAME.findall(listed[1]) if name in computations]

    def counted(lines: list[str]) -> Counts:
        total = Counts()
        for line in lines:
            operation = OPERATION.match(line)
            if operation is None or operation[1] in NOTHING:
                continue
            kind = operation[1]
            if kind == "while":
                known = KNOWN.search(line)
                turns = int(known[1]) if known else 1
                inner = BODY.search(line)
                assert inner is not None
                total = total.plus(counted(computations[inner[1]]), turns).plus(Counts(waits=not known))
            elif kind == "conditional":
                branches = [counted(computations[name]) for name in branches_of(line)]
                total = total.plus(max(branches, key=sum)).plus(Counts(waits=1))
            else:
                total = total.plus(of_operation(kind))
        return total

    longest = max(len(computations[name]) for name in bodies)
    steps = [
        name for name in bodies if len(computations[name]) > 0.9 * longest
    ]  # a row's, and that of the rest
    step = max(steps, key=lambda name: bodies[name])
    return counted(computations[step]).plus(Counts(waits=not bodies[step]))


def prepared(spec: str) -> Experiment:
    """The experiment of a spec, to be trained for long."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.yaml"
        path.write_text(spec)
        return session.prepare(path, ["train.duration=100 epochs"], in_memory=False).experiment


def row(work: Work) -> str:
    """The row of the table."""
    devices = topologies.get_topology_desc(
        platform="cuda", topology_name="one host", target_config=H200, topology=f"1x1x{work.gpus}"
    ).devices
    place = NamedSharding(Mesh(np.array(devices), ("batch",)), PartitionSpec())
    experiment = prepared(work.spec)
    experiment = experiment._replace(noise=partial(experiment.noise, shared=work.gpus > 1))
    lanes = work.nets if work.nets > 1 else None
    leading = (lanes,) if lanes else ()
    like = jax.tree.map(lambda a: jax.ShapeDtypeStruct((*leading, *a.shape), a.dtype), one_like(experiment))
    if experiment.plan.fsdp:
        like, experiment = in_parts(place, like), gathering(experiment, place)
    x, y = (jax.ShapeDtypeStruct(part.shape, part.dtype) for part in experiment.dataset.train)
    stride = in_a_row(experiment.plan, like, (x, y), 64)
    program = compile_chunk(experiment, like, x, y, lanes, 64, place, stride).compiled
    plan = program.memory_analysis()  # type: ignore[attr-defined]
    size = plan.argument_size_in_bytes + plan.output_size_in_bytes + plan.temp_size_in_bytes
    counts = counts_of_step(program.as_text())  # type: ignore[attr-defined]
    cells = [work.what, str(work.gpus), *map(str, counts), f"{size / 2**20:,.1f}"]
    return f"| {' | '.join(cells)} |"


def table(names: list[str]) -> Iterator[str]:
    """The lines of the table."""
    yield "| program | GPUs | kernels | copies | library calls | waits for the host | exchanges | MiB on each |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for name in names:
        yield row(WORKS[name])


def main() -> None:
    """Prints the table, and writes it into the document where asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(WORKS))
    parser.add_argument("--write", action="store_true", help="the table into docs/gpu.md")
    arguments = parser.parse_args()
    jax.default_backend = lambda: "gpu"  # which forms are built depends on it
    print(f"jax {jax.__version__}")
    text = ""
    for line in table(arguments.only.split(",")):
        print(line, flush=True)
        text += f"{line}\n"
    if arguments.write:
        document = DOCUMENT.read_text(encoding="utf-8")
        DOCUMENT.write_text(
            BLOCK.sub(lambda block: f"{block[1]}{text}{block[3]}", document), encoding="utf-8"
        )


if __name__ == "__main__":
    sys.exit(main())
