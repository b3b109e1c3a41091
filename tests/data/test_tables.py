"""Raw tables: what is left out, what stands for missing and unknown cells, dates, and what is refused."""

from __future__ import annotations

import math
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun.data._dates import as_iso, date_inputs, days_of
from nnrun.data._inputs import inputs_of
from nnrun.data._pieces import input_pieces
from nnrun.data._prepare import prepare
from nnrun.data.csv import csv
from nnrun.errors import DataError
from nnrun.preprocessing import Date, FittedColumn, Preprocessing, Wanted
from nnrun.types import Dataset, Source

CITIES = ["Bonn", "Ulm", "Köln", "Bonn", "Bonn"]


def written(folder: Path, header: str, rows: list[list[object]], name: str = "t.csv") -> str:
    file = folder / name
    file.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    return str(file)


def numbers(folder: Path, cells: list[object], **options: Any) -> Source:
    """A table with the column a and a target of two classes."""
    return csv(written(folder, "a,y", [[cell, "pq"[i % 2]] for i, cell in enumerate(cells)]), "y", **options)


def split(source: Source, **options: Any) -> Dataset:
    return prepare(source, **{"validation": 0.25, "test": 0.25, "split_seed": 3, **options})


def fitted(source: Source, **options: Any) -> Preprocessing:
    return split(source, **options).fitted


def warnings() -> Any:
    lines: list[str] = []

    def warn(line: str) -> None:
        lines.append(line)

    warn.lines = lines  # type: ignore[attr-defined]
    return warn


class TestExclude:
    ROWS = tuple([i, f"n{i}", i / 2, 3 * i, "pq"[i % 2]] for i in range(8))

    def table(self, folder: Path, **options: Any) -> Source:
        return csv(written(folder, "row,note_a,note_b,b,y", [list(row) for row in self.ROWS]), "y", **options)

    def test_names_and_patterns_leave_columns_out(self, tmp_path):
        source = self.table(tmp_path, exclude=["row", "note_*"])
        assert [column.name for column in source.columns] == ["b"]
        assert source.train.x[:, 0].tolist() == [3.0 * i for i in range(8)]
        assert {about.name for about in source.table.about if about.role == "excluded"} == {
            "row",
            "note_a",
            "note_b",
        }

    @pytest.mark.parametrize(
        ("exclude", "message"),
        [
            (["rows"], r"data\.exclude: there is no column 'rows'; did you mean 'row'"),
            (["nota_*"], r"data\.exclude: no column fits 'nota_\*'; near are note_"),
            (["y"], r"data\.exclude: 'y' fits the target 'y'"),
            (["*"], r"data\.exclude: '\*' fits the target 'y'"),
            (["row", "note_*", "b"], r"data\.features: needed: at least one column"),
        ],
    )
    def test_what_fits_nothing_or_the_target_is_refused(self, exclude, message, tmp_path):
        with pytest.raises(DataError, match=message):
            self.table(tmp_path, exclude=exclude)

    def test_a_listed_feature_is_not_left_out(self, tmp_path):
        with pytest.raises(DataError, match=r"'b' is listed in data\.features"):
            self.table(tmp_path, exclude=["b"], features=["b", "row"])

    def test_an_excluded_column_is_no_category(self, tmp_path):
        with pytest.raises(DataError, match="'note_a' is not one of the features"):
            self.table(tmp_path, exclude=["note_*"], categorical=["note_a"])


