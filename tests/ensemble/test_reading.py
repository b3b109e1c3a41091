"""The folder of an ensemble as something that predicts; models are stood in for by functions."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special

from nnrun.ensemble.members import find
from nnrun.errors import RunError, SpecError
from nnrun.prediction import by_member, reading
from nnrun.prediction.folder import is_ensemble
from nnrun.prediction.reading import WeightedMembers, evaluate_ensemble, mean_for, read
from nnrun.record.names import ENSEMBLE

N = 12


def labels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 3, N).astype(np.int32)


def inputs() -> np.ndarray:
    return np.random.default_rng(1).normal(0, 2, (N, 3)).astype(np.float32)


@pytest.fixture
def ensemble(make_run: Callable[..., Path], tmp_path: Path) -> Path:
    """A folder with three members, as `nnrun ensemble` writes it."""
    listed = []
    for i in range(3):
        folder = make_run(f"whole/member_{i + 1:02d}", seed=i, steps=(20,))
        file = folder / "checkpoints" / "step_00000020" / "arrays.safetensors"
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        listed.append({"weight": (0.5, 0.3, 0.2)[i], "sha256": digest, "step": 20})
    folder = tmp_path / "whole"
    (folder / ENSEMBLE).write_text(json.dumps({"format": 1, "average": "weighted", "members": listed}))
    (folder / "state.json").write_text('{"status": "done"}')
    return folder


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, make_model: Callable[..., Any]) -> Callable[..., Any]:
    """models(model, groups): the model of every run, whose state is the first number of a run's kernel."""

    def install(model: Any, groups: list[list[int]]) -> Any:
        monkeypatch.setattr(by_member, "open_model", lambda folder, warn, parts: model)
        monkeypatch.setattr(reading, "by_model", lambda folders: groups)
        monkeypatch.setattr(
            reading,
            "state_of",
            lambda model, arrays, place: arrays["params/kernel"][0].astype(np.float32),
        )
        return model

    return install


def shifts(folder: Path) -> list[np.ndarray]:
    """What the stand-in adds to the inputs for each member."""
    return [
        reading.load_intact(folder / f"member_{i:02d}", "last").arrays["params/kernel"][0] for i in (1, 2, 3)
    ]


def test_an_ensemble_is_what_has_a_record_and_no_checkpoints_of_its_own(ensemble):
    assert is_ensemble(ensemble)
    assert not is_ensemble(ensemble / "member_01")
    (ensemble / "checkpoints").mkdir()  # an average of parameters is a run like any other
    assert not is_ensemble(ensemble)


def test_what_is_read(ensemble):
    content = read(ensemble)
    assert content.how == "weighted"
    assert content.weights == [0.5, 0.3, 0.2]
    assert [member.name for member in content.members] == ["member_01", "member_02", "member_03"]
    assert content.average is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, r"ensemble.json: of a newer nnrun; use the nnrun that wrote it"),
        ({"members": [{"weight": 1.0}]}, r"ensemble.json: damaged; make the ensemble again"),
        ({"members": 5}, r"damaged; make the ensemble again"),
        ({"members": []}, r"ensemble.json: damaged; make the ensemble again"),
        ({"kind": "parameters"}, r"whole: its checkpoint is missing; restore it"),
        ({"average": "median"}, r"ensemble.json: damaged; make the ensemble again"),
        ({"average": None}, r"ensemble.json: damaged; make the ensemble again"),
    ],
)
def test_a_damaged_record_is_refused(change: dict[str, Any], message: str, ensemble):
    record = json.loads((ensemble / ENSEMBLE).read_text()) | change
    (ensemble / ENSEMBLE).write_text(json.dumps(record))
    with pytest.raises(RunError, match=message):
        read(ensemble)


@pytest.mark.parametrize("content", ["", "[]", '{"format": 1', "[[" * 5000])
def test_a_record_that_is_no_json_object_is_refused(content: str, ensemble):
    (ensemble / ENSEMBLE).write_text(content)
    with pytest.raises(RunError, match=r"ensemble.json: damaged"):
        read(ensemble)


def test_another_member_in_the_place_of_the_listed_one_is_refused(ensemble):
    record = json.loads((ensemble / ENSEMBLE).read_text())
    record["members"][1]["sha256"] = "0" * 64
    (ensemble / ENSEMBLE).write_text(json.dumps(record))
    with pytest.raises(RunError, match=r"/member_02: not the member that ensemble.json lists"):
        read(ensemble)


def removed(folder: Path) -> None:
    shutil.rmtree(folder / "member_02")


def without_state(folder: Path) -> None:
    (folder / "member_02" / "state.json").unlink()


def without_checkpoint(folder: Path) -> None:
    shutil.rmtree(folder / "member_02" / "checkpoints")


def replaced_by_a_copy(folder: Path) -> None:
    removed(folder)
    shutil.copytree(folder / "member_01", folder / "member_02")


def exchanged(folder: Path) -> None:
    (folder / "member_02").rename(folder / "other")
    (folder / "member_03").rename(folder / "member_02")
    (folder / "other").rename(folder / "member_03")


def trained_on(folder: Path) -> None:
    file = folder / "member_02" / "checkpoints" / "step_00000020" / "arrays.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"!")


def joined(folder: Path) -> None:
    shutil.copytree(folder / "member_01", folder / "member_04")


