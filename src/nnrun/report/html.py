"""The shell of every report: one HTML file that needs no other, on a phone and on a desktop, by day and by night."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from nnrun.report.drawing import Picture
from nnrun.report.sheet import Sheet

__all__ = ["PageColumn", "document", "figure", "sheet_table", "table"]

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --dim: #646b73; --line: #dfe3e7; --paper: #fff; --note: #fff6e0;
        --edge: #e0a800; --lack: #e7f1fb; --lack-edge: #3b82c4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e6e9; --dim: #9aa3ad; --line: #353b42; --paper: #16191d; --note: #33290f; --edge: #b98d10;
          --lack: #14283a; --lack-edge: #4f8fc9; }
  figure img { filter: invert(1) hue-rotate(180deg) brightness(0.93); mix-blend-mode: screen; }  /* white: the page's */
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
       padding: 1rem; max-width: 72rem; }
h1 { font-size: 1.5rem; margin: 0.2rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 0.5rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 0.4rem; }
p, li { overflow-wrap: anywhere; }
.dim, figcaption, summary { color: var(--dim); }
.lead { font-size: 1.15rem; font-weight: 600; }
ul { padding-left: 1.2rem; margin: 0.3rem 0; }
.note { background: var(--note); border-left: 4px solid var(--edge); padding: 0.5rem 0.9rem; margin: 0.9rem 0; }
.lack { background: var(--lack); border-left-color: var(--lack-edge); }
.wide { overflow-x: auto; margin-bottom: 0.9rem; --shade: rgb(128 128 128 / 45%);  /* where more is to the side */
        background: linear-gradient(to right, var(--paper) 40%, transparent) -2px 0 / 1.7rem 100% local,
                    linear-gradient(to left, var(--paper) 40%, transparent) right -2px top / 1.7rem 100% local,
                    linear-gradient(to right, var(--shade), transparent) left / 0.7rem 100% scroll,
                    linear-gradient(to left, var(--shade), transparent) right / 0.7rem 100% scroll;
        background-repeat: no-repeat; }
table { border-collapse: collapse; font-size: 0.88rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.3rem 0.7rem 0.3rem 0; text-align: left; border-bottom: 1px solid var(--line);
         white-space: nowrap; vertical-align: top; }
th { color: var(--dim); font-weight: 500; white-space: normal; vertical-align: bottom; }
td.number, th.number { text-align: right; }
td.text { white-space: normal; min-width: 11rem; }
tr.best td { font-weight: 600; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); gap: 1rem 2rem; }
figure { margin: 0; }
figure h3 { font-size: 1rem; margin: 0.6rem 0 0.2rem; }
figure img { width: 100%; height: auto; display: block; }
figcaption { font-size: 0.85rem; }
summary { cursor: pointer; margin: 0.6rem 0; }
@media (max-width: 480px) {  /* names fold, so that there is room for numbers */
  th, td { padding-right: 0.45rem; }
  td:first-child:not(.number) { white-space: normal; }
  td.name { min-width: 6.5rem; }
}
@media (min-width: 1800px) {  /* a third column of pictures, and lines of text that can still be read */
  body { max-width: 108rem; }
  p, ul, .note { max-width: 72rem; box-sizing: border-box; }
}
"""


class PageColumn(NamedTuple):
    """A column of a table; `kind`: the class of its cells (number, name, text or "")."""

    name: str
    kind: str = ""


def document(title: str, parts: Iterable[str], head: str = "", style: str = "") -> str:
    """The whole file; parts that are empty are left out.

    head    more that stands in the head of the file
    style   rules of this kind of page
    """
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}{style}</style>{head}</head><body>\n"
        + "\n".join(filter(None, parts))
        + "\n</body></html>\n"
    )


def table(columns: Sequence[PageColumn], rows: Iterable[Sequence[str]], best: int | None = None) -> str:
    """A table of text; `best`: the number of the row that stands out."""
    head = "".join(f'<th class="{column.kind}">{escape(column.name)}</th>' for column in columns)
    lines = []
    for i, row in enumerate(rows):
        cells = (
            f'<td class="{column.kind}">{escape(text)}</td>'
            for column, text in zip(columns, row, strict=True)
        )
        lines.append(f"<tr{' class=best' if i == best else ''}>{''.join(cells)}</tr>")
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def sheet_table(sheet: Sheet) -> str:
    """A table of a terminal on a page."""
    kinds = {"number": "number", "words": "text", "name": ""}
    columns = [PageColumn(column.head, kinds[column.kind]) for column in sheet.columns]
    rows = zip(*([cell.plain for cell in column.cells] for column in sheet.columns), strict=True)
    return table(columns, [*rows])


def figure(image: Picture) -> str:
    """A picture inside the file, with its heading and caption."""
    data = base64.b64encode(image.png).decode()
    title, caption = escape(image.title), escape(image.caption)
    return (
        f'<figure><h3>{title}</h3><img alt="{title}. {caption}" src="data:image/png;base64,{data}">'
        + (f"<figcaption>{caption}</figcaption>" if caption else "")
        + "</figure>"
    )
