"""evaluate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnrun.commands import console
from nnrun.commands._app import (
    Checkpoint,
    Device,
    Json,
    Root,
    RunName,
    Split,
    app,
    counting,
    prepare_device,
    resolved,
)
from nnrun.errors import SpecError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nnrun.ensemble.predict import Counting
    from nnrun.report.per_class import PerClass
    from nnrun.runner.evaluation import EvaluationResult

__all__ = ["evaluate"]


@app.command()
def evaluate(
    run_name: RunName,
    split: Split = "test",
    checkpoint: Checkpoint = "best",
    samples: Annotated[
        int,
        typer.Option(
            "--samples",
            metavar="N",
            help="Monte-Carlo dropout: metrics of the mean prediction over N draws of the noise, 1 to 10000; "
            "0: without noise.",
        ),
    ] = 0,
    per_class: Annotated[
        bool,
        typer.Option(
            "--per-class", help="Also how each class is predicted, and which classes are taken for which."
        ),
    ] = False,
    runs_root: Root = Path("runs"),
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure a run or an ensemble on a part of its data."""
    from nnrun.record import run

    if per_class and samples:
        raise SpecError("--per-class: classes are predicted without noise; leave one of it and --samples out")
    folder = run.resolve(run_name, runs_root)
    prepare_device(device, resolved(folder), [])
    from nnrun.ensemble import reading
    from nnrun.ensemble.members import is_ensemble
    from nnrun.report.per_class import per_class_tables
    from nnrun.runner import folds_evaluation

    if is_ensemble(folder):
        if samples:
            raise SpecError(
                "--samples: an ensemble averages its members, without noise; evaluate a member of it"
            )
        result = reading.evaluate_ensemble(folder, split, checkpoint, console.warn, counting(as_json))
    else:
        result = folds_evaluation.evaluate(folder, split, checkpoint, console.warn, samples)
    tables = _by_class(result, counting(as_json)) if per_class else {}
    if as_json:
        return console.print_json(_with_classes(result, tables))
    for warning in _gaps(result):
        console.warn(warning)
    console.show(*_measured(result))
    for place, classes in tables.items():
        console.show("", *([place] if len(tables) > 1 else []), *per_class_tables(classes))
    return None


def _measured(result: EvaluationResult) -> list[RenderableType]:
    """What is shown of an evaluation: a line and a table."""
    from nnrun.report import summary
    from nnrun.report.metric_table import metric_table

    checkpoint, reference = result["checkpoint"], result["baseline"]
    if "average" in result:
        members = f"mean of {len(result['runs'])} members"
        head = f"{result['run_dir']}  {result['average']}"
        rows: dict[str, Mapping[str, object]] = {"ensemble": result["metrics"], members: result["mean"]}
        return [head, metric_table(rows, {members: result["ci95"]}, reference)]
    if "runs" in result:
        count, has_intervals = len(result["runs"]), any(result["ci95"].values())
        words = summary.seeds_line(count, count)
        if "folds" in result:
            words = summary.folds_line(count, result["folds"], has_intervals)
        head = f"{result['run_dir']}  {words}"
        return [head, metric_table({checkpoint: result["mean"]}, {checkpoint: result["ci95"]}, reference)]
    head = f"{result['run_dir']}  step {result['step']}"
    return [head, metric_table({checkpoint: result["metrics"]}, None, reference)]


def _by_class(result: EvaluationResult, counting: Counting) -> dict[str, PerClass]:
    """How each class is predicted: run folder -> its table; of a group, those of its runs."""
    from nnrun.ensemble.per_class import classes_of

    places = [result["run_dir"]]
    if "runs" in result and "average" not in result:
        places = [entry["run_dir"] for entry in result["runs"]]
    split, which = result["split"], result["checkpoint"]
    return {place: classes_of(Path(place), split, which, console.warn, counting) for place in places}


def _with_classes(result: EvaluationResult, tables: Mapping[str, PerClass]) -> dict[str, object]:
    """The result with the table of each run that has one, as `per_class`."""

    def extended(entry: Mapping[str, object]) -> dict[str, object]:
        place = str(entry["run_dir"])
        return {**entry, "per_class": tables[place]} if place in tables else {**entry}

    whole = extended(result)
    return {**whole, "runs": [extended(entry) for entry in result["runs"]]} if "runs" in result else whole


def _gaps(result: EvaluationResult) -> list[str]:
    """A warning for each reason that metrics have no value."""
    from nnrun.report import summary

    names: dict[str, dict[str, None]] = {}
    for part in (result, *result.get("runs", ())):
        for name, reason in part.get("undefined", {}).items():
            names.setdefault(reason, {})[name] = None
    return [summary.undefined([*metrics], reason) for reason, metrics in names.items()]
