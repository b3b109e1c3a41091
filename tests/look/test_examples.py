"""Which examples deserve a look, in which order and in which words, from predictions made by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nnrun.errors import DataError
from nnrun.look import examples
from nnrun.look.examples import _in_digits, look_at
from nnrun.prediction.output import Prediction
from nnrun.preprocessing import FittedColumn

NOTHING: Any = None
Looking = Callable[..., Any]


@pytest.fixture
def looking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Looking:
    """looking(prediction, x=..., columns=..., files=...): what is found in a part that is predicted so."""

    def make(
        prediction: Prediction,
        x: Any = None,
        columns: Any = (),
        files: Any = None,
        scale: Any = 1.0,
        inside: Any = None,
    ) -> Any:
        count = len(prediction.values)
        fitted = SimpleNamespace(shape=(1,), columns=columns, target_scale=scale)
        part = SimpleNamespace(x=np.arange(count, dtype=np.float32)[:, None] if x is None else x)
        data = SimpleNamespace(fitted=fitted, val=part, offset=0.0, files=files or {})
        prediction = prediction._replace(rows=np.arange(count) + 100)

        def layers(folder: Path, which: str) -> Any:
            if inside is None:
                raise DataError("the training part is gone")
            return inside

        monkeypatch.setattr(examples, "predict_with_inputs", lambda *arguments: (prediction, data))
        monkeypatch.setattr(examples, "filters_of", lambda folder, which, shape: [f"{which} {shape}"])
        monkeypatch.setattr(examples, "layers_of", layers)
        warnings: list[str] = []
        looked = look_at(tmp_path, "val", "best", warnings.append, NOTHING)
        assert len(warnings) == (inside is None)
        return looked

    return make


P = np.array([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4], [0.5, 0.5], [0.0, 1.0], [0.2, 0.8]])
CLASSES = Prediction(("no", "yes"), P, [], np.array([0, 0, 1, 1, 0, 1]))


def test_the_surest_errors_come_first(looking: Looking) -> None:
    """Wrong are 1 (70% yes), 2 (60% no), 3 (50% no, the first of equal ones) and 4 (100% yes)."""
    looked = looking(CLASSES, inside={"layers": []})
    assert [entry["row"] for entry in looked["wrong"]] == [104, 101, 102, 103]
    assert looked["errors"] == 4 and looked["examples"] == 6
    assert looked["wrong"][1] == {
        "row": 101, "target": "no", "predicted": "yes", "confidence": 0.7, "of_target": 0.3,
    }  # fmt: skip
    assert looked["inside"] == {"layers": []} and looked["filters"] == ["best (1,)"]
    assert "reliability" in looked and "labels" not in looked


def test_scores_have_no_confidence(looking: Looking) -> None:
    looked = looking(CLASSES._replace(values=10 * P - 5, scores=True))
    assert [entry["row"] for entry in looked["wrong"]] == [104, 101, 102, 103]
    assert set(looked["wrong"][0]) == {"row", "target", "predicted"} and "reliability" not in looked
    assert "inside" not in looked  # with a warning


def test_no_more_than_a_page_is_shown_and_all_are_counted(looking: Looking) -> None:
    many = Prediction(("no", "yes"), np.tile([0.25, 0.75], (40, 1)), [], np.zeros(40, np.int32))
    looked = looking(many)
    assert looked["errors"] == 40 and [entry["row"] for entry in looked["wrong"]] == list(range(100, 124))
    right = looking(many._replace(targets=np.ones(40, np.int32)))
    assert right["errors"] == 0 and right["wrong"] == []


def test_numbers_that_are_far_off_come_first(looking: Looking) -> None:
    numbers = Prediction((), np.array([1.0, 5.0, 2.5, 0.0]), [], np.array([1.5, 2.0, 2.5, -4.0]))
    looked = looking(numbers)
    assert [entry["row"] for entry in looked["wrong"]] == [103, 101, 100, 102] and looked["errors"] == 4
    assert looked["wrong"][0] == {"row": 103, "target": "-4", "predicted": "0", "error": "+4"}
    assert looked["targets"] == [1.5, 2.0, 2.5, -4.0] and looked["predictions"] == [1.0, 5.0, 2.5, 0.0]


def test_several_numbers_are_far_off_in_their_deviations(looking: Looking) -> None:
    """In deviations of 1 and 1000 the errors are (2, 0), (0, 0.3) and (1, 0.15), on average 1, 0.15 and 0.575."""
    errors = np.array([[2.0, 0.0], [0.0, -300.0], [1.0, 150.0]])
    several = Prediction((), 1000 + errors, [], np.full((3, 2), 1000.0), of_targets=("a", "b"))
    looked = looking(several, scale=np.array([1.0, 1000.0]))
    assert [entry["row"] for entry in looked["wrong"]] == [100, 102, 101]
    assert looked["wrong"][2]["predicted"] == "a 1000, b 700" and looked["wrong"][2]["error"] == "a 0, b -300"
    assert "predictions" not in looked


def test_wrong_labels_are_named_with_how_sure_they_are(looking: Looking) -> None:
    p = np.array([[0.875, 0.25], [0.125, 0.75], [0.75, 0.5]])
    there = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    pairs = (("healthy", "ill"), ("short", "tall"))
    looked = looking(Prediction((), p, [], there, of_targets=("state", "size"), label_classes=pairs))
    assert looked["errors"] == 2 and looked["labels"] == ["state", "size"]
    assert looked["wrong"] == [
        {"row": 101, "target": "state ill, size short", "predicted": "state healthy 87.5%, size tall 75.0%"},
        {"row": 102, "target": "state healthy", "predicted": "state ill 75.0%"},
    ]


class InOrder:
    """Inputs in a file, which are read from its beginning to its end."""

    def __init__(self, x: np.ndarray) -> None:
        self.x = x

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        assert (np.diff(rows) > 0).all()
        return self.x[rows]


def test_rows_of_a_table_are_shown_as_their_cells_and_files_by_name(looking: Looking) -> None:
    columns = (FittedColumn("size"), FittedColumn("colour", ("red", "blue")))
    x = np.array([[i / 2, i % 2, 1 - i % 2] for i in range(6)], np.float32)
    looked = looking(CLASSES, x=InOrder(x), columns=columns, files={"val": [f"{i}.png" for i in range(6)]})
    assert [entry["cells"] for entry in looked["wrong"]] == [
        {"size": "2", "colour": "blue"}, {"size": "0.5", "colour": "red"}, {"size": "1", "colour": "blue"},
        {"size": "1.5", "colour": "red"},
    ]  # fmt: skip
    assert [entry["file"] for entry in looked["wrong"]] == ["4.png", "1.png", "2.png", "3.png"]


def test_images_are_pictures_and_not_cells(looking: Looking) -> None:
    images = np.random.default_rng(0).integers(0, 255, (6, 2, 2, 1)).astype(np.uint8)
    looked = looking(CLASSES, x=images)
    pictures = [entry["picture"] for entry in looked["wrong"]]
    assert len(set(pictures)) == 4 and "cells" not in looked["wrong"][0]


@pytest.mark.parametrize(
    ("target", "predicted", "texts"),
    [
        (1.0, 1.5, ("1", "1.5", "+0.5")), (2.0, 2.0, ("2", "2", "0")), (0.0, 0.0, ("0", "0", "0")),
        (100.001, 100.002, ("100.001", "100.002", "+0.001")), (-5.0, 5.0, ("-5", "5", "+10")),
        (123456.0, 123457.0, ("123456", "123457", "+1")), (1e-9, 3e-9, ("1e-09", "3e-09", "+2e-09")),
    ],
)  # fmt: skip
def test_numbers_have_as_many_digits_as_show_their_difference(
    target: float, predicted: float, texts: tuple[str, str, str]
) -> None:
    assert _in_digits(target, predicted) == texts
