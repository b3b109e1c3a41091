"""How the report of a sweep looks, on a phone and on a desktop, by day and by night."""

from __future__ import annotations

__all__ = ["STYLE"]

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --dim: #646b73; --line: #dfe3e7; --paper: #fff; --note: #fff6e0;
        --edge: #e0a800; --lack: #e7f1fb; --lack-edge: #3b82c4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e6e9; --dim: #9aa3ad; --line: #353b42; --paper: #16191d; --note: #33290f; --edge: #b98d10;
          --lack: #14283a; --lack-edge: #4f8fc9; }
  figure img { filter: invert(0.91) hue-rotate(180deg); }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
       padding: 1rem; max-width: 72rem; }
h1 { font-size: 1.5rem; margin: 0.2rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 0.5rem; }
p, li { overflow-wrap: anywhere; }
.dim, figcaption, summary { color: var(--dim); }
.lead { font-size: 1.15rem; font-weight: 600; }
ul { padding-left: 1.2rem; margin: 0.3rem 0; }
.note { background: var(--note); border-left: 4px solid var(--edge); padding: 0.5rem 0.9rem; margin: 0.9rem 0; }
.lack { background: var(--lack); border-left-color: var(--lack-edge); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.88rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.3rem 0.7rem 0.3rem 0; text-align: left; border-bottom: 1px solid var(--line);
         white-space: nowrap; vertical-align: top; }
th { color: var(--dim); font-weight: 500; }
td.number, th.number { text-align: right; }
td.text { white-space: normal; min-width: 11rem; }
tr.best td { font-weight: 600; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1rem 2rem; }
figure { margin: 0; }
figure h3 { font-size: 1rem; margin: 0.6rem 0 0.2rem; }
figure img { width: 100%; height: auto; display: block; }
figcaption { font-size: 0.85rem; }
summary { cursor: pointer; margin: 0.6rem 0; }
"""
