"""evaluate."""

from __future__ import annotations

from collections.abc import Mapping
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
    Root,
    app,
    counting,
    prepare_device,
    resolved,
)

if TYPE_CHECKING:
    from nnrun.prediction.by_member import Counting
    from nnrun.report.per_class import PerClass
    from nnrun.report.per_label import PerLabel
    from nnrun.runner.evaluation import EvaluationResult

__all__ = ["evaluate"]


_File = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE",
        help="New examples in place of a part of the data: a table with the target (CSV, Parquet, or the folder of a "
        "data set that Hugging Face's datasets saved), - for CSV on stdin, an .npz with x and y, or a folder of images "
        "with a folder for each class.",
    ),
]
_Part = Annotated[
    str | None,
    typer.Option("--split", metavar="train|val|test", help="The part of the data.", show_default="test"),
]
_Target = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="NAME",
        help="The column, or array, of the true values in FILE; without it that of the run.  Of several targets "
        "TARGET=COLUMN for each whose column has another name.",
    ),
]
_Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="NAME",
        help="A metric beside those of the run (nnrun list metric); may be repeated.",
    ),
]

_Samples = Annotated[
    int,
    typer.Option(
        "--samples",
        metavar="N",
        help="Monte-Carlo dropout: metrics of the mean prediction over N draws of the noise, 1 to 10000; "
        "0: without noise.",
    ),
]
_PerClass = Annotated[
    bool,
    typer.Option(
        "--per-class",
        help="Also how each class is predicted, and which classes are taken for which; of several labels, how each is.",
    ),
]


@app.command()
def evaluate(
    run_name: ModelName,
    file: _File = None,
    split: _Part = None,
    target: _Target = None,
    metric: _Metrics = None,
    calibrated: Calibrated = False,
    checkpoint: CheckpointOption = "best",
    samples: _Samples = 0,
    per_class: _PerClass = False,
    runs_root: Root = Path("runs"),
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure a run or an ensemble on a part of its data, or on new examples."""
    from nnrun.prediction.request import EvaluationRequest, check
    from nnrun.record import pointer, run

    name, step, average = pointer.split(run_name, runs_root)
    which, metrics = step or checkpoint, [*dict.fromkeys(metric or ())]
    request = EvaluationRequest(
        file, split, which, average, target or (), calibrated, metrics, samples, per_class
    )
    check(request)
    folder = run.resolve(name, runs_root)
    prepare_device(device, resolved(folder), [])
    from nnrun.prediction import evaluation

    show = counting(as_json)
    result, tables = evaluation.evaluate(folder, request, console.warn, show)
    tables = (tables or _by_class(result, show)) if per_class else {}
    if as_json:
        return console.print_json(_with_classes(result, tables))
    return _show(result, tables)


def _show(result: EvaluationResult, tables: Mapping[str, PerClass | PerLabel]) -> None:
    from nnrun.report.evaluated import evaluation_gaps, evaluation_view
    from nnrun.report.per_class import per_class_tables
    from nnrun.report.per_label import labels_sheet

    for warning in evaluation_gaps(result):
        console.warn(warning)
    console.show(*evaluation_view(result))
    for place, classes in tables.items():
        shown = [labels_sheet(classes)] if "labels" in classes else per_class_tables(classes)
        console.show("", *([place] if len(tables) > 1 else []), *shown)


def _by_class(result: EvaluationResult, counting: Counting) -> dict[str, PerClass | PerLabel]:
    """How each class is predicted: run folder -> its table; of a group, those of its runs."""
    from nnrun.prediction.per_class import classes_of

    places = [result["run_dir"]]
    if "runs" in result and "average" not in result:
        places = [entry["run_dir"] for entry in result["runs"]]
    split, which = result["split"], result["checkpoint"]
    return {place: classes_of(Path(place), split, which, console.warn, counting) for place in places}


def _with_classes(result: EvaluationResult, tables: Mapping[str, PerClass | PerLabel]) -> dict[str, object]:
    """The result with the table of each run that has one, as `per_class` or, of several labels, `per_label`."""

    def extended(entry: Mapping[str, object]) -> dict[str, object]:
        place = str(entry["run_dir"])
        if place not in tables:
            return {**entry}
        return {**entry, "per_label" if "labels" in tables[place] else "per_class": tables[place]}

    whole = extended(result)
    return {**whole, "runs": [extended(entry) for entry in result["runs"]]} if "runs" in result else whole
