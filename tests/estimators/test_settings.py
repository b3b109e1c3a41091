"""From the parameters of an estimator to a spec, and the units of weighted examples, against NumPy by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from nnrun.errors import SpecError
from nnrun.preprocessing import Preprocessing
from nnrun.sklearn._data import Given, _by_weight, standardised
from nnrun.sklearn._settings import DEFAULT, Parameters, _trained_on, document_of
from nnrun.spec.document import Document

CSV = {**DEFAULT, "data": {"name": "csv", "path": "x.csv", "validation": 0.25}}
NOTHING = Parameters(None, (), None, None, None, None, None, None, None, None, None)


def given(n: int = 50, classes: int = 3, weighted: bool = False) -> Given:
    y = np.arange(n) % classes if classes else np.linspace(0.0, 1.0, n)
    return Given(
        np.zeros((n, 4)), y.astype(np.int32 if classes else float), np.ones(n) if weighted else None, classes
    )


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Document]:
    """read(given(), hidden=8, ...): the document of an estimator with these parameters."""

    def make(examples: Given | None = None, **parameters: Any) -> Document:
        place, archive = tmp_path / "estimator.yaml", tmp_path / "fit.npz"
        return document_of(NOTHING._replace(**parameters), place, archive, examples or given(), 7)

    return make


def value(document: Document, *path: str) -> Any:
    document.problems.raise_if_any()
    train = {key: str(entry) for key, entry in document.sections["train"]}
    inner: Any = {**document.blocks, "train": train}
    for key in path:
        inner = inner[key]
    return inner


@pytest.mark.parametrize(
    ("parameters", "path", "expected"),
    [
        ({}, ("model", "hidden"), [64]),
        ({"hidden": 8}, ("model", "hidden"), [8]),
        ({"hidden": np.int64(8)}, ("model", "hidden"), [8]),
        ({"hidden": (8, np.int32(4))}, ("model", "hidden"), [8, 4]),
        ({"hidden": []}, ("model", "hidden"), []),
        ({"epochs": np.int64(3)}, ("train", "duration"), "3 epochs"),
        ({}, ("train", "duration"), "100 epochs"),
        ({"learning_rate": np.float64(0.25)}, ("optimizer", "learning_rate"), 0.25),
        ({"learning_rate": 0.25}, ("optimizer", "name"), "adam"),
        ({"optimizer": "sgd"}, ("optimizer",), {"name": "sgd"}),
        ({"optimizer": "adam"}, ("optimizer", "learning_rate"), 0.01),  # the same: with its options
        ({"optimizer": {"name": "momentum", "learning_rate": 0.5}}, ("optimizer", "learning_rate"), 0.5),
        ({"weight_decay": 0.5}, ("optimizer", "weight_decay"), 0.5),
        ({"loss": "hinge"}, ("loss",), {"name": "hinge"}),
        ({"dropout": 0.5, "activation": "tanh"}, ("model", "activation"), "tanh"),
        ({"overrides": ["model.hidden=[3]"]}, ("model", "hidden"), [3]),
        ({}, ("data", "test"), 0),
        ({}, ("data", "validation"), 0),
        ({}, ("train", "seed"), "7"),
        ({"spec": {**DEFAULT, "data": "iris", "model": {"name": "mlp", "hidden": [5]}}},
         ("model", "hidden"), [5]),
        ({"spec": CSV}, ("data", "validation"), 0.25),
        ({"spec": CSV}, ("data", "name"), "npz"),
    ],
)  # fmt: skip
def test_parameters_change_the_spec_where_they_are_given(
    parameters: dict[str, Any], path: tuple[str, ...], expected: Any, read: Callable[..., Document]
) -> None:
    document = read(**parameters)
    assert value(document, *path) == expected


@pytest.mark.parametrize(
    ("examples", "parameters", "size"),
    [
        (50, {}, 50), (1000, {}, 256), (1000, {"batch_size": 64}, 64), (10, {"batch_size": np.int64(64)}, 10),
        (50, {"batch_size": "full"}, "full"), (100, {"overrides": ["data.validation=0.2"]}, 80),
        (100, {"overrides": ["data.examples=30"]}, 30), (0, {}, 1),
    ],
)  # fmt: skip
def test_a_batch_is_no_larger_than_what_is_trained_on(
    examples: int, parameters: dict[str, Any], size: Any, read: Callable[..., Document]
) -> None:
    assert value(read(given(examples), **parameters), "data", "batch_size") == size


@pytest.mark.parametrize(
    ("validation", "asked", "left"),
    [(0, (), 50), (0.1, (), 45), (0.5, ("data.validation=0.2",), 40), (0, ("data.examples=7",), 7),
     (0.1, ("data.examples=48",), 45), (0, ("data.examples=0.5",), 50), (0, ("data.examples=all",), 50),
     ("x", (), 50), (-1, (), 50), (3, (), 50)],
)  # fmt: skip
def test_how_many_examples_are_left_to_train_on(validation: Any, asked: tuple[str, ...], left: int) -> None:
    assert _trained_on(validation, 50, asked) == left


def test_numbers_have_a_loss_of_numbers_where_none_is_written(read: Callable[..., Document]) -> None:
    assert value(read(given(classes=0)), "loss") == {"name": "squared_error"}
    assert value(read(given(classes=3)), "loss")["name"] == "cross_entropy"
    written = read(given(classes=0), spec={**DEFAULT, "loss": {"name": "huber"}})
    assert value(written, "loss") == {"name": "huber"}
    assert value(read(given(classes=0), loss="huber"), "loss") == {"name": "huber"}


def test_weights_are_read_from_the_archive(read: Callable[..., Document], tmp_path: Path) -> None:
    assert value(read(given(weighted=True)), "data", "weights") == "w"
    assert "weights" not in value(read(), "data")
    assert value(read(), "data", "path") == str(tmp_path / "fit.npz")
    assert set(given(weighted=True).arrays) == {"x", "y", "w"} and set(given().arrays) == {"x", "y"}


@pytest.mark.parametrize(
    "override", ["data.path=x.npz", "data.test=0.1", "train.seed=3", "data=iris", "data.weights=w"]
)
def test_what_fit_is_given_cannot_be_overridden(override: str, read: Callable[..., Document]) -> None:
    with pytest.raises(
        SpecError, match=f"overrides: {override}: the estimator trains on what `fit` is given"
    ):
        read(overrides=[override])


def test_a_parameter_and_an_override_of_one_key_are_a_contradiction(read: Callable[..., Document]) -> None:
    with pytest.raises(SpecError, match=r"model.hidden was given before; write it once"):
        value(read(hidden=8, overrides=["model.hidden=[3]"]))


def test_a_spec_that_yaml_cannot_hold_is_refused(read: Callable[..., Document]) -> None:
    with pytest.raises(
        SpecError, match=r"spec: holds what YAML cannot: .*set.*; write numbers, text, lists and dicts"
    ):
        read(spec={"model": {1, 2}})


def test_a_spec_in_a_file_has_its_modules_beside_it(read: Callable[..., Document], tmp_path: Path) -> None:
    file = tmp_path / "own" / "mine.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump(DEFAULT))
    assert read(spec=file).folder == file.parent and read(spec=str(file)).folder == file.parent
    assert read(spec=DEFAULT).folder == Path.cwd()


def fitted(classes: tuple[str, ...] = (), targets: tuple[str, ...] = ()) -> Preprocessing:
    return Preprocessing(classes, (), (2,), "float64", np.zeros(2), np.ones(2), 0.0, 1.0, {}, targets)


def checked(standardize: str) -> Any:
    data = SimpleNamespace(options={"standardize": standardize})
    return SimpleNamespace(data=data, document=SimpleNamespace(places={}))


X = np.array([[1.0, 5.0], [2.0, 5.0], [4.0, 5.0]])
Y = np.array([1.0, 3.0, 8.0])
WEIGHTS = np.array([1.0, 2.0, 3.0])
REPEATED = np.repeat(np.arange(3), [1, 2, 3])


@pytest.mark.parametrize("standardize", ["feature", "image", "none"])
def test_weights_have_the_units_of_rows_that_are_repeated(standardize: str) -> None:
    found = _by_weight(fitted(), checked(standardize), X, Y, WEIGHTS)
    rows = X[REPEATED]
    axis = 0 if standardize == "feature" else None
    shift, scale = rows.mean(axis), rows.std(axis)
    if standardize == "none":
        shift, scale = np.zeros(2), np.ones(2)
    elif standardize == "feature":
        scale = np.array([scale[0], 1.0])  # the constant feature keeps its size
    np.testing.assert_allclose(found.shift, shift)
    np.testing.assert_allclose(found.scale, scale)
    assert found.target_shift == pytest.approx(Y[REPEATED].mean())
    assert found.target_scale == pytest.approx(Y[REPEATED].std())


def test_several_targets_have_units_of_their_own_and_classes_none() -> None:
    several = np.stack([Y, np.full(3, 2.0)], axis=1)
    found = _by_weight(fitted(targets=("a", "b")), checked("feature"), X, several, WEIGHTS)
    np.testing.assert_allclose(found.target_shift, [Y[REPEATED].mean(), 2.0])
    np.testing.assert_allclose(found.target_scale, [Y[REPEATED].std(), 1.0])
    labelled = _by_weight(fitted(("u", "v")), checked("feature"), X, np.array([0, 1, 1]), WEIGHTS)
    assert (labelled.target_shift, labelled.target_scale) == (0.0, 1.0)


def test_inputs_are_standardised_in_the_precision_of_the_run() -> None:
    large = np.array([[1e6 + 1.25, 3.0]])
    units = fitted()._replace(shift=np.array([1e6, 1.0]), scale=np.array([0.5, 4.0]))
    for precision in (np.float32, np.float64):
        found = standardised(large, units, np.dtype(precision))
        assert found.dtype == precision and found.tolist() == [
            [2.5, 0.5]
        ]  # the difference is taken in float64
