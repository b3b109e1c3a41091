"""A terminal emulator for what commands print: loaded by conftest, for tests are no package."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from typing import Any

import pyte
import pytest

from nnrun.commands import console

WIDTHS = (60, 80, 120, 200)


class Stream(io.TextIOWrapper):
    """stdout as a terminal of an encoding."""

    def __init__(self, encoding: str) -> None:
        self.written = io.BytesIO()
        super().__init__(self.written, encoding=encoding, errors="strict", write_through=True)

    def isatty(self) -> bool:
        return True


def on_screen(text: str, width: int) -> list[str]:
    """The lines of a terminal of this width, after the text was written to it."""
    screen = pyte.Screen(width, 600)
    pyte.Stream(screen).feed(text)
    return [line.rstrip() for line in screen.display if line.strip()]


def broken(shown: list[str], whole: str) -> list[str]:
    """Words on the screen that the command does not print where there is room, but names shortened in the middle.

    Bars of a curve are no words: there are fewer of them where there is less room.
    """
    words = set(whole.split())
    return [
        word
        for line in shown
        for word in line.split()
        if word not in words
        and re.search(r"[^\W_]", word)
        and not re.fullmatch(r"\S*[^\d.][~…][^\d.]\S*", word)
    ]


def printed(show: Callable[[], None], stream: Any, patch: pytest.MonkeyPatch) -> None:
    """Calls `show` with the stream as stdout."""
    with patch.context() as inner:
        inner.setattr(sys, "stdout", stream)
        console.open_streams()
        show()


def assert_whole(show: Callable[[], None], encoding: str, patch: pytest.MonkeyPatch, escapes: bool) -> None:
    """On screens of all widths there are the words that `show` prints where there is room for everything.

    escapes   whether characters that the encoding lacks may be written as such
    """
    patch.setenv("TERM", "xterm-256color")
    pipe = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    printed(show, pipe, patch)
    whole = pipe.buffer.getvalue().decode(encoding)
    assert escapes or ("\\u" not in whole and "\\x" not in whole), whole
    for width in WIDTHS:
        patch.setenv("COLUMNS", str(width))
        stream = Stream(encoding)
        printed(show, stream, patch)
        written = stream.written.getvalue().decode(encoding)
        shown = on_screen(written.replace("\n", "\r\n"), width)
        assert broken(shown, whole) == [], f"{width}\n" + "\n".join(shown)
