"""Members' predictions in files, and what is refused on the way; models are stood in for by functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nnrun.errors import RunError, SpecError
from nnrun.prediction import by_member
from nnrun.prediction.by_member import predict, predict_each, store
from nnrun.prediction.member import Member

CLASSES = ("a", "b", "c")


def labels(examples: int) -> np.ndarray:
    return (np.arange(examples) % 3).astype(np.int32)


def inputs(examples: int) -> np.ndarray:
    return np.random.default_rng(examples).normal(size=(examples, 3)).astype(np.float32)


def members_of(*steps: int) -> list[Member]:
    return [Member(Path(f"run_{i}"), step, f"{i}", f"{i}", "data", b"") for i, step in enumerate(steps)]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """world(models, groups): run_0, run_1, ... have these models; returns the log of what is opened."""

    def install(models: list[Any], groups: list[list[int]]) -> list[str]:
        opened: list[str] = []

        def open_model(folder: Path, warn: Any, parts: Sequence[str]) -> Any:
            opened.append(folder.name)
            return models[int(folder.name.removeprefix("run_"))]

        monkeypatch.setattr(by_member, "open_model", open_model)
        monkeypatch.setattr(by_member, "by_model", lambda folders: groups)
        monkeypatch.setattr(by_member, "state_of", lambda model, arrays, place: arrays["w"])
        monkeypatch.setattr(  # a run's whole state is a number
            Member, "load", lambda self: SimpleNamespace(arrays={"w": np.float32(self.step)})
        )
        return opened

    return install


def test_outputs_of_every_part_are_files_that_can_be_read_again(world, make_model, counted, tmp_path):
    y, x = {"val": labels(20), "test": labels(300)}, {"val": inputs(20), "test": inputs(300)}
    model = make_model(y, x)
    world([model, model], [[0, 1]])
    predicted = predict(members_of(20, 35), "test", "probabilities", tmp_path, pytest.fail, counted)
    assert predicted.parts == ["val", "test"]
    assert predicted.epochs == [2.0, 3.5]
    for part in y:
        for step, outputs in zip((20, 35), predicted.outputs(part), strict=True):
            np.testing.assert_array_equal(outputs, x[part] + np.float32(step))
            assert isinstance(outputs, np.memmap)
        np.testing.assert_array_equal(np.load(tmp_path / f"targets_{part}.npy"), y[part])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "member_01_test.npy", "member_01_val.npy", "member_02_test.npy", "member_02_val.npy",
        "targets_test.npy", "targets_val.npy",
    ]  # fmt: skip
    assert counted.shown[0][:2] == ("predicting", 2 * (1 + 2))  # batches of 256


def test_the_first_members_model_is_opened_last_and_kept(world, make_model, counted, tmp_path):
    models = [make_model({"test": labels(5)}, {"test": inputs(5)}) for _ in range(3)]
    opened = world(models, [[0, 2], [1]])
    predicted = predict(members_of(1, 2, 3), "test", "logits", tmp_path, pytest.fail, counted)
    assert opened == ["run_1", "run_0"]
    assert predicted.model is models[0]


def test_nothing_is_validated_where_nothing_was_held_out(world, make_model, counted, tmp_path):
    world([make_model({"test": labels(5)}, {"test": inputs(5)})], [[0]])
    assert predict(members_of(1), "test", "vote", tmp_path, pytest.fail, counted).parts == ["test"]


@pytest.mark.parametrize("how", ["greedy", "weighted"])
def test_what_is_fitted_needs_validation_data(how: str, world, make_model, counted, tmp_path):
    world([make_model({"test": labels(5)}, {"test": inputs(5)})], [[0]])
    with pytest.raises(
        SpecError, match=r"there is no val part, for the members held nothing out for it; write --split test"
    ):
        predict(members_of(1), "test", how, tmp_path, pytest.fail, counted)
    assert list(tmp_path.iterdir()) == []


def test_the_validation_part_is_predicted_once_where_it_is_what_was_asked_for(
    world, make_model, counted, tmp_path
):
    world([make_model({"val": labels(5)}, {"val": inputs(5)})], [[0]])
    assert predict(members_of(1), "val", "weighted", tmp_path, pytest.fail, counted).parts == ["val"]


def test_members_of_another_task_are_refused_by_name(world, make_model, counted, tmp_path):
    models = [
        make_model({"test": labels(5)}, {"test": inputs(5)}, classes=classes)
        for classes in (CLASSES, ("a", "b", "x"))
    ]
    world(models, [[0], [1]])
    message = r"run_0:1: its task is classes a, b, c, that of run_1:2 is classes a, b, x; members must have one task"
    with pytest.raises(RunError, match=message):
        predict(members_of(1, 2), "test", "probabilities", tmp_path, pytest.fail, counted)


def test_a_member_that_predicts_no_numbers_is_refused_by_name(world, make_model, counted, tmp_path):
    x = inputs(5)
    x[3, 1] = np.nan
    world([make_model({"test": labels(5)}, {"test": x})], [[0]])
    message = r"run_0:1: predicts NaN or infinity on the test part; name the others"
    with pytest.raises(RunError, match=message):
        predict(members_of(1), "test", "probabilities", tmp_path, pytest.fail, counted)


def test_parts_are_predicted_member_by_member_in_the_order_of_the_groups(world, make_model, counted):
    model = make_model({"test": labels(2)})
    world([model] * 3, [])
    seen: list[tuple[int, str]] = []

    def give(model: Any, index: int, part: str, outputs: np.ndarray) -> None:
        seen.append((index, part))

    last = predict_each(
        [Path("run_0"), Path("run_1"), Path("run_2")],
        [[2], [0, 1]],
        lambda model, index: {"a": inputs(2), "b": inputs(3)},
        lambda model, index: np.float32(index),
        give,
        pytest.fail,
        counted,
    )
    assert last is model
    assert seen == [(2, "a"), (2, "b"), (0, "a"), (0, "b"), (1, "a"), (1, "b")]


def test_arrays_are_stored_without_pickles(tmp_path):
    array = np.arange(6.0).reshape(2, 3).T  # not contiguous
    store(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), array)
    with pytest.raises(ValueError, match="pickle"):
        store(tmp_path / "b.npy", np.array([{}], object))
    assert not (tmp_path / "b.npy").exists()
