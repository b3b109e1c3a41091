"""SIGINT, SIGTERM and SIGHUP: a flag while a run is in hand, the end of the process otherwise.

A handler that raises would raise wherever Python happens to be: inside a garbage-collection callback, which
swallows it, or inside a C++ library that is being imported, which aborts.  So it never raises.  Before a run
folder exists there is nothing to save, and the process simply ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

__all__ = ["deferred", "forget", "install", "pass_on", "pending"]

_HANGUP = getattr(signal, "SIGHUP", None)  # the terminal is gone; Windows has none
_state = {"deferred": 0, "pending": 0, "installed": 0, "passed_on": 0}


def _signals() -> list[int]:
    """The signals that are handled; a hang-up is not where `nohup` has it ignored."""
    hears_hangup = _HANGUP is not None and signal.getsignal(_HANGUP) is not signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([_HANGUP] if hears_hangup and _HANGUP else [])]


def _handle(signum: int, frame: FrameType | None) -> None:
    del frame
    again = _state["pending"] == signum == signal.SIGINT and not _state["passed_on"]
    _state["pending"], _state["passed_on"] = signum, 0
    if again and not _state["installed"]:
        raise KeyboardInterrupt  # a notebook's process is not ours to end
    if _state["deferred"] and not again:
        return
    _leave(
        signum,
        "stopped at once; `nnrun resume` continues from the last checkpoint, if there is one"
        if again
        else "interrupted",
    )


def _leave(signum: int, message: str) -> NoReturn:
    with contextlib.suppress(OSError):
        show_cursor = "\x1b[?25h" if os.isatty(2) else ""  # the live view hides it
        os.write(2, f"{show_cursor}nnrun: {message}\n".encode())
    os._exit(128 + signum)


def install() -> None:
    """From here on a signal ends the process, or sets the flag inside `deferred`.

    A second SIGINT ends it at once.  Only the main thread can do this; elsewhere nothing happens.
    """
    if threading.current_thread() is threading.main_thread():
        _state["installed"] = 1
        for signum in _signals():
            signal.signal(signum, _handle)


@contextmanager
def deferred() -> Iterator[None]:
    """Inside, signals wait until the code looks at `pending`.

    Handlers are in place for the time of the block only where nobody has installed them, so that a notebook's
    interrupt saves a checkpoint too.
    """
    main = threading.current_thread() is threading.main_thread()
    previous = {signum: signal.signal(signum, _handle) for signum in _signals()} if main else {}
    _state["deferred"] += 1
    try:
        yield
    finally:
        _state["deferred"] -= 1
        waiting = 0
        if not _state["deferred"]:
            waiting, _state["pending"] = _state["pending"], 0
        for signum, handler in previous.items():
            signal.signal(signum, handler)
    if waiting and previous:  # nobody looked: it counts now
        signal.raise_signal(waiting)


def pending() -> int:
    """The number of the signal that waits, 0 if none."""
    return _state["pending"]


def pass_on(signum: int) -> None:
    """Notes, inside `deferred`, a signal that another process of the run has got.

    A terminal sends an interrupt to all processes at once: the one that comes after it is not the second.
    """
    if _state["deferred"] and not _state["pending"]:
        _state["pending"], _state["passed_on"] = signum, 1


def forget() -> None:
    """Lets go of a signal that came too late to interrupt what is done, unless that is a part of more.

    The end of a batch is not that of its sweep, nor that of a fold that of its cross-validation: inside another
    `deferred` block the signal waits for whoever began that one.
    """
    if _state["deferred"] <= 1:
        _state["pending"] = 0
