"""Runs that are named, and the sweeps that stand for some of them, compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from nnrun.errors import RunError, SpecError, one_line
from nnrun.record import run
from nnrun.record.names import RESOLVED
from nnrun.report.entry import entry_of
from nnrun.report.gather import gather
from nnrun.report.side_by_side import SideBySide, side_by_side
from nnrun.report.sweep.compared import with_answer
from nnrun.report.sweep.evidence import ranked
from nnrun.report.sweep.folder import is_sweep, read_sweep

__all__ = ["compare_runs", "short_names"]


def compare_runs(texts: Sequence[str], root: Path) -> SideBySide:
    """The settings of runs side by side; those that differ in nothing but the seed are one setting.

    texts   run folders or the beginnings of their names; a sweep stands for its runs on fresh seeds
    root    the folder that run folders lie in
    Raises RunError, SpecError where there are not two runs to compare.
    """
    if not texts:
        raise SpecError("compare: got no run; name at least two, or a sweep")
    folders = dict(_folders(texts, root))
    entries = [
        entry_of(name, folder)._replace(sweep=folders[folder]) for name, folder in short_names([*folders])
    ]
    if len(entries) < 2:
        raise SpecError(f"compare: {_too_few(texts[0], root)}")
    settings, notes = gather(entries)
    comparison = with_answer(side_by_side(settings))
    comparison.sentences.extend(notes)
    return comparison


def _too_few(text: str, root: Path) -> str:
    """Why there is nothing to compare: a single run was named, or a sweep with a single setting."""
    folder = run.resolve(text, root)
    if not is_sweep(folder):
        return "got one run; name at least two, or a sweep"
    name = one_line(folder)
    return f"{name} has one setting, with nothing beside it; `nnrun show {name}` has its answer"


def _folders(texts: Sequence[str], root: Path) -> Iterator[tuple[Path, Path | None]]:
    """The runs that are meant, each once, with the sweep that chose it.  Raises RunError for one named twice."""
    seen: dict[Path, Path] = {}
    for text in texts:
        for folder in _inside(run.resolve(text, root)):
            place = folder.resolve()
            if place in seen:
                raise RunError(
                    f"{one_line(folder)}: named twice, as {one_line(seen[place])} too; name each run once"
                )
            group = next((seen[p] for p in seen if p in place.parents or place in p.parents), None)
            if group is not None:
                raise RunError(
                    f"{one_line(folder)}: named with {one_line(group)}, which has the same runs; name one of the two"
                )
            seen[place] = folder
            yield folder, _chosen_by(folder)


def _chosen_by(folder: Path) -> Path | None:
    """The sweep that a run compares on fresh seeds, as the chosen setting of an alternative."""
    for place in folder.parents:
        if is_sweep(place):
            return place if folder.relative_to(place).parts[0] == "final" else None
    return None


def _inside(folder: Path) -> list[Path]:
    """The runs of a sweep: those on fresh seeds or, while there are none, its trials; else the run itself."""
    if not is_sweep(folder):
        return [folder]
    sweep = read_sweep(folder)
    trials = ranked(sweep.trials, sweep.judge)
    inner = [
        folder / record.run for record in sweep.finals or trials if (folder / record.run / RESOLVED).is_file()
    ]
    if not inner or not all(map(run.is_run, inner)):
        raise RunError(f"{one_line(folder)}: a sweep of which no trial has ended; wait, or name other runs")
    return inner


def short_names(folders: list[Path]) -> list[tuple[str, Path]]:
    """Each run with the shortest end of its path that distinguishes it from the others."""
    parts = [folder.absolute().parts for folder in folders]
    length = 1
    while length < max(map(len, parts), default=1) and len({path[-length:] for path in parts}) < len(parts):
        length += 1
    return [
        (one_line("/".join(path[-length:]), 80), folder) for path, folder in zip(parts, folders, strict=True)
    ]
