"""report, plot."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnrun.commands import console
from nnrun.commands._app import (
    CheckpointOption,
    Device,
    Json,
    Quiet,
    Root,
    app,
    counting,
    prepare_device,
    resolved,
)
from nnrun.errors import DataError, RunError, SpecError, one_line, size_text
from nnrun.record.names import REPORT

if TYPE_CHECKING:
    from nnrun.report.run.looked import Looked

__all__ = ["plot", "report"]

_EVERY = 5  # seconds between two looks at a run that trains
_FILE, _PICTURE = Path(REPORT), Path("curves.png")

_Names = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN...", help="Run folders, or the beginnings of their names; or one sweep, or one ensemble."
    ),
]
_Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]


@app.command()
def report(
    names: _Names,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The file.", show_default="report.html in the run's folder"
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split", metavar="train|val|test", help="The part whose examples are shown.", show_default="val"
        ),
    ] = None,
    checkpoint: CheckpointOption = "best",
    examples: Annotated[
        bool,
        typer.Option("--examples/--no-examples", help="Predict a part of the data, and show where it errs."),
    ] = True,
    follow: Annotated[
        bool,
        typer.Option(
            "--watch", help="Write it again while a run trains; a browser reads it again by itself."
        ),
    ] = False,
    force: _Force = False,
    runs_root: Root = Path("runs"),
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write one HTML file about runs, a sweep or an ensemble: the answer, curves, and where they err."""
    from nnrun.record import run
    from nnrun.report import reports

    folders = [run.resolve(name, runs_root) for name in names]
    kind = reports.kind_of(folders)
    if kind != "runs" and follow:
        raise SpecError(
            f"--watch: {one_line(folders[0])} is {'a sweep' if kind == 'sweep' else 'an ensemble'}; leave it out"
        )
    target = _target(output, folders, force, _FILE)
    if follow:
        _follow(names, folders, runs_root, target)
    looked = _looked(kind, folders, split, checkpoint, device, quiet or as_json) if examples else {}
    if kind == "sweep":
        content = reports.sweep_page(folders[0], looked)
    else:
        content = reports.page_of(names, folders, runs_root, looked)
    reports.write(target, content)
    if as_json:
        return console.print_json(
            {"report": str(target), "remarks": reports.remarks_of(folders), "looked": looked}
        )
    return console.show(f"report: {one_line(target)} ({size_text(len(content.encode()))})")


def _target(output: Path | None, folders: Sequence[Path], force: bool, usual: Path) -> Path:
    """Where it is written.  Raises SpecError where that is not possible, or another file is there."""
    if output is None and len(folders) == 1:
        return folders[0] / usual
    target = output or usual
    if target.is_dir():
        raise SpecError(f"-o {one_line(target)}: is a folder; write the name of a file")
    if not target.absolute().parent.is_dir():
        raise SpecError(f"-o {one_line(target)}: no such folder; make it first or write another name")
    if target.exists() and not force:
        raise SpecError(
            f"-o {one_line(target)}: already exists; write --force to replace it, or another name"
        )
    return target


def _follow(names: Sequence[str], folders: Sequence[Path], root: Path, target: Path) -> None:
    """Writes the report again and again, without examples, until none of the runs trains any longer."""
    from nnrun.record import run
    from nnrun.report import reports

    console.note(f"report: {target}, written again every {_EVERY} s until the run has ended; Ctrl-C ends it")
    while any(run.status(folder) == "running" for folder in folders):
        reports.write(target, reports.page_of(names, folders, root, {}, _EVERY))
        time.sleep(_EVERY)


def _looked(
    kind: str, folders: Sequence[Path], split: str | None, checkpoint: str, device: str, quiet: bool
) -> dict[str, Looked]:
    """How each run that has a checkpoint predicts its data; of the others a line that says why nothing is shown."""
    from nnrun.report import reports

    chosen: dict[str, tuple[Path, str]] = {}
    try:
        candidates = reports.best_runs(folders[0]) if kind == "sweep" else reports.labelled(folders)
    except RunError as error:
        console.warn(f"no examples: {error}")
        return {}
    for label, folder in candidates:
        try:
            chosen[label] = reports.example_run(folder, split)
        except RunError as error:
            console.warn(f"no examples: {error}")
    if not chosen:
        return {}
    prepare_device(device, resolved(next(iter(chosen.values()))[0]), [])
    from nnrun.look.examples import look_at

    looked = {}
    for label, (folder, part) in chosen.items():
        try:
            looked[label] = look_at(folder, part, checkpoint, console.warn, counting(quiet))
        except (DataError, RunError, SpecError) as error:
            asked = split is not None or checkpoint not in ("best", "last")
            if len(chosen) == 1 and asked and not isinstance(error, DataError):
                raise
            console.warn(f"no examples: {error}")
    return looked


@app.command()
def plot(
    names: _Names,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The picture: .png, .svg or .pdf."),
    ] = _PICTURE,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="NAME",
            help="A logged name, such as val/loss or learning_rate; may be repeated.",
            show_default="what judges, and the loss",
        ),
    ] = None,
    force: _Force = False,
    runs_root: Root = Path("runs"),
) -> None:
    """Draw the curves of runs into one picture, with bands where they are seeds."""
    from nnrun.record import run
    from nnrun.report import reports

    folders = [run.resolve(name, runs_root) for name in names]
    if reports.kind_of(folders) != "runs":
        raise SpecError(f"plot: {one_line(folders[0])} is no run; its folder plots/ has its pictures")
    target = _target(output, folders, force, _PICTURE)
    reports.write_picture(target, reports.subjects_of(folders), metric or [])
    console.show(f"picture: {shlex.quote(one_line(target))}")
