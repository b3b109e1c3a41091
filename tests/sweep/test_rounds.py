"""A sweep with `until: decided`: when it grows, by what, when it ends; looking often costs no false verdict."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nnrun.statistics.compare import compare_all, holm
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.searches import OverSearches
from nnrun.sweep.file import SweepBlock
from nnrun.sweep.rounds import next_round

DECIDED = PairComparison("a", "b", 0.02, 0.01, 0.03, 0.001, 0.001, 8, None)
NO_SEEDS = DECIDED._replace(adjusted=0.4)
NO_TRIALS = DECIDED._replace(searched=True, searches=OverSearches(-0.1, 0.1, 0.5, 8, None), claim=0.5)
NO_EXAMPLES = DECIDED._replace(examples=(-0.1, 0.2))


def look(
    folder: Path,
    pair: PairComparison,
    trials: int = 8,
    seeds: int = 6,
    rounds: int = 3,
    grid: bool = False,
    studies: int = 1,
) -> Any:
    plan = SimpleNamespace(
        file=SimpleNamespace(
            sweep=SimpleNamespace(rounds=rounds, final_seeds=seeds, seeds=1, studies=studies),
            bases=[SimpleNamespace(value={})],
            alternatives=[],
            looks=rounds,
        ),
        budgets=[trials, trials],
        search=SimpleNamespace(most=(lambda space: 4) if grid else None),
        arms=[SimpleNamespace(alternative=SimpleNamespace(space=("rate",)))],
    )
    part = SimpleNamespace(factors=None, rows=[SimpleNamespace(alternative="a")], comparisons=[pair])
    return next_round(plan, folder, SimpleNamespace(bases=[part]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pair", "changes"),
    [
        (DECIDED, []),
        (NO_SEEDS, ["sweep.final_seeds=12"]),
        (NO_TRIALS, ["sweep.trials=16"]),
        (NO_TRIALS._replace(adjusted=0.4), ["sweep.trials=16", "sweep.final_seeds=12"]),
        (NO_EXAMPLES, []),
        (DECIDED._replace(first="b", second="c", adjusted=0.4), []),  # not about the best one
    ],
)
def test_what_is_missing_is_what_grows(pair: PairComparison, changes: list[str], tmp_path: Path) -> None:
    following = look(tmp_path, pair)
    assert following.changes == changes
    assert following.words.startswith("round 1 of 3: ")


def test_every_round_adds_what_the_first_had_and_the_last_ends_it(tmp_path: Path) -> None:
    """Looking again at what was looked at, as after a kill, is no further round."""
    assert look(tmp_path, NO_TRIALS).changes == ["sweep.trials=16"]
    assert look(tmp_path, NO_TRIALS).changes == ["sweep.trials=16"]
    assert look(tmp_path, NO_TRIALS, trials=16).changes == ["sweep.trials=24"]
    last = look(tmp_path, NO_TRIALS, trials=24)
    assert (last.changes, last.words) == (
        [],
        "round 3 of 3: the verdict is not clear, and there are no further rounds",
    )
    rounds = [json.loads(line) for line in (tmp_path / "rounds.jsonl").read_text().splitlines()]
    assert [entry["trials"] for entry in rounds] == [8, 16, 24]


def test_a_grid_has_no_further_trials(tmp_path: Path) -> None:
    following = look(tmp_path, NO_TRIALS, grid=True)
    assert following.changes == []
    assert following.words.endswith("neither trials nor seeds would make it so")


@pytest.mark.parametrize(
    ("pair", "has", "changes"),
    [
        (NO_TRIALS, {"trials": 60_000}, ["sweep.trials=100000"]),
        (NO_TRIALS, {"trials": 100_000}, []),
        (NO_SEEDS, {"seeds": 600}, ["sweep.final_seeds=1024"]),
        (NO_SEEDS, {"seeds": 1024}, []),
        (NO_SEEDS, {"studies": 600}, ["sweep.studies=1000"]),
        (NO_SEEDS, {"studies": 1000}, []),
    ],
)
def test_nothing_grows_beyond_what_a_sweep_file_may_ask_for(
    pair: PairComparison, has: dict[str, int], changes: list[str], tmp_path: Path
) -> None:
    sweep = SweepBlock(over={"x": 1})
    for change in changes:
        key, _, value = change.removeprefix("sweep.").partition("=")
        SweepBlock.model_validate({**sweep.model_dump(), key: int(value)})
        with pytest.raises(ValueError, match="less than or equal"):
            SweepBlock.model_validate({**sweep.model_dump(), key: int(value) + 1})
    assert look(tmp_path, pair, **has).changes == changes


def test_looks_multiply_p_values() -> None:
    assert holm([0.01, 0.2], looks=4) == pytest.approx([0.08, 0.8])
    random = np.random.default_rng(0)
    values = {name: dict(enumerate(random.normal(size=10))) for name in "ab"}
    [once], [often] = compare_all(values), compare_all(values, looks=5)
    assert often.adjusted == pytest.approx(min(1.0, 5 * once.adjusted))
    assert often.p == once.p


@pytest.mark.slow
def test_to_look_until_something_is_found_finds_nothing_more_often() -> None:
    """Equal methods, looked at with 7, 9, 11 and 13 seeds: without the correction more than 5% are called different."""
    random = np.random.default_rng(1)
    found = {1: 0, 4: 0}
    for _ in range(200):
        a, b = random.normal(size=(2, 13))
        for looks in found:
            pairs = [
                compare_all({"a": dict(enumerate(a[:n])), "b": dict(enumerate(b[:n]))}, looks=looks)[0]
                for n in (7, 9, 11, 13)
            ]
            found[looks] += any(pair.decided for pair in pairs)
    assert found[4] / 200 <= 0.05
    assert found[1] / 200 > 0.06


SPEC = """
base: tiny.yaml
sweep:
  over: {optimizer: [{name: sgd, learning_rate: 1e-3}, {name: adam, learning_rate: 1e-2}]}
  seeds: 1
  final_seeds: 5
  until: decided
  rounds: 2
