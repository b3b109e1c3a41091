"""export."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from nnrun.commands import console
from nnrun.commands._app import CheckpointOption, Json, Root, app, prepare_device, resolved
from nnrun.errors import one_line, size_text

__all__ = ["export"]


@app.command()
def export(
    run_name: Annotated[
        str, typer.Argument(metavar="RUN", help="A run or an ensemble, or RUN:STEP, RUN:ema, RUN:STEP:ema.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", help="The folder of the model; it must be new or empty."
        ),
    ],
    checkpoint: CheckpointOption = "best",
    runs_root: Root = Path("runs"),
    as_json: Json = False,
) -> None:
    """Export a model that predicts without nnrun: StableHLO for jax, weights, and NumPy code where it can be."""
    from nnrun.record import pointer, run

    name, step, average = pointer.split(run_name, runs_root)
    folder = run.resolve(name, runs_root)
    prepare_device("cpu", resolved(folder), [])
    from nnrun.export import folder as exporting
    from nnrun.prediction.predictor import load_predictor

    exporting.check_target(output)
    exported = exporting.export(load_predictor(folder, step or checkpoint, average, console.warn), output)
    if as_json:
        report = exporting.ExportReport(**{**exported._asdict(), "folder": str(exported.folder)})
        return console.print_json(report)
    place = shlex.quote(one_line(exported.folder))
    lines = [
        f"exported: {one_line(exported.folder)} ({size_text(exported.size)})",
        f"checked on {exported.probes} random inputs: differs from the run by at most {exported.difference:.1g}",
        *([f"without NumPy code: {exported.why_not}"] if exported.why_not else []),
        f"use it: cd {place}, then Python: from model import Model; Model().predict(x)",
    ]
    return console.show(*lines)
