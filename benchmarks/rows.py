"""What the benchmarks share: the machine they run on, and rows of a table that `all.py` reads."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from nnrun import device

__all__ = [
    "BUSY",
    "STOLEN",
    "Row",
    "busy_cores",
    "machine",
    "prepare_process",
    "processor_times",
    "stolen_share",
    "write",
]

BUSY = 0.3  # cores that other processes use; above it no figure is to be quoted
STOLEN = 0.05  # of the processor time asked for, which a virtual machine gave to others; likewise


class Row(NamedTuple):
    """One figure of the table.

    work     what both sides do, and against what
    ratio    times the rival's speed: the median over the rounds
    target   what the project aims at, as text
    """

    work: str
    ratio: float
    target: str


def prepare_process() -> None:
    """The settings of memory that the command line has, for everything that this process times: both sides."""
    device.prepare("cpu")


class ProcessorTimes(NamedTuple):
    """Seconds of all cores since the machine started: used, and wanted but given to other virtual machines."""

    used: float
    stolen: float


def processor_times() -> ProcessorTimes:
    """What /proc/stat says; zeros where there is none."""
    if not Path("/proc/stat").is_file():
        return ProcessorTimes(0.0, 0.0)
    user, nice, system, _, _, irq, softirq, stolen, *_ = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    ticks = os.sysconf("SC_CLK_TCK")
    return ProcessorTimes((user + nice + system + irq + softirq) / ticks, stolen / ticks)


def stolen_share(before: ProcessorTimes) -> float:
    """Of the processor time that was asked for since `before`, the share that other virtual machines got.

    An idle machine has none of it, however busy its host is: it can only be seen while something computes.
    """
    now = processor_times()
    used, stolen = now.used - before.used, now.stolen - before.stolen
    return stolen / (used + stolen) if stolen else 0.0


def busy_cores(seconds: float = 2.0) -> float:
    """How many cores other processes keep busy, measured while this one sleeps; 0 where nothing says so."""
    before = processor_times()
    time.sleep(seconds)
    now = processor_times()
    return (now.used + now.stolen - before.used - before.stolen) / seconds


def machine() -> str:
    """The processor, its cores and the versions, in one line."""
    name, features = platform.processor() or platform.machine(), ""
    if (file := Path("/proc/cpuinfo")).is_file():
        lines = dict(line.split(":", 1) for line in file.read_text().splitlines() if ":" in line)
        named = {key.strip(): value.strip() for key, value in lines.items()}
        name = named.get("model name", name)
        flags = named.get("flags", "").split()
        features = next((f" with {flag}" for flag in ("avx512f", "avx2") if flag in flags), "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = ", ".join(f"{package} {version(package)}" for package in ("nnrun", "jax", "torch"))
    return f"{name}{features}, {cores} cores, Python {platform.python_version()}, {versions}"


def write(rows: Iterable[Row], file: Path | None) -> None:
    """Prints rows as they come, and leaves them in a file of JSON for `all.py`."""
    shown = []
    for row in rows:
        print(f"{row.ratio:6.2f}  target {row.target}  {row.work}", flush=True)
        shown.append(row)
    if file:
        file.write_text(json.dumps([row._asdict() for row in shown], indent=1) + "\n")
