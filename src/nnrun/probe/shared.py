"""What several checks look at: made once, by the first of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["NotMadeError", "Shared"]

T = TypeVar("T")


class NotMadeError(Exception):
    """What a check looks at could not be made, as an earlier check has said."""


class Shared(Generic[T]):
    """A value that is made when it is first asked for.

    Where that fails, who asked first gets its error, and all who ask later NotMadeError.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make, self._values, self._failed = make, [], False

    def __call__(self) -> T:
        if self._failed:
            raise NotMadeError
        if not self._values:
            self._failed = True  # unless the next line returns
            self._values.append(self._make())
            self._failed = False
        return self._values[0]
