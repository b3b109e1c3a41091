"""Folders that predict, members by name, intervals and temperatures: what each needs, and who is sent elsewhere."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from nnrun.errors import DataError, RunError, SpecError
from nnrun.prediction import adjustment, reading
from nnrun.prediction.adjustment import check_level, fit_interval, temperature_of
from nnrun.prediction.member import Member
from nnrun.prediction.reading import WeightedMembers, as_ensemble, check_finite
from nnrun.record import run


@pytest.mark.parametrize(
    ("folder", "average", "name"),
    [
        ("/r/mine-2020", None, "mine-2020:8"), ("/r/mine/seed_3", None, "mine/seed_3:8"),
        ("/r/mine/fold_1", "ema", "mine/fold_1:8:ema"), ("/r/e/member_01", None, "e/member_01:8"),
        ("/r/s/trials/0007", None, "trials/0007:8"), ("/r/other/0007", None, "0007:8"),
    ],
)  # fmt: skip
def test_a_member_is_called_by_its_run_and_its_step(folder: str, average: str | None, name: str) -> None:
    member = Member(Path(folder), 8, "", "", "", b"", average)
    assert member.name == name
    assert member.place == f"{folder}: step 8" + (f", {average}" if average else "")


@pytest.mark.parametrize(
    ("mean", "before", "index"),
    [
        ([[1.0, 2], [3, 4]], 0, None), ([[1.0, 2], [3, math.nan]], 0, 1), ([[math.inf, 2], [math.nan, 4]], 5, 5),
        ([1.0, -math.inf, 3], 10, 11),
    ],
)  # fmt: skip
def test_the_first_input_without_an_answer_is_named(mean: Any, before: int, index: int | None) -> None:
    array = np.array(mean)
    if index is None:
        return check_finite(array, Path("run"), before)
    with pytest.raises(
        RunError, match=f"run: predicts NaN or infinity for the input at index {index}; correct it"
    ):
        check_finite(array, Path("run"), before)
    return None


def test_a_run_is_an_ensemble_of_itself(tmp_path: Path) -> None:
    run.write_state(tmp_path, "done")
    assert as_ensemble(tmp_path, "ema") == WeightedMembers(
        tmp_path, "probabilities", [tmp_path], [1.0], "ema"
    )


def test_groups_are_sent_to_nnrun_ensemble(tmp_path: Path) -> None:
    for seed in range(3):
        (tmp_path / f"seed_{seed}").mkdir()
        run.write_state(tmp_path / f"seed_{seed}", "done")
    with pytest.raises(
        RunError, match=r"a group of 3 runs; name one, as .*seed_0, or average them: nnrun ensemble"
    ):
        as_ensemble(tmp_path, None)
    (tmp_path / "resolved.yaml").write_text("train: {folds: 3, repeats: 1, fold: null}\n")
    with pytest.raises(RunError, match="a cross-validation; nnrun predict --split val gives what each fold"):
        as_ensemble(tmp_path, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, ""), ({"format": 1}, ""), ({"format": 2}, "of a newer nnrun; use the nnrun that wrote it"),
        ({"average": "median"}, "damaged; make the ensemble again"), ({"average": None}, "damaged"),
        ({"members": [{"weight": "much"}]}, "damaged"), ({"members": [{}]}, "damaged"),
    ],
)  # fmt: skip
def test_the_record_of_an_ensemble(
    change: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        reading, "verified", lambda folder, listed, kind: [folder / "member_01", folder / "member_02"]
    )
    record = {
        "kind": "predictions",
        "average": "vote",
        "members": [{"weight": 0.25}, {"weight": "0.75"}],
        **change,
    }
    (tmp_path / "ensemble.json").write_text(json.dumps(record))
    if message:
        with pytest.raises(RunError, match=rf"ensemble\.json: {message}"):
            as_ensemble(tmp_path, None)
        return
    assert as_ensemble(tmp_path, None)[1::2] == ("vote", [0.25, 0.75])
    with pytest.raises(
        RunError, match="an ensemble, it keeps no average 'ema'; make it of RUN:ema: nnrun ensemble"
    ):
        as_ensemble(tmp_path, "ema")


Measured = Callable[..., WeightedMembers]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    """measured(values, targets, ...): a run that predicts these for its validation part."""

    def make(
        outputs: np.ndarray, targets: np.ndarray, *, classes: tuple[str, ...] = (), labels: Any = (),
        kind: str = "numbers", data: Any = None,
        how: str = "probabilities", members: int = 1, fold: bool = False, scale: float = 1.0,
    ) -> WeightedMembers:  # fmt: skip
        part = SimpleNamespace(examples=len(targets))
        fitted = SimpleNamespace(
            classes=classes,
            label_classes=labels,
            parts={"val": part},
            to_units=lambda mean: scale * mean[:, 0],
        )
        experiment = SimpleNamespace(dataset=SimpleNamespace(fitted=fitted))
        model = SimpleNamespace(experiment=experiment, targets=lambda part: targets, kind=kind)
        answer = SimpleNamespace(
            model=model, mean=outputs, combiner=SimpleNamespace(outputs=lambda mean: mean)
        )
        monkeypatch.setattr(adjustment.session, "recorded", lambda folder: fitted)
        monkeypatch.setattr(adjustment, "block_of", lambda folder, key: data or {})
        monkeypatch.setattr(adjustment, "is_fold", lambda folder: fold)
        monkeypatch.setattr(adjustment, "mean_for", lambda *arguments, **options: answer)
        folders = [Path(f"m{i}") for i in range(members)]
        return WeightedMembers(Path("mine"), how, folders, [1 / members] * members)

    return make


NOTHING: Any = None
ERRORS = np.array([3.0, 1.0, 4.0, 1.5, 9.0, 2.0, 6.0, 5.0, 3.5])


@pytest.mark.parametrize(
    ("level", "rank", "half"), [(0.5, 5, 3.5), (0.8, 8, 6.0), (0.9, 9, 9.0), (0.05, 1, 1.0)]
)
def test_an_interval_is_the_error_of_its_rank(
    level: float, rank: int, half: float, measured: Measured
) -> None:
    """Split conformal prediction: the ⌈(n + 1) · level⌉-th smallest of n absolute errors, in units of the target."""
    signs = np.where(np.arange(9) % 2, 1, -1)
    ensemble = measured((ERRORS * signs)[:, None] / 2, np.zeros(9), scale=2.0)
    found = fit_interval(ensemble, "best", level, NOTHING, NOTHING)
    assert (found.rank, found.half_width, found.examples, found.level) == (rank, half, 9, level)


def test_too_few_examples_promise_nothing(measured: Measured) -> None:
    ensemble = measured(ERRORS[:, None], np.zeros(9))
    with pytest.raises(
        SpecError, match=r"--interval 0\.95: needs 19 validation examples, and mine has 9; write a lower"
    ):
        fit_interval(ensemble, "best", 0.95, NOTHING, NOTHING)
    for level in (0.0, 1.0, -0.5, 90.0, math.nan):
        with pytest.raises(
            SpecError, match=f"--interval: got {level:g}; write a probability between 0 and 1"
        ):
            check_level(level)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ("a", "b")}, "predicts classes; write --calibrated"),
        ({"labels": [("n", "y")]}, "predicts labels"),
        ({"data": {"time": "when"}}, "was split in the order of 'when'"),
        ({"fold": True, "members": 2}, "averages folds, each of which was trained on what others validate with"),
    ],
)  # fmt: skip
def test_who_has_no_interval(options: dict[str, Any], message: str, measured: Measured) -> None:
    with pytest.raises(SpecError, match=f"--interval: .*{message}"):
        fit_interval(measured(ERRORS[:, None], np.zeros(9), **options), "best", 0.5, NOTHING, NOTHING)
    with pytest.raises(SpecError, match=r"mine held nothing out; train with data.validation=0.1"):
        fit_interval(measured(np.zeros((0, 1)), np.zeros(0)), "best", 0.5, NOTHING, NOTHING)


def test_rows_of_groups_have_an_interval_with_a_warning(measured: Measured) -> None:
    warnings: list[str] = []
    ensemble = measured(ERRORS[:, None], np.zeros(9), data={"split_by": "person"})
    assert fit_interval(ensemble, "best", 0.5, warnings.append, NOTHING).half_width == 3.5
    assert len(warnings) == 1 and "rows with equal 'person' are alike" in warnings[0]
    single = measured(
        ERRORS[:, None], np.zeros(9), fold=True
    )  # one fold alone has a validation part of its own
    assert fit_interval(single, "best", 0.5, NOTHING, NOTHING).rank == 5


RANDOM = np.random.default_rng(5)
LABELS = RANDOM.integers(0, 3, 200)
LOGITS = 4 * (RANDOM.normal(size=(200, 3)) + np.eye(3)[LABELS])


def test_a_temperature_makes_the_validation_part_most_likely(measured: Measured) -> None:
    """Found by SciPy's search over the same likelihood."""

    def loss(t: float) -> float:
        return -float(log_softmax(LOGITS / t, -1)[np.arange(200), LABELS].mean())

    best = minimize_scalar(loss, bounds=(0.1, 20), method="bounded", options={"xatol": 1e-9}).x  # pyright: ignore
    ensemble = measured(LOGITS, LABELS, classes=("a", "b", "c"), kind="classes", how="vote")
    found = temperature_of(ensemble, "best", NOTHING, NOTHING)
    assert found.value == pytest.approx(best, rel=1e-4) and found.value > 1 and found.examples == 200


