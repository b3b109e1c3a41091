"""How a run predicts a part of its data, as HTML: classes, confusions, calibration, the worst examples, filters."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from nnrun.errors import counted
from nnrun.report.chart import Chart, Line
from nnrun.report.ensemble.account import Bins
from nnrun.report.html import PageColumn, sheet_table, table
from nnrun.report.interactive import charts_html
from nnrun.report.per_class import PerClass, classes_sheet, confusions_sheet
from nnrun.report.per_label import labels_sheet
from nnrun.report.run.inside import inside_html
from nnrun.report.run.looked import Erring, Looked
from nnrun.report.run.verdicts import calibration_verdict, class_verdicts

__all__ = ["STYLE", "examples_html"]

_MATRIX = 30  # classes of which the whole matrix is shown
_CELLS = 20  # features of a row that are shown
_POINTS = 1500

STYLE = """
.heat td, .heat th { padding: 0.2rem 0.45rem; text-align: right; border: 1px solid var(--line); }
.heat th[scope=row] { text-align: left; }
@media (max-width: 480px) {
  .heat { font-size: 0.78rem; }
  .heat td, .heat th { padding: 0.2rem 0.25rem; }
  .heat td:first-child { min-width: 0; }
}
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(7.5rem, 1fr)); gap: 0.9rem; }
.gallery figcaption { overflow-wrap: anywhere; }
.gallery figure img { image-rendering: pixelated; border: 1px solid var(--line); filter: none;
                      mix-blend-mode: normal; }
