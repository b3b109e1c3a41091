"""A sweep of small trials against the ways in which trials are usually run, on this machine's CPU.

    pip install -e ".[bench,search]"
    python benchmarks/sweep.py [--rounds 3] [--trials 64] [--epochs 20] [--json FILE]
        [--rows processes,optuna,optunas,loop,widths]

The trials are 64 learning rates and dropout rates of a 64-128-10 net on the digits, 20 epochs each, with logging,
evaluation, checkpoints and summary.  Whole commands are timed, compilation and imports included, since that is
what a person waits for; the compile cache is warm.  In each round one after another:

    sweep       nnrun sweep, without a final comparison
    processes   nnrun train once for each trial, one process for each core at a time; a sample, scaled up
    loop        nnrun.train for each trial in one process; a sample, scaled up
    optuna      Optuna's random sampler driving a plain torch loop with fused Adam, one process, one thread
    optunas     the same as one process for each core, which share the study

A row is the median over the rounds of the others' time by the sweep's: more than 1 means that the sweep is faster.
The rows of `widths` show why so many lanes share a program: the time of one step of one lane at several widths.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rows import Row, write

TARGETS = {"processes": "≥ 40", "loop": "none", "optuna": "≥ 6", "optunas": "≥ 6"}
LABELS = {
    "processes": "a process for each",
    "loop": "nnrun.train in a loop",
    "optuna": "Optuna with torch, one process",
    "optunas": "Optuna with torch, a process for each core",
}
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
SAMPLE = 6  # trials that are timed where each takes seconds
WIDTHS = (1, 4, 16, 64, 256, 1024)
BASE = """
name: small
data: {name: digits, batch_size: 64}
model: {name: mlp, hidden: [128], dropout: 0.2}
optimizer: {name: adam, learning_rate: 1e-3}
train: {duration: EPOCHS epochs, random: fast}
"""
SWEEP = """
base: small.yaml
sweep:
  over:
    optimizer.learning_rate: {log: [1e-4, 1e-1]}
    model.dropout: {uniform: [0.1, 0.6]}
  trials: TRIALS
  final_seeds: 0
"""


def nnrun(*arguments: str, folder: Path) -> float:
    """Seconds of a whole command."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "nnrun", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - began


def sweep(folder: Path, trials: int, number: int) -> float:
    """The sweep as one command."""
    (folder / "sweep.yaml").write_text(SWEEP.replace("TRIALS", str(trials)))
    return nnrun("sweep", "sweep.yaml", "--run-dir", f"sweep-{number}", "--quiet", folder=folder)


def settings(trials: int) -> list[list[str]]:
    """The same trials as overrides of `nnrun train`."""
    from nnrun.space import Dimension, draws

    space = (
        Dimension("optimizer.learning_rate", "log", 1e-4, 1e-1),
        Dimension("model.dropout", "uniform", 0.1, 0.6),
    )
    points = [draws(0, number, 2) for number in range(trials)]
    return [
        [f"{dimension.path}={dimension.at(u)}" for dimension, u in zip(space, point, strict=True)]
        for point in points
    ]


