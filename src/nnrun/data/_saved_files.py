"""The files of a saved data set: its JSON, and its rows in Arrow's stream format, a batch at a time."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

from nnrun.data._arrow import MAX_ARROW_BYTES, Arrow, decoded, needed
from nnrun.data._files import open_file
from nnrun.errors import DataError, one_line

__all__ = ["AGAIN", "MEDIA", "batches_of", "files_of", "is_plain", "json_of", "rows_of"]

AGAIN = "load it and save it again (save_to_disk)"
# Features that are the content of files, or their paths.
MEDIA = {"Image": "images", "Audio": "sound", "Video": "videos", "Pdf": "documents"}

_STATE = "state.json"
_MAX_JSON_BYTES = 16 << 20
_END = b"\xff\xff\xff\xff\0\0\0\0"  # of a stream
_MOST_BYTES = 1 << 40  # of a file of which one batch at a time is in memory


def json_of(path: Path) -> dict[str, Any]:
    """The object in a file.  Raises DataError."""
    with open_file(path, _MAX_JSON_BYTES) as (stream, _):
        content = stream.read(_MAX_JSON_BYTES + 1)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise DataError(f"{one_line(path)}: is damaged: no JSON object; {AGAIN}")
    return value


def is_plain(name: object) -> bool:
    """Whether this is the name of a file or folder below, and nowhere else."""
    return (
        isinstance(name, str) and bool(name) and name not in (".", "..") and not set(name) & {"/", "\\", "\0"}
    )


def files_of(folder: Path) -> list[Path]:
    """The files with the rows of one data set, in order.  Raises DataError."""
    state = json_of(folder / _STATE)
    if state.get("_indices_data_files") or state.get("_indices_files"):
        raise DataError(
            f"{one_line(folder)}: an old version of datasets keeps the order of its rows in a file beside; {AGAIN}"
        )
    listed = state.get("_data_files")
    names = [file.get("filename") if isinstance(file, dict) else None for file in listed or ()]
    if not isinstance(listed, list) or not names or not all(map(is_plain, names)):
        raise DataError(f"{one_line(folder / _STATE)}: does not list the files of the data; {AGAIN}")
    return [folder / str(name) for name in names]


def batches_of(file: Path) -> Generator[Arrow, None, None]:
    """The record batches of a file, one at a time in memory; at least one.  Raises DataError, MachineError."""
    place = one_line(file)
    pa, ipc = needed(place, "pyarrow.ipc")
    with open_file(file, _MOST_BYTES) as (stream, size):
        reader = decoded(lambda: ipc.open_stream(stream), place)
        _check_end(stream, size, place)
        batch = decoded(lambda: next(reader, None), place)
        if batch is None:
            yield pa.RecordBatch.from_pylist([], reader.schema)
        while batch is not None:
            yield batch
            batch = decoded(lambda: next(reader, None), place)


def _check_end(stream: BinaryIO, size: int, place: str) -> None:
    """Refuses a file that was cut between two batches, of which pyarrow would read the first ones."""
    at = stream.tell()
    stream.seek(max(0, size - len(_END)))
    if stream.read(len(_END)) != _END:
        raise DataError(f"{place}: is cut short: the mark at the end of the rows is missing; copy it again")
    stream.seek(at)


def rows_of(folder: Path, features: Mapping[str, Mapping[str, object]], place: str) -> Arrow:
    """The rows of one data set as a table of pyarrow; of images and other media with their paths alone.

    place   what messages call it
    Raises DataError, also where it is more than memory should hold.
    """
    pa, compute = needed(place, "pyarrow.compute")
    batches, room = [], MAX_ARROW_BYTES
    for file in files_of(folder):
        with closing(batches_of(file)) as read:
            for batch in read:
                slim = decoded(lambda batch=batch: _slim(pa, compute, batch, features), one_line(file))
                room -= slim.nbytes
                if room < 0:
                    raise DataError(
                        f"{place}: its cells hold more than {MAX_ARROW_BYTES} bytes; use a part of it (Dataset.select)"
                    )
                batches.append(slim)
    return decoded(lambda: pa.Table.from_batches(batches), place)


def _slim(pa: Arrow, compute: Arrow, batch: Arrow, features: Mapping[str, Mapping[str, object]]) -> Arrow:
    """The batch without the content of media, and in memory of its own then."""
    names = batch.schema.names
    media = {name for name in names if _is_media(pa, batch.schema.field(name), features.get(name))}
    if not media:
        return batch
    columns = [
        compute.struct_field(batch.column(name), "path") if name in media else batch.column(name)
        for name in names
    ]
    return pa.RecordBatch.from_arrays(columns, names=names).take(pa.array(range(batch.num_rows)))


def _is_media(pa: Arrow, field: Arrow, feature: object) -> bool:
    if not isinstance(feature, dict) or feature.get("_type") not in MEDIA:
        return False
    return pa.types.is_struct(field.type) and field.type.get_field_index("path") >= 0
