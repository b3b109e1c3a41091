"""Every ratio of the README, in one table, on this machine's CPU.

    pip install -e ".[bench,search]"
    NNRUN_DATA_DIR=... python benchmarks/all.py [--rounds 3] [--only train_mlp,lbfgs] [--write]

Runs train_mlp.py (its small net once more on one core), convolutions.py, lbfgs.py, sweep.py, stochastic_depth.py
and first_run.py one after the other, each in a process of its own; about 40 minutes.  More than 1 means that nnrun
is faster, but for seconds and shares of a time, where less is better.  Before each it looks what else the machine
is doing.  Where other processes use more than 0.3 cores, or the host of a virtual machine gives more than 5% of its
time to others while they run, it says so, exits with 1, and `--write`, which puts the table into README.md, writes
nothing: such figures are not to be quoted.  With `--only` it replaces the rows of these scripts, or one of a
script's (`--only train_mlp:overhead`), and says so.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rows import BUSY, STOLEN, Row, busy_cores, machine, processor_times, stolen_share

PLACE = Path(__file__).resolve().parent
README = PLACE.parent / "README.md"
SCRIPTS = (
    "train_mlp",
    "small_on_one_core",
    "convolutions",
    "lbfgs",
    "sweep",
    "stochastic_depth",
    "first_run",
)
ON_ONE_CORE = ["train_mlp.py", "--rows", "small"]
HEAD = ("| work: rival | times its speed | aimed at |", "| --- | --- | --- |")
BEGIN, END = "<!-- made by benchmarks/all.py -->", "<!-- to here -->"


def measured(script: str, rounds: int, file: Path) -> list[Row]:
    """The rows of a script, or, as train_mlp:overhead, one of them; it prints what it does as it runs."""
    alone = script == "small_on_one_core"
    script, _, row = script.partition(":")
    name, *options = ON_ONE_CORE if alone else [f"{script}.py", *(["--rows", row] if row else [])]
    command = [sys.executable, str(PLACE / name), *options, "--rounds", str(rounds), "--json", str(file)]
    subprocess.run(command, check=True, env={**os.environ, "NPROC": "1"} if alone else None)
    return [Row(**row) for row in json.loads(file.read_text())]


def line(row: Row) -> str:
    """One row of the table."""
    return f"| {row.work} | {row.ratio:.2f} | {row.target} |"


def table(rows: list[Row], about: str) -> str:
    """As Markdown."""
    return "\n".join([about, "", *HEAD, *map(line, rows)])


def merged(old: str, rows: list[Row], scripts: str, about: str) -> str:
    """A table of which some scripts were run again: their rows are replaced, new ones follow them, and it says so."""
    head, _, body = old.partition(f"{HEAD[-1]}\n")
    lines = body.splitlines()
    place = len(lines)
    for row in rows:
        before = next((i for i, known in enumerate(lines) if known.startswith(f"| {row.work} |")), None)
        if before is None:
            lines.insert(place, line(row))
        else:
            lines[before], place = line(row), before
        place += 1
    note = f"{scripts} once more, {about}\n\n"
    kept = re.sub(rf"{re.escape(scripts)} once more, .*\n\n", "", head)
    before_table, _, _ = kept.partition(HEAD[0])
    return "\n".join([f"{before_table}{note}{HEAD[0]}", *HEAD[1:], *lines])


def with_table(text: str, made: str) -> str:
    """A document with the table between its two marks."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{made}\n{END}{rest.partition(END)[2]}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(SCRIPTS))
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    rows, loads, thefts = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for script in arguments.only.split(","):
            loads.append(busy_cores())
            print(f"{script}: other processes use {loads[-1]:.2f} cores", flush=True)
            before = processor_times()
            rows += measured(script, arguments.rounds, Path(folder) / "rows.json")
            thefts.append(stolen_share(before))
            print(f"{script}: the host gave {thefts[-1]:.1%} of its time to others", flush=True)
    load, stolen = max(loads), max(thefts)
    average = f", load average {os.getloadavg()[0]:.1f} with its own" if hasattr(os, "getloadavg") else ""
    about = (
        f"{machine()}; {arguments.rounds} rounds; other processes used at most {load:.2f} cores, the host gave at "
        f"most {stolen:.1%} of the time to others{average}:"
    )
    print(table(rows, about))
    if load > BUSY or stolen > STOLEN:
        raise SystemExit(
            f"other processes used {load:.2f} cores, and the host gave {stolen:.1%} of the time to others: "
            "these figures are not to be quoted"
        )
    if arguments.write:
        text, whole = README.read_text(), arguments.only == ",".join(SCRIPTS)
        old = text.partition(BEGIN)[2].partition(END)[0].strip()
        made = table(rows, about) if whole else merged(old, rows, arguments.only, about)
        README.write_text(with_table(text, made))


if __name__ == "__main__":
    main()
