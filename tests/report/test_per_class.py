"""The table of the classes from counts, and what is shown of many classes."""

from __future__ import annotations

import io

from rich.console import Console

from nnrun.report.per_class import per_class_of, per_class_tables


def shown(names, confusion) -> str:
    console = Console(file=io.StringIO(), width=300)
    console.print(*per_class_tables(per_class_of(names, confusion)))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_shares_by_hand_and_none_where_nothing_is_divided_by():
    first, second, third = per_class_of(["a", "b", "c"], [[3, 1, 0], [2, 0, 0], [0, 0, 0]])["classes"]
    assert (first["examples"], first["predicted"], first["right"]) == (4, 5, 3)
    assert (first["precision"], first["recall"], first["f1"]) == (3 / 5, 3 / 4, 6 / 9)
    assert (second["precision"], second["recall"], second["f1"]) == (0.0, 0.0, 0.0)
    assert (third["precision"], third["recall"], third["f1"]) == (None, None, None)
    assert "c             0          0      0          –       –       –" in shown(
        ["a", "b", "c"], [[3, 1, 0], [2, 0, 0], [0, 0, 0]]
    )


def test_of_many_classes_the_most_frequent_confusions_are_shown():
    names = [f"class{k}" for k in range(21)]
    confusion = [[5 * (i == j) for j in range(21)] for i in range(21)]
    confusion[3][7], confusion[8][2] = 2, 4
    lines = shown(names, confusion).splitlines()
    assert [line.split() for line in lines[-2:]] == [["class8", "class2", "4"], ["class3", "class7", "2"]]
    assert len(shown(names[:20], [row[:20] for row in confusion[:20]]).splitlines()) == 21 + 1 + 21
