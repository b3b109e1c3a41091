"""The section of a report that shows examples: classes, confusions, the worst ones, filters, layers."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from nnrun.report.per_class import per_class_of
from nnrun.report.per_label import per_label_of
from nnrun.report.run.examples import _kind, examples_html
from nnrun.report.run.inside import inside_html

HOSTILE = "<b>&x"


def looked(**changes: Any) -> Any:
    empty = {
        "folder": "runs/a",
        "split": "val",
        "checkpoint": "best",
        "examples": 8,
        "errors": 2,
        "wrong": [],
        "filters": [],
    }
    return {**empty, "per_class": per_class_of(["cat", HOSTILE], [[4, 1], [1, 2]]), **changes}


def rows(html: str, heading: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    section = html.partition(f"<h3>{heading}")[2].partition("<h3>")[0]
    lines = re.findall(r"<tr[^>]*>(.*?)</tr>", section)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line) for line in lines]


def charts(html: str) -> list[dict[str, Any]]:
    return [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', html)]


def test_the_facts_in_a_sentence() -> None:
    html = examples_html(looked(), "")
    assert "<h2>Examples of the val part</h2>" in html
    assert "8 examples, predicted by the best checkpoint, without noise: 2 wrong (25.00%)." in html
    named = examples_html(looked(checkpoint="120", errors=0, examples=1), HOSTILE)
    assert "<h2>Examples of the val part of &lt;b&gt;&amp;x</h2>" in named
    assert "1 example, predicted by the checkpoint of step 120, without noise: 0 wrong (0.00%)." in named
    assert "<p>No example is predicted wrongly.</p>" in named


def test_wrong_in_any_of_several_labels() -> None:
    table = per_label_of(["a"], [("0", "1")], [[[5, 1], [2, 0]]])
    html = examples_html(
        {**{k: v for k, v in looked().items() if k != "per_class"}, "labels": ["a", "b"], "per_label": table},
        "",
    )
    assert "2 wrong in at least one of 2 labels (25.00%)" in html
    assert [row[0] for row in rows(html, "Each label")] == ["label", "a=1"]


def test_classes_and_confusions_with_names_as_text() -> None:
    """Of 5 cats one was taken for the other class; the shade is 70% of the share of the row."""
    html = examples_html(looked(), "")
    assert rows(html, "Each class")[1] == ["cat", "5", "5", "4", "80.00%", "80.00%", "80.00%"]
    assert rows(html, "Confusions") == [
        ["is \\ predicted", "cat", "&lt;b&gt;&amp;x"], ["cat", "4", "1"], ["&lt;b&gt;&amp;x", "1", "2"],
    ]  # fmt: skip
    assert re.findall(r"/ (\d+)%", html) == ["56", "14", "23", "47"]  # 70% of 4/5, 1/5, 1/3, 2/3


def test_a_class_without_examples_has_no_shade_and_no_zeros() -> None:
    html = examples_html(looked(per_class=per_class_of(["a", "b"], [[3, 0], [0, 0]])), "")
    assert re.findall(r"/ (\d+)%", html) == ["70", "0", "0", "0"]
    assert rows(html, "Confusions")[1:] == [["a", "3", ""], ["b", "", ""]]


def test_of_more_than_thirty_classes_the_confusions_are_a_list() -> None:
    names = [f"c{k}" for k in range(31)]
    counts = [[2 * (i == j) for j in range(31)] for i in range(31)]
    counts[4][9], counts[7][1] = 3, 5
    html = examples_html(looked(per_class=per_class_of(names, counts)), "")
    assert rows(html, "Most frequent confusions") == [
        ["is", "predicted", "examples"],
        ["c7", "c1", "5"],
        ["c4", "c9", "3"],
    ]
    fewer = per_class_of(names[:30], [row[:30] for row in counts[:30]])
    assert "Most frequent confusions" not in examples_html(looked(per_class=fewer), "")


def test_calibration_is_in_percent() -> None:
    bins = {"confidence": [0.25, 0.75], "accuracy": [0.5, 0.7], "counts": [4, 4], "error": 0.0512}
    html = examples_html(looked(reliability=bins), "")
    [chart] = charts(html)
    line, diagonal = chart["series"]
    assert (line["label"], line["dots"]) == ("accuracy", True)
    assert [value for value in line["values"] if value is not None] == [50, 70]
    assert chart["x"] == [0, 25, 75, 100] and [v for v in diagonal["values"] if v is not None] == [0, 100]
    assert (
        "as far as 8 examples can tell: on average 50.0% sure and 60.0% right" in html
    )  # means of two fours
    assert "the calibration error is 5.12%" in html


def of_numbers(count: int, **changes: Any) -> Any:
    content = looked(
        targets=[float(count - i) for i in range(count)], predictions=[float(i) for i in range(count)],
        examples=count, errors=count, **changes,
    )  # fmt: skip
    del content["per_class"]
    return content


def test_predictions_against_targets_in_the_order_of_the_targets() -> None:
    wrong = [{"row": 3, "target": "1", "predicted": "9", "error": "+8"}]
    html = examples_html(of_numbers(3, wrong=wrong), "")
    [chart] = charts(html)
    dots, line = chart["series"]
    assert [v for v in dots["values"] if v is not None] == [2, 1, 0]  # of the targets 1, 2, 3
    assert [v for v in line["values"] if v is not None] == [1, 3] and "All examples." in html
    assert "3 examples, predicted by the best checkpoint, without noise." in html
    assert rows(html, "Largest errors, 1 of 3") == [
        ["row (from 0)", "predicted", "is", "error"],
        ["3", "9", "1", "+8"],
    ]


def test_of_many_numbers_some_are_drawn_and_that_is_said() -> None:
    html = examples_html(of_numbers(3100), "")
    [chart] = charts(html)
    assert "One example in 3. On the line" in html
    assert sum(value is not None for value in chart["series"][0]["values"]) == 1034  # 0, 3, ..., 3099


def test_wrong_images_are_cards() -> None:
    wrong = [
        {
            "row": 7,
            "target": "cat",
            "predicted": HOSTILE,
            "confidence": 0.987,
            "of_target": 0.0111,
            "picture": "QUJD",
        },
        {"row": 8, "target": "dog", "predicted": "cat", "file": "val/<i>.png", "picture": "REVG"},
        {"row": None, "target": "dog", "predicted": "cat", "picture": "R0hJ"},
    ]
    html = examples_html(looked(wrong=wrong, errors=3), "")
    assert "<h3>Most confidently wrong</h3>" in html  # all of them: no count
    first, second, third = re.findall(r"<figcaption>(.*?)</figcaption>", html)
    assert first == "&lt;b&gt;&amp;x (98.7%)<br>is cat (1.1%)<br>row 7 (from 0)"
    assert second == "cat<br>is dog<br>val/&lt;i&gt;.png"
    assert third == "cat<br>is dog"
    assert re.findall(r"base64,(\w+)", html) == ["QUJD", "REVG", "R0hJ"]


def test_wrong_rows_have_their_first_features() -> None:
    cells = {f"f{i}": str(i) for i in range(22)}
    wrong = [
        {"row": 5, "target": "a", "predicted": "b", "confidence": 0.5, "cells": cells},
        {"row": None, "target": "b", "predicted": "a", "confidence": 0.25},
    ]
    html = examples_html(looked(wrong=wrong, errors=9), "")
    head, first, second = rows(html, "Most confidently wrong, 2 of 9")
    assert head[:4] == ["row (from 0)", "predicted", "is", "confidence"] and head[4:] == [
        f"f{i}" for i in range(20)
    ]
    assert first[:4] == ["5", "b", "a", "50.0%"] and first[4:] == [str(i) for i in range(20)]
    assert second == ["–", "a", "b", "25.0%", *[""] * 20]
    assert "The first 20 of 22 features." in html


def test_filters_are_pictures() -> None:
    html = examples_html(looked(filters=["QUJD", "REVG"]), "")
    assert "What the first layer looks for" in html
    assert re.findall(r'<img alt="filter (\d)" src="data:image/png;base64,(\w+)">', html) == [
        ("0", "QUJD"),
        ("1", "REVG"),
    ]
    assert "What the first layer looks for" not in examples_html(looked(), "")


def layer(name: str = "relu", idle: float | None = None, **changes: Any) -> Any:
    return {
        "name": name,
        "shape": [16, 4],
        "mean": 0.12345,
        "std": None,
        "zeros": 0.25,
        "idle": idle,
        **changes,
    }


LEAF: Any = {"name": "hidden/kernel", "numbers": 1024, "size": 0.0501, "gradient": 1.25, "ratio": None}


def inside(layers: list[Any], parameters: list[Any], examples: int = 64) -> str:
    return inside_html({"examples": examples, "layers": layers, "parameters": parameters})


def test_layers_and_gradients_as_tables() -> None:
    html = inside([layer(HOSTILE, 0.25), layer(shape=[])], [LEAF])
    tables = re.findall(r"<tbody>(.*?)</tbody>", html)
    layers, leaves = (
        [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in t.split("</tr>")[:-1]] for t in tables
    )
    assert layers == [
        ["&lt;b&gt;&amp;x", "16 × 4", "0.123", "–", "25.0%", "25.0%"],
        ["relu", "1", "0.123", "–", "25.0%", "–"],
    ]
    assert leaves == [["hidden/kernel", "1024", "0.0501", "1.25", "–"]]
    assert "64 training examples, without noise" in html and "Worth a look" not in html
    assert "1 training example, without noise" in inside([layer()], [LEAF], 1)


def test_a_layer_of_which_half_is_dead_is_pointed_out() -> None:
    html = inside([layer("first", 0.49), layer("<second>", 0.5), layer("third", 0.875)], [])
    [box] = re.findall(r"Worth a look</strong><ul>(.*?)</ul>", html)
    assert re.findall(r"<li>(\d+)% of the units of (\S+) are dead", box) == [
        ("50", "&lt;second&gt;"),
        ("88", "third"),
    ]


def test_a_module_of_another_library_hides_its_layers() -> None:
    assert "The layers of this model cannot be looked into." in inside([], [LEAF])


@pytest.mark.parametrize(("count", "folded"), [(24, 0), (25, 1)])
def test_a_long_table_is_folded(count: int, folded: int) -> None:
    html = inside([layer(f"l{i}") for i in range(count)], [LEAF])
    assert html.count("<details>") == folded
    assert (f"<summary>{count} layers</summary>" in html) == bool(folded)


def test_the_ensemble_predicts_and_a_seed_is_named_once() -> None:
    assert "predicted by the ensemble, without noise" in examples_html(looked(), "", "the ensemble")
    html = examples_html(looked(folder="final/adam/seed_9"), "the best setting (final/adam/seed_9)")
    assert html.count("seed_9") == 1


def test_cells_of_numbers_stand_to_the_right_and_lists_of_labels_fold() -> None:
    assert [_kind(cells) for cells in (["1.5", "", "-3"], ["Ulm", "3"], ["a yes 90.0%, b no 51.0%"])] == [
        "number", "", "text",
    ]  # fmt: skip
