"""Sets published in MNIST's four files: MNIST itself and Fashion-MNIST.

What identifies a file is the SHA-256 of what is inside: a recompressed copy is as good as the published one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from nnrun.data._check import check
from nnrun.data._download import Download, download
from nnrun.data._idx import read_idx
from nnrun.errors import DataError, one_line
from nnrun.types import Examples, Source

__all__ = ["FILES", "PublishedMnist", "load"]

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_LIMIT = 64 << 20  # bytes of a download; the largest file has 47 MB before compression


class PublishedMnist(NamedTuple):
    """A published set; digests in the order of FILES."""

    name: str
    mirrors: tuple[str, ...]
    sha256: tuple[str, str, str, str]  # of the decompressed files
    md5: tuple[str, str, str, str]  # of the .gz files at the mirrors
    classes: tuple[str, ...]


def load(published: PublishedMnist, root: str | None, standardize: str) -> Source:
    """The set, from `root`, else from $NNRUN_DATA_DIR, else downloaded.

    In either folder the files may lie in a folder with the name of the set or directly, plain or gzip.
    Raises DataError if a file is missing, damaged, or not the published one.
    """
    arrays = []
    for file, sha256, md5 in zip(FILES, published.sha256, published.md5, strict=True):
        path = _find(published.name, file, root) or download(
            Download(published.name, f"{file}.gz", published.mirrors, f"md5:{md5}", _LIMIT)
        )
        idx = read_idx(path, axes=3 if "images" in file else 1)
        if idx.sha256 != sha256:
            raise DataError(
                f"{one_line(path)}: is not the published file of {published.name}: decompressed SHA-256 "
                f"{idx.sha256}, published {sha256}; get it again (a set of your own: use data.name npz)"
            )
        arrays.append(idx.array)
    x, y, test_x, test_y = arrays
    train = Examples(x[..., None], y.astype("int32"))
    test = Examples(test_x[..., None], test_y.astype("int32"))
    return check(Source(train, test, published.classes, standardize), published.name)


def _find(name: str, file: str, root: str | None) -> Path | None:
    """Where `file` lies in `root` or $NNRUN_DATA_DIR; None: not in the latter, and no root is given."""
    top = root or os.environ.get("NNRUN_DATA_DIR")
    if not top:
        return None
    if not Path(top).is_dir():
        place = "data.root" if root else "$NNRUN_DATA_DIR"
        raise DataError(f"{one_line(top)}: {place} is not a folder; name the one that holds {name}/")
    for folder in (Path(top) / name, Path(top)):
        for path in (folder / file, folder / f"{file}.gz"):
            if path.exists():
                return path
    if root is None:
        return None
    raise DataError(
        f"{one_line(root)}: holds neither {file} nor {file}.gz; put the file there, or leave out data.root "
        "to have it downloaded"
    )
