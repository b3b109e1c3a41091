"""How much of the machine this process may use."""

from __future__ import annotations

import os

__all__ = ["cores"]


def cores() -> list[int]:
    """The numbers of the processor cores that this process may run on, ascending; at least one."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
