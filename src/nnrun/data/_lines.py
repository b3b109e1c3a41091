"""The lines of a text file, read one after another and checked."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from nnrun.errors import DataError

__all__ = ["NO_TABLE", "check_stdin", "lines_of"]

NO_TABLE = "is a spreadsheet (.xlsx) or another zip archive without arrays; save the table as CSV"

_UTF_16 = "is text in UTF-16; save the file as UTF-8"
_NOT_CSV = {
    b"PAR1": "is a Parquet or Arrow file; write data: {name: parquet, ...}",
    b"ARROW1": "is a Parquet or Arrow file; write data: {name: parquet, ...}",
    b"\x1f\x8b": "is compressed with gzip; unpack it: gunzip FILE",
    b"PK\3\4": NO_TABLE,
    b"\xd0\xcf\x11\xe0": "is a spreadsheet (.xls) or another file of an older Office; save the table as CSV",
    b"\xff\xfe": _UTF_16,
    b"\xfe\xff": _UTF_16,
}  # how files of other kinds begin
_LONGEST_MARK = 6
_LINES_OF_JSON = re.compile(rb'\s*\{\s*"')
_ARRAY_OF_JSON = re.compile(rb"\s*\[\s*[\[{]")
_FOR_EXCEL = re.compile(rb"(?:\xef\xbb\xbf)?(?i:sep)=.[\r\n]")
_LOOKED_AT = 64  # bytes, since JSON may begin with blanks


def check_stdin(stream: BinaryIO) -> None:
    """Raises DataError where standard input begins like a file that is read by its name."""
    beginning = stream.peek(_LONGEST_MARK)[:_LONGEST_MARK]  # type: ignore[attr-defined]
    for mark in (b"PK\3\4", b"PAR1", b"ARROW1"):
        if beginning.startswith(mark):
            raise DataError(
                "stdin: is an archive or a Parquet file, and CSV is read there; write the name of the file"
            )


def lines_of(stream: BinaryIO, place: str) -> Iterator[str]:
    """The lines of a file of text, with their ends; a byte-order mark is dropped.

    stream   buffered; it stays open
    Raises DataError naming FILE:ROW:BYTE of what is not UTF-8.
    """
    beginning = stream.peek(_LONGEST_MARK)[:_LONGEST_MARK]  # type: ignore[attr-defined]
    if not beginning:
        raise DataError(f"{place}: is empty; needed: a header and rows of data")
    for mark, problem in _NOT_CSV.items():
        if beginning.startswith(mark):
            raise DataError(f"{place}: {problem}")
    _check_beginning(stream.peek(_LOOKED_AT)[:_LOOKED_AT], place)  # type: ignore[attr-defined]
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        for i, line in enumerate(text, 1):
            if not line.isascii() or "\0" in line:
                _check_text(line, f"{place}:{i}")
            yield line
    finally:
        if not stream.closed:
            text.detach()  # who opened the stream closes it


def _check_beginning(beginning: bytes, place: str) -> None:
    """Refuses JSON, which read as CSV has strange columns, and a line `sep=;` for Excel in place of names."""
    if _FOR_EXCEL.match(beginning):
        raise DataError(
            f"{place}:1: 'sep=' is a line for Excel, and the first row must hold names; delete the line"
        )
    lines = "lines=True, " if _LINES_OF_JSON.match(beginning) else ""
    if lines or _ARRAY_OF_JSON.match(beginning):
        read = f"pandas.read_json(FILE, {lines}dtype=False, convert_dates=False)"  # the cells as they are written
        raise DataError(f"{place}: is JSON; save the table as CSV: {read}.to_csv(NAME, index=False)")


def _check_text(line: str, where: str) -> None:
    """Refuses a NUL, and a byte that is not UTF-8, which is there as a surrogate."""
    try:
        before, problem = line.encode().find(b"\0"), "there is a NUL; this is not a text file"
    except UnicodeEncodeError as error:
        before = len(line[: error.start].encode())
        byte = ord(line[error.start]) & 0xFF
        problem = f"byte {byte:#04x} is not UTF-8; save the file as UTF-8"
    if before >= 0:
        raise DataError(f"{where}:{before + 1}: {problem}")  # a byte: cells cannot be told apart yet
