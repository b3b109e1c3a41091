"""Writes the tables of commands, options and keys in docs/commands.md: what they say about themselves.

    python docs/make_commands.py      after a command, an option, a key or its text has changed; takes a second

A test compares the document with these tables, so a text is changed where its option is declared, in
src/nnrun/commands, or its key, in src/nnrun/spec/sections.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import typer.main
from pydantic import BaseModel

from nnrun import cli, spec
from nnrun.catalog.source import in_yaml

__all__ = ["DOCUMENT", "TABLES", "main", "written"]

DOCUMENT = Path(__file__).with_name("commands.md")
_BLOCK = "(<!-- generated: {} -->\n)(.*?)(<!-- end -->)"
_GROUP: Any = typer.main.get_command(cli.app)
_COMMANDS: dict[str, Any] = {
    name: _GROUP.commands[name]
    for name in _GROUP.list_commands(_GROUP.make_context("nnrun", [], resilient_parsing=True))
}


class _Row(NamedTuple):
    """An argument or an option: commands share the row where they say the same of it."""

    cell: str
    help: str


def commands() -> str:
    """The table of the commands: how each is called, and the first line of its docstring."""
    rows = [
        (f"`{' '.join(['nnrun', name, *_arguments(command)])}`", command.help.partition("\n\n")[0])
        for name, command in _COMMANDS.items()
    ]
    return _table(("command", "does"), rows)


def arguments() -> str:
    """The table of the arguments."""
    return _table(("argument", "of", "means"), _rows("argument", _argument))


def options() -> str:
    """The table of the options."""
    return _table(("option", "of", "means"), _rows("option", _option))


def keys() -> str:
    """The table of the keys that are no options of an entry: those of every block of a kind, and of the sections."""
    models = {**spec.COMMON, **spec.SECTIONS}
    return _table(
        ("key", "default", "means"), [row for key, model in models.items() for row in _keys(key, model)]
    )


TABLES = {table.__name__: table for table in (commands, arguments, options, keys)}


def _keys(path: str, model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    """The rows of a model's keys, and of those of the sections inside it."""
    for key, field in model.model_fields.items():
        sections = [
            part
            for part in get_args(field.annotation)
            if isinstance(part, type) and issubclass(part, BaseModel)
        ]
        if sections:
            yield from _keys(f"{path}.{key}", sections[0])
        else:
            default = "must be written" if field.is_required() else in_yaml(field.default)
            yield f"`{path}.{key}`", default, field.description or ""


def _rows(kind: str, row_of: Callable[[Any], _Row]) -> list[tuple[str, ...]]:
    """What several commands have first, then command by command."""
    owners: dict[_Row, list[str]] = {}
    for name, command in _COMMANDS.items():
        for parameter in _shown(command, kind):
            owners.setdefault(row_of(parameter), []).append(name)
    in_order = sorted(owners, key=lambda row: len(owners[row]) == 1)  # stable
    return [(row.cell, _names(owners[row]), row.help) for row in in_order]


def _shown(command: Any, kind: str) -> list[Any]:
    """The arguments or options of a command that its help shows."""
    return [p for p in command.params if p.param_type_name == kind and not getattr(p, "hidden", False)]


def _arguments(command: Any) -> list[str]:
    parameters = _shown(command, "argument")
    texts = [p.metavar if p.required else f"[{p.metavar}]" for p in parameters]
    return [text + ("..." if p.nargs == -1 else "") for text, p in zip(texts, parameters, strict=True)]


def _argument(parameter: Any) -> _Row:
    return _Row(f"`{parameter.metavar}`", parameter.help + _default(parameter))


def _option(parameter: Any) -> _Row:
    is_flag = isinstance(parameter.default, bool)
    if not is_flag and not parameter.metavar:
        raise ValueError(f"{parameter.opts[0]}: give it a metavar, for its value")
    first, *others = parameter.opts
    spellings = [first if is_flag else f"{first} {parameter.metavar}", *others]
    cell = ", ".join(f"`{spelling}`" for spelling in spellings)
    return _Row(cell, parameter.help + ("" if is_flag else _default(parameter)))


def _default(parameter: Any) -> str:
    return "" if parameter.default is None else f" Default: `{parameter.default}`."


def _names(owners: list[str]) -> str:
    """Some commands, or all but a few."""
    rest = [name for name in _COMMANDS if name not in owners]
    return "all but " + " and ".join(rest) if len(rest) < 3 else ", ".join(owners)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def written(text: str) -> str:
    """The text of the document with the tables as they are now.  Raises ValueError where a table has no place."""
    for name, table in TABLES.items():
        text, count = re.subn(
            _BLOCK.format(name),
            lambda match, table=table: match[1] + table() + match[3],
            text,
            flags=re.DOTALL,
        )
        if count != 1:
            raise ValueError(f"{DOCUMENT.name} has {count} blocks `<!-- generated: {name} -->`; write one")
    return text


def main() -> None:
    """Writes the tables into the document."""
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
