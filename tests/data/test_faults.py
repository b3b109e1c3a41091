"""All that is wrong with a table, or with what a spec says of it, at once; and advice that keeps what the spec has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from nnrun.data._advice import ForMissing, listed, mapped, missing_rules
from nnrun.data._date_forms import forms_in
from nnrun.data._request import Cells, RowColumns, TableRequest, request_of
from nnrun.data._yaml_name import quoted
from nnrun.data.csv import csv
from nnrun.errors import DataError
from nnrun.spec import yaml12


def written(folder: Path, header: str, rows: list[str], name: str = "t.csv") -> str:
    (folder / name).write_text("\n".join([header, *rows, ""]))
    return str(folder / name)


def lines_of(path: str, *arguments: Any, **options: Any) -> list[str]:
    """What is refused, without the folder."""
    with pytest.raises(DataError) as caught:
        csv(path, *arguments, **options)
    return [line.removeprefix(f"{Path(path).parent}/") for line in str(caught.value).splitlines()]


HEADER = "id,age,income,city,signup,seen,y"


@pytest.fixture
def messy(tmp_path: Path) -> str:
    """24 rows: missing ages and cities, an income with a comma, dates in two forms in one column, classes in two."""
    rows = []
    for i in range(24):
        age = "?" if i == 3 else str(20 + i)
        income = '"1,234"' if i == 5 else str(1000 + i)
        city = "" if i == 7 else ("Bonn", "Ulm")[i % 2]
        signup = f"{i + 1:02d}.02.2024" if i % 4 == 0 else f"2024-01-{i + 1:02d}"
        rows.append(
            f"r{i},{age},{income},{city},{signup},3/{i + 1}/2024,{'Yes' if i == 9 else ('yes', 'no')[i % 2]}"
        )
    return written(tmp_path, HEADER, rows)


def test_every_fault_of_a_table_is_told_in_one_round(messy: str) -> None:
    assert lines_of(messy, "y") == [
        "t.csv:2:1: column 'id': 'r0' is not a number; write data.categorical: [city], data.dates: {signup: days, "
        "seen: days}, data.exclude: [id] (id: identifier, each of its 24 values occurs once; dates of a table have "
        "one form, these differ (signup: ISO 8601 in 18 cells, such as '2024-01-02', \"%d.%m.%Y\" in 6, such as "
        "'01.02.2024'; seen: \"%m/%d/%Y\"): write them alike, or leave some out)",
        "t.csv:7:3: column 'income': '1,234' has commas between its thousands; write 1234, or, of a CSV file, "
        'data.thousands: ","',
        "t.csv:5:2: column 'age': '?' is a missing value; write data.missing: {age: median, city: category}, fill it "
        "in or remove the row",
        "t.csv:11:7: column 'y': 'Yes' differs from 'yes' only in upper and lower case; write one form, or write "
        "data.task: classification if both are classes",
    ]


def test_what_the_lines_say_is_enough(messy: str) -> None:
    source = csv(
        messy, "y", categorical=["city"], exclude=["id", "signup"], dates={"seen": "days"}, date_format="%m/%d/%Y",
        missing={"age": "median", "city": "category"}, thousands=",", task="classification",
    )  # fmt: skip
    assert [column.name for column in source.columns] == ["age", "income", "city", "seen"]


def test_every_option_that_does_not_fit_is_told_in_one_round(messy: str) -> None:
    told = lines_of(
        messy, "y", categorical=["citty", "age"], exclude=["id", "x_*", "seeen"], dates={"age": "days", "when": "days"},
        missing={"agee": "mean"}, weights="w", split_by="cty", unknown="zeros",
    )  # fmt: skip
    parts = [re.search(r"data\.(\w+): (.*)", line) for line in told]
    assert [found.groups() for found in parts if found] == [
        ("exclude", f"no column fits 'x_*'; there are {HEADER.replace(',', ', ')}"),
        ("exclude", "there is no column 'seeen'; did you mean 'seen'?"),
        ("weights", f"there is no column 'w'; there are {HEADER.replace(',', ', ')}"),
        ("split_by", "there is no column 'cty'; did you mean 'city'?"),
        ("categorical", "there is no column 'citty'; did you mean 'city'?"),
        ("dates", f"there is no column 'when'; there are {HEADER.replace(',', ', ')}"),
        ("dates", "'age' is listed in data.categorical too; leave one out"),
        ("missing", "there is no column 'agee'; did you mean 'age'?"),
        (
            "task",
            "classification if both are classes",
        ),  # of the target, which does not depend on the options of features
    ]


def test_marks_that_fit_nothing_come_with_the_other_options(messy: str) -> None:
    told = lines_of(messy, "y", missing_marks={"agee": [-1], "z*": [-1]}, exclude=["idd"])
    assert [line.split(": ")[1] for line in told] == ["data.missing_marks"] * 2 + ["data.exclude"]


def test_both_files_are_told_of(tmp_path: Path) -> None:
    first = written(tmp_path, "a,,y", ["1,2,p"])
    second = written(tmp_path, "a,a,y", ["1,2,p"], "test.csv")
    assert [line.partition(":")[0] for line in lines_of(first, "y", test_path=second)] == [
        "t.csv",
        str(second),
    ] or [line.partition(":")[0].rsplit("/", 1)[-1] for line in lines_of(first, "y", test_path=second)] == [
        "t.csv",
        "test.csv",
    ]


def test_rows_of_another_length_are_counted(tmp_path: Path) -> None:
    [line] = lines_of(written(tmp_path, "a,b,y", ["1,2,p", "1,q", "", "2,3,q", "1", "1,2,3,4"]), "y")
    assert line.startswith("t.csv:3:3: the row has 2 cells, the header 3; ")
    assert line.endswith("; so are 2 more of its rows")


def test_columns_about_rows_are_told_together(tmp_path: Path) -> None:
    rows = ["1,-2,p1,p", "2,1,,q", "3,1,p2,p"]
    assert [line[:10] for line in lines_of(written(tmp_path, "a,w,g,y", rows), "y", weights="w", split_by="g")] == [
        "t.csv:2:2:", "t.csv:3:3:",
    ]  # fmt: skip


def test_a_column_of_dates_in_several_forms_says_how_many_of_each(tmp_path: Path) -> None:
    cells = ["2024-01-01"] * 3 + ["05.02.2024", "06.02.2024", "soon", "2024-03-01"]
    rows = [f"{i},{cell},{'pq'[i % 2]}" for i, cell in enumerate(cells)]
    [line] = lines_of(written(tmp_path, "a,d,y", rows), "y", dates={"d": "days"})
    assert line == (
        "t.csv:5:2: column 'd': '05.02.2024' is not a date as ISO 8601 (2024-01-31); dates of a table have one form, "
        "and these have several (ISO 8601 in 4 cells, such as '2024-01-01', \"%d.%m.%Y\" in 2, such as '05.02.2024', "
        "no known form in 1, such as 'soon'): write them alike; so are 2 more of its cells"
    )
    [line] = lines_of(written(tmp_path, "a,d,y", rows), "y", time="d")
    assert (
        "'05.02.2024' is neither a number nor a date as ISO 8601 (2024-01-31); dates of a table have one"
        in line
    )


def test_forms_of_dates() -> None:
    assert forms_in([]) == []
    [only] = forms_in(["13.01.2024", "14.01.2024"])
    assert (only.forms, only.cells) == (("%d.%m.%Y",), 2)
    several = forms_in(["a", "1/13/24", "2024-01-01", "2024-01-01", "2024-01-02"])
    assert [(group.forms, group.cells, group.first) for group in several] == [
        ((None,), 3, "2024-01-01"), (("%m/%d/%y",), 1, "1/13/24"), ((), 1, "a"),
    ]  # fmt: skip


def request(**options: Any) -> TableRequest:
    missing = options.pop("missing", "refuse")
    cells = Cells(missing, False, "refuse", 0, None)
    known = {
        "features": None,
        "exclude": None,
        "categorical": None,
        "dates": None,
        "date_format": None,
        **options,
    }
    return request_of("y", **known, cells=cells, rows=RowColumns(None, None, None))


@pytest.mark.parametrize(
    ("missing", "columns", "rules"),
    [
        ("refuse", "a", "{a: median}"),
        ("mean", "c", '{"*": mean, c: category}'),
        ("category", "ab", '{"*": category, a: median, b: median}'),
        ({"lab_*": "mean", "city": "most_frequent"}, "a", '{"lab_*": mean, city: most_frequent, a: median}'),
        ({"c": "mean"}, "c", "{c: category}"),
        ("refuse", "abdef", "median (for these 5 columns and all other numbers)"),
        ("refuse", "abcdef", '{c: category, "*": median} (for these 5 columns and all other numbers)'),
        ({"lab": "mean"}, "abdef", '{lab: mean, "*": median} (for these 5 columns and all other numbers)'),
        ("category", "abdef", '{"*": category, a: median, b: median, d: median, e: median, f: median}'),
    ],
)
def test_advice_about_missing_cells_keeps_what_the_spec_has(missing: Any, columns: str, rules: str) -> None:
    """Columns are numbers but for c."""
    refused = [ForMissing(name, name == "c") for name in columns]
    assert missing_rules(refused, request(missing=missing)) == f"write data.missing: {rules}"


def test_following_the_advice_keeps_an_earlier_choice(tmp_path: Path) -> None:
    """`mean` for all, then what the line says: numbers have their mean still."""
    path = written(tmp_path, "a,c,y", ["1,x,p", ",,q", "5,z,p", "3,x,q"])
    [line] = lines_of(path, "y", categorical=["c"], missing="mean")
    advised: Any = yaml12.parse(re.findall(r"data\.missing: (\{.*?\})", line)[0].encode(), "t").value
    number, category = csv(path, "y", categorical=["c"], missing=advised).columns
    assert (number.fill, category.fill) == (3.0, "")


def test_advice_about_names_keeps_what_the_spec_has(tmp_path: Path) -> None:
    rows = [
        f"k{i},{'ab'[i % 2]},{'cd'[i // 2 % 2]},2024-01-{i + 1:02d},2024-02-{i + 1:02d},{'pq'[i % 2]}"
        for i in range(24)
    ]
    path = written(tmp_path, "key,c,e,d,f,y", rows)
    options: dict[str, Any] = {"categorical": ["c"], "dates": {"d": ["days", "month"]}}
    [line] = lines_of(path, "y", **options, exclude=[])
    assert (
        "write data.categorical: [c, e], data.dates: {d: [days, month], f: days}, data.exclude: [key] ("
        in line
    )
    [line] = lines_of(path, "y", exclude=["d", "f"])
    assert "write data.categorical: [c, e], data.exclude: [d, f, key] (" in line
    [line] = lines_of(path, "y", features=["key", "c", "d"], **options)  # an identifier of text is no number
    assert "; write leave" not in line and line.endswith(
        "is not a number; leave key out of data.features (key: identifier, each of its 24 values occurs once)"
    )
    assert csv(path, "y", features=["c", "d"], **options).train.x.shape[1] == 2 + 1 + 2


def test_the_form_of_dates_that_is_written_already_is_kept(tmp_path: Path) -> None:
    rows = [f"{i + 1:02d}.01.2024,{i + 1:02d}.02.2024,2024-01-{i + 1:02d},{'pq'[i % 2]}" for i in range(24)]
    path = written(tmp_path, "d,e,f,y", rows)
    options: dict[str, Any] = {"dates": {"d": "days"}, "date_format": "%d.%m.%Y"}
    [line] = lines_of(path, "y", **options, exclude=["f"])
    assert line.endswith("write data.dates: {d: days, e: days}")
    [line] = lines_of(path, "y", **options, exclude=["e"])
    assert line.endswith('(dates of a table have one form, these differ (d: "%d.%m.%Y"; f: ISO 8601): write '
                         "them alike, or leave some out)")  # fmt: skip


def test_names_as_yaml_takes_them() -> None:
    names = ["a", "a b", "lab_*", 'say "x"', "back\\slash", "1st", "true", "Null", "é", "x: y", "#"]
    assert yaml12.parse(f"[{', '.join(map(quoted, names))}]".encode(), "t").value == names
    long = [f"c{i}" for i in range(20)]
    assert listed("exclude", long, ["new", "c3"]) == "add new to data.exclude"
    assert (
        mapped("missing", dict.fromkeys(long, "mean"), {"new": "median"}) == "add new: median to data.missing"
    )


@pytest.mark.parametrize(
    "name", ["no", "Yes", "ON", "off", "Price\n(EUR)", "a\tb", "caf\u00e9\u00a0x", "how " * 30 + "satisfied"]
)
def test_any_name_in_advice_is_the_column_s(name):
    """Readers differ over `no`, lines break inside headers, and the questions of a survey are long."""
    parsed = yaml12.parse(f"[{quoted(name)}]".encode(), "t")
    assert parsed.value == [name] and not [*parsed.problems]


def test_advice_for_a_column_called_no_can_be_followed(tmp_path):
    path = written(tmp_path, "no,b,y", [f"{['red', 'blue'][i % 2]},{i}.5,{i % 2}" for i in range(20)])
    (line,) = lines_of(path, "y")
    _, _, advice = line.partition("write data.categorical: ")
    assert yaml12.parse(advice.encode(), "t").value == ["no"]
    assert csv(path, "y", categorical=["no"]).columns[0].name == "no"


def test_a_column_called_off_is_quoted_where_one_cell_is_no_number(tmp_path):
    path = written(tmp_path, "off,y", [f"{'x' if i == 3 else i},{i % 2}" for i in range(40)])
    [line] = lines_of(path, "y")
    assert line.startswith(
        "t.csv:5:1: column 'off': 'x' is not a number; correct it, or add \"off\" to data.categorical "
    )


def test_dates_of_one_form_with_an_odd_cell_are_told_their_form(tmp_path):
    """They need no rewriting: one cell is wrong, and the format is missing."""
    path = written(
        tmp_path, "d,y", [f"{'oops' if i == 3 else f'{i + 1:02d}.01.2024'},{i % 2}" for i in range(28)]
    )
    [line] = lines_of(path, "y", dates={"d": "days"})
    assert """this column needs data.date_format: "%d.%m.%Y", and 'oops' in it corrected;""" in line
    [line] = lines_of(path, "y", dates={"d": "days"}, date_format="%d.%m.%Y")
    assert "'oops' is not a date as %d.%m.%Y; correct it" in line
