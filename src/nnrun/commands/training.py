"""train, resume, evaluate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from nnrun.commands import console
from nnrun.commands._app import (
    Checkpoint,
    Device,
    Exact,
    Json,
    Quiet,
    Root,
    RunDir,
    RunName,
    Split,
    app,
    counting,
    prepare_device,
    resolved,
)
from nnrun.errors import SpecError

__all__ = ["evaluate", "resume", "train"]


@app.command()
def train(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A YAML file; `nnrun init` writes one.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE", help="Changes of the spec, such as optimizer.learning_rate=3e-4."
        ),
    ] = None,
    run_dir: RunDir = None,
    runs_root: Root = Path("runs"),
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train what a spec describes, in a new run folder."""
    prepare_device(device, spec, overrides or [])
    from nnrun.runner import session

    prepared = session.prepare(spec, overrides or [])
    folder = session.create(prepared, run_dir, runs_root)
    console.watch(prepared.experiment, folder, quiet, as_json)


@app.command()
def resume(
    run_name: RunName,
    runs_root: Root = Path("runs"),
    device: Device = "auto",
    exact: Exact = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Continue an interrupted run, bit for bit; nothing to do if it is done."""
    from nnrun.record import run

    folder = run.resolve(run_name, runs_root)
    if run.status(folder) == "done":
        if not as_json:
            console.show(f"{folder} is done; nothing to do")
        return console.report(folder, as_json)
    run.check_free(folder)  # at once, before anything slow
    prepare_device(device, resolved(folder), [])
    from nnrun.runner import session

    return console.watch(session.reopen(folder, console.warn, exact).experiment, folder, quiet, as_json)


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
    runs_root: Root = Path("runs"),
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure a run or an ensemble on a part of its data."""
    from nnrun.record import run

    folder = run.resolve(run_name, runs_root)
    prepare_device(device, resolved(folder), [])
    from nnrun.ensemble import reading
    from nnrun.ensemble.members import is_ensemble
    from nnrun.report import summary, table
    from nnrun.runner import evaluation

    if is_ensemble(folder):
        if samples:
            raise SpecError(
                "--samples: an ensemble averages its members, without noise; evaluate a member of it"
            )
        result = reading.evaluate_ensemble(folder, split, checkpoint, console.warn, counting(as_json))
    else:
        result = evaluation.evaluate_run(folder, split, checkpoint, console.warn, samples)
    if as_json:
        return console.print_json(result)
    if "average" in result:
        members = f"mean of {len(result['runs'])} members"
        head = f"{result['run_dir']}  {result['average']}"
        rows: dict[str, Mapping[str, object]] = {"ensemble": result["metrics"], members: result["mean"]}
        return console.show(head, table.metric_table(rows, {members: result["ci95"]}))
    if "runs" in result:
        seeds = len(result["runs"])
        head = f"{result['run_dir']}  {summary.seeds_line(seeds, seeds)}"
        return console.show(
            head, table.metric_table({checkpoint: result["mean"]}, {checkpoint: result["ci95"]})
        )
    head = f"{result['run_dir']}  step {result['step']}"
    return console.show(head, table.metric_table({checkpoint: result["metrics"]}))
