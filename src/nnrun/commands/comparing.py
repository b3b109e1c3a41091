"""compare."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnrun.commands import console
from nnrun.commands._app import Json, Root, app, resolved
from nnrun.errors import RunError, SpecError, one_line

if TYPE_CHECKING:
    from nnrun.report.entry import Entry

__all__ = ["compare"]


@app.command()
def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN",
            help="Run folders or the beginnings of their names; a sweep stands for its runs on fresh seeds.",
        ),
    ],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table instead.")] = False,
    runs_root: Root = Path("runs"),
    as_json: Json = False,
) -> None:
    """Compare runs: the settings that differ, the results, and whether the difference is more than chance.

    Runs that differ in nothing but the seed count as one setting with as many seeds, wherever they lie.  Of a sweep
    alone it is the sweep's own answer, which knows of other searches and of its studies.
    """
    if as_csv + markdown + as_json > 1:
        raise SpecError("--csv, --markdown, --json: one of them; leave the others out")
    from nnrun.report import side_by_side, side_by_side_text
    from nnrun.report.gather import gather
    from nnrun.report.sweep.compared import with_answer

    folders = dict(_folders(runs, runs_root))
    entries = [_entry(name, folder)._replace(sweep=folders[folder]) for name, folder in _named([*folders])]
    if len(entries) < 2:
        raise SpecError(f"compare: {_too_few(runs[0], runs_root)}")
    settings, notes = gather(entries)
    comparison = with_answer(side_by_side.side_by_side(settings))
    comparison.sentences.extend(notes)
    if as_json:
        return console.print_json(side_by_side_text.as_data(comparison))
    if as_csv:
        return console.show(side_by_side_text.as_csv(comparison))
    if markdown:
        return console.show(side_by_side_text.as_markdown(comparison))
    return console.show(side_by_side_text.as_table(comparison))


def _too_few(text: str, root: Path) -> str:
    """What is wrong with the only run that was named, or with the sweep that has no more."""
    from nnrun.record import run
    from nnrun.report.sweep.folder import is_sweep

    folder = run.resolve(text, root)
    if not is_sweep(folder):
        return "got one run; name at least two, or a sweep"
    name = one_line(folder)
    return f"{name} has one setting, with nothing beside it; `nnrun show {name}` has its answer"


def _folders(texts: list[str], root: Path) -> Iterator[tuple[Path, Path | None]]:
    """The runs that are meant, each once, with the sweep that chose it.  Raises RunError for one named twice."""
    from nnrun.record import run

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
    from nnrun.report.sweep.folder import is_sweep

    for place in folder.parents:
        if is_sweep(place):
            return place if folder.relative_to(place).parts[0] == "final" else None
    return None


def _inside(folder: Path) -> list[Path]:
    """The runs of a sweep: those on fresh seeds or, while there are none, its trials; else the run itself."""
    from nnrun.record import run
    from nnrun.report.sweep.evidence import ranked
    from nnrun.report.sweep.folder import is_sweep, read_sweep

    if not is_sweep(folder):
        return [folder]
    sweep = read_sweep(folder)
    trials = ranked(sweep.trials, sweep.judge)
    inner = [
        folder / record.run
        for record in sweep.finals or trials
        if (folder / record.run / "resolved.yaml").is_file()
    ]
    if not inner or not all(map(run.is_run, inner)):
        raise RunError(f"{one_line(folder)}: a sweep of which no trial has ended; wait, or name other runs")
    return inner


def _named(folders: list[Path]) -> list[tuple[str, Path]]:
    """Each run with the shortest end of its path that distinguishes it from the others."""
    parts = [folder.absolute().parts for folder in folders]
    length = 1
    while length < max(map(len, parts), default=1) and len({path[-length:] for path in parts}) < len(parts):
        length += 1
    return [
        (one_line("/".join(path[-length:]), 80), folder) for path, folder in zip(parts, folders, strict=True)
    ]


def _entry(name: str, folder: Path) -> Entry:
    from nnrun.report import entry
    from nnrun.spec import yaml12
    from nnrun.storage import fsio

    file = resolved(folder)
    tree = yaml12.parse(fsio.read_file(file), str(file))
    if tree.problems or not isinstance(tree.value, dict):
        raise RunError(f"{one_line(file)}: damaged; restore it or start a new run")
    spec = folder / "spec.yaml"
    given = yaml12.parse(fsio.read_file(spec), str(spec)).value if spec.is_file() else {}
    return entry.read_entry(name, folder, tree.value, given if isinstance(given, dict) else {})
