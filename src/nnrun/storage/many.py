"""The same writes for many folders, in threads: who waits for the disk does not keep the others waiting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["for_each"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_FEW = 8  # folders that are not worth threads
_THREADS = 8


def for_each(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """work(item) for each item, which must not depend on the others; the results stand in the order of the items.

    Of few items one after another.  Of many all are carried out, whatever happens to one of them; then what was
    raised for the first of these is raised.
    """
    if len(items) <= _FEW:
        return [work(item) for item in items]
    with ThreadPoolExecutor(_THREADS) as pool:
        return [future.result() for future in [pool.submit(work, item) for item in items]]
