"""The same work for many folders."""

from __future__ import annotations

import threading
import time

import pytest

from nnrun.errors import MachineError
from nnrun.storage import many
from nnrun.storage.many import for_each


def test_results_stand_in_the_order_of_the_items() -> None:
    def work(i: int) -> int:
        time.sleep(0.001 * (20 - i))  # the first items end last
        return i * i

    assert for_each(work, range(20)) == [i * i for i in range(20)]
    assert for_each(work, []) == []


def test_who_waits_keeps_nobody_waiting() -> None:
    """All threads wait for each other: one after another, the first would never end."""
    together = threading.Barrier(many._THREADS, timeout=20)
    for_each(lambda _: together.wait(), range(many._THREADS * 2))


def test_few_are_done_one_after_another_in_this_thread() -> None:
    names = for_each(lambda _: threading.current_thread().name, range(many._FEW))
    assert names == [threading.current_thread().name] * many._FEW


def test_all_are_carried_out_and_the_first_failure_is_raised() -> None:
    done: list[int] = []

    def work(i: int) -> None:
        if i in (3, 7):
            raise MachineError(f"disk {i}")
        done.append(i)

    with pytest.raises(MachineError, match="disk 3"):
        for_each(work, range(12))
    assert sorted(done) == [0, 1, 2, 4, 5, 6, 8, 9, 10, 11]
