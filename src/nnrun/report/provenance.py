"""Where a run came from, in words."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from nnrun.errors import NnrunError, one_line
from nnrun.record import preprocessing, provenance
from nnrun.record.provenance import Provenance
from nnrun.record.weights_from import in_words, lineage

__all__ = ["data_line", "origin_lines", "page_lines"]

_LONGEST = 400  # characters of a line on a page

_PURPOSES = {"train": "to train", "val": "to validate", "test": "to test"}


def page_lines(folder: Path, origin: Provenance) -> list[str]:
    """What a page says of where a run or an ensemble came from: its data, command, machine and versions."""
    return [one_line(line, _LONGEST) for line in [*data_line(folder, origin), *origin_lines(origin)]]


def data_line(folder: Path, origin: Provenance) -> list[str]:
    """What a run was trained and judged with: the size of each part, and a digest; [] where nothing is known.

    Of an ensemble whose members differ in their data, as folds do, the sizes and digests of all; and the files of code
    that differ.
    """
    members = sorted(folder.glob("member_*/"))
    try:
        parts = [preprocessing.read(path).parts for path in members or [folder]]
        origins = [provenance.read(path) for path in members] or [origin]
    except NnrunError:  # that it is damaged is said elsewhere
        return []
    sizes = [
        f"{_span([of_one[part].examples for of_one in parts])} {words}"
        for part, words in _PURPOSES.items()
        if all(part in of_one for of_one in parts)
    ]
    digests = [str(about.get("data_digest") or "")[:10] for about in origins]
    if len({*digests}) > 1:
        whose, digest = "of each member its own: ", f"; digests {one_line(', '.join(digests), 240)}"
    else:
        whose, digest = "", f"; digest {digests[0]}" if digests[0] else ""
    return [f"data     {whose}{', '.join(sizes)}{digest}", *_different_code(origins)]


def _span(counts: Sequence[int]) -> str:
    """How many there are, of several the least and the most."""
    return str(counts[0]) if min(counts) == max(counts) else f"{min(counts)}-{max(counts)}"


def _different_code(origins: Sequence[Provenance]) -> list[str]:
    """The files that are not the same for all members of an ensemble."""
    codes = [origin.get("code", {}) for origin in origins]
    files = dict.fromkeys(file for code in codes for file in code)
    names = [Path(file).name for file in files if len({code.get(file) for code in codes}) > 1]
    return [f"code     not the same for all members: {one_line(', '.join(names), 120)}"] if names else []


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
