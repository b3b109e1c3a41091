"""Six raw tables as people have them: at most three lines of options each, and predictions find their rows."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import nnrun
from nnrun.data import _kinds

ROWS = 300
SPEC = """
data: {{name: csv, path: {name}.csv, target: {target}, {options}}}
model: {{name: mlp, hidden: [8]}}
loss: {loss}
optimizer: {{name: adam, learning_rate: 3e-3}}
train: {{duration: 2 epochs}}
"""
MISSING = ["", "NA", "n/a", "NULL", "?", "-"]  # six spellings


class Raw(NamedTuple):
    """A table and what it takes to train on it.

    options   lines of the data block beside path and target; a comma ends each
    key       a column that tells the rows apart
    """

    columns: dict[str, list[str]]
    target: str
    options: tuple[str, ...]
    key: str
    delimiter: str = ","
    loss: str = "cross_entropy"


def holes(draw: np.random.Generator, cells: list[str]) -> list[str]:
    """The cells, a tenth of them missing."""
    return [str(draw.choice(MISSING)) if draw.random() < 0.1 else cell for cell in cells]


def days(draw: np.random.Generator, form: str = "%Y-%m-%d") -> list[str]:
    first = np.datetime64("2021-03-01T00:00")
    moments = first + draw.integers(0, 900 * 24 * 60, ROWS)
    return [moment.item().strftime(form) for moment in moments]


def comma(values: np.ndarray, digits: int) -> list[str]:
    return [f"{value:.{digits}f}".replace(".", ",") for value in values]


def churn(draw: np.random.Generator) -> Raw:
    """Customers with a number, a date, a remark, and 2% who leave."""
    columns = {
        "customer_id": [f"C{i:05d}" for i in range(ROWS)],
        "signup": days(draw),
        "plan": draw.choice(["basic", "Basic ", "pro", "team"], ROWS).tolist(),
        "age": holes(draw, draw.integers(18, 90, ROWS).astype(str).tolist()),
        "remark": [f"called {i} times about the bill" for i in range(ROWS)],
        "leaves": ["yes" if i % 50 == 0 else "no" for i in range(ROWS)],
    }
    options = (
        "exclude: [customer_id, remark]",
        "categorical: [plan], dates: {signup: days}",
        "missing: median",
    )
    return Raw(columns, "leaves", options, "customer_id")


def houses(draw: np.random.Generator) -> Raw:
    """Prices as a German program writes them."""
    size = draw.uniform(30, 200, ROWS)
    columns = {
        "Id": [str(1000 + i) for i in range(ROWS)],
        "Fläche": comma(size, 2),
        "Entfernung": comma(draw.uniform(0, 30, ROWS), 1),
        "Preis": [
            f"{price:,.2f}".translate(str.maketrans(",.", ".,"))
            for price in 3500 * size + draw.normal(0, 9000, ROWS)
        ],
    }
    return Raw(
        columns,
        "Preis",
        ("decimal: ','", "thousands: '.', delimiter: ';'", "exclude: [Id]"),
        "Id",
        ";",
        "squared_error",
    )


def patients(draw: np.random.Generator) -> Raw:
    """Several visits of each patient, values that were not measured."""
    columns = {
        "visit": [f"v{i}" for i in range(ROWS)],
        "patient": [f"p{i}" for i in draw.integers(0, 60, ROWS)],
        "pressure": holes(draw, draw.normal(120, 15, ROWS).round(0).astype(str).tolist()),
        "sugar": holes(draw, draw.normal(5, 1, ROWS).round(1).astype(str).tolist()),
        "ward": holes(draw, draw.choice(["A", "B", "C"], ROWS).tolist()),
        "ill": draw.choice(["0", "1"], ROWS).tolist(),
    }
    options = (
        "exclude: [visit]",
        "split_by: patient, categorical: [ward]",
        "missing: {ward: category, '*': mean}",
    )
    return Raw(columns, "ill", options, "visit")


def sensors(draw: np.random.Generator) -> Raw:
    """Loads of a machine in the course of time, with hour and day of the week."""
    moments = sorted(
        days(draw, "%d.%m.%Y %H:%M"), key=lambda cell: (cell[6:10], cell[3:5], cell[:2], cell[11:])
    )
    columns = {
        "uuid": [f"{i * 7919 % 1000003:08x}" for i in range(ROWS)],
        "when": moments,
        "load": draw.normal(0, 1, ROWS).round(4).astype(str).tolist(),
        "power": draw.normal(50, 7, ROWS).round(4).astype(str).tolist(),
    }
    options = ("exclude: [uuid]", "dates: {when: [days, weekday, hour]}", 'date_format: "%d.%m.%Y %H:%M"')
    return Raw(columns, "power", options, "uuid", loss="squared_error")


def shops(draw: np.random.Generator) -> Raw:
    """Many towns with few rows each."""
    towns = [f"town {int(i)}" for i in draw.geometric(0.08, ROWS)]
    columns = {
        "order_id": [str(i + 1) for i in range(ROWS)],
        "town": towns,
        "articles": draw.integers(1, 20, ROWS).astype(str).tolist(),
        "returned": draw.choice(["no", "yes"], ROWS, p=[0.8, 0.2]).tolist(),
    }
    options = ("exclude: [order_id]", "categorical: [town]", "rare: 8, unknown: other")
    return Raw(columns, "returned", options, "order_id")


def survey(draw: np.random.Generator) -> Raw:
    """Answers with weights, a constant column, notes."""
    columns = {
        "respondent": [f"r-{i}" for i in range(ROWS)],
        "note_1": [f"in my own view it is {i}" for i in range(ROWS)],
        "note_2": [f"and so say {i} of us too" for i in range(ROWS)],
        "year": ["2024"] * ROWS,
        "income": holes(draw, draw.lognormal(8, 1, ROWS).round(2).astype(str).tolist()),
        "weight": draw.uniform(0.2, 4, ROWS).round(3).astype(str).tolist(),
        "vote": draw.choice(["a", "b", "c"], ROWS).tolist(),
    }
    options = (
        "exclude: [respondent, 'note_*']",
        "weights: weight",
        "missing: median, missing_indicator: true",
    )
    return Raw(columns, "vote", options, "respondent")


TABLES: dict[str, Callable[[np.random.Generator], Raw]] = {
    make.__name__: make for make in (churn, houses, patients, sensors, shops, survey)
}


def save(file: Path, columns: dict[str, list[str]], delimiter: str, rows: np.ndarray) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow(columns)
        writer.writerows(zip(*([cells[row] for row in rows] for cells in columns.values()), strict=True))


@pytest.fixture(scope="module", params=sorted(TABLES))
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, warm: Any) -> Any:
    """Each table with its run: the folder and the table."""
    folder = tmp_path_factory.mktemp(request.param)
    raw = TABLES[request.param](np.random.default_rng(5))
    save(folder / f"{request.param}.csv", raw.columns, raw.delimiter, np.arange(ROWS))
    assert len(raw.options) <= 3
    text = SPEC.format(
        name=request.param, target=raw.target, loss=raw.loss, options=",\n  ".join(raw.options)
    )
    (folder / "spec.yaml").write_text(text, encoding="utf-8")
    done = warm("train", "spec.yaml", "--run-dir", "runs/a", folder=folder)
    assert done.code == 0, done.err
    return folder, raw, done


def without_target(raw: Raw) -> dict[str, list[str]]:
    return {name: cells for name, cells in raw.columns.items() if name != raw.target}


def predicted(folder: Path, warm: Any, raw: Raw, rows: np.ndarray) -> dict[str, list[str]]:
    """What `nnrun predict` writes for these rows of the table: key -> the cells of its row."""
    save(folder / "new.csv", without_target(raw), raw.delimiter, rows)
    done = warm("predict", "a", "new.csv", "--keep", raw.key, "-o", "-", folder=folder)
    assert done.code == 0, done.err
    head, *lines = csv.reader(io.StringIO(done.out))
    assert head[0] == raw.key
    return {line[0]: line[1:] for line in lines}


@pytest.mark.quick(2)
def test_without_options_lines_say_what_to_write(trained, warm):
    """The options, but for those that are a choice of the user's, are in the messages."""
    folder, raw, _ = trained
    text = SPEC.format(
        name=folder.name.rstrip("0123456789"), target=raw.target, loss=raw.loss, options="validation: 0.1"
    )
    (folder / "bare.yaml").write_text(text, encoding="utf-8")
    done = warm("train", "bare.yaml", folder=folder)
    assert done.code == 3
    lines = done.err.splitlines()
    assert all(line.startswith("nnrun: ") for line in lines)
    assert any("write data." in line or "data.decimal" in line for line in lines)