"""
TINY = """
name: tiny
data: {name: digits, batch_size: 128, examples: 256}
model: {name: mlp, hidden: [8]}
train: {duration: 2 epochs}
"""


def test_a_sweep_grows_until_its_verdict_is_clear(tmp_path: Path, warm: Callable[..., Any]) -> None:
    """Five seeds cannot get below p = 2 · 2/2⁵ with two looks; ten can."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    (tmp_path / "sweep.yaml").write_text(SPEC)
    done = warm("sweep", "sweep.yaml", "--run-dir", "out", folder=tmp_path)
    assert done.code == 0, done.err
    assert "round 1 of 2: the verdict is not clear; the next one has sweep.final_seeds=10" in done.err
    assert "round 2 of 2: the verdict is clear" in done.err
    assert "missing or damaged" not in done.err
    assert "adam beats sgd by " in done.out and "10 seeds" in done.out
    board = json.loads((tmp_path / "out" / "leaderboard.json").read_text())
    [pair] = board["comparisons"]
    assert (
        pair["seeds"] == 10 and pair["adjusted"] == pytest.approx(2 * pair["p"]) and pair["adjusted"] <= 0.05
    )
    again = warm("sweep", "--resume", "out", "-q", folder=tmp_path)
    assert again.code == 0 and json.loads((tmp_path / "out" / "leaderboard.json").read_text()) == board


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "sweep.search={name: halving}",
            "trials of halving depend on each other, so there is no verdict to wait for",
        ),
        ("sweep.final_seeds=0", "nothing is compared with sweep.final_seeds: 0"),
        ("sweep.rounds=1", "sweep.rounds"),
        ("sweep.until=sure", "sweep.until"),
    ],
)
def test_what_cannot_be_waited_for(
    change: str, message: str, tmp_path: Path, warm: Callable[..., Any]
) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    (tmp_path / "sweep.yaml").write_text(SPEC)
    done = warm("sweep", "sweep.yaml", change, folder=tmp_path)
    assert done.code == 2 and message in done.err, done.err


@pytest.mark.parametrize(
    ("pair", "changes"),
    [
        (NO_SEEDS._replace(studies=4), ["sweep.studies=8"]),
        (DECIDED._replace(studies=4), []),
        (NO_EXAMPLES._replace(studies=4), []),
        (NO_SEEDS._replace(studies=4, searched=True, unknown="study 2 of b ended without a value"), []),
    ],
)
def test_studies_are_what_grows_where_there_are_some(
    pair: PairComparison, changes: list[str], tmp_path: Path
) -> None:
    following = look(tmp_path, pair, studies=4)
    assert following.changes == changes
    assert json.loads((tmp_path / "rounds.jsonl").read_text())["studies"] == 4
    if changes:
        assert look(tmp_path, pair, studies=8).changes == ["sweep.studies=12"]


def begun_sweep(place: Path) -> tuple[Path, Callable[[], None]]:
    """The folder of a sweep that grows, and what trains it as the command does."""
    from nnrun.commands import sweeping
    from nnrun.sweep import lifecycle
    from nnrun.sweep.batches import InProcess
    from nnrun.sweep.engine import Engine

    (place / "tiny.yaml").write_text(TINY)
    (place / "sweep.yaml").write_text(SPEC)
    engine = Engine(lambda message: None)
    sweep_plan, folder = lifecycle.begin(place / "sweep.yaml", [], engine, place / "out", place)
    return folder, lambda: sweeping._train(sweep_plan, folder, engine, InProcess(engine), True, False)


@pytest.mark.slow
def test_a_signal_between_two_rounds_leaves_an_interrupted_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes after the look that has the sweep grow, and before it has grown."""
    from nnrun.errors import Interrupted
    from nnrun.record import run
    from nnrun.sweep import lifecycle

    folder, train = begun_sweep(tmp_path)
    grown = lifecycle.continue_sweep

    def interrupted(*arguments: Any, **settings: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return grown(*arguments, **settings)

    monkeypatch.setattr(lifecycle, "continue_sweep", interrupted)
    with pytest.raises(Interrupted, match="--resume"):
        train()
    assert run.status(folder) == "interrupted"
    assert "final_seeds: 10" in (folder / "sweep.yaml").read_text()


@pytest.mark.slow
def test_a_sweep_that_grows_is_not_done_before_its_last_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a process that is killed at any moment between two rounds leaves no folder that says it is done."""
    from nnrun.record import run
    from nnrun.sweep import whole

    folder, train = begun_sweep(tmp_path)
    looked, states = whole.next_round, []

    def noted(*arguments: Any) -> Any:
        states.append(run.read_state(folder)["status"])
        return looked(*arguments)._replace(changes=[])

    monkeypatch.setattr(whole, "next_round", noted)
    train()
    assert states == ["running"]
    assert run.status(folder) == "done"