class TestKinds:
    HEADER = "customer_id,when,city,remark,b,y"

    def rows(self, count: int = 24) -> list[list[object]]:
        return [
            [
                f"C{i}",
                f"2024-01-{i + 1:02d}",
                CITIES[i % 5],
                f"the customer called us {i} times",
                i % 7,
                "pq"[i % 2],
            ]
            for i in range(count)
        ]

    def test_one_message_says_what_to_write_about_all_columns(self, tmp_path):
        path = written(tmp_path, self.HEADER, self.rows())
        with pytest.raises(DataError) as caught:
            csv(path, "y")
        message = str(caught.value)
        assert message.startswith(f"{path}:2:1: column 'customer_id': 'C0' is not a number; write ")
        assert (
            "data.categorical: [city], data.dates: {when: days}, data.exclude: [customer_id, remark]"
            in message
        )
        assert "customer_id: identifier, each of its 24 values occurs once" in message
        assert "\n" not in message

    def test_what_it_says_to_write_is_enough(self, tmp_path):
        source = csv(
            written(tmp_path, self.HEADER, self.rows()), "y", categorical=["city"], dates={"when": "days"},
            exclude=["customer_id", "remark"],
        )  # fmt: skip
        kinds = {about.name: (about.role, about.kind) for about in source.table.about}
        assert kinds == {
            "customer_id": ("excluded", "identifier"), "when": ("feature", "date"), "city": ("feature", "category"),
            "remark": ("excluded", "text"), "b": ("feature", "number"), "y": ("target", "category"),
        }  # fmt: skip

    @pytest.mark.parametrize(
        "name",
        [
            "id",
            "ID",
            "user_id",
            "PassengerId",
            "uuid",
            "id_of_row",
            "Nr",
            "no",
            "row",
            "KundenNr",
            "order_no",
            "Kundennummer",
            "Order No",
        ],
    )
    def test_row_numbers_by_that_name_are_identifiers(self, name, tmp_path):
        rows = [[100 + i, i % 3, "pq"[i % 2]] for i in range(20)]
        path = written(tmp_path, f"{name},b,y", rows)
        written_name = '"no"' if name == "no" else name  # which is false to some readers of YAML
        with pytest.raises(
            DataError, match=rf"'{name}' is an identifier; write data\.exclude: \[{written_name}\]"
        ):
            csv(path, "y")
        assert csv(path, "y", features=[name, "b"]).train.x.shape == (20, 2)

    def test_identifiers_of_rows_that_are_there_twice_are_no_categories(self, tmp_path):
        rows = [[f"C{i}", 500 + i, i % 3, "pq"[i % 2]] for i in range(38)]
        path = written(tmp_path, "customer,order_id,b,y", [*rows, rows[3], rows[8]])
        with pytest.raises(DataError, match=r"write data\.exclude: \[customer, order_id\]") as caught:
            csv(path, "y")
        assert "customer: identifier, 38 of its 40 values are different" in str(caught.value)

    def test_a_column_that_counts_the_rows_is_noted(self, tmp_path):
        rows = [[i + 1, i, 20 - i, 100_000 + i, 100_000 + i + (i > 9), "pq"[i % 2]] for i in range(20)]
        path = written(tmp_path, "a,b,c,high,gap,y", rows)
        notes = {about.name: about.note for about in csv(path, "y").table.about}
        assert {name for name in notes if "counts the rows" in notes[name]} == {"a", "b", "high"}
        assert not notes["c"] and not notes["gap"]

    def test_numbers_that_look_like_codes_are_noted(self, tmp_path):
        """A postcode that begins with 0, and 2⁵³ + 1, the first whole number that float64 has not."""
        rows = [
            [f"{1067 + 7 * (i % 9):05}", 2**53 + i % 3, 2**53 + 2 * (i % 3), i % 5, f"0.{i % 7}", "pq"[i % 2]]
            for i in range(20)
        ]
        path = written(tmp_path, "postcode,key,even,count,share,y", rows)
        notes = {about.name: about.note for about in csv(path, "y").table.about}
        assert notes["postcode"] == (
            "cells such as '01067' are taken as numbers; for codes write data.categorical or data.exclude"
        )
        assert (
            notes["key"]
            == "whole numbers such as 9007199254740993 have more digits than float64, which rounds them"
        )
        assert not notes["even"] and not notes["count"] and not notes["share"]
        assert not csv(path, "y", categorical=["postcode"]).table.about[0].note

    @pytest.mark.parametrize("name", ["piano", "number_of_calls", "casino", "zip_notes"])
    def test_names_that_only_end_like_one_are_none(self, name, tmp_path):
        rows = [[3 * i, i % 3, "pq"[i % 2]] for i in range(20)]
        assert csv(written(tmp_path, f"{name},b,y", rows), "y").train.x.shape == (20, 2)

    def test_every_column_at_fault_has_a_line(self, tmp_path):
        rows = [[i, f"{i},000", 1.5, "pq"[i % 2]] for i in range(1, 6)]
        rows[2][0], rows[4][2] = "many", "1.5%"
        path = written(tmp_path, "a,b,c,y", [[*row[:1], f'"{row[1]}"', *row[2:]] for row in rows])
        with pytest.raises(DataError) as caught:
            csv(path, "y")
        many, thousands, percent = str(caught.value).split("\n")
        assert f"{path}:4:1: column 'a': 'many' is not a number" in many
        assert "has commas between its thousands; write 1000, or, of a CSV file, data.thousands" in thousands
        assert thousands.endswith("; so are 4 more of its cells")
        assert f"{path}:6:3: column 'c': '1.5%' is a percentage" in percent

    def test_rows_that_are_there_twice_are_noted(self, tmp_path):
        rows = [[f"C{i}", i % 3, "pq"[i % 2]] for i in range(30)]
        path = written(tmp_path, "customer,b,y", [*rows, rows[3], rows[8], rows[3]])
        [note] = csv(path, "y", exclude=["customer"]).table.notes
        assert note.startswith(
            f"3 of 33 rows are the same as an earlier one in every column, the first {path}:32"
        )
        assert csv(written(tmp_path, "customer,b,y", rows), "y", exclude=["customer"]).table.notes == ()
        few = [[i % 3, i % 2, "pq"[i % 2]] for i in range(30)]  # chance makes equal rows
        assert csv(written(tmp_path, "a,b,y", few), "y").table.notes == ()

    def test_one_rule_is_proposed_for_many_gaps(self, tmp_path):
        rows = [["" if i == 3 else i] * 6 + ["pq"[i % 2]] for i in range(9)]
        path = written(tmp_path, "a,b,c,d,e,f,y", rows)
        with pytest.raises(
            DataError, match=r"write data\.missing: median \(for these 6 columns and all other numbers\)"
        ):
            csv(path, "y")
        assert csv(path, "y", missing="median").train.x.shape == (9, 6)

    @pytest.mark.parametrize("name", ["humid", "paid", "width", "valid", "grid"])
    def test_numbers_by_another_name_are_not(self, name, tmp_path):
        rows = [[100 + i, i % 3, "pq"[i % 2]] for i in range(20)]
        assert csv(written(tmp_path, f"{name},b,y", rows), "y").train.x.shape == (20, 2)

    def test_a_few_names_that_differ_are_a_category(self, tmp_path):
        with pytest.raises(DataError, match=r"data\.categorical: \[a\]"):
            numbers(tmp_path, ["x", "y", "z"])

    def test_constant_columns_and_names_that_differ_in_case_are_noted(self, tmp_path):
        rows = [[5, cell, i, "pq"[i % 2]] for i, cell in enumerate(["red", "Red", " red", "blue", "red"])]
        source = csv(written(tmp_path, "same,colour,b,y", rows), "y", categorical=["colour"])
        notes = {about.name: about.note for about in source.table.about}
        assert "constant" in notes["same"]
        assert "'Red' and 'red' differ in case only" in notes["colour"]
        assert "surrounding blanks" in notes["colour"]
        assert not notes["b"]

    def test_classes_that_differ_in_case_and_are_meant_are_still_noted(self, tmp_path):
        path = written(tmp_path, "a,y", [[1.5 * i, ["yes", "Yes", "no"][i % 3]] for i in range(9)])
        (target,) = [
            about for about in csv(path, "y", task="classification").table.about if about.role == "target"
        ]
        assert target.note == "'Yes' and 'yes' differ in case only, and are two"

    def test_a_constant_text_is_to_be_left_out(self, tmp_path):
        with pytest.raises(DataError, match=r"data\.exclude: \[a\] \(a: constant, every value is EUR\)"):
            numbers(tmp_path, ["EUR"] * 4)