@pytest.mark.parametrize(
    ("outputs", "options", "message"),
    [
        (LOGITS, {"kind": "scores"}, "gives scores"), (LOGITS, {"how": "vote", "members": 3}, "counts votes"),
        (LOGITS, {"labels": [("n", "y")]}, "predicts several labels"), (LOGITS, {"classes": ()}, "predicts numbers"),
        (9.0 * np.eye(3)[LABELS], {}, "is right for all 200 validation examples"),
        (-9.0 * np.eye(3)[LABELS], {}, "no temperature from 0.01 to 100 fits the 200 validation examples"),
        (LOGITS, {"fold": True, "members": 2}, "averages folds"),
    ],
)  # fmt: skip
def test_who_has_no_temperature(
    outputs: np.ndarray, options: dict[str, Any], message: str, measured: Measured
) -> None:
    with pytest.raises(SpecError, match=f"--calibrated: .*{message}"):
        temperature_of(
            measured(outputs, LABELS, **{"classes": ("a", "b", "c"), "kind": "classes", **options}),
            "best",
            NOTHING,
            NOTHING,
        )


@pytest.mark.parametrize("kind", [DataError, RunError])
def test_data_that_cannot_be_read_are_the_reason(kind: Any, measured: Measured, monkeypatch: Any) -> None:
    ensemble = measured(ERRORS[:, None], np.zeros(9))

    def fails(*arguments: Any, **options: Any) -> None:
        raise kind("x.csv: missing")

    monkeypatch.setattr(adjustment, "mean_for", fails)
    with pytest.raises(
        kind, match=r"^--interval: needs the validation part of the run's data: x\.csv: missing$"
    ):
        fit_interval(ensemble, "best", 0.5, NOTHING, NOTHING)
