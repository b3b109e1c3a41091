"""What the sections of gpu.py share: lines that appear at once, results in a file, a deadline, timing in turns."""

from __future__ import annotations

import contextlib
import json
import statistics
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
_LINES = 3  # of a traceback
_lock = RLock()  # runs are checked in several threads


class Check(NamedTuple):
    """One section at work."""

    small: bool  # for a CPU: the same work with small numbers
    compiles: bool  # whether torch.compile is timed too
    folder: Path  # to write into
    part: Path  # file of the section's results, complete after each `note`
    deadline: float  # of time.monotonic()
    results: dict[str, Any]

    @property
    def left(self) -> float:
        """Seconds until the section must have ended."""
        return self.deadline - time.monotonic()

    def note(self, name: str, value: Any) -> None:
        """Keeps a result."""
        with _lock:
            self.results[name] = value
            self.part.write_text(json.dumps(self.results, indent=2))

    def add(self, name: str, value: Any) -> None:
        """Keeps a result in a list of results."""
        with _lock:
            self.note(name, [*self.results.get(name, []), value])

    def conclude(self, line: str) -> None:
        """Says a line now, and once more at the end of the whole check."""
        say(line)
        self.add("conclusions", line)

    @contextlib.contextmanager
    def guarded(self, what: str, seconds: float = 0) -> Iterator[None]:
        """A part of the section that may fail, and that is left out where less than so many seconds are left."""
        if self.left < seconds:
            raise OutOfTimeError(
                f"{what}: left out, {self.left:.0f} s are left and it takes about {seconds:.0f}"
            )
        try:
            yield
        except Exception as error:
            failure = short(error)
            self.conclude(f"{what}: FAILED  {failure.splitlines()[0]}")
            say(failure)
            self.add("failures", f"{what}: {failure}")


class OutOfTimeError(Exception):
    """The rest of a section does not fit into its time."""


def say(line: str = "") -> None:
    """Prints a line at once."""
    print(line, flush=True)


def short(error: BaseException) -> str:
    """The error, and the innermost lines that led to it."""
    places = traceback.extract_tb(error.__traceback__)[-_LINES:]
    lines = [f"    {Path(place.filename).name}:{place.lineno}  {place.line}" for place in places]
    message = " ".join(str(error).split())[:400]
    return "\n".join([f"{type(error).__name__}: {message}", *lines])


def in_turns(check: Check, timers: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The median of what each timer returns, measured in turns; a timer that fails is dropped.

    The first round warms up; it counts only where there is no time for another.
    """
    times: dict[str, list[float]] = {name: [] for name in timers}
    for number in range(rounds + 1):
        began = time.monotonic()
        for name in list(times):
            try:
                times[name].append(timers[name]())
            except Exception as error:
                say(f"    {name}: FAILED  {short(error)}")
                check.add("failures", f"{name}: {short(error)}")
                del times[name]
        if number < rounds and check.left < 1.2 * (time.monotonic() - began) + 4:
            say(f"    the time is up after {number} of {rounds} rounds")
            break
    return {name: statistics.median(values[1:] or values) for name, values in times.items()}
