"""The images in a column of a saved data set."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from nnrun.data._arrow import Arrow
from nnrun.data._saved_files import AGAIN, batches_of, files_of
from nnrun.data._undecoded import ImageSet, Undecoded
from nnrun.errors import DataError, MachineError, one_line

__all__ = ["saved_images"]

_AWAY = "remove the row (Dataset.filter)"


def saved_images(folders: Sequence[Path], place: str, name: str, position: int, length: int) -> ImageSet:
    """The images in the column `name` of some splits, one after another, rows counted from 1.

    place      what messages call the splits
    position   of the column, counted from 1
    length     the number of rows
    """

    def where(row: int) -> str:
        return f"{place}:{row}:{position}: column '{one_line(name, 40)}'"

    def images() -> Generator[Undecoded, None, None]:
        row = 0
        for file in (file for folder in folders for file in files_of(folder)):
            with closing(batches_of(file)) as batches:
                for batch in batches:
                    for cell in _cells(batch.column(name)):
                        row += 1
                        yield _undecoded(cell, where(row))

    key = b"\0".join([*(os.fsencode(os.path.realpath(folder)) for folder in folders), name.encode()])
    return ImageSet(folders[0], key, lambda: _content(folders), length, images)


def _cells(column: Arrow) -> Iterator[tuple[Arrow, Arrow]]:
    """Content and path of each image, as scalars of pyarrow; both None where there is no image."""
    contents, paths = column.field("bytes"), column.field("path")
    for cell, content, path in zip(column.is_valid(), contents, paths, strict=True):
        yield (content, path) if cell.as_py() else (None, None)


def _undecoded(cell: tuple[Arrow, Arrow], place: str) -> Undecoded:
    content, path = cell

    def read() -> bytes:
        if content is not None and content.is_valid:
            return content.as_py()
        if path is not None and path.is_valid:
            shown = one_line(path.as_py(), 80)
            raise DataError(f"{place}: names a file, {shown}, and does not hold its content; {AGAIN}")
        raise DataError(f"{place}: is empty; {_AWAY}")

    return Undecoded(place, read, _AWAY)


def _content(folders: Sequence[Path]) -> Iterable[bytes]:
    for file in (file for folder in folders for file in files_of(folder)):
        try:
            status = file.stat()
        except OSError as error:
            raise MachineError(f"{one_line(file)}: cannot be read: {error.strerror}") from error
        yield f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}\0".encode() + os.fsencode(
            file.name
        )
