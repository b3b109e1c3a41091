"""Averages of parameters as models, with a model that is a function of one number."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nnrun.ensemble import parameters
from nnrun.ensemble.line import along, barrier, between
from nnrun.ensemble.parameters import ParameterAverager, check_alike, independent, line_ends
from nnrun.ensemble.soup import Tried
from nnrun.errors import RunError
from nnrun.prediction.combiner import Combiner
from nnrun.prediction.member import Member
from nnrun.record import preprocessing
from nnrun.statistics.metric import Metric

RESOLVED = """\
data: {name: digits}
model: {name: mlp, hidden: [4], dropout: 0.1, layers: [{name: dropout, rate: 0.5}]}
loss: {name: cross_entropy}
train: {precision: float32}
"""


class Quadratic:
    """The loss of the number w on validation is (w − 3)², its accuracy falls with the distance from 3."""

    def terms(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        w = outputs[:, 0]
        return np.stack([(w - 3) ** 2, -np.abs(w - 3)])

    def measured(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        loss, accuracy = self.terms(outputs, targets).mean(1)
        return {"loss": float(loss), "accuracy": float(accuracy)}

    def metric(self, name: str) -> Metric:
        return Metric(name, name == "accuracy")


@pytest.fixture
def averager(monkeypatch: pytest.MonkeyPatch) -> Any:
    """averager(values, order): of members whose parameter is one of these values."""

    def make(
        values: list[float], order: list[int] | None, classifies: bool = False, refresh: Any = dict
    ) -> Any:
        monkeypatch.setattr(parameters, "_state", lambda scored, arrays: float(arrays["params/w"]))
        monkeypatch.setattr(
            Member, "load", lambda self: SimpleNamespace(arrays={"params/w": np.float64(values[self.step])})
        )
        width = 2 if classifies else 1
        model = SimpleNamespace(
            outputs=lambda state, x, tick: np.full((2, width), state, np.float32),
            part=lambda name: SimpleNamespace(x=None, y=np.zeros(2)),
            targets=lambda name: np.zeros(2),
            kind="classes" if classifies else "numbers",
        )
        scored = SimpleNamespace(
            model=model,
            judge=Quadratic(),
            order=order,
            by="accuracy",
            predicted=SimpleNamespace(parts=["val", "test"]),
        )
        members = [Member(Path(f"run_{i}"), i, "", "", "", f"{i}".encode()) for i in range(len(values))]
        return ParameterAverager(scored, members, refresh, lambda: None)

    return make


def test_the_uniform_soup_has_all_members(averager):
    arrays, tried = averager([1.0, 2.0, 6.0], [1, 0, 2]).soup("parameters")
    assert arrays["params/w"] == 3.0
    assert tried == []


def test_the_greedy_soup_takes_what_helps_on_validation(averager):
    """From 2: with 4 it is 3, which is perfect; with 9 it would be 5."""
    arrays, tried = averager([9.0, 2.0, 4.0], [1, 2, 0]).soup("greedy")
    assert arrays["params/w"] == 3.0
    assert [(step.member, step.entered) for step in tried] == [(1, True), (2, True), (0, False)]
    assert [step.value for step in tried] == pytest.approx([-1, 0, -2])
    assert [step.loss for step in tried] == pytest.approx([1, 0, 4])


def test_without_validation_data_greedy_is_uniform(averager):
    arrays, tried = averager([1.0, 2.0, 6.0], None).soup("greedy")
    assert (arrays["params/w"], tried) == (3.0, [])


def test_the_curve_adds_the_best_members_first(averager):
    curve = averager([9.0, 2.0, 4.0], [1, 2, 0]).curve("test")
    assert [point["members"] for point in curve] == [1, 2, 3]
    assert [point["subsets"] for point in curve] == [1, 1, 1]
    assert [point["loss"]["mean"] for point in curve] == pytest.approx([1, 0, 4])
    assert curve[2]["loss"] == {"mean": 4.0, "low": 4.0, "high": 4.0}


def test_statistics_are_measured_anew_for_averages_and_not_for_one_member(averager):
    """The average of one member is that member."""

    def doubled(arrays: Any) -> dict[str, Any]:
        return {"params/w": 2 * arrays["params/w"]}

    of_three = averager([3.0, 6.0], [0, 1], refresh=doubled)
    assert of_three.soup("parameters")[0]["params/w"] == 9.0
    assert [point["loss"]["mean"] for point in of_three.curve("test")] == pytest.approx([0, 36])
    alone = averager([3.0], [0], refresh=doubled)
    assert alone.soup("parameters")[0]["params/w"] == 3.0


def test_the_line_has_the_barrier_between_the_best_members(averager):
    """From 1 to 5 over the minimum at 3: no barrier, the middle is below the ends."""
    record = averager([1.0, 9.0, 5.0], [0, 2, 1]).line("test", points=3)
    assert record["between"] == ["run_0:0", "run_2:2"]
    assert record["split"] == "test"
    assert [point["loss"] for point in record["line"]] == pytest.approx([4, 0, 4])
    assert [point["alpha"] for point in record["line"]] == [0, 0.5, 1]
    assert record["height"] == pytest.approx(0)


def test_what_an_average_predicts_is_an_ensemble_of_one(averager):
    blend = averager([1.0, 2.0, 6.0], None, classifies=True).blend("parameters", {"params/w": 3.0}, [])
    assert blend.weights == [1 / 3] * 3
    np.testing.assert_allclose(blend.predictions("test"), [[0.5, 0.5]] * 2)
    np.testing.assert_allclose(blend.outputs("val"), np.log([[0.5, 0.5]] * 2))
    numbers = averager([1.0, 2.0, 6.0], None).blend("greedy", {"params/w": 3.0}, [])
    assert numbers.predictions("test").dtype == np.float32
    assert numbers.predictions("test").tolist() == [[3.0], [3.0]]


def test_members_outside_a_soup_have_no_weight(averager):
    tried = [Tried(2, True, 0.9, 0.1), Tried(0, False, 0.8, 0.2), Tried(1, True, 0.9, 0.1)]
    blend = averager([1.0, 2.0, 6.0], [2, 0, 1]).blend("greedy", {"params/w": 3.0}, tried)
    assert blend.weights == [0.0, 0.5, 0.5]
    assert isinstance(blend.combiner, Combiner)


def members_of(*origins: str) -> list[Member]:
    return [Member(Path(f"run_{i}"), i, "", "", "", origin.encode()) for i, origin in enumerate(origins)]


def test_a_line_joins_the_best_and_the_next_of_another_run():
    members = members_of("a", "a", "b", "b")
    assert line_ends(members, [1, 0, 3, 2]) == (1, 3)
    assert line_ends(members, [3, 2, 1, 0]) == (3, 1)
    assert line_ends(members, None) == (0, 2)
    assert line_ends(members[:2], [1, 0]) == (1, 0)  # snapshots of one run: the best two


def test_runs_are_independent_where_their_origins_differ():
    assert independent(members_of("a", "a", "b")) == (0, 2)
    assert independent(members_of("a", "a")) is None
    assert independent(members_of("a")) is None


@pytest.fixture
def pair(make_run: Any) -> Any:
    """pair(resolved of the second): two members of the same shapes."""

    def make(second: str) -> list[Member]:
        first = make_run("first", seed=1, steps=(20,), resolved=RESOLVED)
        second_run = make_run("second", seed=2, steps=(20,), resolved=second)
        return [Member(folder, 20, "", "", "", b"") for folder in (first, second_run)]

    return make


def test_rates_of_dropout_may_differ(pair):
    check_alike(pair(RESOLVED.replace("dropout: 0.1", "dropout: null").replace("rate: 0.5", "rate: 0.7")))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "[4]",
            "[5]",
            r"second:20: model.hidden is \[5\], in first:20 it is \[4\]; parameters of one model only",
        ),
        ("name: mlp", "name: net", r"model.name is net, in first:20 it is mlp"),
        (
            "dropout: 0.1",
            "dropout: 0.1, dropconnect: {rate: 0.5, mask: example}",
            r"model.dropconnect.mask is example, in first:20 it is None",
        ),
        ("name: dropout,", "name: noise,", r"model.layers is \[\{'name': 'noise'"),
    ],
)
def test_other_options_of_the_model_are_refused(before: str, after: str, message: str, pair):
    with pytest.raises(RunError, match=message):
        check_alike(pair(RESOLVED.replace(before, after)))


@pytest.mark.parametrize(
    "change", [{"shift": np.array([0.1, -2.5])}, {"scale": np.array([1.0, 0.3])}, {"dtype": "uint8"}]
)
def test_nets_that_get_other_numbers_for_the_same_inputs_are_not_averaged(change: dict[str, Any], pair):
    members = pair(RESOLVED)
    check_alike(members)
    fitted = preprocessing.read(members[1].folder)
    preprocessing.write(members[1].folder, fitted._replace(**change))
    with pytest.raises(
        RunError, match=r"second:20: its inputs are standardised in another way than those of first"
    ):
        check_alike(members)


def test_points_between_two_members():
    a = {
        "params/w": np.array([0.0, 1.0], np.float32),
        "stats/m": np.array([5.0], np.float32),
        "step": np.int32(1),
    }
    b = {
        "params/w": np.array([4.0, 1.0], np.float32),
        "stats/m": np.array([9.0], np.float32),
        "step": np.int32(2),
    }
    quarter = between(a, b, 0.25)
    assert quarter["params/w"].tolist() == [1.0, 1.0] and quarter["params/w"].dtype == np.float32
    assert quarter["stats/m"] is a["stats/m"] and quarter["step"] == 1
    assert between(a, b, 0.0)["params/w"].tobytes() == a["params/w"].tobytes()
    assert between(a, b, 1.0)["params/w"].tobytes() == b["params/w"].tobytes()


def test_the_sum_of_a_line_is_taken_in_float64():
    """In float32, 2²⁴ + 1 would lose the 1 before it is halved."""
    a, b = ({"params/w": np.array([value], np.float32)} for value in (2.0**24, 2.0))
    assert between(a, b, 0.5)["params/w"][0] == np.float32((2.0**24 + 2) / 2)


def test_a_barrier_is_the_largest_rise_above_the_chord():
    line = along({"params/w": np.float64(0)}, {"params/w": np.float64(1)}, lambda arrays: {
        "loss": float(arrays["params/w"]) + 2 * float(np.sin(np.pi * arrays["params/w"])),
    }, 5)  # fmt: skip
    assert barrier(line) == pytest.approx(2)
    falling = [{"alpha": 0.0, "loss": 1.0}, {"alpha": 0.5, "loss": 0.1}, {"alpha": 1.0, "loss": 0.0}]
    assert barrier(falling) == 0
