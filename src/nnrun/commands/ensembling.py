"""ensemble."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nnrun.commands import console
from nnrun.commands._app import (
    Device,
    Json,
    Quiet,
    Root,
    Split,
    app,
    choose_device,
    counting,
)
from nnrun.errors import one_line

__all__ = ["ensemble"]

_Members = Annotated[
    list[str],
    typer.Argument(
        metavar="MEMBER", help="Runs, groups of seeds or folds, sweeps, ensembles; RUN:STEP, RUN:ema."
    ),
]
_Average = Annotated[
    str,
    typer.Option(
        "--average",
        metavar="HOW",
        help="Of predictions: probabilities, logits, vote or weighted; of parameters: parameters or greedy.",
    ),
]
_Checkpoints = Annotated[
    str,
    typer.Option(
        "--checkpoints",
        metavar="WHICH",
        help="Of each run: best, last, all, cycle (the ends of the cycles, see checkpoint.keep), "
        "or steps: 100,200.",
    ),
]
_Top = Annotated[
    int | None,
    typer.Option(
        "--top", metavar="K", min=1, help="The K best finished trials of each sweep among the members."
    ),
]
_Barrier = Annotated[
    bool,
    typer.Option(
        "--barrier",
        help="Also the loss along the line between the parameters of two members, with a picture.",
    ),
]
_EnsembleFolder = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="DIR", help="The exact folder of the ensemble; it must be new or empty."
    ),
]


@app.command()
def ensemble(
    members: _Members,
    average: _Average = "probabilities",
    checkpoints: _Checkpoints = "best",
    top: _Top = None,
    split: Split = "test",
    barrier: _Barrier = False,
    output: _EnsembleFolder = None,
    runs_root: Root = Path("runs"),
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Average predictions or parameters of runs, and say what it brought."""
    choose_device(device)
    from nnrun.ensemble import make
    from nnrun.ensemble.make import EnsembleRequest

    request = EnsembleRequest(average, checkpoints, top, split, barrier)
    make.check_request(request, output)

    show = counting(quiet or as_json)
    folder, account = make.make(members, request, runs_root, output, console.warn, show)
    if as_json:
        return console.print_json({"run_dir": str(folder), **account})
    from nnrun.report.ensemble import tables

    return console.show(*tables.view(account), f"run folder: {one_line(folder)}")
