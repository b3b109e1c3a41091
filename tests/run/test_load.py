"""nnrun.load: a trained model in Python, against what `nnrun predict` and `nnrun evaluate` say."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file
from sklearn import datasets

import nnrun
from nnrun.errors import DataError, RunError, SpecError

SPECS = {
    "iris": "data: iris\nmodel: {name: mlp, hidden: [6], norm: batch}\naverage: {name: ema, decay: 0.8}\n",
    "numbers": "data: diabetes\nmodel: {name: mlp, hidden: [6]}\nloss: squared_error\n",
    "exact": "data: iris\nmodel: {name: mlp, hidden: [6]}\ntrain: {precision: float64}\n",
    "scores": "data: iris\nmodel: linear\nloss: hinge\n",
    "images": "data: digits\nmodel: {name: lenet, filters: [2, 3], kernel: 3, hidden: [5]}\n",
    "table": "data: {name: csv, path: table.csv, target: kind, categorical: [colour]}\nmodel: linear\n",
}
REST = "optimizer: {name: adam, learning_rate: 1e-2}\ntrain: {duration: 3 epochs}\n"
COLOURS = ("red", "green", "blue")


def rows_of(size: int) -> list[list[object]]:
    """Weight, colour, and the kind that follows from both; weights of all digits."""
    random = np.random.default_rng(3)
    weights, colours = random.normal(size=size), random.integers(3, size=size)
    return [[float(w), COLOURS[c], "ab"[int(w > c - 1)]] for w, c in zip(weights, colours, strict=True)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("load")
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["weight", "colour", "kind"], *rows_of(200)])
    for name, text in SPECS.items():
        rest = REST if "train:" not in text else REST.splitlines()[0]
        text = text.replace("train: {", "train: {duration: 3 epochs, ")
        (folder / f"{name}.yaml").write_text(f"{text}{rest}\n")
    return folder


@pytest.fixture(scope="module")
def trained(place: Path) -> Callable[[str], Path]:
    """trained(name): the run folder of a spec, trained when it is first asked for."""

    def folder(name: str) -> Path:
        path = place / "runs" / name
        if not path.exists():
            nnrun.train(place / f"{name}.yaml", run_dir=path)
        return path

    return folder


@pytest.fixture
def predicted(place: Path, warm: Callable[..., Any]) -> Callable[..., Any]:
    """predicted(*arguments): the content of the .npz that `nnrun predict` writes."""

    def run(*arguments: object) -> Any:
        done = warm("predict", *arguments, "--force", "-o", "p.npz", "-q", folder=place)
        assert done.code == 0, done.err
        return np.load(place / "p.npz")

    return run


def test_classes_have_the_bits_of_predict(trained, predicted, place):
    x = datasets.load_iris().data
    np.savez(place / "x.npz", x=x)
    model = nnrun.load(trained("iris"))
    expected = predicted(trained("iris"), "x.npz")
    np.testing.assert_array_equal(model.predict_proba(x), expected["probabilities"])
    np.testing.assert_array_equal(model.predict(x), expected["classes"][expected["labels"]])
    np.testing.assert_array_equal(model.predict_proba(place / "x.npz"), expected["probabilities"])
    assert model.classes == ("setosa", "versicolor", "virginica")
    assert (model.shape, model.step) == ((4,), int(str(model).split("step ")[1].split(":")[0]))


def test_a_step_and_an_average_can_be_named(trained, predicted, place):
    x = datasets.load_iris().data[:7]
    np.savez(place / "x.npz", x=x)
    for behind in (":last", ":last:ema"):
        model = nnrun.load(f"{trained('iris')}{behind}")
        expected = predicted(f"{trained('iris')}{behind}", "x.npz")["probabilities"]
        np.testing.assert_array_equal(model.predict_proba(x), expected)


@pytest.mark.slow
def test_numbers_are_in_units_of_the_target(trained, predicted, place):
    data = datasets.load_diabetes(scaled=False)
    np.savez(place / "x.npz", x=data.data)
    model = nnrun.load(trained("numbers"))
    values = model.predict(data.data)
    np.testing.assert_array_equal(values, predicted(trained("numbers"), "x.npz")["predictions"])
    assert 0.5 < values.mean() / data.target.mean() < 1.5
    for ask in (model.predict_proba, model.scores):
        with pytest.raises(SpecError, match="predicts numbers"):
            ask(data.data)


def test_apply_is_the_model_as_a_function_of_its_parameters(trained):
    """The gradient of a logit by the last bias is 1, by the others 0; the softmax of outputs is predict_proba."""
    x = datasets.load_iris().data[:5]
    model = nnrun.load(trained("iris"))
    inputs = model.prepare(x)
    outputs = np.asarray(model.apply(model.params, inputs), np.float64)
    shares = np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True)
    np.testing.assert_allclose(shares, model.predict_proba(x), rtol=1e-5)
    gradient = jax.grad(lambda params: model.apply(params, inputs)[0, 2])(model.params)
    np.testing.assert_array_equal(gradient["output"]["bias"], [0, 0, 1])
    stored = load_file(sorted((trained("iris") / "checkpoints").glob("step_*"))[-1] / "arrays.safetensors")
    last = nnrun.load(trained("iris"), "last")
    np.testing.assert_array_equal(last.params["hidden_1"]["kernel"], stored["params/hidden_1/kernel"])


def test_scores_are_no_probabilities(trained, predicted, place):
    x = datasets.load_iris().data[:9]
    np.savez(place / "x.npz", x=x)
    model = nnrun.load(trained("scores"))
    np.testing.assert_array_equal(model.scores(x), predicted(trained("scores"), "x.npz")["scores"])
    with pytest.raises(SpecError, match="gives scores and no probabilities; use scores"):
        model.predict_proba(x)


@pytest.mark.slow
def test_double_precision_stays_double(trained, predicted, place):
    x = datasets.load_iris().data[:9]
    np.savez(place / "x.npz", x=x)
    expected = predicted(trained("exact"), "x.npz")["probabilities"]
    np.testing.assert_array_equal(nnrun.load(trained("exact")).predict_proba(x), expected)


class Frame:
    """What a DataFrame has in common with others of its kind."""

    def __init__(self, columns: dict[str, list[object]]) -> None:
        self.columns, self._columns = list(columns), columns

    def __getitem__(self, name: str) -> list[object]:
        return self._columns[name]


def test_a_table_is_columns_by_name(trained, predicted, place):
    rows = rows_of(20)
    with (place / "new.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["colour", "weight", "note"], *([c, w, "x"] for w, c, _ in rows)])
    columns = {
        "colour": [row[1] for row in rows],
        "note": ["x"] * 20,
        "weight": np.array([row[0] for row in rows]),
    }
    model = nnrun.load(trained("table"))
    assert model.columns == ("weight", "colour")
    expected = predicted(trained("table"), "new.csv")["probabilities"]
    for content in (columns, Frame(columns)):
        with pytest.warns(UserWarning, match="that the run was trained without is not used: 'note'$"):
            np.testing.assert_array_equal(model.predict_proba(content), expected)


TABLES: list[tuple[object, str]] = [
    (
        {"weight": [1.0, None], "colour": ["red", "red"]},
        "the inputs:2:1: column 'weight': '' is a missing value",
    ),
    (
        {"weight": [1.0, np.nan], "colour": ["red", "red"]},
        "the inputs:2:1: column 'weight': '' is a missing value",
    ),
    ({"weight": [1.0], "colour": ["pink"]}, "the inputs:1:2: column 'colour': 'pink' "),
    ({"weight": [1.0]}, "there is no column 'colour'; there are weight"),
    ({"weight": [1.0], "colour": ["red", "blue"]}, r"columns of different lengths \(weight 1, colour 2\)"),
    ({"weight": 1.0, "colour": ["red"]}, r"column 'weight' is 1\.0; give one value for each input"),
    ({"weight": [1.0], "colour": "red"}, "column 'colour' is red; give one value for each input"),
    (
        {"weight": np.ones((2, 2)), "colour": ["red"] * 2},
        r"column 'weight' has shape \(2, 2\); give one value",
    ),
    (np.zeros((2, 2)), "some features are not plain numbers; give columns by name"),
]
ARRAYS: list[tuple[object, str]] = [
    (np.zeros((2, 3)), r"an input has shape \(3,\), the model was trained on \(4,\)"),
    (np.zeros((0, 4)), "holds no inputs"),
    (np.full((2, 4), np.inf), r"the input at index \(0, 0\) is NaN or infinite"),
    ([["1", "2", "3", "4"]], "of type <U1; give numbers"),
    ({"a": [1.0]}, "have names, and the model was trained on inputs without; give an array"),
    (3.0, "an input has shape"),
    ([[1, 2, 3, 4], [1, 2]], r"are not of one length; give an array \(n, 4\)"),
    (
        [[1, 2, 3e39, 4]],
        r"the number at index \(0, 2\) is 3e\+39, too large for float32; correct it or leave it out",
    ),
]


@pytest.mark.parametrize(("name", "cases"), [("table", TABLES), ("iris", ARRAYS)])
def test_what_differs_is_refused(name: str, cases: list[tuple[object, str]], trained):
    model = nnrun.load(trained(name))
    for content, message in cases:
        with pytest.raises(DataError, match=f"^the inputs.*{message.removeprefix('the inputs')}"):
            model.predict(content)


class Doubled:
    """Columns of which one is there twice, as in a DataFrame that was put together."""

    columns = ("weight", "colour", "weight")

    def __getitem__(self, name: str) -> list[str]:
        return [name]


def test_of_a_table_only_the_features_are_looked_at(trained):
    model = nnrun.load(trained("table"))
    expected = model.predict({"weight": [0.5, 1.5], "colour": ["red", "red"]})
    beside = {"weight": [0.5, 1.5], "note": [1, 2, 3], "matrix": np.ones((2, 2)), "colour": ["red", "red"]}
    with pytest.warns(UserWarning, match="2 columns that .* are not used: 'note', 'matrix'$"):
        assert (model.predict(beside) == expected).all()
    with pytest.raises(DataError, match="there are several columns 'weight'; keep one of each"):
        model.predict(Doubled())


def test_what_a_model_cannot_say_is_no_class(trained, predicted, place, warm):
    """Of numbers that overflow inside, the first class would be the likeliest."""
    folder, x = trained("iris"), np.full((3, 4), 1.0)
    x[1] = 3e38
    with pytest.raises(
        RunError, match=r"iris: predicts NaN or infinity for the input at index 1; correct it"
    ):
        nnrun.load(folder).predict(x)
    for value, code, message in (
        (3e38, 4, "at index 1; correct it"),
        (3e39, 3, "is 3e+39, too large for float32"),
    ):
        x[1] = value
        np.savez(place / "far.npz", x=x)
        done = warm("predict", "iris", "far.npz", "-o", "far.csv", folder=place)
        assert done.code == code, done.err
        assert message in done.err
        assert not (place / "far.csv").exists()


def test_images_are_given_as_they_are_stored(trained, predicted, place):
    x = datasets.load_digits().images[:6]
    np.savez(place / "x.npz", x=x[..., None])
    expected = predicted(trained("images"), "x.npz")["probabilities"]
    model = nnrun.load(trained("images"))
    np.testing.assert_array_equal(model.predict_proba(x[..., None].astype(int)), expected)
    with pytest.raises(DataError, match=r"an input has shape \(8, 8\), the model was trained on \(8, 8, 1\)"):
        model.predict(x)


def test_an_ensemble_predicts_and_has_no_parameters(place, warm, predicted):
    group = nnrun.train(place / "iris.yaml", ["train.seeds=2"], run_dir=place / "runs/two")
    assert warm("ensemble", "two", "-o", "runs/both", "-q", folder=place).code == 0
    x = datasets.load_iris().data
    np.savez(place / "x.npz", x=x)
    model = nnrun.load(place / "runs/both")
    np.testing.assert_array_equal(model.predict_proba(x), predicted("both", "x.npz")["probabilities"])
    for ask in (lambda: model.params, lambda: model.apply, lambda: model.prepare(x)):
        with pytest.raises(
            RunError, match=r"has no parameters; load one of its members, such as .*member_01"
        ):
            ask()
    with pytest.raises(RunError, match="a group of 2 runs; name one"):
        nnrun.load(group.run_dir)
    assert repr(model) == f"Predictor({place}/runs/both, 2 members: inputs (4,) -> 3 classes)"


def test_everything_is_listed():
    assert {"load", "train", "resume", "evaluate", "Predictor", "Result", "__version__"} <= set(dir(nnrun))
    assert all(getattr(nnrun, name) for name in nnrun.__all__)
