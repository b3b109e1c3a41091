"""ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from nnrun.errors import SpecError, one_line

if TYPE_CHECKING:
    from nnrun.ensemble.make import EnsembleRequest

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
_Unmeasured = Annotated[
    bool,
    typer.Option(
        "--unmeasured",
        help="For members whose data are not here: all weigh the same, and nothing is measured.",
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
    unmeasured: _Unmeasured = False,
    output: _EnsembleFolder = None,
    runs_root: Root = Path("runs"),
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Average the predictions or the parameters of runs, and measure what that gains."""
    choose_device(device)
    from nnrun.ensemble import make
    from nnrun.ensemble.make import EnsembleRequest

    request = EnsembleRequest(average, checkpoints, top, split, barrier)
    make.check_request(request, output)

    if unmeasured:
        return _unmeasured(members, request, runs_root, output, as_json)
    show = counting(quiet or as_json)
    folder, account = make.make(members, request, runs_root, output, console.warn, show)
    if as_json:
        return console.print_json({"run_dir": str(folder), **account})
    from nnrun.report.ensemble import tables

    return console.show(*tables.view(account), f"run folder: {one_line(folder)}")


def _unmeasured(
    members: Sequence[str], request: EnsembleRequest, runs_root: Path, output: Path | None, as_json: bool
) -> None:
    from nnrun.ensemble.unmeasured import make_unmeasured

    if as_json:
        raise SpecError("--json: prints what was measured, and --unmeasured measures nothing; leave one out")
    folder, record = make_unmeasured(members, request, runs_root, output, console.warn)
    return console.show(
        f"ensemble of {len(record['members'])}, {record['average']}; nothing was measured",
        f"run folder: {one_line(folder)}",
    )
