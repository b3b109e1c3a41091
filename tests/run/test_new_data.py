"""`nnrun evaluate RUN FILE` and `nnrun predict RUN FILE`: against metrics, quantiles and temperatures by hand."""

from __future__ import annotations

import csv
import io
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import optimize, special, stats
from sklearn import metrics

from nnrun.api import evaluate
from nnrun.data import _piece
from nnrun.data._labelled import labels_of_archive
from nnrun.data._pieces import input_pieces
from nnrun.errors import DataError, SpecError
from nnrun.preprocessing import Preprocessing
from nnrun.runner import session

REGRESSION = """
data: {name: csv, path: train.csv, target: price, exclude: [good], categorical: [make], validation: 0.2, test: 0.2,
       batch_size: 64}
model: {name: mlp, hidden: [4]}
loss: squared_error
optimizer: {name: adam, learning_rate: 1e-2}
train: {duration: 3 epochs}
"""
CLASSES = """
data: {name: csv, path: train.csv, target: good, exclude: [price], categorical: [make], validation: 0.2, test: 0.2,
       batch_size: 64, unknown: zeros}
model: {name: mlp, hidden: [4]}
metrics: [accuracy]
average: ema
optimizer: {name: adam, learning_rate: 1e-2}
train: {duration: 3 epochs, seeds: 2}
"""
HINGE = CLASSES.replace("seeds: 2", "seeds: 1").replace("metrics: [accuracy]\naverage: ema", "loss: hinge")
NEW = 8000


def table(rows: int, seed: int) -> str:
    draw = np.random.default_rng(seed)
    make, size = draw.choice(["audi", "vw"], rows), draw.uniform(1, 9, rows)
    price = 20 + size + 3 * (make == "vw") + draw.normal(0, 1, rows)
    good = np.where(price + draw.normal(0, 2, rows) > 26.5, "yes", "no")
    lines = [f"{m},{s:.3f},{p:.4f},{g}" for m, s, p, g in zip(make, size, price, good, strict=True)]
    return "\n".join(["make,size,price,good", *lines]) + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, warm: Callable[..., Any]) -> Path:
    place = tmp_path_factory.mktemp("new")
    (place / "train.csv").write_text(table(1000, 0))  # 200 of test, 200 of validation
    (place / "new.csv").write_text(table(NEW, 1))
    (place / "some.csv").write_text(table(300, 2))
    for name, text in (("numbers", REGRESSION), ("classes", CLASSES), ("hinge", HINGE)):
        (place / f"{name}.yaml").write_text(text)
        done = warm("train", f"{name}.yaml", "--run-dir", f"runs/{name}", "--quiet", folder=place)
        assert done.code == 0, done.err
    return place


@pytest.fixture
def nnrun(folder: Path, warm: Callable[..., Any]) -> Callable[..., Any]:
    def run(*arguments: object, **settings: Any) -> Any:
        done = warm(*arguments, folder=folder, **settings)
        assert done.code == 0, done.err
        return done

    return run


def columns(text: str) -> dict[str, np.ndarray]:
    rows = list(csv.DictReader(io.StringIO(text)))
    return {
        name: np.array(
            [row[name] if name in ("label", "good", "target") else float(row[name]) for row in rows]
        )
        for name in rows[0]
    }


def test_intervals_hold_their_level_on_new_rows(folder, nnrun):
    done = nnrun(
        "predict", "numbers", "new.csv", "--interval", "0.9", "--keep", "price", "-o", "i.csv", "--json"
    )
    said = done.json["interval"]
    val = columns(nnrun("predict", "numbers", "--split", "val", "-o", "-").out)
    errors = np.sort(np.abs(val["prediction"] - val["target"].astype(float)))
    assert (said["examples"], said["rank"]) == (200, 181)  # 0.9 · 201 = 180.9
    assert said["half_width"] == pytest.approx(errors[180], rel=1e-12)
    new = columns((folder / "i.csv").read_text())
    np.testing.assert_allclose(new["upper"] - new["prediction"], said["half_width"], rtol=1e-9)
    inside = ((new["lower"] <= new["price"]) & (new["price"] <= new["upper"])).sum()
    # Given the validation part the coverage is Beta(181, 20), so the count is beta-binomial.
    low, high = stats.betabinom(NEW, 181, 20).ppf([1e-4, 1 - 1e-4])
    assert low <= inside <= high