def processes(folder: Path, trials: int, number: int) -> float:
    """A process for each trial, as many at once as there are cores; a sample of them, scaled up."""
    del number
    chosen = settings(trials)[: CORES * (SAMPLE // CORES or 1)]
    began = time.perf_counter()
    with ThreadPoolExecutor(CORES) as pool:
        list(
            pool.map(
                lambda overrides: nnrun("train", "small.yaml", "--quiet", *overrides, folder=folder), chosen
            )
        )
    return (time.perf_counter() - began) / len(chosen) * trials


LOOP = """
import sys, time, nnrun
settings = eval(sys.argv[1])
began = time.perf_counter()
for one in settings:
    nnrun.train("small.yaml", overrides=one)
print(time.perf_counter() - began)
"""


def loop(folder: Path, trials: int, number: int) -> float:
    """One process that trains trial after trial; a sample of them, scaled up, and the start once."""
    del number
    chosen = settings(trials)[:SAMPLE]
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", LOOP, repr(chosen)], cwd=folder, capture_output=True, text=True, check=True
    )
    whole, training = time.perf_counter() - began, float(done.stdout.split()[-1])
    return whole - training + training * trials / len(chosen)


OPTUNA = """
import sys, optuna, torch, numpy as np
from sklearn.datasets import load_digits
torch.set_num_threads(1)
optuna.logging.set_verbosity(optuna.logging.ERROR)
x, y = load_digits(return_X_y=True)
rows = np.random.default_rng(0).permutation(len(x))
x = torch.tensor((x[rows] - x.mean(0)) / (x.std(0) + 1e-6), dtype=torch.float32); y = torch.tensor(y[rows])
x, val_x, y, val_y = x[:1293], x[1293:1437], y[:1293], y[1293:1437]
def objective(trial):
    rate, drop = trial.suggest_float("rate", 1e-4, 1e-1, log=True), trial.suggest_float("drop", 0.1, 0.6)
    layers = [torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Dropout(drop), torch.nn.Linear(128, 10)]
    net = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(net.parameters(), rate, fused=True)
    best = 0.0
    for epoch in range(int(sys.argv[2])):
        net.train()
        losses = []
        for batch in torch.randperm(len(x)).split(64):
            loss = torch.nn.functional.cross_entropy(net(x[batch]), y[batch])
            optimizer.zero_grad(set_to_none=True); loss.backward(); optimizer.step()
            losses.append(loss.detach())
        torch.stack(losses).mean().item()
        net.eval()
        with torch.no_grad():
            best = max(best, (net(val_x).argmax(1) == val_y).float().mean().item())
    return best
storage = None
if len(sys.argv) > 3:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    storage = JournalStorage(JournalFileBackend(sys.argv[3]))
sampler = optuna.samplers.RandomSampler()
study = optuna.create_study(
    direction="maximize", sampler=sampler, storage=storage, study_name="trials", load_if_exists=True
)
study.optimize(objective, n_trials=int(sys.argv[1]))
"""


def optuna(folder: Path, trials: int, number: int) -> float:
    """Optuna and torch in one process; it writes nothing."""
    del number
    return studies(folder, [trials])


def optunas(folder: Path, trials: int, number: int) -> float:
    """Optuna and torch in one process for each core, which share a study in a journal file."""
    shares = [trials // CORES + (i < trials % CORES) for i in range(CORES)]
    return studies(folder, shares, f"study-{number}.log")


def studies(folder: Path, shares: list[int], *journal: str) -> float:
    """Seconds until all processes have ended, each with its share of the trials."""
    epochs = (folder / "epochs").read_text()
    began = time.perf_counter()
    running = [
        subprocess.Popen([sys.executable, "-c", OPTUNA, str(share), epochs, *journal], cwd=folder)
        for share in shares
    ]
    if any(process.wait() for process in running):
        raise SystemExit("optuna failed")
    return time.perf_counter() - began


def widths(folder: Path) -> Iterator[Row]:
    """A step of one lane at several widths, against 16: chunk by chunk, the orders of examples included."""
    from nnrun import device
    from nnrun.runner import session
    from nnrun.training import shards

    device.prepare("cpu")
    prepared = session.prepare(folder / "small.yaml")
    experiment: Any = prepared.experiment
    of_one: dict[int, float] = {}
    for width in WIDTHS:
        plan = experiment.plan._replace(seeds=tuple(range(width)))
        compiled = shards.compile_shards(experiment._replace(plan=plan))
        steps, state = compiled.capacity, compiled.initial()
        times = []
        for step in range(0, 12 * steps, steps):
            began = time.perf_counter()
            state, log = compiled.advance(state, step, steps)
            compiled.rows(log, steps)
            times.append((time.perf_counter() - began) / steps / width)
        of_one[width] = statistics.median(times[2:])
        print(f"    {width:4} lanes: {1e6 * of_one[width]:6.0f} µs a step of one lane", flush=True)
    for width in WIDTHS[3:]:
        yield Row(f"a step of one of {width} nets 64-128-10: one of 16", of_one[16] / of_one[width], "≥ 1")


RIVALS: dict[str, Callable[[Path, int, int], float]] = {
    "processes": processes,
    "loop": loop,
    "optuna": optuna,
    "optunas": optunas,
}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rows", default="processes,optuna,optunas,loop,widths")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    write(rows(arguments), arguments.json)


def rows(arguments: argparse.Namespace) -> Iterator[Row]:
    """The rows of the table; prints the seconds of each round."""
    wanted = arguments.rows.split(",")
    rivals = [name for name in RIVALS if name in wanted]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "small.yaml").write_text(BASE.replace("EPOCHS", str(arguments.epochs)))
        (folder / "epochs").write_text(str(arguments.epochs))
        if rivals:
            sweep(folder, arguments.trials, 0)  # fills the compile cache
            nnrun("train", "small.yaml", "--quiet", folder=folder)
        found: dict[str, list[float]] = {name: [] for name in rivals}
        for number in range(1, arguments.rounds + 1 if rivals else 1):
            ours = sweep(folder, arguments.trials, number)
            told = [f"sweep {ours:.1f} s"]
            for name in rivals:
                theirs = RIVALS[name](folder, arguments.trials, number)
                found[name].append(theirs / ours)
                told.append(f"{name} {theirs:.1f} s")
            print("    " + ", ".join(told), flush=True)
        for name, ratios in found.items():
            yield Row(
                f"a sweep of {arguments.trials} small trials: {LABELS[name]}",
                statistics.median(ratios),
                TARGETS[name],
            )
        if "widths" in wanted:
            yield from widths(folder)


if __name__ == "__main__":
    main()
