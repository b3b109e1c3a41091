"""ls, show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nnrun import console
from nnrun.commands._app import Json, Root, RunName, app
from nnrun.errors import RunError, one_line

__all__ = ["ls", "show"]


@app.command()
def ls(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Where run folders lie.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """List runs with their status and results; given a group of seeds, its members."""
    from nnrun.record import run
    from nnrun.report import table

    if root != Path("runs") and not root.is_dir():
        raise RunError(f"{one_line(root)}: no such folder; name the folder that run folders lie in")
    rows = table.overview([root, *run.members(root)] if run.is_run(root) else run.find(root))
    if as_json:
        return console.print_json(rows)
    return console.show(
        table.overview_table(rows) if rows else f"no runs in {root}; `nnrun train SPEC` makes one"
    )


@app.command()
def show(run_name: RunName, runs_root: Root = Path("runs"), as_json: Json = False) -> None:
    """Show one run: its metrics, curves, checkpoints, and where it came from."""
    from nnrun.record import run
    from nnrun.report import table

    folder = run.resolve(run_name, runs_root)
    return console.print_json(table.describe(folder)) if as_json else console.show(table.show_view(folder))