class TestMissing:
    CELLS = ("1", "NA", "3", "?", "10", "", "1", "null")

    def test_every_rule_of_numbers_is_fitted_to_the_training_part_only(self, tmp_path):
        values = [float(cell) if i % 3 else math.nan for i, cell in enumerate(range(60))]
        cells = [f"{value:g}" if not math.isnan(value) else "NA" for value in values]
        for rule, statistic in (("mean", np.mean), ("median", np.median)):
            source = numbers(tmp_path, cells, missing=rule)
            [column] = fitted(source).columns
            chosen = _rows_of(source, "train")
            present = [values[row] for row in chosen if not math.isnan(values[row])]
            assert column.fill == pytest.approx(statistic(present), rel=1e-12)
            assert column.fill != pytest.approx(statistic([v for v in values if not math.isnan(v)]), rel=1e-6)

    def test_the_most_frequent_number_and_name(self, tmp_path):
        source = numbers(tmp_path, list(self.CELLS), missing="most_frequent")
        assert source.columns[0].fill == 1.0
        assert source.train.x[:, 0].tolist() == [1, 1, 3, 1, 10, 1, 1, 1]
        names = numbers(tmp_path, ["b", "NA", "a", "b", "", "a"], categorical=["a"], missing="most_frequent")
        assert names.columns[0].fill == "a"  # the first of two

    def test_a_category_of_its_own(self, tmp_path):
        source = numbers(tmp_path, ["b", "NA", "a", "", "b", "a"], categorical=["a"], missing="category")
        assert source.columns[0].categories == ("", "a", "b")
        assert source.train.x.argmax(1).tolist() == [2, 0, 1, 0, 2, 1]

    def test_an_indicator_tells_where_a_cell_was_missing(self, tmp_path):
        source = numbers(tmp_path, list(self.CELLS), missing="median", missing_indicator=True)
        assert source.train.x[:, 1].tolist() == [0, 1, 0, 1, 0, 1, 0, 1]
        plain = numbers(tmp_path, ["1", "2", "4"], missing="median", missing_indicator=True)
        assert plain.train.x.shape == (3, 1)  # nothing is missing, so there is nothing to tell

    def test_rules_by_name_come_before_patterns(self, tmp_path):
        rows = [[1, 4, "p"], ["NA", "NA", "q"], [3, 4, "p"], [8, 10, "q"]]
        source = csv(written(tmp_path, "ab,ac,y", rows), "y", missing={"a*": "mean", "ac": "median"})
        assert [column.fill for column in source.columns] == [4.0, 4.0]

    def test_refused_with_what_to_write_for_all_columns(self, tmp_path):
        rows = [[1, "x", "p"], ["NA", "", "q"], [3, "z", "p"], [3, "x", "q"]]
        with pytest.raises(DataError, match=r"t\.csv:3:1: column 'a': 'NA' is a missing value; write data\.missing: "
                           r"\{a: median, b: category\}, fill it in or remove the row"):  # fmt: skip
            csv(written(tmp_path, "a,b,y", rows), "y", categorical=["b"])

    @pytest.mark.parametrize(
        ("missing", "message"),
        [
            (
                {"a": "category"},
                r"data\.missing: 'a' is no category, which category is not for; write mean or median",
            ),
            ({"b": "mean"}, r"data\.missing: 'b' is a category, which mean is not for; write most_frequent"),
            ({"c": "mean"}, r"data\.missing: there is no column 'c'"),
            ({"y": "mean"}, r"data\.missing: 'y' is not one of the features"),
            (
                "mean",
                r"t\.csv:3:2: column 'b': '' is empty; write data\.missing: \{\"\*\": mean, b: category\}",
            ),
        ],
    )
    def test_a_rule_that_does_not_fit(self, missing, message, tmp_path):
        rows = [[1, "x", "p"], ["NA", "", "q"], [3, "z", "p"], [3, "x", "q"]]
        with pytest.raises(DataError, match=message):
            csv(written(tmp_path, "a,b,y", rows), "y", categorical=["b"], missing=missing)

    def test_a_column_without_a_value_is_to_be_left_out(self, tmp_path):
        rows = [[1, "NA", "p"], [2, "NA", "q"], [3, "", "p"]]
        with pytest.raises(DataError, match=r"data\.exclude: \[b\] \(b: empty, no cell has a value\)"):
            csv(written(tmp_path, "a,b,y", rows), "y", missing="mean")

    def test_a_missing_target_is_still_refused(self, tmp_path):
        rows = [[1, 2.5], [2, "NA"], [3, 4.5]]
        with pytest.raises(DataError, match=r"t\.csv:3:2: column 'y'"):
            csv(written(tmp_path, "a,y", rows), "y", missing="mean")


