"""Columns that are about rows: weights, groups that stay together, and time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun.data._prepare import prepare
from nnrun.data.csv import csv
from nnrun.errors import DataError
from nnrun.types import Source

PARTS = ("train", "val", "test")


def table(folder: Path, rows: list[tuple[object, ...]], header: str, name: str = "t.csv") -> str:
    file = folder / name
    file.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return str(file)


def rows_of(source: Source, **options: Any) -> dict[str, np.ndarray]:
    """Part -> the rows of the table in it, of a source whose only input counts the rows."""
    wish = {"validation": 0.2, "test": 0.2, "split_seed": 1, **options}
    data = prepare(source._replace(standardize="none"), **wish)
    return {name: np.rint(getattr(data, name).x[:, 0] + data.offset).astype(int) for name in PARTS}


def patients(folder: Path, **options: Any) -> tuple[Source, np.ndarray, np.ndarray]:
    """400 rows of 60 patients, of whom a quarter is ill: the source, patient and label of each row."""
    draw = np.random.default_rng(0)
    patient = draw.integers(0, 60, 400)
    ill = patient % 4 == 0
    rows = [(i, f"p{p}", "yes" if y else "no") for i, (p, y) in enumerate(zip(patient, ill, strict=True))]
    source = csv(table(folder, rows, "i,patient,y"), "y", features=["i"], split_by="patient", **options)
    return source, patient, ill


class TestGroups:
    @pytest.mark.parametrize("seed", [0, 1, 2, 3])
    def test_no_group_is_in_two_parts_and_all_rows_are_somewhere(self, seed, tmp_path):
        source, patient, _ = patients(tmp_path)
        rows = rows_of(source, split_seed=seed)
        assert sorted(np.concatenate(list(rows.values())).tolist()) == list(range(400))
        groups = [set(patient[part].tolist()) for part in rows.values()]
        assert sum(map(len, groups)) == len(set.union(*groups)) == 60

    @pytest.mark.parametrize("seed", [0, 1, 2, 3])
    def test_parts_are_about_as_large_as_asked_with_the_classes_in_proportion(self, seed, tmp_path):
        source, _, ill = patients(tmp_path)
        for name, share in (("train", 0.6), ("val", 0.2), ("test", 0.2)):
            part = rows_of(source, split_seed=seed)[name]
            assert len(part) == pytest.approx(share * 400, abs=12)
            assert ill[part].mean() == pytest.approx(ill.mean(), abs=0.05)

    def test_groups_that_look_the_same_are_refused(self, tmp_path):
        """An invisible character would put rows of a patient into two parts."""
        rows = [(i, ["p1", "p\u200b1", "p2"][i % 3], i / 2) for i in range(12)]
        with pytest.raises(DataError, match=r"t.csv:3:2: column 'patient': .*looks like the name in row 2"):
            csv(table(tmp_path, rows, "i,patient,y"), "y", split_by="patient")

    def test_the_seed_chooses_the_groups(self, tmp_path):
        source, _, _ = patients(tmp_path)
        assert (
            rows_of(source, split_seed=1)["test"].tolist() != rows_of(source, split_seed=2)["test"].tolist()
        )

    def test_the_column_is_no_feature(self, tmp_path):
        rows = [(i, f"p{i % 9}", "ab"[i % 2]) for i in range(40)]
        source = csv(table(tmp_path, rows, "i,patient,y"), "y", split_by="patient")
        assert [column.name for column in source.columns] == ["i"]
        assert {about.name: about.role for about in source.table.about}["patient"] == "group"

    def test_a_group_in_both_files_is_refused(self, tmp_path):
        first = table(tmp_path, [(i, f"p{i}", "ab"[i % 2]) for i in range(9)], "i,patient,y")
        other = table(tmp_path, [(1, "q1", "a"), (2, "p3", "b")], "i,patient,y", "test.csv")
        with pytest.raises(
            DataError, match=r"test\.csv:3:2: column 'patient': 'p3' is a group of .*t\.csv too"
        ):
            csv(first, "y", split_by="patient", test_path=other)

    def test_a_number_is_one_group_however_it_is_written(self, tmp_path):
        """pandas writes 7 as 7.0 where a cell of the column is missing."""
        rows = [(i, f"{i // 4}.0" if i % 2 else i // 4, "ab"[i // 2 % 2]) for i in range(80)]
        source = csv(table(tmp_path, rows, "i,patient,y"), "y", features=["i"], split_by="patient")
        parts = [set((part // 4).tolist()) for part in rows_of(source).values()]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 20
        assert {about.name: about.why for about in source.table.about}["patient"] == "20 different numbers"
        other = table(tmp_path, [(1, "70.0", "a"), (2, "07", "b")], "i,patient,y", "test.csv")
        with pytest.raises(DataError, match=r"test\.csv:3:2: column 'patient': '07' is a group of"):
            csv(str(tmp_path / "t.csv"), "y", split_by="patient", test_path=other)

    def test_groups_that_differ_in_case_only_are_said(self, tmp_path):
        rows = [(i, ["p1", "P1", "p2"][i % 3], "ab"[i // 3 % 2]) for i in range(12)]
        source = csv(table(tmp_path, rows, "i,patient,y"), "y", split_by="patient")
        assert {about.name: about.note for about in source.table.about}["patient"] == (
            "'P1' and 'p1' differ in case only, and are two"
        )

    def test_two_groups_are_too_few(self, tmp_path):
        rows = [(i, f"p{i % 2}", "ab"[i // 2 % 2]) for i in range(40)]
        source = csv(table(tmp_path, rows, "i,patient,y"), "y", split_by="patient")
        with pytest.raises(DataError, match=r"data\.split_by: 1 groups are too few"):
            rows_of(source)

    def test_a_missing_group_is_refused(self, tmp_path):
        rows = [(1, "p1", "a"), (2, "", "b"), (3, "p2", "a")]
        with pytest.raises(
            DataError, match=r"t\.csv:3:2: column 'patient': '' is a missing value, and rows are split"
        ):
            csv(table(tmp_path, rows, "i,patient,y"), "y", split_by="patient")


class TestTime:
    @pytest.mark.parametrize("written", ["dates", "numbers"])
    def test_the_parts_follow_one_another(self, written, tmp_path):
        days = np.random.default_rng(1).permutation(100)
        dates = np.datetime64("2024-01-01") + days
        rows = [
            (i, day if written == "numbers" else date, "ab"[i % 2])
            for i, (day, date) in enumerate(zip(days, dates, strict=True))
        ]
        source = csv(table(tmp_path, rows, "i,when,y"), "y", time="when")
        assert [column.name for column in source.columns] == ["i"]
        for seed in (1, 2):  # nothing is drawn
            parts = rows_of(source, split_seed=seed)
            assert {name: sorted(days[part].tolist()) for name, part in parts.items()} == {
                "train": list(range(60)), "val": list(range(60, 80)), "test": list(range(80, 100)),
            }  # fmt: skip

    def test_rows_of_one_time_stay_together(self, tmp_path):
        rows = [(i, i // 8, "ab"[i % 2]) for i in range(96)]
        parts = rows_of(csv(table(tmp_path, rows, "i,day,y"), "y", time="day"))
        days = [{i // 8 for i in part.tolist()} for part in parts.values()]
        assert sum(map(len, days)) == 12
        assert max(days[0]) < min(days[1]) <= max(days[1]) < min(days[2])

    @pytest.mark.parametrize("written", ["dates", "numbers"])
    def test_a_test_file_that_begins_before_the_end_is_refused(self, written, tmp_path):
        """Metrics of it would be of the past, foretold from its future."""

        def file(name: str, days: range) -> str:
            when = [day if written == "numbers" else f"2024-01-{day:02d}" for day in days]
            return table(tmp_path, [(i, t, "ab"[i % 2]) for i, t in enumerate(when)], "i,when,y", name)

        first = file("t.csv", range(1, 20))
        late, early = (file(f"{days.start}.csv", days) for days in (range(20, 30), range(18, 25)))
        source = csv(first, "y", time="when", test_path=late)
        assert source.test is not None
        assert len(source.test.y) == 10
        with pytest.raises(
            DataError, match=r"18\.csv:2:2: column 'when': '.*18' is earlier than .*19, the last"
        ):
            csv(first, "y", time="when", test_path=early)

    def test_one_time_for_all_cannot_be_split(self, tmp_path):
        source = csv(table(tmp_path, [(i, 7, "ab"[i % 2]) for i in range(40)], "i,day,y"), "y", time="day")
        with pytest.raises(DataError, match=r"data\.time: too many rows have the first time"):
            rows_of(source)

    def test_a_time_may_be_a_feature_too(self, tmp_path):
        rows = [(i, f"2024-01-{i + 1:02d}", "ab"[i % 2]) for i in range(20)]
        path = table(tmp_path, rows, "i,when,y")
        source = csv(path, "y", time="when", dates={"when": "days"})
        assert [column.name for column in source.columns] == ["i", "when"]

    def test_what_is_no_time_is_refused(self, tmp_path):
        rows = [(1, "2024-01-01", "a"), (2, "soon", "b"), (3, "2024-01-03", "a")]
        with pytest.raises(
            DataError, match=r"t\.csv:3:2: column 'when': 'soon' is neither a number nor a date"
        ):
            csv(table(tmp_path, rows, "i,when,y"), "y", time="when")

    def test_a_date_of_digits_is_ordered_as_a_date(self, tmp_path):
        """As numbers, 01022024 comes before 02012024."""
        first = np.datetime64("2024-01-01")
        days = [(first + i).item().strftime("%d%m%Y") for i in range(60)]
        rows = [(i, day, i / 2) for i, day in enumerate(days)]
        rows = rows_of(csv(table(tmp_path, rows, "i,day,y"), "y", time="day", date_format="%d%m%Y"))
        assert rows["test"].tolist() == list(range(48, 60))
        assert rows["val"].tolist() == list(range(36, 48))

    def test_a_training_part_of_one_class_is_refused(self, tmp_path):
        rows = [(i, "yes" if i > 20 else "no") for i in range(30)]
        source = csv(table(tmp_path, rows, "i,y"), "y", features=["i"], time="i")
        with pytest.raises(
            DataError, match=r"training part is of class 'no'.*make data.validation .* smaller"
        ):
            prepare(source, validation=0.2, test=0.2, split_seed=1)


class TestWeights:
    ROWS = tuple((i, i % 3 + 0.5, "ab"[i % 2]) for i in range(30))

    def test_those_of_the_training_part_arrive_with_it(self, tmp_path):
        source = csv(table(tmp_path, list(self.ROWS), "i,w,y"), "y", weights="w")
        assert [column.name for column in source.columns] == ["i"]
        data = prepare(source._replace(standardize="none"), validation=0.2, test=0.2, split_seed=1)
        assert data.weights is not None
        np.testing.assert_array_equal(2 * data.weights, (data.train.x[:, 0] + data.offset) % 3 + 0.5)

    @pytest.mark.parametrize("factor", [3e37, 1e-40])
    def test_only_ratios_count_so_that_none_are_too_large_or_too_small(self, factor, tmp_path):
        rows = [(i, factor * (1 + i % 3), "ab"[i % 2]) for i in range(30)]
        data = prepare(
            csv(table(tmp_path, rows, "i,w,y"), "y", weights="w"), validation=0.2, test=0.2, split_seed=1
        )
        expected = np.rint(data.train.x[:, 0].astype(float) + data.offset[0]).astype(int) % 3 + 1
        assert data.weights is not None
        assert 1 <= data.weights.max() < 2
        np.testing.assert_allclose(data.weights / data.weights.max(), expected / 3, rtol=1e-6)

    def test_a_training_part_of_which_nothing_counts_is_refused(self, tmp_path):
        rows = [(i, int(i >= 25), "ab"[i % 2]) for i in range(30)]
        source = csv(table(tmp_path, rows, "i,w,y"), "y", weights="w", time="i", features=["i"])
        with pytest.raises(DataError, match=r"data\.weights: all rows of the training part weigh 0"):
            prepare(source, validation=0.2, test=0.2, split_seed=1)

    def test_a_weight_that_is_lost_beside_another_is_refused(self, tmp_path):
        rows = [(i, "1e-35" if i == 0 else 4, "ab"[i % 2]) for i in range(30)]
        source = csv(table(tmp_path, rows, "i,w,y"), "y", weights="w", time="i", features=["i"])
        with pytest.raises(DataError, match=r"data\.weights: 1e-35 is lost beside 4, the largest"):
            prepare(source, validation=0.2, test=0.2, split_seed=1)

    def test_other_weights_are_another_training_part(self, tmp_path):
        digests = set()
        for factor in (1, 2):
            rows = [(i, factor * w, y) for i, w, y in self.ROWS]
            source = csv(table(tmp_path, rows, "i,w,y"), "y", weights="w")
            fitted = prepare(source, validation=0.2, test=0.2, split_seed=1).fitted
            digests.add((fitted.parts["train"].sha256, fitted.parts["test"].sha256))
        assert len(digests) == 2
        assert len({test for _, test in digests}) == 1

    @pytest.mark.parametrize(
        ("cells", "message"),
        [
            (["1", "-2", "1"], r"t\.csv:3:2: column 'w': '-2' is no weight; write 0 or more"),
            (["0", "0", "0"], "all of them are 0"),
            (["1", "", "1"], r"t\.csv:3:2: column 'w': '' is a missing value"),
        ],
    )
    def test_what_is_no_weight_is_refused(self, cells, message, tmp_path):
        rows = [(i, cell, "ab"[i % 2]) for i, cell in enumerate(cells)]
        with pytest.raises(DataError, match=message):
            csv(table(tmp_path, rows, "i,w,y"), "y", weights="w")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"weights": "y"}, r"data\.weights: 'y' is the target"),
            ({"weights": "v"}, r"data\.weights: there is no column 'v'"),
            ({"weights": "w", "features": ["i", "w"]}, r"data\.weights: 'w' is listed in data\.features"),
            ({"split_by": "w", "time": "i"}, "a split is by groups or by time"),
            ({"weights": "w", "time": "w"}, r"data\.time: 'w' is the target or has another role"),
        ],
    )
    def test_a_column_has_one_role(self, options, message, tmp_path):
        with pytest.raises(DataError, match=message):
            csv(table(tmp_path, list(self.ROWS), "i,w,y"), "y", **options)


class TestStratify:
    def test_every_part_has_its_share_of_every_tenth(self, tmp_path):
        y = np.random.default_rng(0).lognormal(size=400)
        source = csv(table(tmp_path, list(enumerate(y)), "i,y"), "y")
        tenth = y.argsort().argsort() * 10 // 400
        for part, rows in rows_of(source, stratify=True).items():
            counts = np.bincount(tenth[rows], minlength=10)
            assert counts.tolist() == [24 if part == "train" else 8] * 10
        drawn = np.bincount(tenth[rows_of(source)["test"]], minlength=10)
        assert drawn.tolist() != [8] * 10

    def test_it_does_not_go_with_time(self, tmp_path):
        source = csv(table(tmp_path, [(i, i / 2, i) for i in range(40)], "i,y,day"), "y", time="day")
        with pytest.raises(DataError, match=r"data\.stratify: the parts follow one another in time"):
            rows_of(source, stratify=True)
