"""Seconds that a person waits for the README's first command, `nnrun train configs/digits.yaml`, on this machine's CPU.

    python benchmarks/first_run.py [--rounds 5] [--json FILE]

Whole commands in a folder of their own, the start of Python and the written run folder included.

    cold   the first time: nothing is in the compile cache
    warm   once more, with what the first time left there

A row is the median over the rounds, in seconds: less is better.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rows import Row, write

SPEC = Path(__file__).resolve().parents[1] / "configs" / "digits.yaml"
TARGETS = {"cold": "≤ 4.5", "warm": "≤ 2.2"}
LABELS = {"cold": "nothing compiled before", "warm": "compiled before"}


def seconds(folder: Path) -> float:
    """Of the whole command, with its caches and runs in `folder`."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "nnrun", "train", str(SPEC)],
        cwd=folder,
        env={**os.environ, "XDG_CACHE_HOME": str(folder / "cache")},
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - began


def rows(rounds: int) -> Iterator[Row]:
    """The rows of the table."""
    times: dict[str, list[float]] = {"cold": [], "warm": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for name in times:
                times[name].append(seconds(Path(folder)))
    for name, measured in times.items():
        print(f"    {name}: {', '.join(f'{value:.2f}' for value in measured)} s")
        yield Row(
            f"`nnrun train configs/digits.yaml`, {LABELS[name]}: seconds",
            statistics.median(measured),
            TARGETS[name],
        )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    write(rows(arguments.rounds), arguments.json)


if __name__ == "__main__":
    main()
