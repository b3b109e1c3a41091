"""Cells that are missing, or numbers that only people can read: refused with their place, never a class."""

from __future__ import annotations

import pytest

from nnrun.data._cells import alike, is_missing, odd_number
from nnrun.data.csv import csv
from nnrun.errors import DataError, odd_character

MISSING = ["NA", "na", "N/A", "#N/A", "<NA>", "NaN", "null", "NULL", "nil", "missing", "?", "-", "--", ""]
ODD = {
    "1,234": "1234", "1,234,567.5": "1234567.5", "-12,345": "-12345", "1 234": "1234", "1'234,5": "1234.5",
    "1.234,56": "1234.56", "0,5": "0.5", "-3,25e-4": "-3.25e-4", "12%": "percentage", "12.5 %": "percentage",
    "€5": "currency", "$1,200.50": "currency", "2024-01-31": "date", "31.01.2024": "date", "1/2/24": "date",
    "2024-01-31T12:00:00": "date", "12:30": "time", "\u221217": "U+2212", "1\u00a0000": "1000",
    "\uff11\uff12": "U+FF11", "1\u200b2": "U+200B",
}  # fmt: skip


def written(tmp_path, targets, header="a,y"):
    file = tmp_path / "t.csv"
    rows = (f'{i},"{y}"' for i, y in enumerate(targets))
    file.write_text("\n".join([header, *rows]), encoding="utf-8")
    return str(file)


@pytest.mark.parametrize("cell", MISSING)
def test_the_spellings_of_missing(cell):
    assert is_missing(cell)


@pytest.mark.parametrize("cell", ["none", "no", "0", "n", "nanna", "not available", "+"])
def test_what_is_not_missing(cell):
    assert not is_missing(cell)


@pytest.mark.parametrize(("cell", "says"), ODD.items())
def test_numbers_for_people_are_named_with_what_to_write(cell, says):
    assert says in (odd_number(cell) or "")


@pytest.mark.parametrize("cell", ["1", "1.5", "-1e-3", "abc", "a,b", "v1.2.3", "1-2", "well, no"])
def test_other_cells_are_not_odd(cell):
    assert odd_number(cell) is None


def test_a_character_that_cannot_be_seen_is_named():
    assert "U+FEFF" in (odd_character("a\ufeffb") or "")
    assert odd_character("plain - text") is None


@pytest.mark.parametrize("cell", MISSING)
@pytest.mark.parametrize("others", [["0", "1"], ["1.5", "2.5", "7.25"], ["yes", "no"]])
def test_a_missing_target_is_refused_with_its_place(cell, others, tmp_path):
    targets = (others * 10)[:12]
    targets[4] = cell
    with pytest.raises(
        DataError, match=r"t\.csv:6:2: column 'y': '.*' (is empty|looks like a missing value)"
    ):
        csv(written(tmp_path, targets), "y")


@pytest.mark.parametrize("cell", [cell for cell in MISSING if cell and cell != "NaN"])
def test_a_class_may_have_such_a_name_if_that_is_written(cell, tmp_path):
    source = csv(written(tmp_path, ["0", "1", cell] * 4), "y", task="classification")
    assert cell in source.classes
    assert len(source.classes) == 3


@pytest.mark.parametrize("cell", ODD)
def test_targets_for_people_are_no_classes(cell, tmp_path):
    with pytest.raises(DataError, match=r"t\.csv:2:2: column 'y'.*data\.task: classification"):
        csv(written(tmp_path, [cell, "b", "b", cell]), "y")
    assert len(csv(written(tmp_path, [cell, "b", "b", cell]), "y", task="classification").classes) == 2


@pytest.mark.parametrize("cell", ["0,5", "12%", "NA", "2024-01-31", "1,234"])
def test_a_feature_says_what_its_cell_looks_like(cell, tmp_path):
    file = tmp_path / "t.csv"
    file.write_text(f'a,y\n1,0\n"{cell}",1\n3,0\n4,1')
    with pytest.raises(DataError) as caught:
        csv(str(file), "y")
    assert "t.csv:3:1: column 'a'" in str(caught.value)
    assert "categorical" not in str(caught.value)


@pytest.mark.parametrize("cell", ["NA", "?", "null"])
def test_a_missing_category_is_refused(cell, tmp_path):
    file = tmp_path / "t.csv"
    file.write_text(f"a,y\nred,0\n{cell},1\nblue,0\nred,1")
    with pytest.raises(DataError, match=r"t\.csv:3:1: column 'a': .* looks like a missing value"):
        csv(str(file), "y", categorical=["a"])


