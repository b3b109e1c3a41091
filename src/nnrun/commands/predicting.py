"""predict."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnrun.commands import console
from nnrun.commands._app import (
    Calibrated,
    CheckpointOption,
    Device,
    Json,
    ModelName,
    Quiet,
    Root,
    app,
    counting,
    prepare_device,
    resolved,
)
from nnrun.errors import Interrupted, SpecError, one_line

if TYPE_CHECKING:
    import numpy as np

    from nnrun.prediction.inquiry import PredictionReport
    from nnrun.prediction.output import Pieces
    from nnrun.prediction.predict import Adjustment

__all__ = ["predict"]

_Inputs = Annotated[
    Path | None,
    typer.Argument(
        metavar="INPUT",
        help="An .npz with x, a table of features (CSV, Parquet, or the folder of a data set that Hugging Face's "
        "datasets saved), - for CSV on stdin, an image, or a folder of images.",
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
_Level = Annotated[
    float | None,
    typer.Option(
        "--interval",
        metavar="LEVEL",
        help="Around each number of a regression, lower and upper, which hold the value with this probability, such "
        "as 0.9; fitted to the validation part.",
    ),
]


@app.command()
def predict(
    run_name: ModelName,
    inputs: _Inputs = None,
    output: _PredictionFile = Path("predictions.csv"),
    force: _Force = False,
    keep: _Keep = None,
    split: _PredictedSplit = None,
    interval: _Level = None,
    calibrated: Calibrated = False,
    checkpoint: CheckpointOption = "best",
    runs_root: Root = Path("runs"),
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Predict with a run or an ensemble, as CSV or .npz, from its folder alone."""
    from nnrun.record import pointer, run

    name, step, average = pointer.split(run_name, runs_root)
    folder = run.resolve(name, runs_root)
    prepare_device(device, resolved(folder), [])
    from nnrun.prediction import output as outputs
    from nnrun.prediction.inquiry import Inquiry, predictions

    outputs.check_output(output, force)
    if as_json and output == outputs.STDOUT:
        raise SpecError("-o -: the predictions would stand beside the JSON on stdout; write one of the two")
    inquiry = Inquiry(inputs, split, step or checkpoint, average, interval, calibrated, keep or [])
    computed, adjust = predictions(folder, inquiry, console.warn, counting(quiet or as_json))
    pieces = computed()
    words = _words(adjust)
    if output == outputs.STDOUT:
        _print(pieces)
        for line in words:
            console.note(line)
        return None
    count = outputs.write(output, pieces)
    if as_json:
        return console.print_json(_report(folder, output, count, adjust))
    return console.show(f"{count} predictions: {one_line(output)}", *words)


def _print(pieces: Pieces) -> None:
    """Predictions as CSV on stdout, as they come."""
    from nnrun.prediction.output import write_csv

    try:
        with closing(pieces):
            write_csv(console.write, pieces)
    except Interrupted as interrupted:
        raise Interrupted(
            interrupted.signum, "interrupted while predicting; the output is not whole"
        ) from None


def _words(adjust: Adjustment) -> list[str]:
    """What was fitted to the validation part."""
    from nnrun.amounts import figure

    lines = []
    if adjust.interval:
        level, width, rank, examples = adjust.interval
        widths = [f"± {figure(number)}" for number in _as_list(width)]
        by_itself = ", for each target by itself" if len(widths) > 1 else ""
        lines.append(
            f"{100 * level:g}% intervals: {', '.join(widths)}, error {rank} of {examples} on the validation part, in "
            f"rising order{by_itself}"
        )
    if adjust.temperature:
        value, examples = adjust.temperature
        lines.append(
            f"probabilities at temperature {figure(value)}, fitted to {examples} validation examples"
        )
    return lines


def _report(folder: Path, output: Path, count: int, adjust: Adjustment) -> PredictionReport:
    result: PredictionReport = {"run_dir": str(folder), "output": str(output), "examples": count}
    if adjust.interval:
        level, width, rank, examples = adjust.interval
        half_width = width if isinstance(width, float) else _as_list(width)
        result["interval"] = {"level": level, "half_width": half_width, "rank": rank, "examples": examples}
    if adjust.temperature:
        value, examples = adjust.temperature
        result["temperature"] = {"value": value, "examples": examples}
    return result


def _as_list(width: float | np.ndarray) -> list[float]:
    """Of one target, or of each of several."""
    return [width] if isinstance(width, float | int) else width.tolist()
