"""One line on a terminal that says how far a long piece of work is."""

from __future__ import annotations

import sys

__all__ = ["ProgressLine"]


class ProgressLine:
    """`LABEL:  42%` on stderr, rewritten in place; nothing where stderr is not a terminal."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._shown = -1

    def show(self, done: int, total: int) -> None:
        """`done` of `total`; 0 as the total: it is not known."""
        percent = min(100, 100 * done // total) if total > 0 else 0
        if percent != self._shown and sys.stderr.isatty():
            self._shown = percent
            print(f"\r{self._label}: {percent:3d}%", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Ends the line, if there is one."""
        if self._shown >= 0:
            print(file=sys.stderr)
        self._shown = -1