def _rows_of(source: Source, part: str, **options: Any) -> list[int]:
    """Which rows of a table are in a part, found by inputs that count the rows."""
    count = len(source.train.y)
    counted = source._replace(
        train=source.train._replace(x=np.arange(float(count))[:, None]), columns=(), standardize="none",
        table=source.table._replace(fit=None),
    )  # fmt: skip
    dataset = split(counted, **options)
    return [round(value) for value in (getattr(dataset, part).x[:, 0] + dataset.offset).tolist()]


class TestUnknownAndRare:
    CELLS = tuple(["a"] * 20 + ["b"] * 15 + ["c", "d", "e", "f", "g"])

    def test_rare_names_share_an_input(self, tmp_path):
        source = numbers(tmp_path, list(self.CELLS), categorical=["a"], rare=5)
        assert source.columns[0] == FittedColumn("a", ("a", "b"), rare=("c", "d", "e", "f", "g"))
        assert source.train.x.sum(0).tolist() == [20, 15, 5]

    @pytest.mark.parametrize("unknown", ["zeros", "other"])
    def test_names_that_the_training_part_lacks(self, unknown, tmp_path):
        source = numbers(tmp_path, list(self.CELLS), categorical=["a"], rare=5, unknown=unknown)
        dataset = split(source, validation=0.2, test=0.3)
        [column] = dataset.fitted.columns
        trained = {self.CELLS[row] for row in _rows_of(source, "train", validation=0.2, test=0.3)}
        assert set(column.categories or ()) | set(column.rare) == trained < set(self.CELLS)
        x = inputs_of({"a": ["a", "never seen"]}, dataset.fitted)
        assert x[0].tolist() == [1, 0, 0]
        assert x[1].tolist() == ([0, 0, 1] if unknown == "other" else [0, 0, 0])

    def test_refused_by_default_as_ever(self, tmp_path):
        source = numbers(tmp_path, list(self.CELLS), categorical=["a"], rare=5)
        with pytest.raises(DataError, match="'h' does not occur in the training part"):
            inputs_of({"a": ["h"]}, fitted(source))

    def test_the_last_resort_has_a_line_at_prediction(self, tmp_path):
        record = fitted(numbers(tmp_path, list(self.CELLS), categorical=["a"], rare=5, unknown="other"))
        path, warn = Path(written(tmp_path, "a", [["a"], ["z"], ["z"]], "new.csv")), warnings()
        assert len(list(input_pieces(path, {"name": "csv"}, record, warn))) == 1
        [line] = warn.lines
        assert line.endswith(
            "the training part lacks the names in 2 of 3 cells, the first 'z' in row 3; they count as rare ones"
        )

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"unknown": "other", "categorical": ["a"]}, r"write data\.rare: 5 too, or data\.unknown: zeros"),
            ({"rare": 3}, r"data\.rare: is about categories; list them in data\.categorical"),
            ({"unknown": "zeros"}, r"data\.unknown: is about categories"),
            ({"rare": 50, "categorical": ["a"]}, "every name has fewer than 50 training examples"),
        ],
    )
    def test_what_cannot_be_learned_is_refused(self, options, message, tmp_path):
        cells = self.CELLS if "categorical" in options else range(30)
        with pytest.raises(DataError, match=message):
            numbers(tmp_path, list(cells), **options)


