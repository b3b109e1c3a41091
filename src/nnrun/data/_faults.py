"""What is wrong with one thing, such as a table, told at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nnrun.errors import DataError

__all__ = ["Faults"]


class Faults:
    """Collects errors of data, each line once, and raises them together."""

    def __init__(self) -> None:
        self._lines: dict[str, None] = {}

    def __bool__(self) -> bool:
        return bool(self._lines)

    @contextmanager
    def collected(self) -> Iterator[None]:
        """What a DataError in the block says is kept for `refuse`; the block ends there."""
        try:
            yield
        except DataError as error:
            self._lines |= dict.fromkeys(str(error).splitlines())

    def refuse(self) -> None:
        """Raises DataError with a line for each fault; does nothing where there are none."""
        if self._lines:
            raise DataError("\n".join(self._lines))
