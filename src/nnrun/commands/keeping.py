"""tag, rm."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from typing_extensions import TypedDict

from nnrun.commands import console
from nnrun.commands._app import Json, Root, RunName, app
from nnrun.errors import RunError, SpecError, one_line, size_text

__all__ = ["RemovalReport", "TagReport", "rm", "tag"]

_NAMED = 5  # files that stay


class TagReport(TypedDict):
    """What `nnrun tag --json` prints: the tags that a run has now."""

    run: str
    tags: list[str]


class _RemovedRun(TypedDict):
    """A run that was deleted.

    bytes   of its files, what links lead to not counted
    kept    files in its folder that stay, for nnrun has not written them; with them stays the folder
    """

    run: str
    status: str
    bytes: int
    kept: list[str]


class RemovalReport(TypedDict):
    """What `nnrun rm --json` prints."""

    deleted: list[_RemovedRun]


@app.command()
def tag(
    run_name: RunName,
    tags: Annotated[
        list[str] | None, typer.Argument(metavar="TAG", help="Names of your own: letters, digits, . _ and -")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take these tags away; without any, all.")] = False,
    runs_root: Root = Path("runs"),
    as_json: Json = False,
) -> None:
    """Give a run tags, which `nnrun ls` shows and finds (--filter tags=baseline); without any, print them."""
    from nnrun.record import run
    from nnrun.record import tags as stored

    folder = run.resolve(run_name, runs_root)
    given, known = {stored.check(name) for name in tags or ()}, set(stored.read(folder))
    if remove:
        if missing := sorted(given - known):
            raise SpecError(
                f"{one_line(folder)} has no tag {missing[0]}; it has {', '.join(sorted(known)) or 'none'}"
            )
        stored.write(folder, known - given if given else ())
    elif given:
        stored.write(folder, known | given)
    now = stored.read(folder)
    if as_json:
        report: TagReport = {"run": str(folder), "tags": list(now)}
        return console.print_json(report)
    return console.show(f"{one_line(folder)}: {', '.join(now) or 'no tags'}")


@app.command()
def rm(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN", help="Run folders or the beginnings of their names.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
    runs_root: Root = Path("runs"),
    as_json: Json = False,
) -> None:
    """Delete runs, groups, sweeps and ensembles, after asking; files of others, and what links lead to, stay."""
    from nnrun.record import contents, run
    from nnrun.storage import fsio

    folders = list(dict.fromkeys(run.resolve(name, runs_root) for name in runs))
    sizes = [_size(folder) for folder in folders]
    for folder in folders:
        _check_whole(folder, folders)
        run.check_free(folder)
    foreign = {folder: contents.foreign_files(folder) for folder in folders}
    removed: list[_RemovedRun] = [
        {
            "run": str(folder),
            "status": _status(folder),
            "bytes": size,
            "kept": list(map(str, foreign[folder])),
        }
        for folder, size in zip(folders, sizes, strict=True)
    ]
    if not as_json:
        _announce(removed, foreign)
    elif not yes:
        raise SpecError("rm: --json does not ask; write --yes to delete without asking")
    if not yes:
        _ask(folders, sum(sizes))
    for folder in folders:
        run.check_free(folder)
        if contents.foreign_files(folder):
            contents.remove_ours(folder)
        else:
            fsio.remove_folder(folder)
    if as_json:
        report: RemovalReport = {"deleted": removed}
        return console.print_json(report)
    return console.show(f"deleted: {len(folders)} {'run' if len(folders) == 1 else 'runs'}")


def _announce(removed: Sequence[_RemovedRun], foreign: Mapping[Path, Sequence[Path]]) -> None:
    """What is about to be deleted, and what stays."""
    for entry, (folder, files) in zip(removed, foreign.items(), strict=True):
        console.show(f"{one_line(folder)}  {entry['status']}  {size_text(entry['bytes'])}")
        if files:
            console.show(_kept(folder, files))


def _kept(folder: Path, files: Sequence[Path]) -> str:
    """Which files are not deleted because nnrun did not write them."""
    names = [one_line(file.relative_to(folder)) for file in files]
    rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"  these stay, because nnrun did not write them: {', '.join(names[:_NAMED])}{rest}"


def _check_whole(folder: Path, folders: Sequence[Path]) -> None:
    """Refuses what would leave something broken, or delete something else."""
    from nnrun.record import run

    name = one_line(folder)
    if folder.is_symlink():
        raise RunError(
            f"{name}: a link to {one_line(folder.resolve())}; remove the link itself, or name that folder"
        )
    group = next((place for place in folder.resolve().parents if run.is_run(place)), None)
    if group is not None:
        part = folder.resolve().relative_to(group)
        raise RunError(
            f"{name}: {one_line(part)} is part of {one_line(group)}; delete the whole of that, or keep it"
        )
    inside = [place for place in folders if place != folder and folder.resolve() == place.resolve()]
    if inside:
        raise RunError(f"{name}: named twice, as {one_line(inside[0])} too; name each run once")


def _status(folder: Path) -> str:
    from nnrun.record import run

    try:
        return run.status(folder)
    except RunError:
        return "damaged"


def _size(folder: Path) -> int:
    """Bytes of the files below a folder; links are not followed."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() or path.is_symlink())


def _ask(folders: Sequence[Path], size: int) -> None:
    """Raises SpecError where nobody can answer, typer.Abort where the answer is not yes."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise SpecError("rm: there is nobody to ask; write --yes to delete without asking")
    what = "this run" if len(folders) == 1 else f"these {len(folders)} runs"
    if not typer.confirm(f"delete {what} ({size_text(size)})?", default=False):
        raise SpecError("nothing was deleted")
