"""compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nnrun.commands import console
from nnrun.commands._app import Json, Root, app
from nnrun.errors import SpecError

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
    from nnrun.report import side_by_side_text
    from nnrun.report.named_runs import compare_runs

    comparison = compare_runs(runs, runs_root)
    if as_json:
        return console.print_json(side_by_side_text.as_data(comparison))
    if as_csv:
        return console.show(side_by_side_text.as_csv(comparison))
    if markdown:
        return console.show(side_by_side_text.as_markdown(comparison))
    return console.show(side_by_side_text.as_table(comparison))