def test_probabilities_have_the_temperature_that_scipy_finds(folder, nnrun):
    val = columns(nnrun("predict", "classes/seed_0", "--split", "val", "-o", "-").out)
    log_p = np.log(np.stack([val["p(no)"], val["p(yes)"]], 1))
    labels = (val["target"] == "yes").astype(int)

    def loss(temperature: float) -> float:
        return -special.log_softmax(log_p / temperature, 1)[np.arange(200), labels].mean()

    best = optimize.minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-9}).x
    done = nnrun("predict", "classes/seed_0", "some.csv", "--calibrated", "-o", "c.csv", "--json")
    assert done.json["temperature"]["value"] == pytest.approx(best, rel=1e-4)
    plain = columns(nnrun("predict", "classes/seed_0", "some.csv", "-o", "-").out)
    expected = special.softmax(np.log(np.stack([plain["p(no)"], plain["p(yes)"]], 1)) / best, 1)
    calibrated = columns((folder / "c.csv").read_text())
    np.testing.assert_allclose(calibrated["p(yes)"], expected[:, 1], rtol=1e-3)
    part = nnrun("evaluate", "classes/seed_0", "--split", "val", "--calibrated", "--json").json
    assert part["metrics"]["val/loss"] == pytest.approx(loss(best), rel=1e-5)
    assert part["temperature"] == pytest.approx(best, rel=1e-4)


def test_metrics_of_a_file_are_those_of_its_predictions(folder, nnrun):
    predicted = columns(nnrun("predict", "classes/seed_0", "some.csv", "--keep", "good", "-o", "-").out)
    arguments = ("evaluate", "classes", "some.csv", "--metric", "auroc", "--per-class", "--json")
    found = nnrun(*arguments).json
    first = found["runs"][0]["metrics"]
    right, p = predicted["good"] == "yes", predicted["p(yes)"]
    assert first["file/accuracy"] == pytest.approx((predicted["label"] == predicted["good"]).mean())
    assert first["file/auroc"] == pytest.approx(metrics.roc_auc_score(right, p), rel=1e-9)
    assert first["file/loss"] == pytest.approx(metrics.log_loss(right, p), rel=1e-5)
    largest = max(right.mean(), 1 - right.mean())
    assert found["baseline"] == {
        "prediction": "largest class",
        "metrics": {"file/accuracy": pytest.approx(largest)},
    }
    assert (found["examples"], found["input"], len(found["runs"])) == (300, "some.csv", 2)
    confusion = metrics.confusion_matrix(predicted["good"], predicted["label"])
    assert found["runs"][0]["per_class"]["confusion"] == confusion.tolist()


