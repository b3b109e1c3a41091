"""Names that a user gives to a run, in a file of its folder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from typing_extensions import TypedDict

from nnrun.errors import SpecError, one_line
from nnrun.record import run
from nnrun.storage import fsio

__all__ = ["TAGS", "TagsFile", "check", "read", "write"]

TAGS = "tags.json"
_TAG = re.compile(r"[A-Za-z0-9._-]{1,40}")


class TagsFile(TypedDict):
    """The content of tags.json."""

    tags: list[str]


def check(tag: str) -> str:
    """Returns a tag that can be one.  Raises SpecError."""
    if not _TAG.fullmatch(tag):
        raise SpecError(f"{one_line(tag, 60)!r} cannot be a tag; write 1 to 40 of A-Z a-z 0-9 . _ -")
    return tag


def read(folder: Path) -> list[str]:
    """The tags of a run, in alphabetical order.  Raises RunError if the file is damaged."""
    if not (folder / TAGS).is_file():
        return []
    return sorted(str(tag) for tag in run.read_json(folder / TAGS).get("tags", ()))


def write(folder: Path, tags: Iterable[str]) -> None:
    """Replaces the tags of a run; no file is left where there are none.  Raises MachineError."""
    tags = sorted(set(tags))
    if tags:
        fsio.write_json(folder / TAGS, TagsFile(tags=tags))
    else:
        fsio.remove_file(folder / TAGS)
