"""Reading IDX files, the format of MNIST, strictly.

    00 00 08 d | n_1 ... n_d, big-endian uint32 | n_1 · ... · n_d bytes           (08: unsigned bytes)

Plain or gzip is decided by the content.  What is decompressed is bounded by what the header announces,
and what the header announces by what the file can hold, so neither a lying header nor a bomb fills memory.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

import numpy as np

from nnrun.data._files import MAX_BYTES, open_file, read_into
from nnrun.errors import DataError, one_line

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Idx", "read_idx"]

_GZIP = b"\x1f\x8b"
_DEFLATE_RATIO = 1032  # the most that a byte of deflate can expand to


class Idx(NamedTuple):
    """The content of an IDX file."""

    array: np.ndarray  # uint8
    sha256: str  # of the decompressed file, header included


def read_idx(path: Path, axes: int) -> Idx:
    """The array of unsigned bytes with `axes` axes in the IDX file `path`, plain or gzip.

    Raises DataError unless the file is exactly what its header announces.
    """
    with open_file(path) as (raw, size):
        zipped = raw.read(2) == _GZIP
        raw.seek(0)
        if not zipped:
            return _parse(raw, size, axes, one_line(path))
        try:
            with gzip.GzipFile(fileobj=raw) as stream:
                return _parse(cast("BinaryIO", stream), size * _DEFLATE_RATIO, axes, one_line(path))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(
                f"{one_line(path)}: damaged or truncated gzip file ({one_line(error)}); get it again"
            ) from error


def _parse(stream: BinaryIO, capacity: int, axes: int, place: str) -> Idx:
    """The array in `stream`, which can hold at most `capacity` bytes."""
    header = stream.read(4 + 4 * axes)
    shape = _shape(header, axes, place)
    expected = math.prod(shape)
    announced = f"the header announces {'x'.join(map(str, shape))} = {expected} bytes"
    if expected > MAX_BYTES:
        raise DataError(f"{place}: {announced}, at most {MAX_BYTES} are read; this is not an image set")
    if expected > capacity:
        raise DataError(f"{place}: truncated: {announced}, the file cannot hold them; get it again")
    array = np.empty(expected, np.uint8)
    got = read_into(stream, array.data)
    if got < expected:
        raise DataError(f"{place}: truncated: {announced}, the file holds {got}; get it again")
    if stream.read(1):
        raise DataError(f"{place}: oversized: {announced}, the file holds more; get it again")
    digest = hashlib.sha256(header)
    digest.update(array.data)
    return Idx(array.reshape(shape), digest.hexdigest())


def _shape(header: bytes, axes: int, place: str) -> tuple[int, ...]:
    """The shape in an IDX header, whose magic number is checked."""
    magic = bytes((0, 0, 8, axes))
    if header[:4] != magic:
        raise DataError(
            f"{place}: not an IDX file of unsigned bytes with {axes} axes: starts with "
            f"{header[:4].hex(' ') or 'nothing'}, not {magic.hex(' ')}; images have 3 axes, labels 1"
        )
    if len(header) < 4 + 4 * axes:
        raise DataError(f"{place}: truncated: ends inside its header of {4 + 4 * axes} bytes; get it again")
    return struct.unpack(f">{axes}I", header[4:])
