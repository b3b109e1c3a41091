"""Where progress is shown."""

from __future__ import annotations

import contextlib
import sys

__all__ = ["Display"]


class Display:
    """stderr for progress.  Closed, full, its reader gone: no display may stop a run."""

    def __init__(self) -> None:
        self._stream = sys.stderr  # None where it is closed
        self.encoding = getattr(self._stream, "encoding", "utf-8")

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()
