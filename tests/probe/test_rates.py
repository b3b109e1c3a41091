"""The range test: lanes are runs of their own, and the suggestion is what a table of losses says."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nnrun import catalog
from nnrun.errors import SpecError
from nnrun.probe import rates
from nnrun.probe.rates import (
    RangeTest,
    RangeTestRequest,
    as_data,
    batch_noise,
    highest_stable,
    place_of_rate,
    range_test,
    suggested,
    with_rate,
)
from nnrun.report.plot import curve
from nnrun.report.rates import curve_of_rates, rate_lines

SPEC = """
data: {name: iris, batch_size: 32}
model: {name: mlp, hidden: [8]}
optimizer: {name: sgd, learning_rate: 0.05}
schedule: cosine
average: ema
train: {duration: 40 epochs, seed: 4, seeds: 2, early_stopping: {patience: 3 epochs}}
checkpoint: {best: val/ema/accuracy}
"""


def silent(what: str, total: int | None) -> Any:
    del what, total
    return nullcontext(lambda: None)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rates") / "iris.yaml"
    path.write_text(SPEC)
    return path


def test_a_lane_is_the_run_at_that_rate(spec: Path, warm: Callable[..., Any]) -> None:
    """The training loss of the last fifth of its steps, as `nnrun train` logs them."""
    test = range_test(spec, [], RangeTestRequest(1e-3, 1.0, 4, 2, 10), silent)
    assert test.key == "optimizer.learning_rate" and test.written == 0.05
    np.testing.assert_allclose(test.rates, [1e-3, 1e-2, 1e-1, 1.0])
    changes = [
        "optimizer.learning_rate=0.1", "schedule=constant", "average=[]", "train.early_stopping=null",
        "train.log_every=1 steps", "train.duration=10 steps", "train.seed=5", "train.seeds=1", "checkpoint.best=null",
    ]  # fmt: skip
    done = warm("train", spec, *changes, "--run-dir", "alone", "-q", folder=spec.parent)
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in (spec.parent / "alone/metrics.jsonl").read_text().splitlines()]
    logged = [row["train/loss"] for row in rows if "train/loss" in row]
    assert len(logged) == 10
    assert test.losses[2, 1] == pytest.approx(np.mean(logged[-2:]), rel=1e-5)


def test_a_rate_that_diverges_has_no_loss(spec: Path) -> None:
    test = range_test(
        spec,
        ["data=diabetes", "loss=squared_error", "model.activation=relu"],
        RangeTestRequest(1e-3, 1e6, 4, 1, 20),
        silent,
    )
    assert np.isfinite(test.losses[0]).all() and not np.isfinite(test.losses[-1]).all()
    assert test.stable is not None and test.stable < 1e6
    assert test.suggestion is not None and test.suggestion <= test.stable


def test_the_rate_of_what_a_wrapper_holds_is_found(spec: Path) -> None:
    wrapped = "optimizer={name: lookahead, inner: {name: sgd, learning_rate: 0.3}}"
    test = range_test(spec, [wrapped], RangeTestRequest(1e-2, 1e-1, 3, 1, 6), silent)
    assert (test.key, test.written) == ("optimizer.inner.learning_rate", 0.3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["optimizer=lbfgs", "data.batch_size=full"], "lbfgs has no learning rate to find"),
        (["optimizer.learning_rate=0"], "got 0, which switches learning off"),
    ],
)
def test_without_a_rate_there_is_nothing_to_find(change: list[str], message: str, spec: Path) -> None:
    with pytest.raises(SpecError, match=message):
        range_test(spec, change, RangeTestRequest(steps=5), silent)


RATES = np.array([1e-3, 1e-2, 1e-1, 1.0, 10.0])


@pytest.mark.parametrize(
    ("losses", "best", "stable"),
    [
        ([1.0, 0.6, 0.3, 0.5, math.nan], 1e-1, 1.0),
        ([1.0, 0.9, 0.8, 0.1, math.nan], 1.0, 1.0),
        ([1.05, 0.3, 0.9, 0.4, 2.0], 1e-2, 1.0),  # a twentieth above the beginning is noise of the batches
        ([1.0, 1.0, 1.0, 1.0, 1.0], None, 10.0),
        ([math.nan] * 5, None, None),
    ],
)
def test_the_suggestion(losses: list[float], best: float | None, stable: float | None) -> None:
    table = np.array(losses)[:, None]
    assert suggested(RATES, table, 1.0) == best
    assert highest_stable(RATES, table, 1.0) == stable


def test_each_seed_is_compared_with_its_own_beginning() -> None:
    """Small nets begin far apart: 2.2 is no rise for the seed that began there."""
    losses = np.array([[2.2, 1.2], [2.1, 1.1], [1.5, 0.9], [0.5, 1.4], [9.0, 9.0]])
    assert highest_stable(RATES, losses, np.array([2.2, 1.25])) == RATES[2]
    assert highest_stable(RATES, losses, float(np.mean([2.2, 1.25]))) is None


def test_the_noise_of_batches_is_no_rise() -> None:
    """Of a net that learns nothing at the lowest rate, and whose first batch happened to be an easy one."""
    rng = np.random.default_rng(0)
    flat = 1.0 + 0.4 * rng.normal(size=(2, 400))
    assert batch_noise(flat) == pytest.approx(0.4, rel=0.15)
    assert batch_noise(flat + np.linspace(0, -1, 400)) == pytest.approx(0.4, rel=0.15)
    rising = np.exp(np.linspace(0, 20, 100))[None]
    assert 3 * batch_noise(rising)[0] < rising[0, -20:].mean() / 100, "a run that diverges is no noise"
    assert batch_noise(np.full((1, 5), math.nan)) == 0
    losses = np.array([[1.0], [0.9], [0.5], [0.4], [5.0]])
    assert highest_stable(RATES, losses, np.array([0.5]), np.array([0.4])) == RATES[3]
    assert highest_stable(RATES, losses, np.array([0.5])) is None


def test_a_seed_that_diverges_rules_a_rate_out() -> None:
    losses = np.array([[0.9, 0.9], [0.5, 0.5], [0.1, math.nan], [math.nan, math.nan], [math.nan, math.nan]])
    assert suggested(RATES, losses, 1.0) == 1e-2
    assert highest_stable(RATES, losses, 1.0) == 1e-2


def test_a_loss_below_zero_may_rise_by_a_tenth_of_its_size() -> None:
    losses = np.array([[-2.0], [-1.9], [-1.85], [-1.7], [5.0]])  # of −2 a tenth is 0.2
    assert highest_stable(RATES, losses, -2.0) == RATES[2]


def test_the_words_and_the_curve() -> None:
    losses = np.array([[0.9], [0.5], [0.2], [math.nan], [math.nan]])
    lines = list(
        rate_lines("optimizer.learning_rate", 0.01, RATES, losses, 1.0, 50, 0.1, 0.1, ["my spec.yaml"])
    )
    assert lines[0] == "training loss after 50 steps at a constant rate; it begins at 1"
    assert lines[1] == "lowest: 0.2 at optimizer.learning_rate=0.1"
    assert "stable up to 0.1: above, a seed diverges or ends higher than it begins" in lines
    assert "the spec's 0.01 reaches 0.5" in lines
    assert lines[-1] == "use it: nnrun train 'my spec.yaml' optimizer.learning_rate=0.1"
    rows = curve(*curve_of_rates(RATES, losses, 1.0)).splitlines()
    columns = [sum(row.split("│")[1].ljust(5)[i] == "█" for row in rows[:10]) for i in range(5)]
    assert columns[0] > columns[1] > columns[2] and columns[3:] == [0, 0]


def test_the_command(spec: Path, warm: Callable[..., Any], keeps_contract: Callable[..., None]) -> None:
    small = ("--rates", "5", "--seeds", "1", "--steps", "5")
    done = warm("lr-find", spec.name, *small, "-o", "rates.png", folder=spec.parent)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "picture: rates.png"
    with Image.open(spec.parent / "rates.png") as image:
        assert image.format == "PNG"
    found = warm("lr-find", spec.name, *small, "--json", folder=spec.parent).json
    keeps_contract("lr-find", found)
    assert len(found["rates"]) == 5 and len(found["losses"]) == 5
    wrong = warm("lr-find", spec.name, "--from", "1", "--to", "0.1", folder=spec.parent)
    assert (wrong.code, wrong.err) == (
        2,
        "nnrun: --from 1 --to 0.1: write two rates above 0, the lower one first\n",
    )
    for change, remedy in (("train.seeds=3", "write --seeds N"), ("schedule=cosine", "leave it out")):
        wrong = warm("lr-find", spec.name, change, folder=spec.parent)
        key = change.partition("=")[0]
        assert (wrong.code, wrong.err) == (
            2,
            f"nnrun: lr-find: {change}: the test sets {key} itself; {remedy}\n",
        )
    assert sorted(path.name for path in spec.parent.iterdir() if path.name == "runs") == []


@pytest.mark.parametrize(
    ("block", "place"),
    [
        ("{name: adam, learning_rate: 0.1}", ("learning_rate",)),
        ("{name: lookahead, inner: adam}", ("inner", "learning_rate")),
        ("{name: lookahead, inner: {name: sam, inner: sgd}}", ("inner", "inner", "learning_rate")),
        ("lbfgs", None),
    ],
)
def test_where_a_rate_stands(block: str, place: tuple[str, ...] | None, tmp_path: Path) -> None:
    """The place that is given another rate is where the optimizer reads it from."""
    bound = catalog.bind_one("optimizer", block, tmp_path)
    assert place_of_rate(bound) == place
    if place is not None:
        knobs = with_rate(catalog.bound.knobs(bound), place, 0.625)
        assert rates.learning_rate(bound, knobs) == 0.625


def test_another_rate_changes_nothing_else() -> None:
    before = {
        "model": {"dropout": 0.1},
        "optimizer": {"inner": {"learning_rate": 1.0, "b1": 0.9}, "alpha": 0.5},
    }
    after = with_rate(before, ("optimizer", "inner", "learning_rate"), 2.0)
    assert before["optimizer"]["inner"] == {"learning_rate": 1.0, "b1": 0.9}
    assert after == {**before, "optimizer": {"inner": {"learning_rate": 2.0, "b1": 0.9}, "alpha": 0.5}}


class Program:
    """A program whose loss in step t of a lane is 100 · seed + 10 · rate + t, in chunks of 2 and 1 steps."""

    names = ("update/ratio", "train/loss")

    def __init__(self, population: Any) -> None:
        self.lanes = list(zip(population.plan.seeds, population.lane_knobs, strict=True))

    def for_lanes(self, population: Any) -> Program:
        assert len(population.plan.seeds) == len(self.lanes), "another number of lanes is another program"
        return Program(population)

    def initial(self) -> Program:
        return self


def test_lanes_are_padded_to_one_program_and_come_back_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Program] = []

    def compile_shards(population: Any) -> Program:
        assert (population.plan.judge, population.plan.evaluate_every) == (None, 3)
        compiled.append(Program(population))
        return compiled[-1]

    def chunks(program: Program, state: Program, step: int, until: int) -> Any:
        assert state is program and (step, until) == (0, 3)
        starts = np.array([[100 * seed + 10 * knobs["optimizer"]["rate"]] for seed, knobs in program.lanes])
        for steps in (np.arange(2), np.arange(2, 3)):
            loss = starts + steps
            yield SimpleNamespace(rows=np.stack([np.zeros_like(loss), loss], axis=2))

    class Plan(SimpleNamespace):
        def _replace(self, **changes: Any) -> Plan:
            return Plan(**{**vars(self), **changes})

    monkeypatch.setattr(rates.shards, "compile_shards", compile_shards)
    monkeypatch.setattr(rates, "chunks", chunks)
    plan = Plan(seeds=(0,), steps=3, judge="val/accuracy", evaluate_every=1)
    experiment: Any = Plan(plan=plan, knobs={"optimizer": {"rate": 0.0}}, lane_knobs=())
    lanes = [(seed, float(rate)) for rate in range(3) for seed in (4, 5)][:5]
    ticks: list[int] = []
    made = list(rates._trained(experiment, ("rate",), lanes, 2, lambda: ticks.append(1)))
    expected = [[100 * seed + 10 * rate + t for t in range(3)] for seed, rate in lanes]
    np.testing.assert_array_equal(made, expected)
    assert len(compiled) == 1 and len(ticks) == 3 * 3  # three programs of three steps


def test_a_run_ends_with_the_mean_of_its_last_fifth() -> None:
    """Of ten steps two; of two the last; a step that is not finite anywhere is divergence."""
    curves = np.array([np.arange(10.0), np.r_[1.0, np.inf, np.zeros(8)], np.full(10, 4.0)])
    np.testing.assert_array_equal(rates._ends(curves), [8.5, math.nan, 4.0])
    np.testing.assert_array_equal(rates._ends(np.array([[3.0, 1.0]])), [1.0])


def test_for_programs_divergence_is_null() -> None:
    test = RangeTest(
        "optimizer.learning_rate", 0.1, np.array([0.1, 1.0]), np.array([[0.5, 0.25], [math.nan, math.inf]]), 1.0, 9,
        0.1, None,
    )  # fmt: skip
    made = as_data(test)
    assert made["losses"] == [[0.5, 0.25], [None, None]] and made["rates"] == [0.1, 1.0]
    assert json.loads(json.dumps(made, allow_nan=False))["stable"] is None
