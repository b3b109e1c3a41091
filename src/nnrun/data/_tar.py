"""Reading files of known size out of a tar archive, in memory, without trusting it.

Nothing is extracted: members are read as a stream, and only the regular ones with a wanted name and exactly the
size expected.  What is decompressed is bounded by the sum of those sizes.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

import numpy as np

from nnrun.data._files import open_file, read_into
from nnrun.errors import DataError, one_line

__all__ = ["read_tar"]

_GZIP = b"\x1f\x8b"
_SLACK = 16 << 20  # bytes of headers and of members that are not wanted
_MOST_MEMBERS = 1000
_DAMAGE = (
    tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, OverflowError, RecursionError,
)  # fmt: skip


def read_tar(path: Path, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """name -> bytes (size,) uint8 of each file in `sizes` (name -> size), from the archive, gzip or plain.

    A name is the last part of a member's path.  Raises DataError unless each is there once, a regular file of
    its size.
    """
    place = one_line(path)
    with open_file(path) as (raw, _):
        zipped = raw.read(2) == _GZIP
        raw.seek(0)
        stream = gzip.GzipFile(fileobj=raw) if zipped else raw
        bounded = _Bounded(cast("BinaryIO", stream), sum(sizes.values()) + _SLACK, place)
        try:
            with tarfile.open(fileobj=cast("IO[bytes]", bounded), mode="r|") as archive:
                content = _members(archive, sizes, place)
        except _DAMAGE as error:
            raise DataError(
                f"{place}: damaged, truncated, or not a tar archive ({one_line(error, 120)}); get it again"
            ) from error
    missing = [name for name in sizes if name not in content]
    if missing:
        raise DataError(f"{place}: truncated, or another archive: holds no {missing[0]}; get it again")
    return content


def _members(archive: tarfile.TarFile, sizes: Mapping[str, int], place: str) -> dict[str, np.ndarray]:
    content: dict[str, np.ndarray] = {}
    for count, member in enumerate(archive):
        if count >= _MOST_MEMBERS:
            raise DataError(f"{place}: holds more than {_MOST_MEMBERS} files; it is another archive")
        name = PurePosixPath(member.name).name
        if name not in sizes:
            continue
        if name in content or not member.isreg() or member.issparse():
            what = "more than once" if name in content else "as something else than a regular file"
            raise DataError(f"{place}: holds {name} {what}; get it again")
        if member.size != sizes[name]:
            raise DataError(f"{place}: {name} has {member.size} bytes, not {sizes[name]}; get it again")
        content[name] = _content(archive, member, place)
        if len(content) == len(sizes):
            break
    return content


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, place: str) -> np.ndarray:
    content = np.empty(member.size, np.uint8)
    stream = cast("BinaryIO", archive.extractfile(member))  # of a regular file
    got = read_into(stream, content.data)
    if got < member.size:
        raise DataError(f"{place}: truncated inside {one_line(member.name)}; get it again")
    return content


class _Bounded:
    """A stream that gives up after a number of bytes: a bomb is noticed before it is unpacked."""

    def __init__(self, stream: BinaryIO, limit: int, place: str) -> None:
        self._stream, self._left, self._place = stream, limit, place

    def read(self, size: int) -> bytes:
        """At most `size` bytes."""
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise DataError(f"{self._place}: holds far more than it should; get the published archive")
        return data
