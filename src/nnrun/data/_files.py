"""Opening files whose content is not trusted: only regular files, only up to a size."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from nnrun.errors import DataError, MachineError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_BYTES", "STDIN", "OpenFile", "open_file", "open_text", "read_into"]

STDIN = Path("-")  # as the name of a table

MAX_BYTES = 2 << 30  # of content in one file or array; more does not fit beside a model on one machine
_CHUNK = 1 << 20


class OpenFile(NamedTuple):
    """A regular file opened for reading."""

    stream: BinaryIO
    size: int  # bytes on disk


@contextmanager
def open_file(path: Path, limit: int = MAX_BYTES) -> Iterator[OpenFile]:
    """The regular file `path`, open for reading.

    Raises DataError if it is missing, not a regular file or larger than `limit` bytes, and MachineError
    if the machine cannot read it, also where that shows while the caller reads.
    """
    place = one_line(path)
    if "\0" in str(path):
        raise DataError(f"{place}: a path cannot hold a NUL; check the path")
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # checked before opening: opening a pipe would wait for ever
            raise DataError(f"{place}: is not a regular file; give the path of a data file")
        if status.st_size > limit:
            raise DataError(
                f"{place}: holds {status.st_size} bytes, at most {limit} are read; use a part of it"
            )
        with path.open("rb") as stream:
            yield OpenFile(stream, os.fstat(stream.fileno()).st_size)
    except FileNotFoundError:
        raise DataError(f"{place}: there is no such file; check the path, or put the file there") from None
    except NotADirectoryError:
        raise DataError(f"{place}: a part of this path is a file, not a folder; check the path") from None
    except OSError as error:
        raise MachineError(f"{place}: cannot be read: {error.strerror or one_line(error)}") from error


@contextmanager
def open_text(path: Path) -> Iterator[BinaryIO]:
    """A text file of any size, or standard input, open for reading.  Raises as `open_file`."""
    if path != STDIN:
        with open_file(path, sys.maxsize) as (stream, _):
            yield stream
    elif sys.stdin is None:
        raise DataError("stdin: is closed; write the name of a file")
    else:
        try:
            yield sys.stdin.buffer
        except OSError as error:
            raise MachineError(f"stdin: cannot be read: {error.strerror or one_line(error)}") from error


def read_into(stream: BinaryIO, buffer: memoryview) -> int:
    """Fill `buffer` (bytes) from `stream`, in chunks; returns how many bytes there were."""
    done = 0
    while done < len(buffer):
        got = stream.readinto(buffer[done : done + _CHUNK])  # type: ignore[attr-defined]
        if not got:
            break
        done += got
    return done