.filters { display: flex; flex-wrap: wrap; gap: 4px; }
.filters img { width: 3.2rem; height: 3.2rem; image-rendering: pixelated; border: 1px solid var(--line); }
"""


def examples_html(looked: Looked, label: str, predictor: str = "") -> str:
    """The section of a run: `label` says which, where there are several.

    predictor   what predicted them; "": the checkpoint of a run
    """
    member = Path(looked["folder"]).name
    if member.startswith(("seed_", "fold_")) and member not in label:  # of a group
        label = f"{label}: {member}" if label else member
    of_whom = f" of {escape(label)}" if label else ""
    parts = [
        f"<h2>Examples of the {looked['split']} part{of_whom}</h2>",
        f'<p class="dim">{escape(_facts(looked, predictor))}</p>',
    ]
    if "per_class" in looked:
        per_class = looked["per_class"]
        sentences = "".join(f"<p>{escape(sentence)}</p>" for sentence in class_verdicts(per_class))
        parts += [
            "<h3>Each class</h3>",
            sentences,
            sheet_table(classes_sheet(per_class)),
            _confusions(per_class),
        ]
    if "per_label" in looked:
        parts += ["<h3>Each label</h3>", sheet_table(labels_sheet(looked["per_label"]))]
    if "reliability" in looked:
        parts.append(charts_html([_calibration(looked["reliability"])]))
    if "targets" in looked and "predictions" in looked:
        parts.append(charts_html(_of_numbers(looked["targets"], looked["predictions"])))
    parts.append(_wrong(looked))
    if looked["filters"]:
        images = "".join(
            f'<img alt="filter {i}" src="{_png(png)}">' for i, png in enumerate(looked["filters"])
        )
        parts.append(
            f"<h3>What the first layer looks for</h3><div class=filters>{images}</div>"
            '<p class="dim">The weights of each unit, from its least (black) to its largest (white).</p>'
        )
    if "inside" in looked:
        parts.append(inside_html(looked["inside"]))
    return "".join(parts)


def _facts(looked: Looked, predictor: str) -> str:
    checkpoint = looked["checkpoint"]
    name = predictor or (
        f"the checkpoint of step {checkpoint}" if checkpoint.isdecimal() else f"the {checkpoint} checkpoint"
    )
    if _is_of_numbers(looked):
        return f"{counted(looked['examples'], 'example')}, predicted by {name}, without noise."
    share = looked["errors"] / looked["examples"]
    where = f" in at least one of {len(looked['labels'])} labels" if "labels" in looked else ""
    wrong = f"{looked['errors']} wrong{where} ({100 * share:.2f}%)"
    return f"{counted(looked['examples'], 'example')}, predicted by {name}, without noise: {wrong}."


def _is_of_numbers(looked: Looked) -> bool:
    return "per_class" not in looked and "labels" not in looked


def _confusions(per_class: PerClass) -> str:
    """The matrix with a shade for each share of a row; of many classes the most frequent confusions."""
    names = [entry["name"] for entry in per_class["classes"]]
    if len(names) > _MATRIX:
        return "<h3>Most frequent confusions</h3>" + sheet_table(confusions_sheet(per_class))
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = []
    for name, counts in zip(names, per_class["confusion"], strict=True):
        total = max(sum(counts), 1)
        cells = "".join(
            f'<td style="background: rgb(0 114 178 / {70 * count / total:.0f}%)">{count or ""}</td>'
            for count in counts
        )
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    return (
        '<h3>Confusions</h3><div class="wide"><table class="heat"><thead><tr><th scope="row">is \\ predicted</th>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        '<p class="dim">Rows: what an example is; columns: what it is predicted to be. The shade is the share of '
        "the row.</p>"
    )


def _calibration(bins: Bins) -> Chart:
    confidence = 100 * np.array(bins["confidence"])
    line = Line("accuracy", confidence, 100 * np.array(bins["accuracy"]), dots=True)
    right = Line("calibrated", np.array([0.0, 100.0]), np.array([0.0, 100.0]))
    caption = (
        "Of the examples with a confidence, how many are right, in bins of equal width. "
        f"{calibration_verdict(bins)}"
    )
    return Chart("calibration", "Calibration", caption, "confidence (%)", "accuracy (%)", (line, right))


def _of_numbers(targets: Sequence[float], predictions: Sequence[float]) -> list[Chart]:
    """Predictions against targets."""
    y, p = np.array(targets), np.array(predictions)
    step = -(-len(y) // _POINTS)
    order = np.arange(0, len(y), step)
    order = order[np.argsort(y[order], kind="stable")]
    shown = f"One example in {step}." if step > 1 else "All examples."
    ends = np.array([y.min(), y.max()])
    caption = f"{shown} On the line a prediction is right."
    scatter = Chart(
        "predictions", "Predictions against targets", caption, "target", "prediction",
        (Line("prediction", y[order], p[order], dots=True), Line("right", ends, ends)),
    )  # fmt: skip
    return [scatter]


def _wrong(looked: Looked) -> str:
    wrong = looked["wrong"]
    if not wrong:
        return "<p>No example is predicted wrongly.</p>"
    title = "Largest errors" if _is_of_numbers(looked) else "Most confidently wrong"
    total = f", {len(wrong)} of {looked['errors']}" if looked["errors"] > len(wrong) else ""
    head = f"<h3>{title}{total}</h3>"
    if "picture" in wrong[0]:
        return head + '<div class="gallery">' + "".join(map(_card, wrong)) + "</div>"
    return head + _rows(wrong)


def _card(erring: Erring) -> str:
    row = "" if erring["row"] is None else f"<br>row {erring['row']} (from 0)"
    row = f"<br>{escape(erring['file'])}" if "file" in erring else row
    of_target = f" ({100 * erring['of_target']:.1f}%)" if "of_target" in erring else ""
    confidence = f" ({100 * erring['confidence']:.1f}%)" if "confidence" in erring else ""
    words = f"{escape(erring['predicted'])}{confidence}<br>is {escape(erring['target'])}{of_target}{row}"
    image = f'<img alt="example" src="{_png(erring.get("picture", ""))}">'
    return f"<figure>{image}<figcaption>{words}</figcaption></figure>"


def _rows(wrong: Sequence[Erring]) -> str:
    """The examples as rows of a table, with their features where they have names."""
    features = [*wrong[0].get("cells", {})]
    shown = features[:_CELLS]
    confident = "confidence" in wrong[0]
    columns = [
        PageColumn("row (from 0)", "number"),
        PageColumn("predicted", _kind([erring["predicted"] for erring in wrong])),
        PageColumn("is", _kind([erring["target"] for erring in wrong])),
    ]
    columns += [PageColumn("error", "number")] if "error" in wrong[0] else []
    columns += [PageColumn("confidence", "number")] if confident else []
    columns += [
        PageColumn(name, _kind([erring.get("cells", {}).get(name, "") for erring in wrong])) for name in shown
    ]
    rows = [
        [
            "–" if erring["row"] is None else str(erring["row"]),
            erring["predicted"],
            erring["target"],
            *([erring["error"]] if "error" in erring else []),
            *([f"{100 * erring['confidence']:.1f}%"] if "confidence" in erring else []),
            *(erring.get("cells", {}).get(name, "") for name in shown),
        ]
        for erring in wrong
    ]
    rest = len(features) - len(shown)
    more = f'<p class="dim">The first {_CELLS} of {len(features)} features.</p>' if rest else ""
    return table(columns, rows) + more


def _kind(cells: Sequence[str]) -> str:
    """How cells are set: numbers to the right, long lists, as of several labels, folded."""
    if any("," in cell for cell in cells):
        return "text"
    return "number" if all(map(_is_number, filter(None, cells))) else ""


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _png(picture: str) -> str:
    return f"data:image/png;base64,{picture}"
