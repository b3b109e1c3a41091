"""export."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnrun.commands import console
from nnrun.commands._app import CheckpointOption, Json, Root, app, prepare_device, resolved
from nnrun.errors import one_line, size_text

if TYPE_CHECKING:
    from nnrun.prediction.predictor import Predictor

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
    predictor = load_predictor(folder, step or checkpoint, average, console.warn)
    exported = exporting.export(predictor, output)
    if as_json:
        report = exporting.ExportReport(**{**exported._asdict(), "folder": str(exported.folder)})
        return console.print_json(report)
    place = shlex.quote(one_line(exported.folder))
    lines = [
        f"exported: {one_line(exported.folder)} ({size_text(exported.size)})",
        f"checked on {exported.probes} random inputs: differs from the run by at most {exported.difference:.1g}",
        *([f"without NumPy code: {exported.why_not}"] if exported.why_not else []),
        *_use(predictor, place),
    ]
    return console.show(*lines)


def _use(predictor: Predictor, place: str) -> list[str]:
    """What the model takes, and what to type to see it predict."""
    from nnrun.export.folder import EXAMPLE
    from nnrun.prediction.inputs import ends_of

    fitted = predictor.fitted
    if fitted.columns:
        names = one_line(", ".join(predictor.columns), 120)
        takes = f"columns by name, such as the row in {EXAMPLE}: {names}"
        modules, x = "json", f'json.load(open("{EXAMPLE}"))'
    else:
        ends = (0, 255) if fitted.dtype == "uint8" else ends_of(predictor.members[0].model)
        numbers = "whole numbers" if fitted.dtype == "uint8" else "numbers"
        between = f" from {ends[0]:g} to {ends[1]:g}" if ends else ""
        takes = f"arrays (n, {', '.join(map(str, fitted.shape))}) of {numbers}{between}, such as zeros"
        modules, x = "numpy", f"numpy.zeros({(1, *fitted.shape)})"
    return [
        f"takes {takes}",
        f"use it: cd {place}, then Python: import {modules}; from model import Model; print(Model().predict({x}))",
    ]