@pytest.mark.quick(2)
def test_every_column_is_shown_before_training_and_afterwards(trained, warm):
    folder, raw, done = trained
    lines = [line for line in done.err.splitlines() if line.startswith("nnrun: ")]
    shown = warm("show", "a", folder=folder).out
    for name in raw.columns:
        assert any(name in line for line in lines), name
    for line in lines:
        assert line.removeprefix("nnrun: ") in shown


@pytest.mark.quick(2)
def test_predictions_go_back_to_their_rows(trained, warm):
    """In another order, and one row alone: the same prediction beside the same key."""
    folder, raw, _ = trained
    rows = np.random.default_rng(1).permutation(ROWS)
    answers = predicted(folder, warm, raw, np.arange(ROWS))
    assert list(answers) == raw.columns[raw.key]
    assert predicted(folder, warm, raw, rows) == answers
    single = predicted(folder, warm, raw, rows[:1])
    assert single == {raw.columns[raw.key][rows[0]]: answers[raw.columns[raw.key][rows[0]]]}
    assert len({tuple(answer) for answer in answers.values()}) > ROWS / 4


@pytest.mark.quick(2)
def test_python_predicts_the_same(trained, warm):
    folder, raw, _ = trained
    answers = predicted(folder, warm, raw, np.arange(ROWS))
    predictor = nnrun.load(folder / "runs/a")
    columns = {
        name: [cell.replace(".", "").replace(",", ".") for cell in cells] if raw.delimiter == ";" else cells
        for name, cells in without_target(raw).items()
    }
    lacks = any("unknown: other" in option for option in raw.options)
    with pytest.warns(UserWarning, match="they count as rare ones") if lacks else nullcontext():
        predictions = predictor.predict(columns)
    convert = str if predictor.classes else float
    np.testing.assert_array_equal(predictions, [convert(answer[0]) for answer in answers.values()])


