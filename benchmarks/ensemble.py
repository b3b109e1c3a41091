"""What ten members cost: a population against ten runs one after the other, and against ten runs of torch.

    pip install -e ".[bench]"
    NNRUN_DATA_DIR=... python benchmarks/ensemble.py [--rounds 5] [--rows digits,mnist]

Whole trainings with logging, evaluation, checkpoints and summary, without compilation on either side, and
in each round one after another: nnrun's population, nnrun's ten runs, torch's ten.  A row is the median over
the rounds of the ratios: how many times longer the others take.  Last, what `nnrun ensemble` takes for the ten
members, beside the training: predictions, averages, intervals, pictures, and the folder.

Torch is in its best configuration here: fused Adam, one thread or two, eager or compiled.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from train_mlp import Torch, Work, best_rival, prepare, time_nnrun

from nnrun.ensemble import make
from nnrun.ensemble.make import EnsembleRequest
from nnrun.runner import session

MEMBERS = 10
WORKS = {
    "digits": Work("digits", [128], 64, 60, MEMBERS),
    "mnist": Work("mnist", [128, 128], 128, 1, MEMBERS),
}


class Round(NamedTuple):
    """Seconds of one round."""

    population: float
    runs: float
    torch: float
    ensemble: float


def time_ensemble(population: Path) -> float:
    """Seconds from the names of the members to the finished folder."""

    @contextlib.contextmanager
    def counting(what: str, total: int | None) -> Iterator[Callable[[], None]]:
        del what, total
        yield lambda: None

    began = time.perf_counter()
    make.make([str(population)], EnsembleRequest(), population.parent, None, print, counting)
    return time.perf_counter() - began


def measure(prepared: session.Prepared, alone: list[session.Prepared], rival: Torch, folder: Path) -> Round:
    """One round, in a folder of its own."""
    folder.mkdir()
    population = time_nnrun(prepared, folder)
    [made] = folder.iterdir()
    ensemble = time_ensemble(made)
    runs = sum(time_nnrun(one, folder) for one in alone)
    return Round(population, runs, rival(), ensemble)


def main() -> None:
    """Prints one line for each row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", default="digits,mnist")
    arguments = parser.parse_args()
    for name in arguments.rows.split(","):
        work = WORKS[name]
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            prepared = prepare(work, folder)
            spec = folder / "work.yaml"
            alone = [
                session.prepare(spec, ["train.seeds=1", f"train.seed={seed}"]) for seed in range(MEMBERS)
            ]
            rival = best_rival(prepared, work)
            rounds = [measure(prepared, alone, rival, folder / str(i)) for i in range(arguments.rounds)]
        runs = statistics.median(one.runs / one.population for one in rounds)
        torch = statistics.median(one.torch / one.population for one in rounds)
        seconds = statistics.median(one.population for one in rounds)
        after = statistics.median(one.ensemble for one in rounds)
        print(
            f"{name}: the population took {seconds:.1f} s; ten runs {runs:.2f} times that, ten runs of torch "
            f"({rival}) {torch:.2f} times; nnrun ensemble {after:.1f} s on top"
        )


if __name__ == "__main__":
    main()
