"""ls, show."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from nnrun.commands import console
from nnrun.commands._app import Json, Root, RunName, app
from nnrun.errors import RunError, SpecError, one_line
from nnrun.record.names import REPORT

__all__ = ["ls", "show"]


@app.command()
def ls(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Where run folders lie.")] = Path("runs"),
    conditions: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="'NAME=VALUE ...'",
            help="Only runs of which this holds: a metric, a setting or a column, with = != > >= < <= or ~ (contains).",
        ),
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            "--sort", metavar="NAME", help="Order by a column: metrics the best first; -NAME the other way."
        ),
    ] = "",
    columns: Annotated[
        str, typer.Option("--columns", metavar="NAME,...", help="These columns, in this order.")
    ] = "",
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", metavar="N", min=1, help="The first N of the order, else the N that changed last."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List runs with their status, results and what differs; given a group of seeds or folds, its members."""
    from nnrun.record import run
    from nnrun.report import listed, overview

    if root != Path("runs") and not root.is_dir():
        raise RunError(f"{one_line(root)}: no such folder; name the folder that run folders lie in")
    folders = [root, *run.members(root)] if run.is_run(root) else run.find(root)
    rows, shown = listed.listed(folders, listed.ListOptions(conditions or [], by, columns, limit))
    if as_json:
        return console.print_json(rows)
    if not folders:
        return console.show(f"no runs in {root}; `nnrun train SPEC` makes one")
    if not rows:
        return console.show(f"none of the {len(folders)} runs in {one_line(root)} satisfies --filter")
    return console.show(overview.overview_table(rows, shown))


@app.command()
def show(
    run_name: RunName,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Of a sweep: show the tests of all pairs of alternatives, too.")
    ] = False,
    runs_root: Root = Path("runs"),
    as_json: Json = False,
) -> None:
    """Show one run: its metrics, curves, checkpoints, and where it came from; of a sweep its answer so far."""
    from nnrun.record import run
    from nnrun.report import described, table
    from nnrun.report.sweep.folder import is_sweep

    folder = run.resolve(run_name, runs_root)
    if is_sweep(folder):
        return _show_sweep(folder, pairs, as_json)
    if pairs:
        raise SpecError(f"--pairs: {one_line(folder)} is no sweep; leave it out, or name a sweep")
    return (
        console.print_json(described.describe(folder)) if as_json else console.show(table.show_view(folder))
    )


def _show_sweep(folder: Path, pairs: bool, as_json: bool) -> None:
    """The answer so far, from the sweep's records as they are now."""
    from nnrun.record import run
    from nnrun.report.sweep import answer

    status, report = run.status(folder), folder / REPORT
    if as_json:
        console.print_json({"status": status, **answer.as_json(folder)})
        return
    sweep_answer = answer.answer(answer.read_sweep(folder))
    console.show(f"{one_line(folder)}  {status}", *answer.answer_tables(sweep_answer, pairs))
    if report.is_file():
        console.show(f"report: {one_line(report)}")
    if status not in ("done", "running"):
        console.show(f"continue: nnrun sweep --resume {shlex.quote(one_line(folder))}")
