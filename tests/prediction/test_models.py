"""What models of members share: the kind of their outputs, their task in words, which are built once, and warnings."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nnrun.errors import RunError, SpecError
from nnrun.prediction import inputs, models
from nnrun.prediction.models import SharedModel, block_of, by_model, held_out
from nnrun.preprocessing import FittedColumn

NOTHING: Any = None


def model(
    classes: tuple[str, ...] = (), targets: tuple[str, ...] = (), pairs: Any = (), probabilities: bool = True
) -> SharedModel:
    fitted = SimpleNamespace(targets=targets, label_classes=pairs, columns=targets)
    empty, full = SimpleNamespace(y=np.zeros(0)), SimpleNamespace(y=np.zeros(3))
    dataset = SimpleNamespace(classes=classes, fitted=fitted, train=full, val=full, test=empty)
    loss = SimpleNamespace(probabilities=probabilities)
    experiment: Any = SimpleNamespace(dataset=dataset, loss=lambda knobs: loss, knobs={})
    return SharedModel({}, experiment, "float32", NOTHING, NOTHING)


PAIRS = (("no", "yes"), ("short", "tall"))


@pytest.mark.parametrize(
    ("options", "kind", "task"),
    [
        ({}, "numbers", "a regression"), ({"targets": ("a", "b")}, "numbers", "a regression of a, b"),
        ({"classes": ("a", "b")}, "classes", "classes a, b"),
        ({"classes": ("a", "b"), "probabilities": False}, "scores", "scores of classes a, b"),
        ({"targets": ("ill", "size"), "pairs": PAIRS}, "labels", "labels ill (no or yes), size (short or tall)"),
    ],
)  # fmt: skip
def test_the_kind_and_the_task_of_a_model(options: Any, kind: str, task: str) -> None:
    assert (model(**options).kind, model(**options).task) == (kind, task)


def test_a_part_that_is_empty_is_answered_with_those_that_are_not() -> None:
    assert len(held_out(model(), "val", Path("r")).y) == 3
    with pytest.raises(
        SpecError, match="--split test: r held nothing out for it; write --split train or val"
    ):
        held_out(model(), "test", Path("r"))


RESOLVED = """\
name: {name}
data: {{name: iris}}
model: {{name: mlp, hidden: [{width}]}}
loss: {{name: cross_entropy}}
train: {{precision: float32, seed: {seed}}}
"""


@pytest.fixture
def run_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """run_of("a", width=8): a run folder with that spec."""
    monkeypatch.setattr(models.preprocessing, "content", lambda folder: (folder / "fitted").read_bytes())

    def make(name: str, width: int = 8, seed: int = 0, fitted: str = "1", place: str = "/specs") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "resolved.yaml").write_text(RESOLVED.format(name=name, width=width, seed=seed))
        (folder / "run.json").write_text(json.dumps({"spec_folder": place}))
        (folder / "fitted").write_text(fitted)
        return folder

    return make


def test_members_share_a_model_where_everything_that_decides_is_the_same(run_of: Any) -> None:
    """Names and seeds decide nothing; the folder of the user's modules and what is fitted do."""
    folders = [
        run_of("a"), run_of("b", width=9), run_of("c", seed=5), run_of("d", fitted="2"), run_of("e", place="/other"),
        run_of("f", width=9),
    ]  # fmt: skip
    assert by_model(folders) == [[0, 2], [1, 5], [3], [4]]
    assert block_of(folders[1], "model") == {"name": "mlp", "hidden": [9]}


@pytest.mark.parametrize("text", ["", "name: a\n", "- 1\n", "{data: 1, model: 2, loss: 3, train: 4}\n"])
def test_a_spec_that_says_nothing_is_damaged(text: str, run_of: Any) -> None:
    folder = run_of("a")
    (folder / "resolved.yaml").write_text(text)
    with pytest.raises(RunError, match=r"resolved\.yaml: damaged; restore it"):
        block_of(folder, "data")


def test_one_reader_reads_for_all_models_with_its_columns() -> None:
    """Folds fit their columns to their own training part."""
    first, second = (FittedColumn("a", ("x", "y")),), (FittedColumn("a", ("x",)),)
    members = [SimpleNamespace(columns=columns) for columns in (first, first, second, first, second)]
    shared: Any = [
        SimpleNamespace(experiment=SimpleNamespace(dataset=SimpleNamespace(fitted=m))) for m in members
    ]
    readers, which = inputs._readers(shared)
    assert readers == [shared[0], shared[2]] and which == [0, 0, 1, 0, 1]


def test_a_warning_is_passed_on_once() -> None:
    warnings: list[str] = []
    once = inputs.each_once(warnings.append)
    for message in ("a", "b", "a", "b", "c"):
        once(message)
    assert warnings == ["a", "b", "c"]


def test_standard_input_cannot_be_read_by_two() -> None:
    fitted = [SimpleNamespace(columns=columns) for columns in ((), (FittedColumn("a"),))]
    pair: Any = [
        SimpleNamespace(experiment=SimpleNamespace(dataset=SimpleNamespace(fitted=f))) for f in fitted
    ]
    with pytest.raises(
        SpecError, match="standard input can be read once, and the folds have different columns"
    ):
        next(inputs.pieces_for(pair, inputs.STDIN, print))
