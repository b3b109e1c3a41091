"""ensemble, predict."""

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
    app,
    choose_device,
    counting,
    prepare_device,
    resolved,
)
from nnrun.errors import SpecError, one_line

__all__ = ["ensemble", "predict"]


@app.command()
def ensemble(
    members: Annotated[
        list[str],
        typer.Argument(
            metavar="MEMBER...", help="Runs, groups of seeds, sweeps, ensembles; RUN:STEP, RUN:ema."
        ),
    ],
    average: Annotated[
        str,
        typer.Option(
            "--average", help="probabilities, logits, vote or weighted; of weights: parameters or greedy."
        ),
    ] = "probabilities",
    checkpoints: Annotated[
        str, typer.Option("--checkpoints", help="Of each run: last, best, all, cycle, or steps: 100,200.")
    ] = "best",
    top: Annotated[
        int | None, typer.Option("--top", min=1, help="How many of the best trials of a sweep.")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="What to report on: train, val or test.")] = "test",
    barrier: Annotated[
        bool, typer.Option("--barrier", help="Also the loss along the line between two members.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The exact folder of the ensemble; new or empty.")
    ] = None,
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


@app.command()
def predict(
    run_name: Annotated[
        str, typer.Argument(metavar="RUN", help="A run or an ensemble, or RUN:STEP, RUN:ema, RUN:STEP:ema.")
    ],
    inputs: Annotated[
        Path | None,
        typer.Argument(
            metavar="INPUT", help="An .npz with x, a table of features, an image, or a folder of images."
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to: a .csv, an .npz, or - for stdout.")
    ] = Path("predictions.csv"),
    force: Annotated[bool, typer.Option("--force", help="Replace the output if it is there.")] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            "--keep", "--id", metavar="COLUMN", help="A column of INPUT to carry along; repeatable."
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="Instead of INPUT, a part of its data: train, val or test.")
    ] = None,
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="last, best, or a step.")] = "best",
    runs_root: Root = Path("runs"),
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Predict with a run or an ensemble."""
    from nnrun.record import pointer, run

    name, step, parameters = pointer.split(run_name, runs_root)
    folder = run.resolve(name, runs_root)
    prepare_device(device, resolved(folder), [])
    from nnrun.ensemble import prediction

    prediction.check_output(output, force)
    if as_json and output == prediction.STDOUT:
        raise SpecError("-o -: the predictions would stand beside the JSON on stdout; write one of both")
    show = counting(quiet or as_json)
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
