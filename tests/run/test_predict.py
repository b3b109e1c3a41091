"""`nnrun predict`: the same numbers from a file of inputs, from a split, and from the model by hand."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from scipy import special
from sklearn.datasets import load_digits

DIGITS = """
data: {name: digits, batch_size: 64}
model: {name: mlp, hidden: [8]}
optimizer: {name: adam, learning_rate: 3e-3}
train: {duration: 3 epochs, seeds: 2}
"""
TABLE = """
data: {name: csv, path: cars.csv, target: price, categorical: [make], batch_size: 16}
model: {name: mlp, hidden: [4]}
loss: squared_error
optimizer: {name: adam, learning_rate: 1e-2}
train: {duration: 4 epochs}
"""
IMAGES = """
data: {name: image_folder, path: images, batch_size: 8, size: [8, 8]}
model: {name: lenet, filters: [2, 3], kernel: 3, hidden: [4]}
optimizer: {name: adam, learning_rate: 1e-3}
train: {duration: 1 epochs}
"""


def write_table(folder: Path) -> str:
    draw = np.random.default_rng(0)
    rows = [(m, float(s), draw.normal(20 + s, 1)) for m in ("audi", "vw") for s in draw.uniform(1, 9, 40)]
    lines = ["make,size,price", *(f"{m},{s:.3f},{p:.3f}" for m, s, p in rows)]
    (folder / "cars.csv").write_text("\n".join(lines) + "\n")
    return "size,make,colour\n5.0,vw,red\n2.5,audi,blue\n"  # other order, one more column, no target


def write_images(folder: Path) -> None:
    draw = np.random.default_rng(1)
    for name, level in (("bright", 170), ("dark", 40)):
        (folder / "images" / name).mkdir(parents=True)
        for i in range(20):
            pixels = np.clip(draw.normal(level, 25, (8, 8, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / name / f"{i:02d}.png")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, warm: Callable[..., Any]) -> Path:
    folder = tmp_path_factory.mktemp("predict")
    (folder / "new.csv").write_text(write_table(folder))
    write_images(folder)
    for name, text in (("digits", DIGITS), ("table", TABLE), ("images", IMAGES)):
        (folder / f"{name}.yaml").write_text(text)
        done = warm("train", f"{name}.yaml", "--run-dir", f"runs/{name}", "--quiet", folder=folder)
        assert done.code == 0, done.err
    return folder


@pytest.fixture
def predict(trained: Path, warm: Callable[..., Any]) -> Callable[..., Any]:
    def run(*arguments: object, output: str) -> Any:
        done = warm("predict", *arguments, "-o", output, "--json", folder=trained)
        assert done.code == 0, done.err
        assert done.json["output"] == output
        if output.endswith(".csv"):
            return list(csv.DictReader(io.StringIO((trained / output).read_text())))
        return np.load(trained / output, allow_pickle=False)

    return run


def by_hand(folder: Path, run: str, x: np.ndarray, train: np.ndarray) -> np.ndarray:
    """The net written out in NumPy: ReLU between two layers, inputs standardised by the training part."""
    place = sorted((folder / "runs" / run / "checkpoints").iterdir())[-1]
    p = load_file(place / "arrays.safetensors")
    scale = train.std()  # images: one mean and deviation for all pixels
    z = ((x - train.mean()) / scale).reshape(len(x), -1)
    hidden = np.maximum(z @ p["params/hidden_1/kernel"] + p["params/hidden_1/bias"], 0)
    return hidden @ p["params/output/kernel"] + p["params/output/bias"]


def test_a_split_an_archive_and_the_net_by_hand_agree(trained, predict):
    found = predict("digits/seed_0", "--split", "test", "--checkpoint", "last", output="split.npz")
    assert sorted(found.files) == ["classes", "kept/row", "labels", "probabilities", "targets"]
    np.testing.assert_array_equal(found["labels"], found["probabilities"].argmax(1))
    assert found["classes"].tolist() == list("0123456789")

    from nnrun.runner import session

    parts = session.prepare(trained / "digits.yaml").experiment.dataset
    np.testing.assert_array_equal(found["targets"], parts.test.y)
    logits = by_hand(
        trained, "digits/seed_0", parts.test.x.astype(np.float64), parts.train.x.astype(np.float64)
    )
    np.testing.assert_allclose(found["probabilities"], special.softmax(logits, axis=1), rtol=1e-3, atol=1e-5)
    np.savez(trained / "x.npz", x=parts.test.x)
    again = predict("digits/seed_0", "x.npz", "--checkpoint", "last", output="archive.npz")
    np.testing.assert_array_equal(again["probabilities"], found["probabilities"])
    assert "targets" not in again.files


def test_a_table_of_all_inputs_in_order(trained, predict):
    x = load_digits().data[:5]
    lines = [",".join(f"pixel_{i}" for i in range(64)), *(",".join(map(str, row)) for row in x)]
    (trained / "pixels.csv").write_text("\n".join(lines) + "\n")
    np.savez(trained / "five.npz", x=x.astype(np.float32).reshape(5, *_shape(trained)))
    table = predict("digits/seed_0", "pixels.csv", output="table.csv")
    archive = predict("digits/seed_0", "five.npz", output="five_said.npz")
    assert [row["label"] for row in table] == [str(label) for label in archive["labels"]]
    np.testing.assert_array_equal([float(row["p(3)"]) for row in table], archive["probabilities"][:, 3])


def _shape(folder: Path) -> tuple[int, ...]:
    from nnrun.runner import session

    return session.prepare(folder / "digits.yaml").experiment.dataset.train.x.shape[1:]


def test_an_ensemble_predicts_the_mean_of_its_members(trained, predict, warm):
    assert warm("ensemble", "digits", "-o", "runs/both", "-q", folder=trained).code == 0
    found = predict("both", "--split", "val", output="both.npz")["probabilities"]
    alone = [
        predict(f"digits/seed_{i}", "--split", "val", output=f"{i}.npz")["probabilities"] for i in (0, 1)
    ]
    np.testing.assert_allclose(found, np.mean(alone, 0), rtol=1e-12)
    saved = np.load(trained / "runs" / "both" / "predictions" / "ensemble_val.npy")
    np.testing.assert_array_equal(found, saved)


def test_features_are_found_by_name_and_categories_are_those_of_training(predict, trained):
    rows = predict("table", "new.csv", output="cars_said.csv")
    assert list(rows[0]) == ["prediction"]
    archive = predict("table", "new.csv", output="cars_said.npz")
    np.testing.assert_array_equal([float(row["prediction"]) for row in rows], archive["predictions"])
    known = predict("table", "--split", "test", output="cars_test.csv")
    with (trained / "cars.csv").open(newline="") as file:  # `row` leads back to the table, counted from 0
        cars = [*csv.DictReader(file)]
    assert [float(cars[int(row["row"])]["price"]) for row in known] == [float(row["target"]) for row in known]
    errors = np.array([float(row["prediction"]) - float(row["target"]) for row in known])
    prices = np.array([float(row["target"]) for row in known])
    # In the target's own units: better than the mean price would be at 20, a standard deviation being about 2.6.
    assert np.abs(errors).mean() < 3 < 15 < prices.mean()


def test_images_of_a_folder_are_named_and_brought_to_size(predict, trained):
    (trained / "photos" / "more").mkdir(parents=True)
    Image.new("RGB", (16, 16), (250, 250, 250)).save(trained / "photos" / "white.png")
    Image.new("RGB", (8, 8), (5, 5, 5)).save(trained / "photos" / "more" / "black.jpg")
    rows = predict("images", "photos", output="photos.csv")
    assert [row["name"] for row in rows] == ["more/black.jpg", "white.png"]
    assert all(float(row["p(bright)"]) + float(row["p(dark)"]) == pytest.approx(1) for row in rows)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["digits/seed_0", "photos_none"], "there is no such file"),
        (["digits/seed_0", "new.csv"], "has 3 columns, the model takes 64 inputs"),
        (["digits/seed_0", "images"], "was not trained on images in files; give an .npz"),
        (["digits/seed_0", "images"], "or a table with 64 numbers in a row, separated by ','"),
        (["table", "images"], "was not trained on images in files; give a table with its columns"),
        (
            ["images", "two.csv"],
            "the run takes images, or a table with 192 numbers in a row, separated by ','",
        ),
        (["digits/seed_0", "short.npz"], "an input has shape (63,), the model was trained on "),
        (["digits/seed_0", "bad.npz"], "is NaN or infinite; replace it"),
        (["digits/seed_0", "named.npz"], "x"),
        (
            ["table", "unknown.csv"],
            "does not occur in the training part; it has 'audi', 'vw'; train with data.unknown: zeros to take",
        ),
        (["digits/seed_0", "images/dark/00.png"], "is an image, and the model was not trained on images"),
        (["images", "broken.png"], "not a JPEG or PNG image; convert it"),
        (
            ["digits/seed_0", "counted.csv"],
            "may be the names of the columns or the first inputs; write names",
        ),
        (["digits/seed_0", "gap.csv"], "gap.csv:1:2: 'NA' is not a number, and others in the first row are"),
        (
            ["table", "new.csv", "--keep", "year"],
            "new.csv:1: there is no column 'year' (--keep); there are size, make",
        ),
    ],
)
def test_inputs_that_do_not_fit(arguments, said, trained, warm):
    shape = _shape(trained)
    np.savez(trained / "short.npz", x=np.zeros((2, 63)))
    np.savez(trained / "bad.npz", x=np.full((2, *shape), np.nan))
    np.savez(trained / "named.npz", inputs=np.zeros((2, *shape)))
    (trained / "unknown.csv").write_text("make,size\nfiat,2\n")
    (trained / "two.csv").write_text("name;age\nAnn;3,5\n")
    (trained / "broken.png").write_text("no image")
    (trained / "counted.csv").write_text(",".join(map(str, range(64))) + "\n" + ",".join(["1"] * 64) + "\n")
    (trained / "gap.csv").write_text("1.5,NA" + ",2" * 62 + "\n")
    done = warm("predict", *arguments, "-o", "refused.csv", folder=trained)
    assert done.code == 3
    [line] = done.err.splitlines()
    assert said in line
    assert not (trained / "refused.csv").exists()


def test_a_table_without_a_header_keeps_its_first_row(trained, predict):
    x = load_digits().data[:3]
    (trained / "bare.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in x))
    np.savez(trained / "three.npz", x=x.astype(np.float32).reshape(3, *_shape(trained)))
    bare = predict("digits/seed_0", "bare.csv", output="bare_said.npz")["probabilities"]
    np.testing.assert_array_equal(
        bare, predict("digits/seed_0", "three.npz", output="three.said.npz")["probabilities"]
    )


def test_a_folder_is_read_as_in_training(trained, predict, warm):
    """Hidden folders and files do not count; what is beside the classes and no image is left out, and said."""
    place = trained / "cameras"
    shutil.copytree(trained / "images", place)
    (place / "dark" / ".thumbs").mkdir()
    shutil.copy(place / "dark" / "00.png", place / "dark" / ".thumbs" / "00.png")
    shutil.copy(place / "dark" / "00.png", place / ".hidden.png")
    (place / "README").write_text("about these images")
    done = warm("predict", "images", "cameras", "-o", "cameras.csv", folder=trained)
    assert done.code == 0
    assert done.err == "nnrun: warning: cameras: left out, for they are no images: README\n"
    rows = list(csv.DictReader(io.StringIO((trained / "cameras.csv").read_text())))
    assert [row["name"] for row in rows] == [
        f"{c}/{i:02d}.png" for c in ("bright", "dark") for i in range(20)
    ]
    [alone] = predict("images", "cameras/dark/07.png", output="alone.csv")
    assert alone == {**rows[27], "name": "07.png"}
    (place / "dark" / "notes.txt").write_text("in a class: refused, as by training")
    refused = warm("predict", "images", "cameras", "-o", "refused.csv", folder=trained)
    assert refused.code == 3
    assert "notes.txt: starts with" in refused.err.splitlines()[-1]


def test_predictions_are_not_overwritten_unless_asked_to(trained, warm):
    for name in ("predictions.csv", "kept.npz"):
        (trained / name).write_text("mine")
        arguments = ["predict", "table", "new.csv", *([] if name == "predictions.csv" else ["-o", name])]
        done = warm(*arguments, folder=trained)
        assert (done.code, done.out) == (2, "")
        assert done.err == f"nnrun: -o {name}: already exists; write --force to replace it, or another name\n"
        assert (trained / name).read_text() == "mine"
        assert warm(*arguments, "--force", folder=trained).code == 0
        assert (trained / name).read_bytes() != b"mine"


def test_columns_are_carried_along_and_a_dash_is_stdout(trained, predict, warm):
    plain = (trained / "ids.csv", 'size,make,price tag,id\n5.0,vw,"1,5",007\n2.5,audi,,008\n')
    plain[0].write_text(plain[1])
    done = warm("predict", "table", "ids.csv", "--id", "id", "--keep", "price tag", "-o", "-", folder=trained)
    assert (done.code, done.err) == (0, "")
    rows = list(csv.reader(io.StringIO(done.out)))
    expected = predict("table", "ids.csv", output="ids_said.csv")
    assert rows[0] == ["id", "price tag", "prediction"]
    assert rows[1:] == [
        ["007", "1,5", expected[0]["prediction"]],
        ["008", "", expected[1]["prediction"]],
    ]
    archive = predict("table", "ids.csv", "--id", "id", output="ids_said.npz")
    assert archive["kept/id"].tolist() == ["007", "008"]
    for arguments, reason in [
        (("--json", "-o", "-"), "-o -: the predictions would stand beside the JSON on stdout"),
        (
            ("--id", "prediction", "-o", "no.csv"),
            "--keep prediction: the predictions have a column of that name",
        ),
        (("--id", "id", "-o", "images"), "-o images: write a name that ends in .csv or .npz"),
    ]:
        (trained / "ids.csv").write_text(plain[1].replace("price tag", "prediction"))
        done = warm("predict", "table", "ids.csv", *arguments, folder=trained)
        assert (done.code, done.out) == (2, "")
        assert reason in done.err
    done = warm("predict", "table", "--split", "test", "--id", "id", "-o", "-", folder=trained)
    assert done.code == 2 and "leave it out with --split" in done.err


def test_a_column_beside_the_inputs_of_an_array(trained, predict):
    x = load_digits().data[:2]
    lines = ["id," + ",".join(f"x{i}" for i in range(64))]
    lines += [f"row {i}," + ",".join(map(str, row)) for i, row in enumerate(x)]
    (trained / "named_rows.csv").write_text("\n".join(lines) + "\n")
    rows = predict("digits/seed_0", "named_rows.csv", "--keep", "id", output="named_rows_said.csv")
    assert [row["id"] for row in rows] == ["row 0", "row 1"]
