"""The binary sets CIFAR-10 and CIFAR-100.

    a file is records of    label (1 byte), or coarse and fine label (2)  |  red, green, blue planes (3 x 1024)

What identifies the content is the SHA-256 of each file of records, so unpacked files and a recompressed archive
are as good as the published archive.  The published pickled ones are never read.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnrun.data._check import check
from nnrun.data._download import Download, download
from nnrun.data._files import open_file, read_into
from nnrun.data._tar import read_tar
from nnrun.errors import DataError, one_line
from nnrun.types import Examples, Source

__all__ = ["PublishedCifar", "Records", "load"]

_MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)
_LIMIT = 256 << 20  # bytes of a download; the larger archive has 170 MB
_SIDE = 32


class Records(NamedTuple):
    """A file of records."""

    name: str
    records: int
    sha256: str


class PublishedCifar(NamedTuple):
    """A published set."""

    name: str  # also of the folder that it may lie in
    archive: str
    sha256: str  # of the archive at the mirror
    folder: str  # in the archive
    labels: int  # bytes of labels in a record
    train: tuple[Records, ...]
    test: tuple[Records, ...]

    @property
    def record(self) -> int:
        """Bytes of a record."""
        return self.labels + 3 * _SIDE**2


def load(
    published: PublishedCifar, root: str | None, label: int, classes: tuple[str, ...], standardize: str
) -> Source:
    """The set, from `root`, else from $NNRUN_DATA_DIR, else downloaded; the label at byte `label` of a record.

    In either folder the archive, or the unpacked files of records, may lie directly, in a folder with the name
    of the set or in the one that unpacking makes.  Raises DataError if a file is missing, damaged, or not the
    published one.
    """
    place = _find(published, root)
    if place is None:
        pin = f"sha256:{published.sha256}"
        place = download(Download(published.name, published.archive, _MIRRORS, pin, _LIMIT))
    files = (*published.train, *published.test)
    sizes = {file.name: file.records * published.record for file in files}
    content = _read_folder(place, sizes) if place.is_dir() else read_tar(place, sizes)
    for file in files:
        digest = hashlib.sha256(content[file.name].data).hexdigest()
        if digest != file.sha256:
            raise DataError(
                f"{one_line(place)}: {file.name} is not the published one of {published.name}: SHA-256 {digest}, "
                f"published {file.sha256}; get it again (a set of your own: use data.name image_folder)"
            )
    train, test = (_examples(published, part, content, label) for part in (published.train, published.test))
    return check(Source(train, test, classes, standardize), published.name)


def _read_folder(folder: Path, sizes: dict[str, int]) -> dict[str, np.ndarray]:
    content = {}
    for name, size in sizes.items():
        with open_file(folder / name) as (stream, actual):
            if actual != size:
                raise DataError(f"{one_line(folder / name)}: has {actual} bytes, not {size}; get it again")
            content[name] = np.empty(size, np.uint8)
            if read_into(stream, content[name].data) < size:
                raise DataError(f"{one_line(folder / name)}: became shorter while it was read; get it again")
    return content


def _examples(
    published: PublishedCifar, files: tuple[Records, ...], content: dict[str, np.ndarray], label: int
) -> Examples:
    """Images (n, 32, 32, 3) and labels (n,)."""
    x = np.empty((sum(file.records for file in files), _SIDE, _SIDE, 3), np.uint8)
    y, done = np.empty(len(x), np.int32), 0
    for file in files:
        rows = slice(done, done + file.records)
        records = content.pop(file.name).reshape(file.records, published.record)
        planes = records[:, published.labels :].reshape(-1, 3, _SIDE, _SIDE)
        x[rows], y[rows] = planes.transpose(0, 2, 3, 1), records[:, label]
        done += file.records
    return Examples(x, y)


def _find(published: PublishedCifar, root: str | None) -> Path | None:
    """The archive, or the folder of unpacked files, in `root` or $NNRUN_DATA_DIR; None: not in the latter."""
    top = root or os.environ.get("NNRUN_DATA_DIR")
    if not top:
        return None
    if not Path(top).is_dir():
        place = "data.root" if root else "$NNRUN_DATA_DIR"
        raise DataError(
            f"{one_line(top)}: {place} is not a folder; name the one that holds {published.name}/"
        )
    named = Path(top) / published.name
    for folder in (named, named / published.folder, Path(top) / published.folder, Path(top)):
        for archive in (folder / published.archive, folder / published.archive.removesuffix(".gz")):
            if archive.exists():
                return archive
        if all((folder / file.name).exists() for file in (*published.train, *published.test)):
            return folder
    if root is None:
        return None
    raise DataError(
        f"{one_line(root)}: holds neither {published.archive} nor all of its files, {published.train[0].name} "
        f"to {published.test[-1].name}; put the archive there, or leave out data.root to have it downloaded"
    )
