"""Downloading a published file, once, into the user's cache."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, NamedTuple, cast

from nnrun import machine
from nnrun.data._progress import ProgressLine
from nnrun.errors import DataError, MachineError, one_line

__all__ = ["Download", "download"]

_TIMEOUT = 30.0  # seconds without an answer or a byte
_OUR_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


class Download(NamedTuple):
    """A published file."""

    folder: str  # where in the cache it goes
    file: str  # its name, there and at the mirrors
    mirrors: tuple[str, ...]  # URLs of folders, tried in order
    digest: (
        str  # sha256:... or md5:... as published; guards the transfer, the content is the reader's to verify
    )
    limit: int  # bytes; a mirror that sends more is given up


def download(item: Download) -> Path:
    """The path of `item` in the cache, downloaded if it is not there whole.

    pooch writes a temporary file and renames it when its digest is right, so an interruption leaves nothing.
    Raises DataError, naming the place to put the file by hand, if no mirror delivers it, and MachineError if
    the cache cannot be written.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")  # the progress line says it
    folder = machine.user_cache() / "nnrun" / item.folder
    failures = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for mirror in item.mirrors:
            try:
                return _retrieve(mirror, item, folder)
            except (OSError, ValueError) as error:  # no network, no such file; wrong digest, too long
                if isinstance(error, OSError) and error.errno in _OUR_MACHINE:
                    raise
                failures.append(f"{mirror}: {_reason(error)}")
    except OSError as error:
        raise MachineError(
            f"{one_line(folder)}: cannot be written: {error.strerror or one_line(error)}; "
            f"put {item.file} into $NNRUN_DATA_DIR/{item.folder}"
        ) from error
    raise DataError(
        f"{item.file}: cannot be downloaded ({'; '.join(failures)}); connect to the network, or put "
        f"the file into {one_line(folder)} or into {_places(item)}"
    )


def _places(item: Download) -> str:
    """Where else the file is looked for: in a folder with the name of the set, or directly."""
    top = os.environ.get("NNRUN_DATA_DIR")
    if not top:
        return f"$NNRUN_DATA_DIR/{item.folder}"
    place = Path(top)
    inner, direct = one_line(place / item.folder / item.file), one_line(place / item.file)
    return f"$NNRUN_DATA_DIR, where there is neither {inner} nor {direct}"


def _retrieve(mirror: str, item: Download, folder: Path) -> Path:
    """The file from this mirror, or from the cache if it is there whole."""
    import pooch

    # any object with pooch's four names is a progress bar to it; its annotations say bool
    http = cast("Any", pooch.HTTPDownloader)
    downloader = http(progressbar=_Progress(item), chunk_size=1 << 16, timeout=_TIMEOUT)
    return Path(
        pooch.retrieve(
            url=mirror + item.file,
            known_hash=item.digest,
            fname=item.file,
            path=folder,
            downloader=downloader,
        )
    )


def _reason(error: Exception) -> str:
    """A short reason: messages of HTTP libraries hold several layers of object names."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"HTTP {status}"
    return type(error).__name__ if isinstance(error, OSError) else one_line(error, 120)


class _Progress:
    """What pooch takes for a progress bar: one line on a terminal, and the limit on bytes."""

    def __init__(self, item: Download) -> None:
        self._limit = item.limit
        self._line = ProgressLine(item.file)
        self._done = 0
        self.total = 0  # set by pooch, from the length that the server states; 0: it does not

    def update(self, count: int) -> None:
        self._done += count
        if self._done > self._limit:
            raise ValueError(f"sends more than {self._limit} bytes")
        self._line.show(self._done, self.total)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        self._line.close()
