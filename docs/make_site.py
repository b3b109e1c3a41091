"""Pages of the site that are made from their sources: a hook of mkdocs, see mkdocs.yml.

A page for each kind of the catalogue, one for the JSON of commands and run folders, and the files of the top level
that are pages too. None of them is kept, so none can be out of date.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from nnrun import catalog
from nnrun.catalog import listing
from nnrun.commands import _contract

__all__ = ["on_files"]

ROOT = Path(__file__).resolve().parents[1]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made here."""
    for path, text in pages():
        files.append(File.generated(config, path, content=text))
    return files


def pages() -> Iterator[tuple[str, str]]:
    """Each page that is made: its path in the site and its Markdown."""
    for kind in catalog.KINDS:
        yield f"catalogue/{kind}.md", catalogue_page(kind)
    yield "json.md", json_page()
    for name in ("CHANGELOG", "CONTRIBUTING"):
        yield f"{name.lower()}.md", in_site((ROOT / f"{name}.md").read_text(encoding="utf-8"))


def in_site(text: str) -> str:
    """A page of the top level, its links as they are from within docs/."""
    return re.sub(r"\]\(docs/", "](", text).replace("](README.md)", "](index.md)")


def catalogue_page(kind: str) -> str:
    """All entries of a kind, as `nnrun list KIND NAME` shows them."""
    sections = [
        f"## {name}\n\n{listing.summary(kind, name)}\n\n```text\n{without_summary(kind, name)}\n```\n"
        for name in catalog.names(kind)
    ]
    head = f"# {kind}\n\nWhat `nnrun list {kind}` shows. The file name is the name in YAML.\n"
    return "\n".join([head, *sections])


def without_summary(kind: str, name: str) -> str:
    """The details of an entry without the line that stands above them."""
    return listing.details(kind, name).replace(f"\n{listing.summary(kind, name)}\n", "\n", 1).strip()


def json_page() -> str:
    """Where each kind of JSON comes from, and its schema."""
    contracts = _contract.contracts()
    rows = [f"| [`{name}`](#{name}) | {source} |" for name, source in contracts.items()]
    head = (
        "# JSON\n\nWhat `--json` prints and the files of a run folder hold. `nnrun schema --of NAME` prints a schema; "
        "its `version` rises where a name goes away or changes its meaning, and new names may come at any time.\n\n"
        "| name | of |\n| --- | --- |\n" + "\n".join(rows) + "\n"
    )
    sections = [
        f"## {name}\n\n```json\n{json.dumps(_contract.schema_of(name), indent=1, ensure_ascii=False)}\n```\n"
        for name in contracts
    ]
    return "\n".join([head, *sections])
