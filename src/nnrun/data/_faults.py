"""What is wrong with one thing, such as a table, told at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from nnrun.errors import DataError

__all__ = ["Faults", "each_of"]

Item = TypeVar("Item")
Value = TypeVar("Value")


class Faults:
    """Collects errors of data, each line once, and raises them together."""

    def __init__(self) -> None:
        self._lines: dict[str, None] = {}

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, line: str) -> None:
        """Keeps one fault for `refuse`."""
        self._lines[line] = None

    @contextmanager
    def collected(self) -> Iterator[None]:
        """What a DataError in the block says is kept for `refuse`; the block ends there."""
        try:
            yield
        except DataError as error:
            self._lines |= dict.fromkeys(str(error).splitlines())

    def tried(self, read: Callable[[], Value]) -> Value | None:
        """What `read` gives; None where it raises DataError, which is kept for `refuse`."""
        with self.collected():
            return read()
        return None

    def refuse(self) -> None:
        """Raises DataError with a line for each fault; does nothing where there are none."""
        if self._lines:
            raise DataError("\n".join(self._lines))


def each_of(items: Iterable[Item], read: Callable[[Item], Value]) -> list[Value]:
    """read(item) of each.  Raises DataError with what is wrong with several of them."""
    faults, values = Faults(), []
    for item in items:
        with faults.collected():
            values.append(read(item))
    faults.refuse()
    return values
