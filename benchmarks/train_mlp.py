"""nnrun's whole training loop against torch, and against its own bare compiled loop, on this machine's CPU.

    pip install -e ".[bench]"
    NNRUN_DATA_DIR=... python benchmarks/train_mlp.py [--rounds 5] [--rows big,small,seeds,overhead] [--json FILE]
    NPROC=1 NNRUN_DATA_DIR=... python benchmarks/train_mlp.py --rows small

Every row is timed interleaved in one process, and reported as the median of the ratios, pair by pair: more
than 1 means that nnrun is faster.  Compilation is left out on both sides.  Both sides train with dropout and Adam
in float32 on all batches, the short one too, log the loss and accuracy of every 50 steps, evaluate the validation
part after every epoch and the test part at the end, and have the memory settings of nnrun's command line; nnrun
also writes its metrics file, its checkpoints and its summary.

The rival is torch in its best configuration here: fused Adam, one thread or two, eager or compiled, whichever
is fastest in a first pass.  With NPROC=1 XLA computes on one core, which suits small nets; torch still has its choice.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rich.console import Console
from rows import Row, prepare_process, write

from nnrun.report import live, run_view
from nnrun.runner import driver, session
from nnrun.training import programs


class Work(NamedTuple):
    """One row of the table."""

    data: str
    widths: list[int]
    batch: int
    epochs: int
    seeds: int


WORKS = {
    "big": Work("mnist", [512, 512], 128, 2, 1),
    "small": Work("digits", [128], 64, 500, 1),
    "seeds": Work("digits", [128], 64, 100, 10),
}
TARGETS = {"big": 2.0, "small": 7.0, "seeds": 12.0}


def prepare(work: Work, folder: Path) -> session.Prepared:
    """The work as an nnrun experiment."""
    spec = folder / "work.yaml"
    spec.write_text(
        f"data: {{name: {work.data}, batch_size: {work.batch}}}\n"
        f"model: {{name: mlp, hidden: {work.widths}, dropout: 0.5}}\n"
        "optimizer: {name: adam, learning_rate: 1e-3}\n"
        f"train: {{duration: {work.epochs} epochs, seeds: {work.seeds}}}\n"
    )
    return session.prepare(spec)


def time_nnrun(prepared: session.Prepared, folder: Path, shown: Console | None = None) -> float:
    """Seconds from the end of compiling to the finished run folder."""
    run_dir = session.create(prepared, None, folder)
    began = 0.0
    with live.watching(shown or Console(quiet=True), shown is None, run_view.RunView()) as watch:
        for progress in driver.train(prepared.experiment, run_dir, print):
            if progress.phase == "ready":
                began = time.perf_counter()
            if shown:
                watch(_shown(progress))
    return time.perf_counter() - began


def _shown(progress: driver.Progress) -> run_view.Shown:
    metrics = progress.recorders[0].latest if progress.recorders else {}
    plan = progress.plan
    epochs = plan.steps / plan.steps_per_epoch
    return run_view.Shown(
        "bench",
        progress.phase,
        progress.step,
        plan.steps,
        progress.step / plan.steps_per_epoch,
        epochs,
        "",
        metrics,
        "",
    )


def time_bare(prepared: session.Prepared) -> Callable[[], float]:
    """The compiled loop and the same evaluations, alone: no logging, no files, no display."""
    compiled = programs.compile_programs(prepared.experiment)

    def run() -> float:
        plan = prepared.experiment.plan
        state, step = compiled.initial(), 0
        began = time.perf_counter()
        while step < plan.steps:
            left = plan.steps_per_epoch - step % plan.steps_per_epoch
            count = min(compiled.capacity, left)
            state, log = compiled.advance(state, step, count)
            log.block_until_ready()
            step += count
            if step % plan.steps_per_epoch == 0:
                compiled.evaluate(state, "val")
        compiled.evaluate(state, "test")
        return time.perf_counter() - began

    return run


class Torch:
    """The same work in torch."""

    def __init__(self, prepared: session.Prepared, work: Work, threads: int, compiled: bool) -> None:
        self.work, self.threads, self.compiled = work, threads, compiled
        data = prepared.experiment.dataset

        def part(examples: object) -> tuple[torch.Tensor, torch.Tensor]:
            x, y = examples  # type: ignore[misc]
            flat = (x.reshape(len(x), -1).astype(np.float32) - data.shift) / data.scale
            return torch.from_numpy(np.ascontiguousarray(flat, np.float32)), torch.from_numpy(
                y.astype(np.int64)
            )

        self.train, self.val, self.test = part(data.train), part(data.val), part(data.test)

    def __str__(self) -> str:
        return f"{'compiled' if self.compiled else 'eager'}, {self.threads} thread{'s' * (self.threads > 1)}"

    def build(self) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        widths = [self.train[0].shape[1], *self.work.widths]
        layers: list[torch.nn.Module] = []
        for a, b in itertools.pairwise(widths):
            layers += [torch.nn.Linear(a, b), torch.nn.ReLU(), torch.nn.Dropout(0.5)]
        net = torch.nn.Sequential(*layers, torch.nn.Linear(widths[-1], 10))
        return net, torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)

    def __call__(self, epochs: int | None = None) -> float:
        """Seconds for the epochs of the work, after a warm-up that compiles."""
        torch.set_num_threads(self.threads)
        total = 0.0
        for seed in range(self.work.seeds):
            torch.manual_seed(seed)
            net, optimizer = self.build()
            forward = torch.compile(net, dynamic=False) if self.compiled else net
            if self.compiled:
                self._epoch(forward, optimizer, limit=3)
            began = time.perf_counter()
            for _ in range(epochs or self.work.epochs):
                self._epoch(forward, optimizer)
                self._evaluate(net, self.val)
            self._evaluate(net, self.test)
            total += time.perf_counter() - began
        return total

    def _epoch(self, net: torch.nn.Module, optimizer: torch.optim.Optimizer, limit: int = 0) -> None:
        net.train()
        (x, y), size = self.train, self.work.batch
        order = torch.randperm(len(x))
        starts = range(0, len(x), size)
        losses, hits = [], []
        for first in [*starts[:limit], starts[-1]] if limit else starts:  # the short batch compiles apart
            rows = order[first : first + size]
            outputs = net(x[rows])
            loss = torch.nn.functional.cross_entropy(outputs, y[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
            hits.append((outputs.argmax(1) == y[rows]).float().mean())
            if len(losses) == 50:
                torch.stack(losses).mean().item(), torch.stack(hits).mean().item()
                losses, hits = [], []

    @torch.no_grad()
    def _evaluate(self, net: torch.nn.Module, part: tuple[torch.Tensor, torch.Tensor]) -> None:
        net.eval()
        outputs = net(part[0])
        torch.nn.functional.cross_entropy(outputs, part[1]).item()
        (outputs.argmax(1) == part[1]).float().mean().item()


def best_rival(prepared: session.Prepared, work: Work) -> Torch:
    """The fastest configuration of torch on this machine."""
    rivals = [Torch(prepared, work._replace(seeds=1), t, c) for t in (1, 2) for c in (False, True)]
    short = max(1, work.epochs // 5)
    seconds = {rival: min(rival(short), rival(short)) for rival in rivals}
    for rival, spent in seconds.items():
        print(f"    torch {rival}: {spent / short * 1e3:.0f} ms an epoch")
    best = min(seconds, key=seconds.__getitem__)
    return Torch(prepared, work, best.threads, best.compiled)


def compare(name: str, a: Callable[[], float], b: Callable[[], float], rounds: int) -> float:
    """Median of b / a over interleaved pairs."""
    a(), b()
    pairs = [(a(), b()) for _ in range(rounds)]
    ratios = sorted(second / first for first, second in pairs)
    ms = [statistics.median(pair[i] for pair in pairs) * 1e3 for i in (0, 1)]
    print(f"    {name}: {ms[0]:.0f} ms against {ms[1]:.0f} ms")
    return statistics.median(ratios)


def rows(chosen: list[str], rounds: int, folder: Path) -> Iterator[Row]:
    """The rows of the table."""
    for name in chosen:
        if name == "overhead":
            prepared = prepare(WORKS["big"]._replace(epochs=4), folder)
            every = prepared.experiment._replace(
                plan=prepared.experiment.plan._replace(
                    checkpoint_every=prepared.experiment.plan.steps_per_epoch
                )
            )
            prepared = prepared._replace(experiment=every)
            with Path("/dev/null").open("w") as sink:
                shown = Console(file=sink, force_terminal=True, width=100)
                recorded = partial(time_nnrun, prepared, folder, shown)
                ratio = compare(name, time_bare(prepared), recorded, 3 * rounds)  # a small difference
            yield Row(
                "logging, a checkpoint each epoch and the live display: share of the bare loop's time",
                ratio - 1,
                "≤ 0.02",
            )
            continue
        work = WORKS[name]
        prepared = prepare(work, folder)
        rival = best_rival(prepared, work)
        ratio = compare(
            f"nnrun against torch ({rival})", partial(time_nnrun, prepared, folder), rival, rounds
        )
        sizes = "-".join(map(str, [{"mnist": 784, "digits": 64}[work.data], *work.widths, 10]))
        label = f"{'ten seeds of ' if work.seeds > 1 else ''}MLP {sizes}, batch {work.batch}{_cores()}: torch"
        yield Row(label, ratio, f"≥ {TARGETS[name]}")


def _cores() -> str:
    """What XLA was told of the cores, as part of a row's name."""
    return f", NPROC={os.environ['NPROC']}" if "NPROC" in os.environ else ""


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", default="big,small,seeds,overhead")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    prepare_process()
    with tempfile.TemporaryDirectory() as folder:
        write(rows(arguments.rows.split(","), arguments.rounds, Path(folder)), arguments.json)


if __name__ == "__main__":
    main()
