"""A process that trains one batch of a sweep: python -m nnrun.sweep.worker JOB, where JOB is JSON.

It reports on stdout how far it is, one JSON object a line, and ends with the exit code of what happened.  It dies
with the process that started it, so that nobody holds a run that a resumed sweep wants.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["main"]

CHANGED = 8  # exit code: code or data are not those of the process that sent the batch
_PR_SET_PDEATHSIG = 1


def main(argument: str) -> int:
    """Trains the batch of a job {root, batch, expected, device, cores, parent}; returns the exit code."""
    job = json.loads(argument)
    if hasattr(
        signal, "SIGUSR2"
    ):  # SLURM sends it to all processes of a job; the one above this one acts on it
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    _die_with(job["parent"])
    if job["cores"] and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, job["cores"])
    from nnrun import device, signals
    from nnrun.errors import NnrunError, one_line
    from nnrun.sweep.engine import Engine, RunBatch, many_files
    from nnrun.sweep.moment import ChangedError, check_code, check_specs

    signals.install()
    try:
        root, batch, expected = Path(job["root"]), RunBatch(**job["batch"]), job["expected"]
        check_code(expected)  # before any of it is imported
        check_specs([root / name for name in batch.runs])
        device.prepare(job["device"], deterministic=True)
        with many_files():
            engine = Engine(lambda message: _tell({"warning": message}))
            for progress in engine.train(root, batch, expected):
                _tell({"step": progress.step, "phase": progress.phase})
    except NnrunError as error:
        _tell({"error": str(error)})
        return CHANGED if isinstance(error, ChangedError) else error.exit_code
    except Exception as error:
        _tell({"error": f"{type(error).__name__}: {one_line(error)}"})
        return 1
    return 0


def _die_with(parent: int) -> None:
    """Has the kernel kill this process when its parent dies, where it is Linux."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before that
        os._exit(1)


def _tell(content: Mapping[str, object]) -> None:
    print(json.dumps(content), flush=True)


if __name__ == "__main__":
    code = main(sys.argv[1])
    sys.stdout.flush()
    os._exit(code)
