"""list, schema, init."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nnrun import console
from nnrun.commands._app import Json, app
from nnrun.errors import SpecError, one_line

__all__ = ["init", "list_", "schema"]


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
