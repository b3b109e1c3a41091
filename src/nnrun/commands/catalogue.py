"""list, schema, init."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnrun.commands import console
from nnrun.commands._app import Json, app
from nnrun.commands._contract import contracts, schema_of
from nnrun.errors import SpecError, one_line

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from rich.console import RenderableType

    from nnrun.catalog.listing import CatalogueEntry
    from nnrun.report.lines import Folded

__all__ = ["init", "list_", "schema_"]

_COLUMNS = 64  # of a plot
_LABEL = re.compile(r" *\S+(, \S+)* {2,}")  # the names of arguments and their blanks
_FURTHER = 4  # characters before the further lines of an equation or a sentence


@app.command("list")
def list_(
    kind: Annotated[str | None, typer.Argument(metavar="KIND", help="data, model, optimizer, ...")] = None,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One entry, with its options.")] = None,
    plot: Annotated[
        bool,
        typer.Option(
            "--plot",
            help="Draw a schedule: `nnrun list schedule cosine --plot`, or a block as NAME: "
            "'{name: cosine, warmup: 10%}'.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """List what a spec can name: data sets, models, layers, losses, optimizers, schedules; or one, in full."""
    from nnrun import catalog

    if kind and kind not in catalog.KINDS:
        raise SpecError(f"list: there is no kind {one_line(kind, 60)!r}; {_meant(kind, catalog.KINDS, plot)}")
    if plot:
        return console.show(*_plot(kind, name))
    if kind and name:
        if name not in (known := catalog.names(kind)):
            raise SpecError(f"list: there is no {kind} {one_line(name, 60)!r}; {_meant(name, known)}")
        if as_json:
            return console.print_json(_whole(kind, name))
        common = _common(kind)
        shared = [f"\nEvery block of this kind has also: {', '.join(common)}"] if common else []
        return console.show(*_folded("\n".join([catalog.details(kind, name), *shared])))
    kinds = [kind] if kind else list(catalog.KINDS)
    if as_json:
        return console.print_json({k: {name: _whole(k, name) for name in catalog.names(k)} for k in kinds})
    from nnrun.report import catalogue

    entries = {k: {name: catalog.summary(k, name) for name in catalog.names(k)} for k in kinds}
    return console.show(catalogue.table(entries))


def _whole(kind: str, name: str) -> CatalogueEntry:
    """An entry as plain data, with its options and those that every block of its kind has."""
    from nnrun import catalog

    common = _common(kind)
    return {
        **catalog.as_data(kind, name),
        "common": {key: field.description for key, field in common.items()},
    }


def _common(kind: str) -> dict[str, FieldInfo]:
    """What every block of a kind has: key -> its description and more."""
    from nnrun.spec import COMMON, models

    return models.keys(COMMON[kind]) if kind in COMMON else {}


def _folded(text: str) -> Iterator[Folded]:
    """The lines of a docstring for a narrow terminal: what does not fit goes below the text of its line."""
    from nnrun.report.lines import Folded

    for line in text.splitlines():
        label = _LABEL.match(line)
        margin = len(line) - len(line.lstrip())
        yield Folded(line, label.end() if label else margin + _FURTHER * ("←" in line or not margin))


def _meant(text: str, known: Iterable[str], plot: bool = False) -> str:
    """The command to use where something unknown was to be listed; an entry of another kind is found by its name."""
    from nnrun import catalog

    end = " --plot" if plot else ""
    if kinds := catalog.kinds_of(text):
        commands = " or ".join(f"nnrun list {kind} {text.lower()}{end}" for kind in kinds)
        return f"it is {catalog.described(kinds)}: {commands}"
    from nnrun.spec.schema import nearest

    remedy = nearest(text, known)
    every = {name: kind for kind in reversed(catalog.KINDS) for name in catalog.names(kind)}
    close = difflib.get_close_matches(text.lower(), every, n=1, cutoff=0.75)
    if remedy.startswith("did you mean") or not close:
        return remedy
    return f"did you mean the {every[close[0]]} {close[0]}? nnrun list {every[close[0]]} {close[0]}{end}"


def _plot(kind: str | None, name: str | None) -> list[RenderableType]:
    """A schedule over a run, as text."""
    if kind != "schedule" or not name:
        raise SpecError("list: --plot draws a schedule; write `nnrun list schedule cosine --plot`")
    from nnrun import catalog
    from nnrun.build import schedule
    from nnrun.duration import Clock
    from nnrun.report import plot

    text = name
    if name in catalog.names("schedule"):  # durations that must be written, so that there is something to see
        durations = catalog.durations("schedule", name)
        needed = [key for key in catalog.required("schedule", name) if key in durations]
        text = "{" + ", ".join([f"name: {name}", *(f"{key}: 25%" for key in needed)]) + "}"
    values = schedule.factors(text, Path.cwd(), Clock(1, 100, 1000), _COLUMNS)
    return [text, plot.FittedCurve(values.tolist(), ("start of the run", "end"))]


@app.command("schema")
def schema_(
    of: Annotated[
        str | None,
        typer.Option(
            "--of",
            metavar="NAME",
            help=f"Of what nnrun writes: {', '.join(contracts())}.",
        ),
    ] = None,
) -> None:
    """Print the JSON Schema of a spec, for an editor's YAML server; or of what commands and run folders say."""
    from nnrun.catalog import json_schema

    console.print_json(json_schema.json_schema() if of is None else schema_of(of))


@app.command()
def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")] = Path("nnrun.yaml"),
) -> None:
    """Write a commented starter spec that trains as it is."""
    from importlib.resources import files

    from nnrun.storage import fsio

    if file.exists():
        raise SpecError(f"{one_line(file)}: already exists; write another name: nnrun init my_spec.yaml")
    if file.suffix not in (".yaml", ".yml"):
        raise SpecError(
            f"{one_line(file)}: is no name of a spec; write one with .yaml: nnrun init my_spec.yaml"
        )
    if not file.parent.is_dir():
        raise SpecError(f"{one_line(file.parent)}: no such folder; make it first or write another name")
    text = files("nnrun").joinpath("starter.yaml").read_text(encoding="utf-8")
    fsio.write_file(file, text.replace("nnrun.yaml", file.name).encode())
    console.show(f"wrote {file}; `nnrun train {file}` trains it")
