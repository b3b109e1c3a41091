"""Predictions as files, and what is refused before a model is built."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun.errors import RunError, SpecError
from nnrun.prediction import predict as prediction
from nnrun.prediction.combiner import Combiner
from nnrun.prediction.output import Prediction, check_output
from nnrun.prediction.output import write as write_pieces
from nnrun.prediction.predict import predict_part
from nnrun.prediction.reading import MeanOutputs
from nnrun.record.names import ENSEMBLE

P = np.array([[0.1, 0.9], [0.75, 0.25]])


def write(file: Path, *pieces: Prediction) -> None:
    assert write_pieces(file, (piece for piece in pieces)) == sum(len(piece.values) for piece in pieces)


def rows(file: Path) -> list[list[str]]:
    with file.open(newline="") as text:
        return list(csv.reader(text))


def test_labels_and_probabilities_as_csv(tmp_path):
    write(tmp_path / "p.csv", Prediction(("cat", "dog, small"), P, ["x.png", 'y"z.png'], np.array([1, 1])))
    assert rows(tmp_path / "p.csv") == [
        ["name", "label", "p(cat)", "p(dog, small)", "target"],
        ["x.png", "dog, small", "0.1", "0.9", "dog, small"],
        ['y"z.png', "cat", "0.75", "0.25", "dog, small"],
    ]


def test_numbers_as_csv_keep_every_digit(tmp_path):
    values = np.array([1 / 3, -2e-300])
    write(tmp_path / "p.csv", Prediction((), values, [], None))
    [head, *lines] = rows(tmp_path / "p.csv")
    assert head == ["prediction"]
    assert [float(text) for [text] in lines] == values.tolist()
    write(tmp_path / "q.csv", Prediction((), values, [], np.array([0.5, 2.0])))
    assert rows(tmp_path / "q.csv")[1] == [repr(1 / 3), "0.5"]


def test_arrays_as_npz(tmp_path):
    write(tmp_path / "p.npz", Prediction(("cat", "dog"), P, ["x", "y"], np.array([1, 0])))
    with np.load(tmp_path / "p.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["classes", "labels", "names", "probabilities", "targets"]
        np.testing.assert_array_equal(arrays["probabilities"], P)
        assert arrays["labels"].tolist() == [1, 0] and arrays["labels"].dtype == np.int32
        assert arrays["classes"].tolist() == ["cat", "dog"]
    write(tmp_path / "q.npz", Prediction((), np.array([1.5]), [], None))
    with np.load(tmp_path / "q.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["predictions"]


def test_no_inputs_give_a_file_without_lines(tmp_path):
    write(tmp_path / "p.csv", Prediction(("cat", "dog"), np.zeros((0, 2)), [], None))
    assert rows(tmp_path / "p.csv") == [["label", "p(cat)", "p(dog)"]]


@pytest.mark.parametrize("name", ["p.txt", "p", "p.CSV", ".csv"])
def test_other_formats_are_refused(name: str, tmp_path):
    with pytest.raises(SpecError, match=r"write a name that ends in \.csv or \.npz"):
        check_output(tmp_path / name)


def test_the_folder_of_the_output_must_exist(tmp_path):
    check_output(tmp_path / "p.csv")
    check_output(Path("p.npz"))
    with pytest.raises(SpecError, match=r"no such folder; make it first or write another name"):
        check_output(tmp_path / "missing" / "p.csv")


def forbidden(*arguments: Any) -> Any:
    raise AssertionError("a model is built")


def test_what_cannot_predict_is_refused(make_run, tmp_path, monkeypatch):
    monkeypatch.setattr(prediction, "mean_for", forbidden)
    with pytest.raises(SpecError, match=r"--split: got 'all'"):
        predict_part(tmp_path, "all", "best", pytest.fail, forbidden)
    for seed in (0, 1):
        make_run(f"group/seed_{seed}", seed=seed)
    with pytest.raises(RunError, match=r"group: a group of 2 runs; name one, as .*seed_0, or average them"):
        predict_part(tmp_path / "group", "test", "best", pytest.fail, forbidden)
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / ENSEMBLE).write_text("{}")
    message = r"whole: an ensemble, it keeps no average 'ema'; make it of RUN:ema: nnrun ensemble"
    with pytest.raises(RunError, match=message):
        predict_part(tmp_path / "whole", "test", "best", pytest.fail, forbidden, "ema")


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """answered(model, mean): what `mean_for` is asked, which answers with this mean."""

    def install(model: Any, mean: np.ndarray) -> dict[str, Any]:
        asked: dict[str, Any] = {}

        def mean_for(
            ensemble: Any, which: str, inputs: Any, warn: Any, counting: Any, needed: Any
        ) -> MeanOutputs:
            asked.update(ensemble=ensemble, which=which, x=inputs(model), needed=needed)
            return MeanOutputs(model, Combiner(ensemble.how, 1, model.kind), mean)

        monkeypatch.setattr(prediction, "mean_for", mean_for)
        return asked

    return install


def test_numbers_are_given_in_units_of_the_target(make_run, make_model, answered):
    folder = make_run("run")
    y, x = np.array([3.0, 5.0], np.float32), np.ones((2, 2), np.float32)
    model = make_model({"test": y}, {"test": x}, classes=(), target_scale=2.0, target_shift=4.0)
    asked = answered(model, np.array([[-0.5], [1.0]]))
    result = predict_part(folder, "test", "20", pytest.fail, forbidden)
    assert result.values.tolist() == [3.0, 6.0]
    assert result.targets is y and result.classes == ()
    assert asked["x"] is x
    assert asked["ensemble"]._replace(folder=None) == (None, "probabilities", [folder], [1.0], None)
    assert (asked["which"], asked["needed"]) == ("20", ["test"])


def test_a_part_that_is_empty_is_refused(make_run, make_model, answered):
    answered(make_model({"test": np.zeros(2, np.int32)}), P)
    with pytest.raises(SpecError, match=r"--split val: .*run held nothing out"):
        predict_part(make_run("run"), "val", "best", pytest.fail, forbidden)


def test_the_average_of_a_run_is_passed_on(make_run, make_model, answered):
    asked = answered(make_model({"test": np.zeros(2, np.int32)}, classes=("a", "b")), P)
    result = predict_part(make_run("run"), "test", "best", pytest.fail, forbidden, "swa")
    assert asked["ensemble"].average == "swa"
    assert result.values is P and result.classes == ("a", "b")
