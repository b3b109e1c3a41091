"""The sweep file as a whole: what is not one, and overrides that would change nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nnrun.errors import SpecError
from nnrun.spec import yaml12
from nnrun.sweep.file import read
from nnrun.sweep.trials import check

RATES = "  over: {optimizer: [{name: sgd, learning_rate: {log: [1e-3, 1]}}, adam]}\n  seeds: 2\n  metric: val/loss\n"


@pytest.mark.parametrize(
    ("override", "place"),
    [
        ("optimizer.learning_rate=0.1", "sweep.over.optimizer"),
        ("optimizer=adam", "sweep.over.optimizer"),
        ("train.seeds=3", "sweep.seeds"),
        ("checkpoint.best=val/accuracy", "sweep.metric"),
    ],
)
def test_an_override_that_changes_nothing_is_refused(override: str, place: str, write: Any) -> None:
    message = f"argument {override}: the sweep sets this; change {place} instead"
    with pytest.raises(SpecError, match=message):
        read(write(RATES), [override])


def test_what_varies_may_be_put_onto_a_block_that_is_overridden(write: Any) -> None:
    path = write("  over: {optimizer.learning_rate: {log: [1e-3, 1]}}\n")
    file = read(path, ["optimizer=sgd", "train.seeds=3", "model.hidden=[4]"])
    assert file.bases[0].value["optimizer"] == "sgd"
    assert file.bases[0].value["train"]["seeds"] == 3


def test_a_spec_is_no_sweep_file(write: Any) -> None:
    path = write(RATES).parent / "base.yaml"
    with pytest.raises(
        SpecError,
        match=r"base.yaml:1:1: this is the spec of a run, not a sweep file; `nnrun train .*base.yaml` trains it",
    ) as told:
        read(path)
    assert len(told.value.problems) == 1


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        (2**31 - 1000, r"train.seed: got 2147492648; write a value in "),  # found before a trial trains
        (2**31, r"base.yaml:6:\d+: train.seed: got 2147483648; write a value in "),
    ],
)
def test_fresh_seeds_must_exist_too(seed: int, message: str, write: Any) -> None:
    """Those of the final comparison are 10 000 further."""
    path = write(RATES)
    base = path.parent / "base.yaml"
    base.write_text(base.read_text().replace("train: {", f"train: {{seed: {seed}, "))
    file = read(path)
    with pytest.raises(SpecError, match=message):
        check(file)


@pytest.mark.parametrize("key", ["seed", "seeds"])
@pytest.mark.parametrize("value", ["x", "1.5", "null", "true", "-1", "[3]"])
def test_seeds_of_the_base_that_are_no_seeds_are_reported_there(key: str, value: str, write: Any) -> None:
    path = write("  over: {optimizer.learning_rate: [0.1, 0.2]}\n")
    base = path.parent / "base.yaml"
    base.write_text(base.read_text().replace("train: {", f"train: {{{key}: {value}, "))
    with pytest.raises(SpecError) as caught:
        check(read(path))
    [problem] = caught.value.problems
    assert problem.startswith(
        f"{base}:6:9: train.{key}: got {json.dumps(yaml12.parse(value, '').value)}; write a "
    )
