"""The range test: lanes are runs of their own, and the suggestion is what a table of losses says."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nnrun.errors import SpecError
from nnrun.probe.rates import RangeTestRequest, highest_stable, range_test, suggested
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
    assert sorted(path.name for path in spec.parent.iterdir() if path.name == "runs") == []
