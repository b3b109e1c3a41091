"""The command line: the only place that prints and exits.  jax is imported inside commands that need it."""

from __future__ import annotations

import contextlib
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from nnrun import __version__, console
from nnrun.errors import RunError, SpecError, one_line

__all__ = ["app", "main"]

app = typer.Typer(
    name="nnrun",
    help="Train neural networks from a YAML file: hand-written optimizers, exact resume, honest statistics.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the result.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, gpu or tpu.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run folder, or the beginning of its name.")]
Root = Annotated[Path, typer.Option("--runs-root", help="The folder that run folders lie in.")]
Exact = Annotated[
    bool, typer.Option("--exact", help="Refuse if versions, device, data or code have changed.")
]


def main() -> None:
    """Runs the command line and exits with the code that nnrun.errors documents."""
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    console.open_streams()
    try:
        code = app(prog_name="nnrun", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except (Exception, SystemExit) as error:
        if debug:
            with contextlib.suppress(OSError, ValueError):
                traceback.print_exc()
        console.leave(*console.explain(error))
    console.leave(code or 0)


def _version(value: bool) -> None:
    if value:
        console.show(f"nnrun {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Train neural networks from a YAML file: hand-written optimizers, exact resume, honest statistics."""
    del version, debug


@app.command()
def train(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A YAML file; `nnrun init` writes one.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Changes: optimizer.learning_rate=3e-4"),
    ] = None,
    run_dir: Annotated[
        Path | None, typer.Option("--run-dir", help="The exact run folder; new or empty.")
    ] = None,
    runs_root: Root = Path("runs"),
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train what a spec describes, in a new run folder."""
    _prepare_device(device, spec, overrides or [])
    from nnrun import session

    prepared = session.prepare(spec, overrides or [])
    folder = session.create(prepared, run_dir, runs_root)
    console.watch(prepared, folder, quiet, as_json)


@app.command()
def resume(
    run_name: RunName,
    runs_root: Root = Path("runs"),
    device: Device = "auto",
    exact: Exact = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Go on with an interrupted run, bit for bit; nothing to do if it is done."""
    from nnrun.record import run

    folder = run.resolve(run_name, runs_root)
    if run.status(folder) == "done":
        if not as_json:
            console.show(f"{folder} is done; nothing to do")
        return console.report(folder, as_json)
    run.check_free(folder)  # at once, before anything slow
    _prepare_device(device, _resolved(folder), [])
    from nnrun import session

    return console.watch(session.reopen(folder, console.warn, exact), folder, quiet, as_json)


@app.command()
def evaluate(
    run_name: RunName,
    split: Annotated[str, typer.Option("--split", help="train, val or test.")] = "test",
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="last, best, or a step.")] = "best",
    runs_root: Root = Path("runs"),
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Metrics of a run on a part of its data."""
    from nnrun.record import run

    folder = run.resolve(run_name, runs_root)
    _prepare_device(device, _resolved(folder), [])
    from nnrun import evaluation
    from nnrun.report import summary, table

    found = evaluation.evaluate_run(folder, split, checkpoint, console.warn)
    if as_json:
        return console.print_json(found)
    if "runs" in found:
        seeds = len(found["runs"])
        head = f"{found['run_dir']}  {summary.seeds_line(seeds, seeds)}"
        return console.show(
            head, table.metric_table({checkpoint: found["mean"]}, {checkpoint: found["ci95"]})
        )
    head = f"{found['run_dir']}  step {found['step']}"
    return console.show(head, table.metric_table({checkpoint: found["metrics"]}))


@app.command()
def ls(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Where run folders lie.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """List runs with their status and results; given a group of seeds, its members."""
    from nnrun.record import run
    from nnrun.report import table

    if root != Path("runs") and not root.is_dir():
        raise RunError(f"{one_line(root)}: no such folder; name the folder that run folders lie in")
    rows = table.overview([root, *run.members(root)] if run.is_run(root) else run.find(root))
    if as_json:
        return console.print_json(rows)
    return console.show(
        table.overview_table(rows) if rows else f"no runs in {root}; `nnrun train SPEC` makes one"
    )


@app.command()
def show(run_name: RunName, runs_root: Root = Path("runs"), as_json: Json = False) -> None:
    """Show one run: its metrics, curves, checkpoints, and where it came from."""
    from nnrun.record import run
    from nnrun.report import table

    folder = run.resolve(run_name, runs_root)
    return console.print_json(table.describe(folder)) if as_json else console.show(table.show_view(folder))


@app.command("list")
def list_(
    kind: Annotated[
        str | None, typer.Argument(metavar="KIND", help="data, model, layer, loss, optimizer or schedule.")
    ] = None,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One entry, with its options.")] = None,
    as_json: Json = False,
) -> None:
    """List what a spec can name: data sets, models, layers, losses, optimizers, schedules; or one, in full."""
    from nnrun import catalog
    from nnrun.spec import schema

    if kind and kind not in (known := catalog.KINDS):
        raise SpecError(f"list: there is no kind {one_line(kind, 60)!r}; {schema.nearest(kind, known)}")
    if kind and name:
        if name not in (known := catalog.names(kind)):
            raise SpecError(f"list: there is no {kind} {one_line(name, 60)!r}; {schema.nearest(name, known)}")
        return console.show(catalog.details(kind, name))
    kinds = [kind] if kind else list(catalog.KINDS)
    found = {k: {name: catalog.summary(k, name) for name in catalog.names(k)} for k in kinds}
    if as_json:
        return console.print_json(found)
    from nnrun.report import catalogue

    return console.show(catalogue.table(found))


@app.command()
def schema() -> None:
    """Print the JSON Schema of a spec, for editors."""
    from nnrun.catalog import json_schema

    console.print_json(json_schema.json_schema())


@app.command()
def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")] = Path("nnrun.yaml"),
) -> None:
    """Write a commented starter spec that trains as it is."""
    from importlib.resources import files

    from nnrun.record import fsio

    if file.exists():
        raise SpecError(f"{one_line(file)}: already exists; write another name: nnrun init my_spec.yaml")
    if not file.parent.is_dir():
        raise SpecError(f"{one_line(file.parent)}: no such folder; make it first or write another name")
    text = files("nnrun").joinpath("starter.yaml").read_text(encoding="utf-8")
    fsio.write_file(file, text.replace("nnrun.yaml", file.name).encode())
    console.show(f"wrote {file}; `nnrun train {file}` trains it")


def _resolved(folder: Path) -> Path:
    """The spec that a run was made from."""
    file = folder / "resolved.yaml"
    if not file.is_file():
        raise RunError(f"{one_line(file)}: missing; restore it or start a new run")
    return file


def _prepare_device(device: str, spec: Path, overrides: list[str]) -> None:
    """Settles the device; the spec is read before that, so that mistakes in it are told without jax."""
    if device not in ("auto", "cpu", "gpu", "tpu"):
        raise SpecError(f"--device: got {one_line(device, 40)!r}; write auto, cpu, gpu or tpu")
    from nnrun import catalog
    from nnrun import spec as spec_module

    document = spec_module.read(spec, overrides)
    catalog.check_names(document)
    from nnrun import device as device_module

    device_module.prepare(device, document.sections["train"].deterministic)