@pytest.mark.parametrize(
    ("change", "member", "problem"),
    [
        (removed, "member_02", "this member is missing; put it back or make the ensemble again"),
        (without_state, "member_02", "this member is missing; put it back or make the ensemble again"),
        (without_checkpoint, "member_02", "this member's checkpoint of step 20 is missing; put it back or"),
        (replaced_by_a_copy, "member_02", "not the member that ensemble.json lists; put that back or make"),
        (exchanged, "member_03", "not the member that ensemble.json lists; put that back or make"),
        (trained_on, "member_02", "not the member that ensemble.json lists; put that back or make"),
        (joined, "member_04", "not a member that ensemble.json lists; move it out of the folder"),
    ],
)
def test_who_predicts_and_who_makes_an_ensemble_of_it_refuse_alike_and_name_the_member(
    change: Callable[[Path], None], member: str, problem: str, ensemble: Path
) -> None:
    assert len(find([str(ensemble)], ensemble.parent, "best", None, pytest.fail)) == 3
    record = json.loads((ensemble / ENSEMBLE).read_text())
    for i, entry in enumerate(record["members"]):
        entry["name"] = f"run_{i}:20"
    (ensemble / ENSEMBLE).write_text(json.dumps(record))
    change(ensemble)
    for refused in (
        lambda: read(ensemble),
        lambda: find([str(ensemble)], ensemble.parent, "best", None, pytest.fail),
    ):
        with pytest.raises(RunError) as caught:
            refused()
        lines = str(caught.value).splitlines()
        assert any(f"/{member}" in line and problem in line for line in lines)
        assert all("(run_" in line for line in lines if "member_04" not in line)


@pytest.mark.parametrize("groups", [[[0, 1, 2]], [[1], [2, 0]], [[2], [1], [0]]])
def test_the_weighted_mean_does_not_depend_on_which_member_comes_first(
    groups, ensemble, models, make_model, counted
):
    """Sums are taken in the order of the members, so the bits are the same whatever shares a model."""
    model = models(make_model({"test": labels()}), groups)
    seen: list[int] = []
    answer = mean_for(
        read(ensemble),
        "last",
        lambda model: inputs(),
        pytest.fail,
        counted,
        lambda model, i, outputs: seen.append(i),
    )
    assert answer.model is model
    assert seen == [i for group in groups for i in group]
    p = [special.softmax((inputs() + shift).astype(float), axis=1) for shift in shifts(ensemble)]
    np.testing.assert_allclose(answer.mean, 0.5 * p[0] + 0.3 * p[1] + 0.2 * p[2], rtol=1e-6)
    again = mean_for(read(ensemble), "last", lambda model: inputs(), pytest.fail, counted)
    models(model, [[0, 1, 2]])
    in_order = mean_for(read(ensemble), "last", lambda model: inputs(), pytest.fail, counted)
    assert answer.mean.tobytes() == again.mean.tobytes() == in_order.mean.tobytes()
    assert counted.shown[0][:2] == ("predicting", 3)  # a batch for each member


def test_one_run_is_an_ensemble_of_one(make_run, models, make_model, counted):
    folder = make_run("run", seed=4)
    models(make_model({"test": labels()}), [[0]])
    answer = mean_for(
        WeightedMembers(folder, "probabilities", [folder], [1.0]),
        "10",
        lambda model: inputs(),
        pytest.fail,
        counted,
    )
    shift = reading.load_intact(folder, "10").arrays["params/kernel"][0]
    p = special.softmax((inputs() + shift).astype(float), axis=1)
    np.testing.assert_allclose(answer.combiner.probabilities(answer.mean), p, rtol=1e-6)


def test_the_value_of_an_average_takes_the_place_of_the_parameters(
    make_run, models, make_model, counted, monkeypatch
):
    folder = make_run("run", seed=4)
    models(make_model({"test": labels()}), [[0]])

    def averaged(experiment: Any, like: Any) -> Callable[..., Any]:
        def of(content: Any, average: str, place: str) -> Any:
            assert (average, place) == ("ema", str(folder))
            return content._replace(arrays={"params/kernel": np.full((1, 3), 5.0, np.float32)})

        return of

    monkeypatch.setattr(reading, "averaged", averaged)
    of_ema = WeightedMembers(folder, "logits", [folder], [1.0], "ema")
    answer = mean_for(of_ema, "last", lambda model: inputs(), pytest.fail, counted)
    np.testing.assert_allclose(answer.mean, inputs() + 5.0, rtol=1e-6)


def test_evaluation_reports_members_their_mean_and_the_ensemble(ensemble, models, make_model, counted):
    y, x = labels(), inputs()
    models(make_model({"test": y}, {"test": x}), [[2], [0, 1]])
    result = evaluate_ensemble(ensemble, "test", "last", pytest.fail, counted)
    p = np.array([special.softmax((x + shift).astype(float), axis=1) for shift in shifts(ensemble)])
    accuracy = (p.argmax(2) == y).mean(1)
    assert [member["metrics"]["test/accuracy"] for member in result["runs"]] == pytest.approx(list(accuracy))
    assert [member["step"] for member in result["runs"]] == [20, 20, 20]
    assert result["mean"]["test/accuracy"] == pytest.approx(accuracy.mean())
    mixed = np.tensordot([0.5, 0.3, 0.2], p, 1)
    assert result["metrics"]["test/accuracy"] == pytest.approx((mixed.argmax(1) == y).mean())
    assert result["metrics"]["test/loss"] == pytest.approx(-np.log(mixed[np.arange(N), y]).mean(), rel=1e-5)
    assert (result["split"], result["checkpoint"], result["average"]) == ("test", "last", "weighted")


def test_an_empty_part_is_refused_before_anything_is_predicted(ensemble, models, make_model, counted):
    models(make_model({"test": labels()}), [[0, 1, 2]])
    with pytest.raises(SpecError, match=r"--split val: .*whole held nothing out for it; write --split test"):
        evaluate_ensemble(ensemble, "val", "last", pytest.fail, counted)
    with pytest.raises(SpecError, match=r"--split: got 'holdout'"):
        evaluate_ensemble(ensemble, "holdout", "last", pytest.fail, counted)
    assert counted.shown == []
