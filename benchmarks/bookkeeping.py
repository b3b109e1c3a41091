"""What a sweep costs beside training: the parent's time and memory for each trial, with 100 to 10,000 of them.

    python benchmarks/bookkeeping.py [--trials 100 1000 10000] [--write] [--json FILE]

Everything is what `nnrun sweep` does, from the file to the leaderboard, but for training: one trial trains, and the
others are given copies of what it left in its run folder.  So the time is that of drawing settings, checking specs,
writing run folders, packing programs, reading results back, and the answer.  Each number of trials is a process of
its own, whose largest memory is read at its end, and the cost of a trial leaves out what a sweep of two costs.
Folders lie where $TMPDIR says.  `--write` puts the table into docs/scaling.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rows import Row, write

from nnrun.sweep import lifecycle
from nnrun.sweep.batches import Event, InProcess
from nnrun.sweep.engine import Engine, RunBatch

BASE = """
name: tiny
data: {name: digits, batch_size: 256, examples: 256}
model: {name: mlp, hidden: [8]}
optimizer: {name: adam, learning_rate: 0.01}
train: {duration: 2 epochs, log_every: 1 epochs, evaluate_every: 1 epochs}
"""
SWEEP = """
base: base.yaml
sweep:
  over:
    optimizer.learning_rate: {log: [1e-4, 1]}
  trials: %d
  final_seeds: 0
"""
DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "scaling.md"
BLOCK = re.compile(r"(<!-- made by benchmarks/bookkeeping.py -->\n)(.*?)(<!-- to here -->)", re.DOTALL)
RESULTS = ("metrics.jsonl", "timing.jsonl", "summary.json", "state.json", "checkpoints")


class Copying:
    """A trainer that trains the first trial, and copies its results into the folders of the others."""

    def __init__(self, engine: Engine) -> None:
        self._real = InProcess(engine)
        self._trained: Path | None = None

    def train(self, root: Path, batches: Sequence[RunBatch]) -> Iterator[Event]:
        """The news of every batch."""
        for batch in batches:
            runs = list(batch.runs)
            if self._trained is None:
                alone = batch._replace(name=f"{batch.name}-first", runs=runs[:1], lanes=1)
                for event in self._real.train(root, [alone]):
                    assert event.phase != "failed", event.error
                self._trained = root / runs.pop(0)
            for run in runs:
                copy_results(self._trained, root / run)
            yield Event(batch, 0, "done")


def copy_results(trained: Path, folder: Path) -> None:
    """What a run that has ended leaves in its folder."""
    for name in RESULTS:
        source, target = trained / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.is_file():
            shutil.copyfile(source, target)


def sweep(trials: int, folder: Path) -> dict[str, float]:
    """A sweep of so many trials: seconds, those of the copies apart, and the largest memory in bytes."""
    (folder / "base.yaml").write_text(BASE)
    (folder / "sweep.yaml").write_text(SWEEP % trials)
    engine = Engine(print)
    began = time.perf_counter()
    sweep_plan, root = lifecycle.begin(folder / "sweep.yaml", [], engine, folder / "out", folder)
    for _ in lifecycle.sweep(sweep_plan, root, engine, Copying(engine)):
        pass
    seconds = time.perf_counter() - began
    assert sum(1 for _ in (root / "trials.jsonl").open()) == trials
    return {"seconds": seconds, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0}


def measured(trials: int) -> dict[str, float]:
    """The same in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--one", str(trials), "--folder", folder]
        done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, env=dict(os.environ))
        return json.loads(done.stdout.splitlines()[-1])


def rows(numbers: Sequence[int], document: Path | None) -> Iterator[Row]:
    """Time and memory of each number of trials; the row is the cost of a trial against that among the fewest."""
    fixed = measured(2)["seconds"]
    costs: list[float] = []
    table = "| trials | seconds | of a trial, ms | memory, MiB |\n| --- | --- | --- | --- |\n"
    print(table, end="")
    for trials in numbers:
        result = measured(trials)
        costs.append((result["seconds"] - fixed) / (trials - 2))
        line = f"| {trials:,} | {result['seconds']:.0f} | {costs[-1] * 1e3:.1f} | {result['memory'] / 2**20:.0f} |\n"
        print(line, end="", flush=True)
        table += line
    if document:
        text = document.read_text(encoding="utf-8")
        document.write_text(BLOCK.sub(lambda block: f"{block[1]}{table}{block[3]}", text), encoding="utf-8")
    yield Row(f"bookkeeping of a trial: of {numbers[-1]} against {numbers[0]}", costs[-1] / costs[0], "≤ 1.1")


def main() -> None:
    """Prints a line for each number of trials."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--write", action="store_true", help="the table into docs/scaling.md")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(sweep(arguments.one, arguments.folder)))
        return
    write(rows(arguments.trials, DOCUMENT if arguments.write else None), arguments.json)


if __name__ == "__main__":
    main()