def test_numbers_and_standard_input(folder, nnrun):
    predicted = columns(nnrun("predict", "numbers", "some.csv", "--keep", "price", "-o", "-").out)
    # Another order, Windows line ends, a byte-order mark, one more column, by a pipe.
    rows = list(csv.DictReader(io.StringIO((folder / "some.csv").read_text())))
    lines = [f"{row['price']},x,{row['size']},{row['make']}" for row in rows]
    text = "\r\n".join(["price,colour,size,make", *lines, ""])
    (folder / "messy.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    done = nnrun("predict", "numbers", "-", "--keep", "price", "-o", "-", stdin=folder / "messy.csv")
    np.testing.assert_array_equal(columns(done.out)["prediction"], predicted["prediction"])
    assert done.err.endswith(
        "warning: stdin: a column that the run was trained without is not used: 'colour'\n"
    )
    found = nnrun("evaluate", "numbers", "-", "--json", stdin=folder / "messy.csv").json["metrics"]
    rmse = math.sqrt(((predicted["prediction"] - predicted["price"]) ** 2).mean())
    assert found["file/rmse"] == pytest.approx(rmse, rel=1e-5)


@pytest.mark.slow
def test_an_ensemble_is_the_mean_of_its_members(folder, nnrun):
    nnrun("ensemble", "runs/classes/seed_0", "runs/classes/seed_1", "-o", "runs/both", "--quiet")
    seeds = [
        columns(nnrun("predict", f"classes/seed_{i}", "some.csv", "--keep", "good", "-o", "-").out)
        for i in (0, 1)
    ]
    p = (seeds[0]["p(yes)"] + seeds[1]["p(yes)"]) / 2
    predicted = columns(nnrun("predict", "both", "some.csv", "-o", "-").out)
    np.testing.assert_allclose(predicted["p(yes)"], p, rtol=1e-6)
    right = seeds[0]["good"] == "yes"
    found = nnrun("evaluate", "both", "some.csv", "--json").json
    assert found["metrics"]["file/loss"] == pytest.approx(metrics.log_loss(right, p), rel=1e-5)
    val = columns(nnrun("predict", "both", "--split", "val", "-o", "-").out)
    log_p, truth = np.log(np.stack([val["p(no)"], val["p(yes)"]], 1)), val["target"] == "yes"
    done = nnrun("evaluate", "both", "some.csv", "--calibrated", "--json").json

    def loss(temperature: float) -> float:
        return metrics.log_loss(truth, special.softmax(log_p / temperature, 1)[:, 1])

    best = done["temperature"]
    assert loss(best) < min(loss(0.99 * best), loss(1.01 * best))  # it is convex in 1 / temperature
    calibrated = special.softmax(np.log(np.stack([1 - p, p], 1)) / best, 1)[:, 1]
    assert done["metrics"]["file/loss"] == pytest.approx(metrics.log_loss(right, calibrated), rel=1e-4)


@pytest.mark.slow
def test_an_average_of_a_run_and_python(folder, nnrun, monkeypatch):
    monkeypatch.chdir(folder)
    part = evaluate("classes/seed_0")
    average = evaluate("classes/seed_0:30:ema")
    assert average["parameters"] == "ema" and average["step"] == 30
    assert average["metrics"]["test/accuracy"] == part["metrics"]["test/ema/accuracy"]
    assert average["metrics"]["test/loss"] == pytest.approx(part["metrics"]["test/ema/loss"], rel=1e-5)
    found = evaluate("classes/seed_0:ema", file="some.csv", metrics=["auroc"])
    predicted = columns(nnrun("predict", "classes/seed_0:ema", "some.csv", "--keep", "good", "-o", "-").out)
    auroc = metrics.roc_auc_score(predicted["good"] == "yes", predicted["p(yes)"])
    assert found["metrics"]["file/auroc"] == pytest.approx(auroc, rel=1e-9)
    with pytest.raises(SpecError, match="write a file of examples, or --split"):
        evaluate("classes/seed_0", "val", file="some.csv")


def test_integers_are_names_of_classes_where_those_are_numbers():
    def labels(stored: list[object], classes: tuple[str, ...]) -> list[int]:
        fitted = Preprocessing(classes, (), (1,), "float32", np.zeros(()), np.ones(()), 0.0, 1.0, {})
        return labels_of_archive(np.array(stored), len(stored), fitted, "new.npz: array 'y'").tolist()

    assert labels([-1, 1, 1], ("-1", "1")) == [0, 1, 1]
    assert labels([0, 1, -1], ("-1", "0", "1")) == [1, 2, 0]
    assert labels([2.0, 1.0], ("1.0", "2.0")) == [1, 0]
    assert labels([1, 0], ("no", "yes")) == [1, 0]
    with pytest.raises(DataError, match="the run has no label 0; it has 1, 2; correct them"):
        labels([0, 1], ("1", "2"))
    with pytest.raises(DataError, match="names of classes are one number here"):
        labels([1, 2], ("1", "01"))
    with pytest.raises(
        DataError, match="labels are the positions of the classes no, yes: integers from 0 to 1"
    ):
        labels([1.0, 0.0], ("no", "yes"))


def test_columns_that_the_run_never_saw_are_said_once_on_stderr(folder, nnrun):
    """`some.csv` has the column that the run excluded, and its target: no news, as before."""
    assert nnrun("predict", "classes/seed_0", "some.csv", "-o", "-").err == ""
    lines = (folder / "some.csv").read_text().splitlines()
    more = ["Make,owner", *(f"x,o{i}" for i in range(len(lines) - 1))]
    (folder / "more.csv").write_text("\n".join(f"{a},{b}" for a, b in zip(lines, more, strict=True)))
    plain = nnrun("predict", "classes/seed_0", "some.csv", "-o", "-").out
    told = (
        "nnrun: warning: more.csv: 2 columns that the run was trained without are not used: 'Make' (beside 'make', "
        "which is used), 'owner'\n"
    )
    done = nnrun("predict", "classes/seed_0", "more.csv", "-o", "-", "--quiet")
    assert (done.out, done.err) == (plain, told)
    kept = nnrun("predict", "classes/seed_0", "more.csv", "-o", "-", "--keep", "owner", "--keep", "Make")
    assert kept.err == ""
    done = nnrun("evaluate", "classes", "more.csv", "--json")  # two seeds
    assert done.json["examples"] == 300 and done.err.count("not used") == 1


def test_pieces_change_nothing(folder, monkeypatch):
    fitted = session.recorded(folder / "runs" / "numbers")
    block = {"name": "csv", "delimiter": ","}
    (whole,) = input_pieces(folder / "some.csv", block, fitted, pytest.fail)
    monkeypatch.setattr(_piece, "_CELLS", 1)
    pieces = list(input_pieces(folder / "some.csv", block, fitted, pytest.fail))
    assert [len(piece.x) for piece in pieces] == [256, 44]
    np.testing.assert_array_equal(np.concatenate([piece.x for piece in pieces]), whole.x)
    cells = (folder / "some.csv").read_text().splitlines()
    (folder / "late.csv").write_text("\n".join([*cells[:290], "vw,wide,1,no", *cells[291:]]))
    with pytest.raises(Exception, match=r"late\.csv:291:2: column 'size': 'wide' is not a number"):
        list(input_pieces(folder / "late.csv", block, fitted, pytest.fail))


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (
            ["evaluate", "classes", "lacking.csv"],
            ["lacking.csv:1: there is no column 'make', 'good' (the true values); there are size, colour"],
        ),
        (
            ["evaluate", "classes", "wrong.csv"],
            [
                "wrong.csv:2:2: column 'size': 'big' is not a number; the run was trained with numbers in this column",
                "wrong.csv:2:3: column 'good': 'maybe' does not occur in the training part, nor does 'perhaps'",
            ],
        ),
        (["predict", "numbers", "some.csv.gz"], ["some.csv.gz: is compressed with gzip; unpack it"]),
        (["predict", "numbers", "some.csv", "--interval", "0.999"], ["needs 999 validation examples, and "]),
        (
            ["predict", "numbers", "some.csv", "--interval", "90"],
            ["got 90; write a probability between 0 and 1"],
        ),
        (
            ["predict", "classes/seed_0", "some.csv", "--interval", "0.9"],
            ["predicts classes; write --calibrated"],
        ),
        (["predict", "numbers", "some.csv", "--calibrated"], ["predicts numbers; write --interval 0.9"]),
        (["predict", "hinge", "some.csv", "--calibrated"], ["gives scores, as its loss has them"]),
        (
            ["evaluate", "classes", "some.csv", "--split", "val"],
            ["what to measure on? write a file of examples"],
        ),
        (
            ["evaluate", "numbers", "some.csv", "--metric", "auroc"],
            ["nnrun: --metric: metrics.0: auroc judges classes"],
        ),
        (["evaluate", "numbers", "some.csv", "--per-class"], ["--per-class: runs/numbers predicts numbers"]),
        (["evaluate", "numbers", "some.csv", "--target", "size"], ["--target size: is a feature of the run"]),
        (
            ["evaluate", "numbers", "some.xlsx"],
            ["some.xlsx: is a spreadsheet (.xlsx) or another zip archive"],
        ),
    ],
)
def test_what_cannot_be_right_is_refused(arguments, lines, folder, warm):
    (folder / "lacking.csv").write_text("size,colour\n1,red\n")
    (folder / "wrong.csv").write_text("make,size,good\nvw,big,maybe\naudi,2,perhaps\n")
    with zipfile.ZipFile(folder / "some.xlsx", "w") as book:
        book.writestr("xl/workbook.xml", "")
    (folder / "some.csv.gz").write_bytes(b"\x1f\x8b\x08 and more")
    output = ["-o", "refused.csv"] if arguments[0] == "predict" else []
    done = warm(*arguments, *output, folder=folder)
    shown = done.err.splitlines()
    assert done.code in (2, 3) and len(shown) == len(lines)
    assert all(line in text for line, text in zip(lines, shown, strict=True))
    assert not list(folder.glob("*refused.csv*"))


def test_the_file_of_training_is_named_as_such(nnrun, folder):
    """Also a copy of it; of other rows nothing is said."""
    (folder / "copy.csv").write_bytes((folder / "train.csv").read_bytes())
    for file, is_own in [("train.csv", True), ("copy.csv", True), ("new.csv", False)]:
        measured = nnrun("evaluate", "numbers", file, "--json")
        warned = (
            f"{file}: the run was trained on most of these examples; without a file its test part is measured"
        )
        assert (f"nnrun: warning: {warned}" in measured.err.splitlines()) == is_own, measured.err
