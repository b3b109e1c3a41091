"""A batch that is trained on another machine: the text that travels, and the process there.

Every node must see the folder of the sweep under the same path and have nnrun installed.  The files in that folder
are the only state of record: a batch that is sent again continues from its checkpoints.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from nnrun import signals
from nnrun.errors import Interrupted, SpecError, one_line
from nnrun.sweep.batches import Event
from nnrun.sweep.engine import RunBatch
from nnrun.sweep.moment import Expected
from nnrun.sweep.workers import error_of

__all__ = ["Cluster", "begin", "cluster_of", "ended", "followed", "job_of", "result_of"]

Task = TypeVar("Task")

_SLURM = "slurm:"
_NUMBERS = ("time", "cpus_per_task", "gpus_per_node", "array_parallelism")
_TEXTS = ("partition", "account", "qos", "constraint", "mem", "exclude", "nodelist", "gres")
_WANTED = "write ray, ray://HOST:PORT, or slurm:time=MINUTES"


class Cluster(NamedTuple):
    """What `--on` names.

    kind         ray or slurm
    address      of a Ray cluster; None: that of $RAY_ADDRESS, or one on this machine
    parameters   of SLURM's jobs, by the names of sbatch's options
    """

    kind: str
    address: str | None
    parameters: dict[str, int | str]


def cluster_of(text: str) -> Cluster:
    """The cluster of `ray`, `ray://HOST:PORT` or `slurm:time=60,partition=gpu`.  Raises SpecError."""
    if text == "ray" or (text.startswith("ray://") and len(text) > len("ray://")):
        return Cluster("ray", None if text == "ray" else text, {})
    if not f"{text}:".startswith(_SLURM):
        raise SpecError(f"--on: got {one_line(text, 60)!r}; {_WANTED}")
    return Cluster("slurm", None, _parameters(text.removeprefix("slurm").removeprefix(":")))


def _parameters(text: str) -> dict[str, int | str]:
    """`time=60,partition=gpu` as a mapping."""
    parameters: dict[str, int | str] = {}
    problems = []
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        is_count = value.isascii() and value.isdecimal() and int(value) > 0
        if name not in (*_NUMBERS, *_TEXTS):
            known = ", ".join((*_NUMBERS, *_TEXTS))
            problems.append(f"--on slurm: there is no option {one_line(name, 40)!r}; write some of {known}")
        elif name in parameters:
            problems.append(f"--on slurm: {name} is there twice; leave one out")
        elif name in _NUMBERS and not is_count:
            problems.append(
                f"--on slurm: {name}: got {one_line(value, 40)!r}; write a whole number of at least 1"
            )
        elif not value:
            problems.append(f"--on slurm: {name} has no value; write {name}=VALUE")
        else:
            parameters[name] = int(value) if name in _NUMBERS else value
    if "time" not in parameters and not any(": time" in problem for problem in problems):
        problems.append(
            "--on slurm: how long may a job take? write slurm:time=MINUTES, and further options after commas"
        )
    if problems:
        raise SpecError(*problems)
    return parameters


def job_of(root: Path, batch: RunBatch, expected: Expected, gpu: bool) -> str:
    """The text that says what is trained."""
    job = {
        "root": str(root.absolute()),
        "batch": batch._asdict(),
        "expected": expected,
        "device": "gpu" if gpu else "cpu",
        "cores": [],
    }
    return json.dumps(job)


def begin(job: str) -> subprocess.Popen[bytes]:
    """On a node: a process that trains the batch, and dies with this one."""
    whole = json.dumps({**json.loads(job), "parent": os.getpid()})
    command = [sys.executable, "-m", "nnrun.sweep.worker", whole]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)


def result_of(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Waits for the process; its exit code and its last error."""
    assert process.stdout is not None
    error = ""
    with process:
        for line in process.stdout:
            try:
                error = json.loads(line).get("error", error)
            except (ValueError, AttributeError):  # something that the user's code printed
                continue
    return process.returncode, error


def followed(
    running: dict[Task, RunBatch],
    finished: Callable[[Sequence[Task]], Sequence[Task]],
    event_of: Callable[[Task, RunBatch], Event],
    cancel: Callable[[Task], object],
) -> Iterator[Event]:
    """The news of batches that were sent elsewhere: that they compile, and of each when it has ended.

    finished   of these tasks those that have ended; waits a moment where none has
    Raises Interrupted.  Whatever ends it, tasks that have not ended are cancelled.
    """
    try:
        yield from (Event(batch, 0, "compiling") for batch in list(running.values()))
        while running:
            if signals.pending():
                raise Interrupted(signals.pending(), "")
            for task in finished([*running]):
                yield event_of(task, running.pop(task))
    finally:
        for task in running:
            cancel(task)


def ended(batch: RunBatch, code: int, reason: str) -> Event:
    """The news of a batch whose process has ended, or was killed by signal `-code`."""
    return Event(batch, 0, "failed", error_of(code, reason)) if code else Event(batch, 0, "done")