@pytest.mark.quick(1)
def test_an_exported_model_reads_the_same_table(trained, warm, tmp_path):
    folder, _, _ = trained
    done = warm("export", "a", "-o", str(tmp_path / "out"), folder=folder)
    assert done.code == 0, done.err  # it has compared the predictions on cells of every sort


def test_a_run_keeps_its_columns_where_the_rules_have_changed(tmp_path, monkeypatch):
    """A column that nnrun took for a number when the run began, and takes for an identifier today."""
    rows = [f"{100_000 + 37 * i % 900_001},{i % 17},{2 * (i % 17) + i % 3}" for i in range(200)]
    (tmp_path / "t.csv").write_text("\n".join(["KundenNr,age,price", *rows]))
    (tmp_path / "spec.yaml").write_text(
        "data: {name: csv, path: t.csv, target: price}\nmodel: linear\noptimizer: {name: sgd, learning_rate: 0.01}\n"
        "loss: {name: squared_error}\ntrain: {duration: 4 steps}\n"
    )
    with pytest.raises(nnrun.errors.DataError, match="column 'KundenNr' is an identifier"):
        nnrun.train(tmp_path / "spec.yaml", run_dir=tmp_path / "refused")
    with monkeypatch.context() as then:
        then.setattr(_kinds, "_IDENTIFIER", re.compile("^$"))
        trained = nnrun.train(tmp_path / "spec.yaml", run_dir=tmp_path / "run")
    evaluated = nnrun.evaluate(trained.run_dir)
    assert evaluated["metrics"]["test/loss"] == pytest.approx(
        trained.summary["metrics"]["best"]["test/loss"], rel=1e-6
    )