class TestDates:
    def test_days_are_those_of_the_calendar(self):
        for text in ("1969-12-31", "1970-01-01", "2000-02-29", "2024-12-31"):
            expected = (date.fromisoformat(text) - date(1970, 1, 1)).days
            assert days_of(text, None) == expected
            assert as_iso(expected) == text
        assert days_of("2024-01-01T18:00", None) == days_of("2024-01-01", None) + 0.75  # type: ignore[operator]
        assert days_of("2024-01-01T18:00+06:00", None) == days_of("2024-01-01T12:00Z", None)
        assert days_of("31.01.2024", "%d.%m.%Y") == days_of("2024-01-31", None)
        assert days_of("31.01.2024", None) is None
        assert days_of("20240131", None) is None

    @pytest.mark.parametrize("text", ["2024-01-31 06:00", "2023-12-01 23:59", "1950-07-09 00:00"])
    def test_cyclic_parts_are_the_place_in_their_period(self, text):
        moment = datetime.fromisoformat(text)
        shares = {
            "weekday": moment.weekday() / 7,
            "month": (moment.month - 1) / 12,
            "hour": (moment.hour + moment.minute / 60) / 24,
        }
        days = np.array([days_of(text, None)], np.float64)
        for part, share in shares.items():
            expected = [math.sin(2 * math.pi * share), math.cos(2 * math.pi * share)]
            np.testing.assert_allclose(date_inputs(days, (part,), 0.0)[0], expected, atol=1e-8)

    def test_the_origin_is_the_first_date_of_the_training_part(self, tmp_path):
        cells = [as_iso(20000 + (37 * i) % 100) for i in range(60)]
        source = numbers(tmp_path, list(cells), dates={"a": ["days", "weekday"]})
        [column] = fitted(source).columns
        rows = _rows_of(source, "train")
        assert column.date == Date(("days", "weekday"), min(cells[row] for row in rows), None)
        assert column.width == 3
        assert fitted(source, split_seed=4).columns[0].date != column.date

    def test_another_way_to_write_dates(self, tmp_path):
        source = numbers(tmp_path, ["01.02.2024", "03.02.2024"], dates={"a": "days"}, date_format="%d.%m.%Y")
        assert source.train.x[:, 0].tolist() == [0, 2]
        with pytest.raises(
            DataError, match=r"t\.csv:3:1: column 'a': '2024-02-03' is not a date as %d\.%m\.%Y"
        ):
            numbers(tmp_path, ["01.02.2024", "2024-02-03"], dates={"a": "days"}, date_format="%d.%m.%Y")

    @pytest.mark.parametrize(
        ("cell", "form"), [("2024-01-31", ""), ("31.01.2024", "%d.%m.%Y"), ("1/2/2024", "%d/%m/%Y")]
    )
    def test_dates_are_refused_with_the_option(self, cell, form, tmp_path):
        with pytest.raises(DataError, match=r"write data\.dates: \{a: days\}") as caught:
            numbers(tmp_path, [cell] * 2 + [cell.replace("1", "3", 1)])
        assert ("date_format" in str(caught.value)) == bool(form)
        assert form in str(caught.value)

    @pytest.mark.parametrize(
        ("cells", "form"),
        [
            (["11/23/2022", "1/2/2022"], '"%m/%d/%Y"'),  # there is no month 23
            (["23/11/22", "1/2/22"], '"%d/%m/%y"'),
            (["28-08-2021", "01-02-2021"], '"%d-%m-%Y"'),
            (["1.2.2021 08:30", "2.2.2021 17:05"], '"%d.%m.%Y %H:%M" or "%m.%d.%Y %H:%M"'),
            (["31.01.2024", "30.01.2024", "33.01.2024"], '"%d.%m.%Y"'),  # one is mistyped
        ],
    )
    def test_the_form_that_is_proposed_is_that_of_the_cells(self, cells, form, tmp_path):
        with pytest.raises(DataError) as caught:
            numbers(tmp_path, cells)
        assert str(caught.value).endswith(f"write data.dates: {{a: days}}, data.date_format: {form}")

    def test_columns_whose_dates_have_different_forms_are_told(self, tmp_path):
        path = written(tmp_path, "a,b,y", [["1/23/2022", "1/25/22", "p"], ["11/23/2022", "12/2/22", "q"]])
        with pytest.raises(
            DataError, match=r"\(dates of a table have one form, these differ \(a: .*%Y.*; b: .*%y"
        ):
            csv(path, "y")
        with pytest.raises(
            DataError, match=r"'1/25/22' is not a date as %m/%d/%Y; this column needs data\.date_format"
        ):
            csv(path, "y", dates={"a": "days", "b": "days"}, date_format="%m/%d/%Y")

    def test_a_missing_date_is_filled_before_its_parts_are_made(self, tmp_path):
        cells = ["2024-01-01", "2024-01-03", "NA", "2024-01-05"]
        source = numbers(tmp_path, list(cells), dates={"a": ["days", "weekday"]}, missing="median")
        assert source.columns[0].fill == 2.0
        np.testing.assert_array_equal(source.train.x[2], source.train.x[1])


