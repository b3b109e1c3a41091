"""A library that would abort the process, in a thread of its own, waits for an end in order.

Where one of several processes is killed in the middle of a sum, gloo may give another one a part of a later sum.  It
throws then in its own thread, where nobody can catch it: C++ ends the process by an abort, with a page of text, while
process 0 is about to say who is lost.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["instead_of_abort"]

_SET_TERMINATE = "_ZSt13set_terminatePFvvE"  # std::set_terminate, of the library that jax's own is linked to
_handlers: list[Any] = []  # which would be freed if nobody held them


def instead_of_abort(work: Callable[[], None]) -> None:
    """Has C++ call a function, in the thread that throws, before it aborts; nothing where it is not GNU's."""
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        set_terminate = getattr(ctypes.CDLL("libstdc++.so.6"), _SET_TERMINATE)
        kind = ctypes.CFUNCTYPE(None)
        set_terminate.argtypes, set_terminate.restype = [kind], ctypes.c_void_p
        before: list[int] = []

        def terminate() -> None:
            work()
            kind(before[0])()

        _handlers.append(kind(terminate))
        before.append(set_terminate(_handlers[-1]))
