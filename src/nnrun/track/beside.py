"""A process beside a run that sends it to trackers while it trains."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from nnrun.errors import Warn, one_line
from nnrun.record import run
from nnrun.track import state

__all__ = ["tracked"]

_PATIENCE = 10.0  # seconds that a run waits at its end for what sends it


@contextlib.contextmanager
def tracked(folder: Path, texts: Sequence[str], warn: Warn) -> Iterator[None]:
    """A run is sent to these trackers, and to those that it was sent to before, while it trains in the context.

    A process of its own sends it, in a session of its own: Ctrl-C ends the run and lets the rest be sent.  At the end
    it is waited for a little, and what it could not send is said.
    """
    process = _begin(folder, texts, warn)
    try:
        yield
    finally:
        if process is not None:
            _end(folder, process, warn)


def _begin(folder: Path, texts: Sequence[str], warn: Warn) -> subprocess.Popen[bytes] | None:
    known = [text for path in [folder, *run.members(folder)] for text in state.read(path)]
    asked = [*dict.fromkeys([*texts, *known])]
    if not asked:
        return None
    command = [sys.executable, "-m", "nnrun", "track", str(folder.absolute()), *asked, "--follow", "--json"]
    with contextlib.suppress(OSError):
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
    warn("the process that sends the run to its trackers cannot start; nnrun track sends it later")
    return None


def _end(folder: Path, process: subprocess.Popen[bytes], warn: Warn) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE)
    problems: dict[str, str] = {}
    for path in [folder, *run.members(folder)]:
        problems |= {text: entry["problem"] for text, entry in state.read(path).items() if entry["problem"]}
    for text, problem in problems.items():
        again = shlex.join(["nnrun", "track", one_line(folder), text])
        warn(f"{again} sends what is missing; the run is not affected: {problem}")
