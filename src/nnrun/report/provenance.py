"""Where a run came from, in words."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from nnrun.errors import NnrunError, one_line
from nnrun.record import preprocessing
from nnrun.record.provenance import Provenance
from nnrun.record.weights_from import in_words, lineage

__all__ = ["data_line", "origin_lines", "page_lines"]

_LONGEST = 400  # characters of a line on a page

_PURPOSES = {"train": "to train", "val": "to validate", "test": "to test"}


def page_lines(folder: Path, origin: Provenance) -> list[str]:
    """What a page says of where a run or an ensemble came from: its data, command, machine and versions."""
    return [one_line(line, _LONGEST) for line in [*data_line(folder, origin), *origin_lines(origin)]]


def data_line(folder: Path, origin: Provenance) -> list[str]:
    """What a run was trained and judged with: the size of each part, and a digest; [] where nothing is known."""
    try:
        parts = preprocessing.read(folder).parts
    except NnrunError:  # that it is damaged is said elsewhere
        return []
    sizes = [f"{parts[part].examples} {words}" for part, words in _PURPOSES.items() if part in parts]
    sha256 = origin.get("data_digest")
    digest = f"; digest {sha256[:10]}" if sha256 else ""
    return [f"data     {', '.join(sizes)}{digest}"]


def origin_lines(origin: Provenance) -> list[str]:
    """The command, the run that its weights are of, device and versions; [] where nothing is known."""
    if not origin:
        return []
    versions, git = origin.get("versions") or {}, origin.get("git") or {}
    device = (origin.get("device") or {}).get("kind", "")
    commit = (
        f", commit {str(git.get('commit'))[:10]}{' + changes' if git.get('dirty') else ''}" if git else ""
    )
    software = ", ".join(f"{name} {versions[name]}" for name in ("nnrun", "jax") if versions.get(name))
    return [
        f"from     {_command(origin.get('argv') or [])}",
        *[f"weights  {in_words(source)}" for source in lineage(origin.get("weights_from"))],
        f"on       {device}, {software}{commit}, begun {origin.get('started', '')}",
    ]


def _command(argv: Sequence[str]) -> str:
    """The command line as it can be typed again; how Python found nnrun is of no interest."""
    name = "nnrun" if argv and Path(str(argv[0])).name in ("nnrun", "__main__.py") else str(*argv[:1])
    return one_line(shlex.join([name, *map(str, argv[1:])]))
