"""ensemble, predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nnrun.commands import console
from nnrun.commands._app import (
    Checkpoint,
    Device,
    Json,
    Quiet,
    Root,
    Split,
    app,
    choose_device,
    counting,
    prepare_device,
    resolved,
)
from nnrun.errors import SpecError, one_line

__all__ = ["ensemble", "predict"]

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
    from nnrun.ensemble.make import Request

    request = Request(average, checkpoints, top, split, barrier)
    make.check_request(request, output)

    show = counting(quiet or as_json)
    folder, account = make.make(members, request, runs_root, output, console.warn, show)
    if as_json:
        return console.print_json({"run_dir": str(folder), **account})
    from nnrun.report.ensemble import tables

    return console.show(*tables.view(account), f"run folder: {one_line(folder)}")


_Model = Annotated[
    str, typer.Argument(metavar="RUN", help="A run or an ensemble, or RUN:STEP, RUN:ema, RUN:STEP:ema.")
]
_Inputs = Annotated[
    Path | None,
    typer.Argument(
        metavar="INPUT", help="An .npz with x, a table of features, an image, or a folder of images."
    ),
]
_PredictionFile = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE", help="A .csv, an .npz, or - for CSV on stdout.")
]
_Force = Annotated[
    bool, typer.Option("--force", help="Replace the output if it is there; without it that is refused.")
]
_Keep = Annotated[
    list[str] | None,
    typer.Option(
        "--keep",
        "--id",
        metavar="COLUMN",
        help="Carry a column of a table along, before the predictions; may be repeated. "
        "In an .npz it is kept/COLUMN.",
    ),
]
_PredictedSplit = Annotated[
    str | None,
    typer.Option(
        "--split",
        metavar="train|val|test",
        help="Predict for this part of the run's data, instead of INPUT; val of a cross-validation: each example by "
        "the fold that was not trained on it.",
    ),
]


@app.command()
def predict(
    run_name: _Model,
    inputs: _Inputs = None,
    output: _PredictionFile = Path("predictions.csv"),
    force: _Force = False,
    keep: _Keep = None,
    split: _PredictedSplit = None,
    checkpoint: Checkpoint = "best",
    runs_root: Root = Path("runs"),
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Predict with a run or an ensemble, as CSV or .npz, from its folder alone."""
    from nnrun.record import pointer, run

    name, step, parameters = pointer.split(run_name, runs_root)
    folder = run.resolve(name, runs_root)
    prepare_device(device, resolved(folder), [])
    from nnrun.ensemble import out_of_fold, prediction
    from nnrun.runner.group import folds_of

    prediction.check_output(output, force)
    if as_json and output == prediction.STDOUT:
        raise SpecError("-o -: the predictions would stand beside the JSON on stdout; write one of both")
    show = counting(quiet or as_json)
    if folds_of(folder) and split == "val" and inputs is None and not (parameters or keep):
        predictions = out_of_fold.out_of_fold(folder, step or checkpoint, console.warn, show)
    else:
        predictions = prediction.predict(
            folder, inputs, split, step or checkpoint, console.warn, show, parameters, keep or []
        )
    if output == prediction.STDOUT:
        return console.write(prediction.as_csv(predictions))
    prediction.write(output, predictions)
    if as_json:
        return console.print_json(
            {"run_dir": str(folder), "output": str(output), "examples": len(predictions.values)}
        )
    return console.show(f"{len(predictions.values)} predictions: {one_line(output)}")
