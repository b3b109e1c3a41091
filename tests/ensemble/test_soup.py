"""Averages of parameters against NumPy, the greedy soup against one written from the paper's recipe."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from nnrun.ensemble.line import along, barrier
from nnrun.ensemble.soup import alike, greedy, uniform
from nnrun.errors import RunError
from nnrun.statistics.metric import Metric


def members(count: int = 6) -> list[dict[str, np.ndarray]]:
    draw = np.random.default_rng(3)
    return [
        {
            "params/a/kernel": draw.normal(size=(3, 2)).astype(np.float32),
            "params/a/bias": draw.normal(size=2).astype(np.float32),
            "average/ema/sum/a/bias": draw.normal(size=2).astype(np.float32),
            "opt_state/m": draw.normal(size=2).astype(np.float32),
            "step": np.int32(i),
        }
        for i in range(count)
    ]


def test_the_uniform_average_is_the_mean_and_the_rest_is_the_first_ones():
    given = members()
    averaged = uniform(given)
    for name in ("params/a/kernel", "params/a/bias", "average/ema/sum/a/bias"):
        expected = np.mean([arrays[name] for arrays in given], axis=0, dtype=np.float64).astype(np.float32)
        np.testing.assert_array_equal(averaged[name], expected)
        assert averaged[name].dtype == np.float32
    assert averaged["opt_state/m"] is given[0]["opt_state/m"]
    assert averaged["step"] == 0


def test_parameters_of_every_precision_are_averaged():
    """bfloat16 is no float for NumPy; a number of steps is none either."""
    pair = [
        {"params/w": np.full(2, value, ml_dtypes.bfloat16), "params/steps": np.full(1, value, np.int32)}
        for value in (1, 3)
    ]
    mean = uniform(pair)
    assert mean["params/w"].dtype == ml_dtypes.bfloat16 and mean["params/w"].tolist() == [2, 2]
    assert mean["params/steps"].tolist() == [1]


def test_the_average_of_one_has_its_bits():
    [alone] = members(1)
    assert {name: array.tobytes() for name, array in uniform([alone]).items()} == {
        name: array.tobytes() for name, array in alone.items()
    }


def recipe(given, order, value):
    """Wortsman et al. 2022, recipe 1, with the means computed anew each time; value: more is better."""
    inside: list[int] = []

    def of(chosen):
        return value(np.mean([given[i]["params/a/bias"] for i in chosen], axis=0, dtype=np.float64))

    for i in order:
        if not inside or of([*inside, i]) >= of(inside):
            inside.append(i)
    return inside


@pytest.mark.parametrize("target", [0.0, 0.4, -1.0])
def test_the_greedy_soup_is_that_of_the_recipe(target):
    given = members()

    def value(bias):
        return -float(np.abs(np.asarray(bias, np.float64) - target).sum())

    order = sorted(range(6), key=lambda i: -value(given[i]["params/a/bias"]))
    for sign, rising in ((1, True), (-1, False)):

        def judge(arrays, count, sign=sign):
            return sign * value(arrays["params/a/bias"]), 0.0

        soup, tried = greedy(order, given.__getitem__, judge, Metric("accuracy", rising))
        inside = [step.member for step in tried if step.entered]
        assert [step.member for step in tried] == order
        assert inside == recipe(given, order, value)
        expected = np.mean([given[i]["params/a/kernel"] for i in inside], axis=0, dtype=np.float64)
        np.testing.assert_array_equal(soup["params/a/kernel"], expected.astype(np.float32))


def test_other_shapes_are_refused_with_the_leaf_and_both_shapes():
    first, second = members(2)
    second["params/a/kernel"] = np.zeros((3, 5), np.float32)
    with pytest.raises(
        RunError, match=r"B: params/a/kernel is float32 \[3, 5\], in A it is float32 \[3, 2\]"
    ):
        alike(first, "A", second, "B")
    second["average/ema/sum/a/bias"] = np.zeros(7, np.float32)  # parameters are reported first
    del second["params/a/kernel"]
    with pytest.raises(RunError, match=r"B: params/a/kernel is absent, in A it is float32 \[3, 2\]"):
        alike(first, "A", second, "B")


def test_the_line_between_two_members():
    """For a loss that is quadratic in one number, the line and its barrier are known: x², from −1 to 2."""
    ends = [{"params/x": np.float64(-1.0)}, {"params/x": np.float64(2.0)}]

    def measure(arrays):
        return {"loss": 5 - float(arrays["params/x"]) ** 2}

    line = along(*ends, measure, 4)
    assert [point["alpha"] for point in line] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert [point["loss"] for point in line] == pytest.approx([4, 5, 4, 1])
    assert barrier(line) == pytest.approx(2)  # at x = 0 or 1: 5 − (4 − 1) and 4 − (4 − 2)
    assert barrier([{"alpha": 0.0, "loss": 1.0}, {"alpha": 1.0, "loss": 3.0}]) == 0
