"""Reading arrays out of .npz archives without trusting them.

An archive says how long its members are, and a member's header how long its array is; both are checked
before anything is decompressed, and against each other.  Headers are parsed here, by a pattern: NumPy's own
reader evaluates them as Python literals, and would unpickle objects if asked to.
"""

from __future__ import annotations

import errno
import math
import re
import struct
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np

from nnrun.data._files import MAX_BYTES, open_file, read_into
from nnrun.errors import DataError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["open_npz", "read_member"]

_MAX_HEADER = 10_000  # bytes, as NumPy allows
_MAX_MEMBERS = 10_000
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # what np.savez and np.savez_compressed write
_LENGTH = {1: "<H", 2: "<I"}  # of the header's length, by format version
_HEADER = re.compile(
    r"\{'descr': '(?P<descr>[^']{1,40})', 'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>(?:\d{1,18}, ?){0,31}(?:\d{1,18},?)?)\),? ?\}\s*"
)


@contextmanager
def open_npz(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive `path`; damage found while it is open is a DataError naming the file."""
    with open_file(path) as (stream, _):
        try:
            with zipfile.ZipFile(stream) as archive:
                if len(archive.infolist()) > _MAX_MEMBERS:
                    raise DataError(f"{one_line(path)}: holds more than {_MAX_MEMBERS} arrays; save fewer")
                yield archive
        except (zipfile.BadZipFile, zlib.error, EOFError, struct.error) as error:
            raise DataError(
                f"{one_line(path)}: damaged, truncated, or not an .npz archive ({one_line(error, 120)}); "
                "write it again with np.savez"
            ) from error
        except OSError as error:
            if error.errno != errno.EINVAL:  # a seek to where a damaged table points
                raise
            raise DataError(
                f"{one_line(path)}: damaged .npz archive; write it again with np.savez"
            ) from error
        except (NotImplementedError, RuntimeError, ValueError, OverflowError) as error:
            # zipfile's answers to encryption, unknown features, and nonsense in its tables
            raise DataError(f"{one_line(path)}: cannot be read as .npz: {one_line(error, 120)}") from error


def read_member(
    archive: zipfile.ZipFile, name: str, path: Path, remedy: str = "save it under that name"
) -> np.ndarray:
    """The array `name` of `archive`, which was opened from `path`; numbers only, at most MAX_BYTES.

    remedy   what to do where there is none of that name
    """
    place = f"{one_line(path)}: array '{one_line(name)}'"
    names = [info.filename for info in archive.infolist()]
    if names.count(f"{name}.npy") != 1:
        held = ", ".join(sorted({n.removesuffix(".npy") for n in names})) or "nothing"
        if f"{name}.npy" not in names:
            raise DataError(f"{place}: is not in the archive, which holds {one_line(held, 120)}; {remedy}")
        raise DataError(
            f"{place}: is in the archive {names.count(f'{name}.npy')} times; write it again with np.savez"
        )
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > MAX_BYTES:
        raise DataError(f"{place}: announces {info.file_size} bytes, at most {MAX_BYTES} are read; save less")
    if info.compress_type not in _METHODS:
        raise DataError(f"{place}: compressed by method {info.compress_type}; write it with np.savez")
    with archive.open(info) as member:
        return _read_array(cast("BinaryIO", member), info.file_size, place)


def _read_array(stream: BinaryIO, size: int, place: str) -> np.ndarray:
    """The array in `stream`, which must be exactly `size` bytes of .npy."""
    dtype, shape, fortran, begin = _read_header(stream, place)
    expected = math.prod(shape) * dtype.itemsize
    if expected != size - begin:
        raise DataError(
            f"{place}: the header announces {shape} of {dtype} = {expected} bytes, the archive "
            f"{size - begin}; write it again with np.savez"
        )
    content = np.empty(expected, np.uint8)
    if read_into(stream, content.data) != expected or stream.read(1):
        raise DataError(f"{place}: truncated; write it again with np.savez")
    array = content.view(dtype)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


def _read_header(stream: BinaryIO, place: str) -> tuple[np.dtype, tuple[int, ...], bool, int]:
    """Type, shape, whether in Fortran order, and where the numbers begin."""
    magic = stream.read(8)
    if magic[:6] != b"\x93NUMPY" or len(magic) < 8 or magic[6] not in _LENGTH:
        raise DataError(f"{place}: is not in .npy format 1 or 2; write it with np.savez")
    layout = struct.Struct(_LENGTH[magic[6]])
    (length,) = layout.unpack(stream.read(layout.size))
    if length > _MAX_HEADER:
        raise DataError(f"{place}: has a header of {length} bytes, at most {_MAX_HEADER} are read")
    text = stream.read(length).decode("latin-1")
    header = _HEADER.fullmatch(text)
    if header is None:
        raise DataError(
            f"{place}: has the header '{one_line(text.strip(), 80)}'; needed: a plain array of numbers"
        )
    shape = tuple(int(n) for n in re.findall(r"\d+", header["shape"]))
    return _dtype(header["descr"], place), shape, header["fortran"] == "True", 8 + layout.size + length


def _dtype(descr: str, place: str) -> np.dtype:
    """The type that a header names, if it is one of numbers."""
    if not re.fullmatch(r"[<>|=][biuf](?:[1248])|\|b1", descr):
        kind = "Python objects, which are never loaded" if "O" in descr else one_line(descr)
        raise DataError(f"{place}: holds {kind}; save integers or floats")
    try:
        return np.dtype(descr)
    except TypeError:
        raise DataError(f"{place}: has the unknown type {one_line(descr)}; save integers or floats") from None
