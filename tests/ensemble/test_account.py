"""The account of an ensemble, its numbers recomputed from the predictions with NumPy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special

from nnrun.ensemble import account as account_module
from nnrun.ensemble.account import CALIBRATION, account
from nnrun.ensemble.blend import blend_predictions
from nnrun.ensemble.scores import Scored, score
from nnrun.prediction.member import Member
from nnrun.report.ensemble.account import Account

CLASSES = ("a", "b", "c")
N = 60


def labels(part: str, examples: int = N) -> np.ndarray:
    return np.random.default_rng(len(part)).integers(0, 3, examples).astype(np.int32)


def outputs(part: str, members: int, examples: int = N) -> np.ndarray:
    """Members that tend to the right class, each with errors of its own."""
    draw = np.random.default_rng(10 + len(part))
    signal = 2.0 * np.eye(3)[labels(part, examples)]
    return (signal + draw.normal(0, 1.5, (members, examples, 3))).astype(np.float32)


def members_named(count: int) -> list[Member]:
    return [
        Member(Path(f"runs/group/seed_{i}"), 10 * (i + 1), f"sha{i}", f"c{i}", "data", b"origin")
        for i in range(count)
    ]


@pytest.fixture
def accounted(make_predicted: Callable[..., Any]) -> Callable[..., tuple[Account, Scored]]:
    """accounted(members, how, parts): the account on the test part, and the scores that it was made of."""

    def run(
        count: int = 4, how: str = "probabilities", parts: tuple[str, ...] = ("val", "test")
    ) -> tuple[Account, Scored]:
        predicted = make_predicted(
            {part: outputs(part, count) for part in parts}, {part: labels(part) for part in parts}
        )
        scored = score(predicted, how)
        blend = blend_predictions(how, scored)
        return account(how, "test", members_named(count), scored, blend, lambda: None), scored

    return run


@pytest.fixture
def regression(make_predicted: Callable[..., Any]) -> Callable[..., Account]:
    """regression(z, y): the account of the mean of members that predict numbers, z (members, n)."""

    def run(z: np.ndarray, y: np.ndarray, scale: float = 1.0) -> Account:
        predicted = make_predicted(
            {"test": z[..., None].astype(np.float32)},
            {"test": y.astype(np.float32)},
            classes=(),
            target_scale=scale,
        )
        scored = score(predicted, "probabilities")
        blend = blend_predictions("probabilities", scored)
        return account("probabilities", "test", members_named(len(z)), scored, blend, lambda: None)

    return run


def softmax(z: np.ndarray) -> np.ndarray:
    return special.softmax(z.astype(float), axis=-1)


def test_the_metrics_of_the_ensemble_are_those_of_the_mean_probabilities(accounted):
    result, _ = accounted()
    p, y = softmax(outputs("test", 4)).mean(0), labels("test")
    assert result["ensemble"]["accuracy"] == pytest.approx((p.argmax(1) == y).mean())
    assert result["ensemble"]["loss"] == pytest.approx(-np.log(p[np.arange(N), y]).mean(), rel=1e-5)
    assert (result["average"], result["split"], result["examples"]) == ("probabilities", "test", N)
    assert (result["judge"], result["rising"], result["bounds"]) == (
        "accuracy", ["accuracy"], {"loss": [0, None], "accuracy": [0, 1], "calibration_error": [0, 1]}
    )  # fmt: skip


def test_the_mean_and_the_best_member(accounted):
    result, scored = accounted()
    accuracy = [member["metrics"]["accuracy"] for member in result["members"]]
    p = softmax(outputs("test", 4))
    np.testing.assert_allclose(accuracy, (p.argmax(2) == labels("test")).mean(1))
    assert result["mean"]["accuracy"] == pytest.approx(np.mean(accuracy))
    validation = [member["validation"]["accuracy"] for member in result["members"]]
    best = int(np.argmax(validation))
    assert result["best"] == {
        "name": f"group/seed_{best}:{10 * (best + 1)}", "by": "accuracy", "metrics": result["members"][best]["metrics"],
    }  # fmt: skip
    assert scored.order[0] == best


def test_every_member_is_described(accounted):
    result, _ = accounted()
    third = result["members"][2]
    assert {name: third[name] for name in ("name", "step", "parameters", "sha256", "weight", "epochs")} == {
        "name": "group/seed_2:30", "step": 30, "parameters": "trained", "sha256": "sha2", "weight": 0.25, "epochs": 2.0,
    }  # fmt: skip
    assert Path(third["run"]).is_absolute() and third["run"].endswith("runs/group/seed_2")


def test_what_members_are_on_validation_has_no_calibration(accounted):
    """The calibration error is added to the metrics on the reported part alone."""
    result, _ = accounted()
    assert set(result["members"][0]["validation"]) == {"accuracy", "loss"}
    assert set(result["members"][0]["metrics"]) == {"accuracy", "loss", CALIBRATION} == set(result["mean"])


def test_without_validation_data_there_is_no_best_and_no_temperature(accounted):
    result, _ = accounted(parts=("test",))
    assert result["best"] is None
    assert result["gain"]["over_best"] is None
    assert set(result["calibration"]) == {"before"}
    assert all(member["validation"] is None for member in result["members"])


def test_the_curve_is_the_mean_over_all_subsets_of_each_size(accounted):
    result, _ = accounted()
    p, y = softmax(outputs("test", 4)), labels("test")
    for point in result["curve"]:
        subsets = list(itertools.combinations(range(4), point["members"]))
        accuracy = [(p[list(subset)].mean(0).argmax(1) == y).mean() for subset in subsets]
        assert point["subsets"] == len(subsets)
        assert point["accuracy"]["mean"] == pytest.approx(np.mean(accuracy))
        low, high = np.quantile(accuracy, [0.025, 0.975])
        assert point["accuracy"]["low"] == pytest.approx(low)
        assert point["accuracy"]["high"] == pytest.approx(high)
    assert [point["members"] for point in result["curve"]] == [1, 2, 3, 4]


@pytest.mark.parametrize(("count", "known"), [(1, False), (3, False), (4, True), (5, True)])
def test_the_interval_over_members_needs_four(count: int, known: bool, accounted):
    result, _ = accounted(count)
    gain = result["gain"]["over_mean"]["accuracy"]
    assert (gain["members"] is not None) == known == (gain["both"] is not None)


def test_large_data_get_fewer_subsets(accounted, monkeypatch):
    """Three of each size at least, and in proportion for the halves."""
    monkeypatch.setattr(account_module, "_WORK", 1.0)
    result, _ = accounted(6)
    assert [point["subsets"] for point in result["curve"]] == [3, 3, 12, 3, 3, 1]


def test_diversity_is_the_mean_over_pairs(accounted):
    result, _ = accounted()
    z, y = outputs("test", 4), labels("test")
    predictions = z.argmax(2)
    wrong = (predictions != y).astype(float)
    pairs = list(itertools.combinations(range(4), 2))
    assert result["diversity"]["disagreement"] == pytest.approx(
        np.mean([(predictions[i] != predictions[j]).mean() for i, j in pairs])
    )
    assert result["diversity"]["error_correlation"] == pytest.approx(
        np.mean([np.corrcoef(wrong[i], wrong[j])[0, 1] for i, j in pairs])
    )


def test_one_member_has_no_diversity_and_gains_nothing(accounted):
    result, _ = accounted(1)
    assert result["diversity"] is None
    for kind in ("over_mean", "over_best"):
        for gain in result["gain"][kind].values():
            assert gain["value"] == pytest.approx(0, abs=1e-12)
    assert len(result["curve"]) == 1


def test_members_that_are_never_wrong_have_no_correlation(make_predicted):
    """Errors that do not vary have no correlation; 0 is written, not NaN."""
    y = labels("test")
    sure = np.repeat((20 * np.eye(3)[y])[None], 2, 0).astype(np.float32)
    scored = score(make_predicted({"test": sure}, {"test": y}), "probabilities")
    blend = blend_predictions("probabilities", scored)
    result = account("probabilities", "test", members_named(2), scored, blend, lambda: None)
    assert result["diversity"] == {"disagreement": 0.0, "error_correlation": 0.0}


def test_calibration_errors_of_members_and_ensemble(accounted):
    result, _ = accounted()
    y = labels("test")

    def error(p: np.ndarray) -> float:
        """Σ over 15 bins of the share of the examples times |accuracy − confidence|."""
        confidence, right, total = p.max(1), p.argmax(1) == y, 0.0
        for i in range(15):
            inside = (confidence > i / 15) & (confidence <= (i + 1) / 15)
            if inside.any():
                total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
        return total

    p = softmax(outputs("test", 4))
    for member, p_of_member in zip(result["members"], p, strict=True):
        assert member["metrics"][CALIBRATION] == pytest.approx(error(p_of_member))
    assert result["ensemble"][CALIBRATION] == pytest.approx(error(p.mean(0)))
    assert result["calibration"]["before"]["error"] == result["ensemble"][CALIBRATION]


def test_the_temperature_is_fitted_on_validation_and_used_on_the_reported_part(accounted):
    result, _ = accounted()
    log_p = {part: np.log(softmax(outputs(part, 4)).mean(0)) for part in ("val", "test")}

    def loss(t: float) -> float:
        return -special.log_softmax(log_p["val"] / t, axis=1)[np.arange(N), labels("val")].mean()

    temperature = result["calibration"]["temperature"]
    assert loss(temperature) <= min(loss(temperature * factor) for factor in (0.9, 0.99, 1.01, 1.1))
    after = special.softmax(log_p["test"] / temperature, axis=1)
    confidence = result["calibration"]["after"]["confidence"]
    counts = result["calibration"]["after"]["counts"]
    assert np.average(confidence, weights=counts) == pytest.approx(after.max(1).mean())


def test_no_temperature_where_every_validation_example_is_right(make_predicted):
    y = {part: labels(part) for part in ("val", "test")}
    z = {"val": (9 * np.eye(3)[y["val"]])[None].astype(np.float32), "test": outputs("test", 1)}
    scored = score(make_predicted(z, y), "logits")
    blend = blend_predictions("logits", scored)
    result = account("logits", "test", members_named(1), scored, blend, lambda: None)
    assert result["calibration"]["temperature"] is None
    assert "after" not in result["calibration"]


def test_numbers_have_distances_in_their_own_unit(regression):
    draw = np.random.default_rng(5)
    y = draw.normal(0, 5, N)
    z = y / 5 + draw.normal(0, 0.3, (3, N))
    result = regression(z, y, scale=5.0)
    pairs = list(itertools.combinations(range(3), 2))
    assert result["diversity"]["disagreement"] == pytest.approx(
        5 * np.mean([np.abs(z[i] - z[j]).mean() for i, j in pairs]), rel=1e-5
    )
    errors = z - y / 5
    assert result["diversity"]["error_correlation"] == pytest.approx(
        np.mean([np.corrcoef(errors[i], errors[j])[0, 1] for i, j in pairs]), abs=1e-5
    )
    assert result["average"] == "mean"
    assert "calibration" not in result


def test_the_error_of_a_mean_of_numbers(regression):
    """Errors +1 and −1 cancel out: the ensemble is perfect and each member is not."""
    y = np.linspace(-1, 1, N)
    result = regression(np.stack([y + 1, y - 1]), y)
    assert result["ensemble"]["rmse"] == pytest.approx(0, abs=1e-6)
    assert [member["metrics"]["rmse"] for member in result["members"]] == pytest.approx([1, 1], rel=1e-5)
    gain = result["gain"]["over_mean"]["rmse"]
    assert gain["value"] == pytest.approx(1, rel=1e-5)
    assert gain["examples"] == pytest.approx([1, 1], rel=1e-4)


def test_r2_of_constant_targets_is_not_a_number(regression):
    result = regression(np.ones((2, N)), np.ones(N))
    assert math.isnan(result["ensemble"]["r2"])
    assert math.isnan(result["gain"]["over_mean"]["r2"]["value"])
