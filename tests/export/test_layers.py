"""What the NumPy reference of an exported model computes, and where a model can be exported to."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nnrun.errors import RunError, SpecError
from nnrun.export.folder import _arrays, _check_preprocessing, _size, check_target
from nnrun.export.layers import layers_of

MLP: dict[str, Any] = {
    "name": "mlp", "hidden": [8, 4], "activation": "relu", "dropout": 0.0, "input_dropout": 0.0,
    "norm": {"name": "none"}, "dropconnect": {"rate": 0.0, "inference": "mean"}, "dropout_scaling": "train",
}  # fmt: skip


def in_short(layers: Any) -> list[str]:
    """`dense hidden_1`, `activation relu`, `factor 0.5`."""
    return [" ".join(str(value) for value in layer.values()) for layer in layers]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "dense hidden_1, activation relu, dense hidden_2, activation relu, dense output"),
        ({"hidden": []}, "dense output"),
        ({"hidden": [3], "norm": {"name": "batch"}},
         "dense hidden_1, batch_norm norm_1, activation relu, dense output"),
        ({"hidden": [3], "norm": {"name": "layer"}},
         "dense hidden_1, group_norm norm_1, activation relu, dense output"),
        ({"hidden": [4], "norm": {"name": "group", "groups": 2}},
         "dense hidden_1, group_norm norm_1 2, activation relu, dense output"),
        ({"hidden": [3], "dropout": 0.25, "input_dropout": 0.5}, "dense hidden_1, activation relu, dense output"),
        ({"hidden": [3], "dropout": 0.25, "input_dropout": 0.5, "dropout_scaling": "test"},
         "factor 0.5, dense hidden_1, activation relu, factor 0.75, dense output"),
        ({"name": "linear"}, "dense output"),
    ],
)  # fmt: skip
def test_layers_are_computed_in_their_order(changes: dict[str, Any], expected: str) -> None:
    """Dropout scaled in training leaves nothing to do in a prediction; scaled in the test, what is kept is a factor."""
    assert ", ".join(in_short(layers_of({**MLP, **changes}))) == expected
    assert ", ".join(in_short(layers_of({**MLP, **changes}, rates=True))) == f"{expected}, activation exp"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "resnet"}, "is for mlp and linear, this is resnet"),
        ({"dropconnect": {"rate": 0.5, "inference": "gaussian"}}, "has no gaussian inference of dropconnect"),
    ],
)
def test_a_model_that_the_reference_lacks_says_why(changes: dict[str, Any], reason: str) -> None:
    assert layers_of({**MLP, **changes}) == f"numpy_model.py {reason}"


def test_a_folder_is_new_or_empty_and_has_a_place(tmp_path: Path) -> None:
    check_target(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    check_target(tmp_path / "empty")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    for name in ("full", "full/file"):
        with pytest.raises(SpecError, match=f"-o .*{name}: already exists; write another name"):
            check_target(tmp_path / name)
    for name in ("absent/new", "full/file/new"):
        with pytest.raises(SpecError, match="no such folder; make it first or write another name"):
            check_target(tmp_path / name)


def predictor(*members: Any, kind: str = "classes", shift: Any = 0.0, scale: Any = 1.0) -> Any:
    fitted = SimpleNamespace(target_shift=shift, target_scale=scale)
    return SimpleNamespace(
        members=members, fitted=fitted, combiner=SimpleNamespace(kind=kind), run_dir=Path("runs/mine")
    )


def member(value: float = 0.0, columns: tuple[str, ...] = (), offset: Any = 0.0, units: int = 0) -> Any:
    fitted = SimpleNamespace(columns=columns, units=units, has_units_of=lambda other: other.units == units)
    experiment = SimpleNamespace(dataset=SimpleNamespace(fitted=fitted, offset=np.asarray(offset)))
    state = SimpleNamespace(
        params={"output": {"bias": np.full(2, value)}}, stats={"norm_1": {"mean": np.zeros(1)}}
    )
    return SimpleNamespace(
        model=SimpleNamespace(experiment=experiment), state=state, folder=Path(f"fold_{value:.0f}")
    )


def test_arrays_of_several_members_have_a_folder_each() -> None:
    assert set(_arrays(predictor(member()))) == {"params/output/bias", "stats/norm_1/mean"}
    several = _arrays(predictor(member(1.0), member(2.0)))
    assert set(several) == {f"member_0{i}/{name}" for i in (1, 2) for name in _arrays(predictor(member()))}
    assert several["member_02/params/output/bias"].tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    "other", [{"columns": ("a",)}, {"offset": 1.0}, {"units": 1}, {"offset": np.zeros(2)}]
)
def test_members_with_preprocessing_of_their_own_are_exported_one_by_one(other: dict[str, Any]) -> None:
    _check_preprocessing(predictor(member(1.0), member(2.0)))
    with pytest.raises(
        RunError, match=r"each with its own preprocessing, .*; export one of them, such as fold_1"
    ):
        _check_preprocessing(predictor(member(1.0), member(2.0), member(3.0, **other)))


def test_a_difference_is_measured_in_the_size_of_what_differs() -> None:
    """Probabilities as they are; scores to the largest; numbers to their deviation or, if larger, their distance."""
    values = np.array([[0.5, -8.0], [2.0, 4.0]])
    assert _size(predictor(), values) == 1.0
    assert _size(predictor(kind="scores"), values) == 8.0
    assert _size(predictor(kind="scores"), values / 100) == 1.0
    far = np.array([1000.5, 999.0])  # of a mean of 1000 and a deviation of 3
    assert _size(predictor(kind="numbers", shift=1000.0, scale=3.0), far) == 3.0
    assert _size(predictor(kind="numbers", shift=1000.0, scale=0.25), far) == 1.0
    several = predictor(kind="numbers", shift=np.array([0.0, 1.0]), scale=np.array([1.0, 20.0]))
    np.testing.assert_array_equal(_size(several, values), [2.0, 20.0])
