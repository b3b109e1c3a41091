"""Training in front of a person: carried out turn by turn, shown while it goes, reported at its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nnrun.commands import console
from nnrun.errors import DivergedError

if TYPE_CHECKING:
    from nnrun.runner.folds import Turn

__all__ = ["follow", "watch"]


def follow(training: Iterator[Turn], quiet: bool) -> None:
    """Trains, and shows on stderr how it goes."""
    with console.run_view(quiet) as view:
        for turn in training:
            view(turn)


def watch(training: Iterator[Turn], folder: Path, quiet: bool, as_json: bool) -> None:
    """Trains, shows on stderr how it goes and on stdout the result; with `as_json` that alone."""
    try:
        follow(training, quiet or as_json)
    except DivergedError:
        if as_json:  # for whoever reads it, a diverged run is a result too
            console.report(folder, as_json)
        raise
    console.report(folder, as_json)