class TestDecimalCommas:
    def test_numbers_and_targets(self, tmp_path):
        (tmp_path / "t.csv").write_text("a;y\n1,5;0,25\n-2;1,5\n,5;2,75\n1e2;4\n")
        source = csv(str(tmp_path / "t.csv"), "y", delimiter=";", decimal=",")
        assert source.train.x[:, 0].tolist() == [1.5, -2, 0.5, 100]
        assert source.train.y.tolist() == [0.25, 1.5, 2.75, 4]

    @pytest.mark.parametrize(
        ("thousands", "decimal", "cells"),
        [
            (".", ",", ["1.258,95", "12", "1.234.567", "-2,5", "1500,25"]),
            (",", ".", ["1,258.95", "12", "1,234,567", "-2.5", "1500.25"]),
            ("'", ".", ["1'258.95", "12", "1'234'567", "-2.5", "1500.25"]),
            (" ", ",", ["1 258,95", "12", "1 234 567", "-2,5", "1500,25"]),
        ],
    )
    def test_thousands_as_the_spec_says(self, thousands, decimal, cells, tmp_path):
        rows = "".join(f'"{cell}";"{cell}"\n' for cell in cells)
        (tmp_path / "t.csv").write_text(f"a;y\n{rows}")
        source = csv(str(tmp_path / "t.csv"), "y", delimiter=";", decimal=decimal, thousands=thousands)
        numbers = [1258.95, 12, 1234567, -2.5, 1500.25]
        assert source.train.x[:, 0].tolist() == source.train.y.tolist() == numbers
        with pytest.raises(DataError) as caught:
            csv(str(tmp_path / "t.csv"), "y", delimiter=";", decimal=decimal)
        assert "between its thousands" in str(caught.value)
        assert f'data.thousands: "{thousands}"' in str(caught.value)

    @pytest.mark.parametrize("cell", ["12.34", "1.2345", "1234.567", "1.234,5.6", ".123", "0.123"])
    def test_groups_that_are_not_of_three_are_no_thousands(self, cell, tmp_path):
        (tmp_path / "t.csv").write_text(f"a;y\n1.000;p\n{cell};q\n3;p\n4;q\n")
        with pytest.raises(DataError, match=rf"t\.csv:3:1: column 'a': '{cell}'"):
            csv(str(tmp_path / "t.csv"), "y", delimiter=";", decimal=",", thousands=".")

    def test_thousands_and_fractions_are_told_apart(self, tmp_path):
        (tmp_path / "t.csv").write_text("a;y\n1.000;p\n")
        with pytest.raises(
            DataError, match=r"data\.thousands: '\.' stands before fractions too; write data\.decimal: ','"
        ):
            csv(str(tmp_path / "t.csv"), "y", delimiter=";", thousands=".")

    def test_a_point_is_refused_where_commas_are_written(self, tmp_path):
        (tmp_path / "t.csv").write_text("a;y\n1,5;p\n2.5;q\n3,5;p\n")
        with pytest.raises(DataError, match=r"t\.csv:3:1: column 'a': '2\.5' has a decimal point"):
            csv(str(tmp_path / "t.csv"), "y", delimiter=";", decimal=",")

    def test_the_option_is_named_where_it_is_missing(self, tmp_path):
        (tmp_path / "t.csv").write_text("a;y\n1,5;p\n2,5;q\n3,5;p\n")
        with pytest.raises(DataError, match=r"has a decimal comma; write 1\.5, or data\.decimal: ','"):
            csv(str(tmp_path / "t.csv"), "y", delimiter=";")