def test_the_loss_settles_what_the_target_is(tmp_path):
    counts = written(tmp_path, [0, 1, 2, 3] * 5)
    assert csv(counts, "y").classes == ("0", "1", "2", "3")
    assert csv(counts, "y", classifies=False).classes == ()
    years = written(tmp_path, range(1990, 2020))
    assert csv(years, "y").classes == ()
    assert len(csv(years, "y", classifies=True).classes) == 30


def test_class_ids_of_many_digits_stay_apart(tmp_path):
    ids = [2**53, 2**53 + 1, 2**63 + 5, 2**53 - 1]
    source = csv(written(tmp_path, ids * 3), "y", task="classification")
    assert source.classes == tuple(map(str, sorted(ids)))
    assert source.train.y.tolist() == [sorted(ids).index(i) for i in ids * 3]


@pytest.mark.parametrize(
    ("names", "pair"),
    [
        (["no", "n\u200bo", "yes"], ("no", "n\u200bo")),
        (["new\u00a0york", "new york"], ("new york", "new\u00a0york")),
        (["caf\u00e9", "cafe\u0301"], ("caf\u00e9", "cafe\u0301")),
        (["\u200bno"], None),
        (["no", "No", "n o", "\u00f6", "o"], None),
    ],
)
def test_names_that_look_the_same(names, pair):
    for order in (names, names[::-1]):
        assert alike(order) == ([pair] if pair else [])


@pytest.mark.parametrize(
    "options", [{"target": "y"}, {"target": "a", "categorical": ["y"], "task": "classification"}]
)
def test_classes_and_categories_that_look_the_same_are_refused(tmp_path, options):
    file = written(tmp_path, ["no", "yes", "n\u200bo", "yes"])
    with pytest.raises(DataError, match=r"t.csv:4:2: column 'y': .* looks like the name in row 2 .*U\+200B"):
        csv(file, **options)


def test_columns_that_look_the_same_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"t.csv:1:2: column 'y.u200b' looks like column 1 .*U\+200B"):
        csv(written(tmp_path, ["0", "1"], header="y,y\u200b"), target="y")


def test_classes_that_differ_in_case_only_are_refused_unless_both_are_meant(tmp_path):
    file = written(tmp_path, ["TRUE", "FALSE", "False", "TRUE"])
    with pytest.raises(
        DataError, match=r"t.csv:4:2: column 'y': 'False' differs from 'FALSE' only in upper and lower"
    ):
        csv(file, target="y")
    assert csv(file, target="y", task="classification").classes == ("FALSE", "False", "TRUE")


def test_all_spellings_of_classes_are_named_with_how_often_they_occur(tmp_path):
    """Blanks around cells do not count; a single letter, such as an allele, may be two."""
    cells = ["no", "Yes", "yes ", "NO", "no", "YES", "yes", "A", "a", "no", "1,234", "5,678"]
    file = written(tmp_path, cells)
    with pytest.raises(DataError) as caught:
        csv(file, target="y")
    numbers, names = str(caught.value).splitlines()
    assert numbers.startswith(
        "t.csv:12:2: column 'y': '1,234' has commas between its thousands".replace("t.csv", file)
    )
    assert numbers.endswith("; so is 1 more of its cells")
    assert names == (
        f"{file}:5:2: column 'y': 'NO' differs from 'no' only in upper and lower case; write one form of each: "
        "'no' (3), 'NO' (1); 'yes' (2), 'Yes' (1), 'YES' (1), or write data.task: classification if they are different "
        "classes"
    )
    source = csv(file, target="y", task="classification")
    [target] = [column for column in source.table.about if column.role == "target"]
    assert target.note == (
        "names that differ in case only, and are several: 'A' and 'a'; 'NO' and 'no'; 'YES', 'Yes' and 'yes'"
    )


def test_all_names_that_look_the_same_are_told_at_once(tmp_path):
    file = written(tmp_path, ["no", "yes", "n\u200bo", "y\u200bes"])
    with pytest.raises(DataError) as caught:
        csv(file, target="y")
    assert [line.split(": column")[0].rsplit("/", 1)[-1] for line in str(caught.value).splitlines()] == [
        "t.csv:4:2", "t.csv:5:2"
    ]  # fmt: skip
    with pytest.raises(DataError) as caught:
        csv(written(tmp_path, ["0,1", "1,1"], header="y,,y"), target="y")
    assert [line[line.index("t.csv") :][:30] for line in str(caught.value).splitlines()] == [
        "t.csv:1:2: the column has no n", "t.csv:1:3: column 'y' occurs t",
    ]  # fmt: skip


def test_no_decimal_comma_is_proposed_where_commas_stand_between_thousands():
    """Both together are refused."""
    assert odd_number("13,70", thousands=",") == "has a decimal comma; write 13.70"
    assert odd_number("13,70") == "has a decimal comma; write 13.70, or data.decimal: ',' for the table"
