"""The files of an image folder: one folder for each class, hidden files left out, nothing outside the tree."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from nnrun.data._cells import alike, oddity
from nnrun.data._image_exclude import Exclusion
from nnrun.data._images import undecoded
from nnrun.data._spellings import groups_in_case
from nnrun.data._undecoded import ImageSet
from nnrun.errors import DataError, MachineError, one_line

__all__ = ["Found", "ImageFile", "ImagePart", "find_images", "image_set", "refuse_link", "scan", "subfolders"]

_DEEPEST = 16  # folders below the folder of a class


class ImageFile(NamedTuple):
    """A file, and what tells that it has changed."""

    path: str  # relative to the folder of the part
    label: int
    size: int
    modified: int  # nanoseconds
    changed: int  # nanoseconds; unlike the time before, it cannot be set


class ImagePart(NamedTuple):
    """The training or the test images."""

    folder: Path
    classes: tuple[str, ...]  # the names of the folders, sorted as text
    files: list[ImageFile]  # class by class, sorted by path within a class


class Found(NamedTuple):
    """What to predict for in a folder."""

    images: list[str]  # paths relative to the folder, sorted as text
    beside: list[str]  # files in the folder itself that are no images, which training leaves alone too


def find_images(folder: Path, is_image: Callable[[Path], bool], excluded: Exclusion) -> Found:
    """All files below the folders in `folder`, and the images in itself, by the rules of `scan`.

    is_image   whether a file is one, as far as its name and its first bytes tell
    """
    real = os.path.realpath(folder)
    images: dict[str, os.DirEntry[str]] = {}
    beside = []
    for entry in _entries(folder):
        if excluded.leaves_out(folder, entry.name):
            continue
        if entry.is_symlink():
            refuse_link(folder / entry.name, real)
        if entry.is_dir(follow_symlinks=False):
            images |= _walk(folder, entry.name, real, excluded)
        elif entry.is_file() and not is_image(folder / entry.name):
            beside.append(entry.name)
        else:
            images[entry.name] = entry
    for path, entry in images.items():
        _describe(path, 0, entry)
    return Found(sorted(images), sorted(beside))


def image_set(part: ImagePart) -> ImageSet:
    """The images of a part, of which all that a directory tells of a file says whether it has changed."""

    def content() -> Iterator[bytes]:
        for file in part.files:
            yield os.fsencode(file.path) + f"\0{file.label} {file.size} ".encode()
            yield f"{file.modified} {file.changed}\0".encode()

    return ImageSet(
        part.folder,
        os.fsencode(os.path.realpath(part.folder)),
        content,
        len(part.files),
        lambda: (undecoded(part.folder / file.path) for file in part.files),
    )


def scan(folder: Path, inside: Path, excluded: Exclusion) -> ImagePart:
    """The images of `folder`, whose folders are the classes; links may not lead out of `inside`.

    excluded   what is left out, which counts it

    Raises DataError if there is no class, one without images, or something that is neither a file nor a folder;
    MachineError if the machine cannot list it.
    """
    names = subfolders(folder, excluded)
    if not names:
        but = " but those that data.exclude leaves out" if subfolders(folder) else ""
        raise DataError(
            f"{one_line(folder)}: holds no folders{but}; put the images of each class into a folder of its own there"
        )
    _refuse_same(folder, names)
    real = os.path.realpath(inside)
    files: list[ImageFile] = []
    for label, name in enumerate(names):
        place = folder / name
        if not name.isprintable():  # also what is not Unicode
            raise DataError(f"{one_line(place)}: this name of a class cannot be printed; rename the folder")
        refuse_link(place, real)
        images = _walk(folder, name, real, excluded)
        if not images:
            remedy = "add some, or remove the folder"
            if _walk(folder, name, real, Exclusion()):
                remedy = (
                    "data.exclude leaves out all of them; name the folder there too, or correct the patterns"
                )
            raise DataError(f"{one_line(place)}: this class has no images; {remedy}")
        files += [_describe(path, label, images[path]) for path in sorted(images)]
    return ImagePart(folder, tuple(names), files)


def _refuse_same(folder: Path, names: list[str]) -> None:
    """Refuses names of classes that look the same, or differ in case only, as those of a table."""
    remedy = "and would be two classes; put their images into one folder, or rename one"
    lines = [
        f"{one_line(folder / odd)}: looks like {one_line(plain)}, contains {oddity(odd)}, {remedy}"
        for plain, odd in alike(name for name in names if name.isprintable())
    ]
    lines += [
        f"{one_line(folder / name)}: differs from {one_line(first)} only in upper and lower case, {remedy}"
        for first, *others in groups_in_case(names)
        for name in others
    ]
    if lines:
        raise DataError("\n".join(lines))


# Hidden files, and what a Mac, a NAS and Python leave behind.
_NOT_DATA = (".", "__MACOSX", "@eaDir", "__pycache__")


def subfolders(folder: Path, excluded: Exclusion | None = None) -> list[str]:
    """The names of the folders in `folder` that are not hidden or left out, sorted as text.  Errors as in `scan`."""
    names = sorted(entry.name for entry in _entries(folder) if _is_folder(entry))
    return names if excluded is None else [name for name in names if not excluded.leaves_out(folder, name)]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(_NOT_DATA)]
    except FileNotFoundError:
        raise DataError(f"{one_line(folder)}: there is no such folder; check the path") from None
    except NotADirectoryError:
        raise DataError(f"{one_line(folder)}: is not a folder; name one that holds class folders") from None
    except OSError as error:
        raise MachineError(f"{one_line(folder)}: cannot be listed: {error.strerror}") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads round in a circle
        return False


def _walk(
    top: Path, name: str, real: str, excluded: Exclusion, depth: int = 0
) -> dict[str, os.DirEntry[str]]:
    """All files below `top`/`name`, by their paths relative to `top`."""
    if depth > _DEEPEST:
        raise DataError(
            f"{one_line(top / name)}: lies more than {_DEEPEST} folders below its class; flatten it"
        )
    entries = {}
    for entry in _entries(top / name):
        path = f"{name}/{entry.name}"
        if excluded.leaves_out(top, path):
            continue
        if entry.is_symlink():
            refuse_link(top / path, real)
        if entry.is_dir(follow_symlinks=False):
            entries |= _walk(top, path, real, excluded, depth + 1)
        else:
            entries[path] = entry
    return entries


def refuse_link(path: Path, real: str) -> None:
    """Refuses a link to a folder, which might lead round in a circle, or out of the tree."""
    if not path.is_symlink():
        return
    target = os.path.realpath(path)
    if not target.startswith(real + os.sep):
        raise DataError(
            f"{one_line(path)}: is a link that leads out of {one_line(real)}, to {one_line(target)}; "
            "put a copy in its place"
        )
    if path.is_dir():
        raise DataError(f"{one_line(path)}: is a link to a folder, which is not followed; put a copy there")


def _describe(path: str, label: int, entry: os.DirEntry[str]) -> ImageFile:
    try:
        status = entry.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            raise DataError(f"{one_line(entry.path)}: leads to no file; put one in its place") from None
        raise MachineError(f"{one_line(entry.path)}: cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{one_line(entry.path)}: is not a regular file; remove it")
    return ImageFile(path, label, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