class TestRecorded:
    """What a run has recorded is used, not fitted again."""

    def test_the_record_is_what_fills(self, tmp_path):
        source = numbers(tmp_path, ["1", "NA", "3", "4"] * 10, missing="mean")
        dataset = split(source)
        again = split(source, need=Wanted(dataset.fitted, ("train", "val", "test")))
        for part in ("train", "val", "test"):
            np.testing.assert_array_equal(getattr(again, part).x, getattr(dataset, part).x)
        moved = dataset.fitted._replace(columns=(dataset.fitted.columns[0]._replace(fill=77.0),))
        assert inputs_of({"a": [None, "5"]}, moved)[:, 0].tolist() == [77.0, 5.0]

    def test_at_prediction_no_option_is_proposed(self, tmp_path):
        record = fitted(numbers(tmp_path, ["1", "2", "3", "4"] * 4))
        for cell, message in (
            ("x", "is not a number; the run was trained with numbers"),
            ("NA", "was trained without"),
        ):
            with pytest.raises(DataError, match=message) as caught:
                inputs_of({"a": [cell]}, record)
            assert "data." not in str(caught.value)

    def test_plain_columns_are_recorded_as_before(self):
        assert FittedColumn("a").as_dict() == {"name": "a", "categories": None}
        assert FittedColumn("b", ("x", "y")).as_dict() == {"name": "b", "categories": ["x", "y"]}


