"""Images that are not decoded yet, wherever they lie: in files of their own or in the rows of a data set."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import NamedTuple

__all__ = ["ImageSet", "Undecoded"]


class Undecoded(NamedTuple):
    """One image.

    place    for messages
    read     -> the bytes of its file; raises DataError, MachineError
    away     how to do without it, for messages
    """

    place: str
    read: Callable[[], bytes]
    away: str


class ImageSet(NamedTuple):
    """Some images in order, that are read again each time.

    place      the folder that people know
    key        which images are meant, so that a cache can be named
    content    pieces of what tells that the images have changed
    length     how many there are
    """

    place: Path
    key: bytes
    content: Callable[[], Iterable[bytes]]
    length: int
    images: Callable[[], Generator[Undecoded, None, None]]
