"""Decoded images on disk, mapped into memory: decoded once, checked whenever they are read.

    CACHE/nnrun/images-KEY/      mode 0700; KEY is of the folders and of what images are made into
        manifest.json            what was decoded, and SHA-256 and shape of each file of pixels
        pixels-0 pixels-1        training and test images (n, h, w, c), bytes and nothing else
        lock                     held by whoever writes

The manifest is renamed into place when the pixels are on the disk, so a crash leaves no manifest or a true one.
What it was decoded from is the list of all files with size and times; where that has changed, or a digest does
not fit, all is decoded anew.  No process writes to a file of pixels after that, so a map never changes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import PIL

from nnrun import machine
from nnrun.data._image_batches import batches, first_shape
from nnrun.data._images import ImageForm
from nnrun.data._pixel_file import Pixels, digest, map_pixels, write_pixels
from nnrun.data._progress import ProgressLine
from nnrun.data._undecoded import ImageSet
from nnrun.errors import MachineError, one_line
from nnrun.storage import disk

__all__ = ["pixels"]

_FORMAT = 1
_MANIFEST = "manifest.json"
_LOCK = "lock"
_MOST_MANIFEST = 1 << 16  # bytes
_REMEDY = "set XDG_CACHE_HOME to a folder that can be written, on a disk with space for it"


def pixels(parts: Sequence[ImageSet], form: ImageForm) -> list[np.ndarray]:
    """The images of each part, (n, h, w, c) mapped read-only from the user's cache, decoded where needed.

    All images have one shape.  Raises DataError for an image that cannot be used, MachineError if the cache
    cannot be written or an image not be read.
    """
    folder = _folder(parts, form)
    source = _digest_of_files(parts)
    with _blame(folder):
        _make(folder)
        arrays = _open(folder, source, parts)
        if arrays is not None:
            return arrays
        with _locked(folder):
            arrays = _open(folder, source, parts)  # another process may have been at it
            return arrays if arrays is not None else _write(folder, source, parts, form)


def _folder(parts: Sequence[ImageSet], form: ImageForm) -> Path:
    key = hashlib.sha256(repr(form).encode())
    for part in parts:
        key.update(b"\0" + part.key)
    return machine.user_cache() / "nnrun" / f"images-{key.hexdigest()[:32]}"


def _digest_of_files(parts: Sequence[ImageSet]) -> str:
    """Of everything that the pixels depend on but what is in the name of the folder."""
    digest = hashlib.sha256(f"{_FORMAT} {PIL.__version__}".encode())
    for part in parts:
        digest.update(b"\0\0")
        for piece in part.content():
            digest.update(piece)
    return digest.hexdigest()


def _make(folder: Path) -> None:
    """Makes the folder, the user's alone: what others could write to is not trusted."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise MachineError(
            f"{one_line(folder)}: this cache of images belongs to another user or is open to others; remove it"
        )


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Waits for other writers; the system lets go of the lock when a process ends, however it ends."""
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if sys.stderr.isatty():
                print("another nnrun is decoding these images: waiting for it", file=sys.stderr)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open(folder: Path, source: str, parts: Sequence[ImageSet]) -> list[np.ndarray] | None:
    """The arrays if they are there, whole, and made from these files."""
    try:
        with (folder / _MANIFEST).open("rb") as stream:
            manifest = json.loads(stream.read(_MOST_MANIFEST))
        if manifest["source"] != source:
            return None
        files = [
            Pixels(f["name"], tuple(map(int, f["shape"])), f["sha256"], f["dtype"])
            for f in manifest["pixels"]
        ]
        if [file.shape[0] for file in files] != [part.length for part in parts]:
            return None
        arrays = [map_pixels(folder, file) for file in files]
        whole = all(digest(array) == file.sha256 for array, file in zip(arrays, files, strict=True))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None  # missing or damaged, which decoding repairs; a disk that fails will say so then
    return arrays if whole else None


def _write(folder: Path, source: str, parts: Sequence[ImageSet], form: ImageForm) -> list[np.ndarray]:
    """Decodes everything; nothing but the lock is left behind where that fails."""
    _clear(folder)
    first = parts[0]
    shape, named = first_shape(first, form)
    total = sum(part.length for part in parts)
    _check_space(folder, total * math.prod(shape) * form.dtype.itemsize)
    line = ProgressLine(f"decoding {total} images")
    files, done = [], 0
    try:
        for index, part in enumerate(parts):
            with contextlib.closing(batches(part, form, shape, named)) as decoded:
                counted = _counted(decoded, line, done, total)
                file = write_pixels(folder / f"pixels-{index}", (part.length, *shape), form.dtype, counted)
            files.append(file)
            done += part.length
        arrays = [map_pixels(folder, file) for file in files]
        content = {"images": one_line(first.place), "source": source, "pixels": [f._asdict() for f in files]}
        _write_manifest(folder, content)
    except BaseException:
        with contextlib.suppress(OSError):
            _clear(folder)
        raise
    finally:
        line.close()
    return arrays


def _counted(
    decoded: Iterator[np.ndarray], line: ProgressLine, done: int, total: int
) -> Iterator[np.ndarray]:
    for batch in decoded:
        yield batch
        done += len(batch)
        line.show(done, total)


def _write_manifest(folder: Path, content: dict[str, object]) -> None:
    temporary = folder / f".tmp_{_MANIFEST}"
    disk.write_new(temporary, json.dumps(content, indent=2).encode())
    disk.sync_folder(folder)  # the pixels are there before the manifest that says so
    disk.system.rename(temporary, folder / _MANIFEST)
    disk.sync_folder(folder)


def _clear(folder: Path) -> None:
    """Removes all files but the lock, the manifest first."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name != _MANIFEST):
        if path.name != _LOCK:
            path.unlink()


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise MachineError(
            f"{one_line(folder)}: the decoded images need {needed / 2**30:.1f} GiB here, {free / 2**30:.1f} are "
            f"free; {_REMEDY}, or choose a smaller data.size"
        )


@contextlib.contextmanager
def _blame(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MachineError(
            f"{one_line(folder)}: the cache of decoded images cannot be written: "
            f"{error.strerror or one_line(error)}; {_REMEDY}"
        ) from error