class TestIdleOptions:
    """An option that changes nothing is a mistake, not a wish."""

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"missing_indicator": True}, "data.missing_indicator: tells which cells were filled in"),
            ({"date_format": "%d.%m.%Y"}, "data.date_format: no column is read as dates"),
            ({"dates": {"a": []}}, "data.dates: 'a' becomes nothing; write days, weekday, month or hour"),
        ],
    )
    def test_it_is_refused(self, options, message, tmp_path):
        with pytest.raises(DataError, match=message):
            numbers(tmp_path, [1, 2, 3, 4], **options)


class TestInMemory:
    def test_unknown_names_of_a_test_file_are_said(self, tmp_path):
        """1.0 in the test file is not the 1 of the training file: all of its categories would be zeros."""
        lines = [f"{i % 3},{i},{'ab'[i // 3 % 2]}" for i in range(60)]
        (tmp_path / "a.csv").write_text("\n".join(["c,x,y", *lines]))
        (tmp_path / "b.csv").write_text(
            "\n".join(["c,x,y", *(line.replace(",", ".0,", 1) for line in lines[:9])])
        )
        source = csv(
            str(tmp_path / "a.csv"),
            "y",
            categorical=["c"],
            unknown="zeros",
            test_path=str(tmp_path / "b.csv"),
        )
        split = prepare(source, validation=0.2, test=0.2, split_seed=0)  # fits the table again
        assert split.notes == (
            f"{tmp_path}/b.csv: column 'c': the training part lacks the names in 9 of 9 cells, the first '0.0' in row "
            "2; they count as zeros",
        )

    def test_names_that_are_one_number_are_said(self, tmp_path):
        lines = [f"{i % 3}{'.0' * (i % 2)},{'ab'[i // 3 % 2]}" for i in range(60)]
        (tmp_path / "a.csv").write_text("\n".join(["c,y", *lines]))
        [about, _] = csv(str(tmp_path / "a.csv"), "y", categorical=["c"]).table.about
        assert about.note == (
            "names that are one number, and several names: '0' and '0.0'; '1' and '1.0'; '2' and '2.0'"
        )

    def test_unknown_names_have_a_line_as_those_of_a_file(self, tmp_path):
        cells = [1, 2, 1, 2, 1, 2, 1, 2]
        record = fitted(numbers(tmp_path, list(cells), categorical=["a"], unknown="zeros"))
        warn = warnings()
        assert inputs_of({"a": [1.0, 2]}, record, warn).tolist() == [[0, 0], [0, 1]]
        [line] = warn.lines
        assert (
            "column 'a': the training part lacks the names in 1 of 2 cells, the first '1.0' in row 1" in line
        )

    def test_moments_in_nanoseconds_are_dates(self, tmp_path):
        days = [f"2024-01-{day:02d}" for day in range(1, 9)]
        record = fitted(numbers(tmp_path, list(days), dates={"a": "days"}))
        cells = {"a": np.array(["2024-03-01", "2024-03-01T12:00"], "datetime64[ns]")}
        origin = record.columns[0].date.origin  # type: ignore[union-attr]
        first = (np.datetime64("2024-03-01") - np.datetime64(origin)).astype(int)
        assert inputs_of(cells, record).tolist() == [[first], [first + 0.5]]


def test_classes_of_a_test_file_are_read_as_those_of_the_training_file(tmp_path):
    """In a file of 01 and 1 alone they would be one number; beside A they are three names."""
    path = written(tmp_path, "a,y", [[i, ["01", "1", "A"][i % 3]] for i in range(12)])
    test = written(tmp_path, "a,y", [[1, "01"], [2, "1"]], "test.csv")
    source = csv(path, "y", test_path=test)
    assert source.classes == ("01", "1", "A")
    assert source.test is not None
    assert source.test.y.tolist() == [0, 1]
