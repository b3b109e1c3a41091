"""Rungs and exploiting, with run folders made by hand: what is written down is decided once."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nnrun.record import checkpoint, run
from nnrun.space import Dimension, Search
from nnrun.statistics.metric import Metric
from nnrun.storage import disk, fsio
from nnrun.sweep import exploit, rungs
from nnrun.sweep.engine import RunBatch
from nnrun.sweep.exploit import Move
from nnrun.sweep.file import BaseSpec
from nnrun.sweep.over import Alternative
from nnrun.sweep.rungs import Rungs
from nnrun.sweep.trials import Arm, Trial, trial_at

LOSS = Metric("val/loss", False)
SPACE = (Dimension("optimizer.learning_rate", "uniform", 0.0, 1.0),)


class World:
    """A sweep of six steps a trial whose runs log what the test says; nothing is compiled."""

    def __init__(self, root: Path, count: int, search: Search) -> None:
        self.root = root
        (root / "batches").mkdir()
        arm = Arm(BaseSpec("digits", Path("b.yaml"), {}, {}), Alternative("sgd", {}, SPACE, {}), "")
        self.trials = [trial_at(arm, i, ((i + 0.5) / count,)) for i in range(count)]
        for trial in self.trials:
            folder = root / trial.run
            (folder / "checkpoints").mkdir(parents=True)
            (folder / "metrics.jsonl").write_text("")
            run.write_state(folder, "created")
        sweep = SimpleNamespace(width=None, seed=0, seeds=1)
        self.plan: Any = SimpleNamespace(
            search=search, metric=LOSS, file=SimpleNamespace(sweep=sweep), arms=[arm], plans=[]
        )
        plan = SimpleNamespace(steps=6, evaluate_every=1, seeds=(0,))
        self.engine: Any = SimpleNamespace(
            spec=lambda folder: None, experiment=lambda spec: SimpleNamespace(plan=plan)
        )

    def rungs(self) -> Rungs:
        return Rungs("round-0", self.plan, self.root, self.engine, self.trials)

    def log(self, trial: Trial, step: int, loss: float) -> None:
        folder = self.root / trial.run
        with (folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, "val/loss": loss}) + "\n")
        run.write_state(folder, "interrupted", step=step)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., World]:
    def packed(
        name: str, runs: list[str], engine: Any, root: Path, width: Any, untils: Any, final: bool, known: Any
    ) -> list[RunBatch]:
        if not runs:
            return []
        lanes = max(known.values()) if known else len(runs)
        return [RunBatch(f"{name}-00", list(runs), lanes, untils[runs[0]], final)]

    monkeypatch.setattr(rungs, "pack", packed)
    return lambda count=4, **search: World(tmp_path, count, Search(lambda *arguments: [], **search))


def numbers(batches: list[RunBatch]) -> list[int]:
    return [int(name.rpartition("-")[2]) for batch in batches for name in batch.runs]


def test_without_rungs_there_is_one_stage_to_the_end(world):
    sweep_world = world(3)
    [stage] = list(sweep_world.rungs().stages())
    assert numbers(stage) == [0, 1, 2]
    assert stage[0].until is None and not stage[0].final


def halved(
    sweep_world: World, kill_after: int = 1000
) -> tuple[list[tuple[list[int], int | None, bool]], Rungs]:
    """Goes through the stages; trial i has the loss i at every rung.  Returns what each stage trained."""
    made_rungs, stages = sweep_world.rungs(), []
    for stage in made_rungs.stages():
        until = stage[0].until if stage else None
        stages.append((numbers(stage), until, any(batch.final for batch in stage)))
        if len(stages) > kill_after:
            break
        for trial in sweep_world.trials:
            if stage and trial.run in stage[0].runs and not stage[0].final:
                sweep_world.log(trial, until or 6, float(trial.number))
    return stages, made_rungs


def test_half_of_the_trials_continue_at_each_rung(world):
    stages, made_rungs = halved(world(4, rungs=(1 / 3, 2 / 3), keep=0.5))
    assert stages == [
        ([0, 1, 2, 3], 2, False),
        ([2, 3], 2, True),  # the losers end in the program that they were in
        ([0, 1], 4, False),
        ([1], 4, True),
        ([0], None, False),
    ]
    assert made_rungs.stopped == {"sgd-001", "sgd-002", "sgd-003"}


def test_losers_end_in_programs_of_the_size_that_is_compiled(world):
    sweep_world = world(4, rungs=(0.5,), keep=0.5)
    stages = sweep_world.rungs().stages()
    [first] = next(stages)
    for trial in sweep_world.trials:
        sweep_world.log(trial, 3, float(trial.number))
    [losers] = next(stages)
    assert (len(losers.runs), losers.lanes) == (2, first.lanes)


@pytest.mark.parametrize("kill_after", [1, 2, 3, 4])
def test_a_resumed_sweep_goes_through_the_same_stages(kill_after: int, world):
    """Also where later values would now decide otherwise."""
    sweep_world = world(4, rungs=(1 / 3, 2 / 3), keep=0.5)
    before, _ = halved(sweep_world, kill_after)
    for trial in sweep_world.trials:
        with (sweep_world.root / trial.run / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"step": 2, "val/loss": -10.0 * trial.number}) + "\n")
    after, _ = halved(sweep_world)
    assert after[: len(before)] == before
    assert (
        sorted(path.name for path in (sweep_world.root / "batches").glob("*.rung.json"))[0]
        == "round-0-s0.rung.json"
    )


def test_a_trial_that_failed_or_diverged_has_no_value_at_a_rung(world):
    sweep_world = world(4, rungs=(0.5,), keep=0.5)
    stages = sweep_world.rungs().stages()
    next(stages)
    for trial in sweep_world.trials:
        sweep_world.log(trial, 3, float(trial.number))
    run.write_state(sweep_world.root / sweep_world.trials[0].run, "diverged", step=3)
    (sweep_world.root / sweep_world.trials[0].run / "summary.json").write_text("{}")
    run.write_state(sweep_world.root / sweep_world.trials[1].run, "failed")
    losers = next(stages)
    assert numbers(losers) == []  # both have ended on their own
    assert numbers(next(stages)) == [2, 3]
    values = json.loads((sweep_world.root / "batches" / "round-0-s0.rung.json").read_text())["values"]
    assert values == {"sgd-000": None, "sgd-001": None, "sgd-002": 2.0, "sgd-003": 3.0}


def test_a_stage_that_grew_gets_batches_for_what_is_new(world):
    sweep_world = world(2)
    [stage] = list(sweep_world.rungs().stages())
    later = trial_at(sweep_world.trials[0].arm, 2, (0.5,))
    (sweep_world.root / later.run).mkdir()
    run.write_state(sweep_world.root / later.run, "created")
    sweep_world.trials = [*sweep_world.trials, later]
    [again] = list(sweep_world.rungs().stages())
    assert again[0] == stage[0]
    assert again[1].runs == [later.run]
    assert (sweep_world.root / "batches" / "round-0-s0+.json").is_file()
    [third] = list(sweep_world.rungs().stages())
    assert third == again


def test_when_a_trial_is_over(world):
    sweep_world = world(2)
    made_rungs = sweep_world.rungs()
    list(made_rungs.stages())
    first, second = sweep_world.trials
    assert not made_rungs.is_over(first)
    run.write_state(sweep_world.root / first.run, "done")
    (sweep_world.root / first.run / "summary.json").write_text("{}")
    run.write_state(sweep_world.root / second.run, "failed")
    assert made_rungs.is_over(first) and made_rungs.is_over(second)
    assert made_rungs.settings(first) == first.settings


# Exploiting


def saved(folder: Path, step: int, value: float, key: int = 0, **progress: Any) -> Path:
    arrays = {
        "step": np.int32(step),
        "key": np.array([0, key], np.uint32),
        "params/w": np.full(2, value, np.float32),
        "opt_state/m": np.full(2, 10 * value, np.float32),
        "knobs/optimizer/learning_rate": np.float32(value),
    }
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    log = folder / "metrics.jsonl"
    if not log.exists():
        log.write_text("x" * int(value))
        run.write_state(folder, "interrupted", step=step)
    default = {
        "best": {"step": step, "value": value},
        "improved": step,
        "best_metrics": {"v": value},
        "latest": {"v": value, "val/loss": value / 2},
    }
    checkpoint.save(folder / "checkpoints", step, arrays, {**default, **progress}, 0)
    return folder


KNOBS = {"optimizer": {"learning_rate": np.float64(0.25)}}


def test_a_loser_takes_the_state_of_the_winner_and_keeps_its_noise_and_its_best(tmp_path):
    best = {"best": {"step": 5, "value": 4.0}}
    loser, winner = (
        saved(tmp_path / "loser", 10, 3.0, key=7, **best),
        saved(tmp_path / "winner", 10, 5.0, key=9),
    )
    exploit.apply(Move([loser], [winner], KNOBS, "v"), 10)
    content = checkpoint.load(checkpoint.step_folder(loser / "checkpoints", 10))
    assert content.arrays["params/w"].tolist() == [5.0, 5.0]
    assert content.arrays["opt_state/m"].tolist() == [50.0, 50.0]
    assert content.arrays["key"].tolist() == [0, 7]
    assert content.arrays["knobs/optimizer/learning_rate"] == np.float32(0.25)
    assert content.arrays["knobs/optimizer/learning_rate"].dtype == np.float32
    assert content.progress["best"] == {"step": 5, "value": 4.0}  # whose state stays
    assert content.progress["regular"] == [10] and not content.progress["complete"]
    assert content.metrics_offset == 3  # all that the loser has logged is its own
    assert run.read_state(loser) == {"status": "interrupted", "step": 10}


def test_taking_a_state_twice_changes_nothing(tmp_path):
    loser, winner = saved(tmp_path / "loser", 10, 3.0, key=7), saved(tmp_path / "winner", 10, 5.0, key=9)
    folder = checkpoint.step_folder(loser / "checkpoints", 10)
    exploit.apply(Move([loser], [winner], KNOBS, "v"), 10)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    exploit.apply(Move([loser], [winner], KNOBS, "v"), 10)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_best_step_whose_state_is_replaced_has_the_value_of_the_new_state(tmp_path):
    """Else the summary would show the loser's value beside the winner's weights."""
    loser, winner = saved(tmp_path / "loser", 10, 3.0), saved(tmp_path / "winner", 10, 5.0)
    exploit.apply(Move([loser], [winner], KNOBS, "v"), 10)
    progress = checkpoint.load(checkpoint.step_folder(loser / "checkpoints", 10)).progress
    assert progress["best"] == {"step": 10, "value": 5.0, "loss": 2.5}
    assert progress["best_metrics"] == {"v": 5.0, "val/loss": 2.5}


class Killer(disk.System):
    """Kills the process, as far as a test can, before its operation of a certain number."""

    def __init__(self, last: int) -> None:
        self.left = last
        for name in ("open", "write", "fsync", "rename", "mkdir", "unlink", "rmdir"):
            setattr(self, name, partial(self._do, getattr(disk.System, name)))

    def _do(self, call: Any, *arguments: Any) -> Any:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return call(*arguments)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(fsio.TEMPORARY) for part in path.parts)
    }


def test_a_kill_at_any_operation_loses_nothing_of_the_loser(tmp_path, monkeypatch):
    """Its best mark, its noise and the winner's state are there after the move is applied again."""
    outcomes, count = [], 0
    while True:
        root = tmp_path / str(count)
        root.mkdir()
        best = {"best": {"step": 5, "value": 4.0}}
        loser, winner = saved(root / "loser", 10, 3.0, 7, **best), saved(root / "winner", 10, 5.0, 9)
        saved(loser, 15, 4.0, 7, **best)
        move = Move([loser], [winner], KNOBS, "v")
        monkeypatch.setattr(disk, "system", Killer(count))
        try:
            exploit.apply(move, 10)
        except KeyboardInterrupt:
            killed = True
        else:
            killed = False
        monkeypatch.setattr(disk, "system", disk.System())
        exploit.complete(loser)
        assert 10 in checkpoint.steps(loser / "checkpoints")  # its own or the winner's, but never none
        exploit.apply(move, 10)
        outcomes.append(contents(root))
        count += 1
        if not killed:
            break
    assert count > 20
    assert all(outcome == outcomes[-1] for outcome in outcomes)


def test_later_checkpoints_of_the_loser_are_gone_and_the_winner_is_untouched(tmp_path):
    loser, winner = saved(tmp_path / "loser", 10, 3.0), saved(tmp_path / "winner", 10, 5.0)
    saved(loser, 15, 4.0)
    saved(loser, 5, 2.0)
    before = {path: path.read_bytes() for path in winner.rglob("*") if path.is_file()}
    exploit.apply(Move([loser], [winner], KNOBS, "v"), 10)
    assert checkpoint.steps(loser / "checkpoints") == [5, 10]
    assert {path: path.read_bytes() for path in winner.rglob("*") if path.is_file()} == before


def test_whoever_diverged_before_a_checkpoint_starts_from_the_winner(tmp_path):
    loser, winner = tmp_path / "loser", saved(tmp_path / "winner", 10, 5.0, key=9)
    loser.mkdir()
    (loser / "metrics.jsonl").write_text("")
    run.write_state(loser, "diverged")
    exploit.apply(Move([loser], [winner], KNOBS, "v"), 10)
    content = checkpoint.load(checkpoint.step_folder(loser / "checkpoints", 10))
    assert content.progress["best"] is None
    assert content.arrays["params/w"].tolist() == [5.0, 5.0]
    assert run.read_state(loser)["status"] == "interrupted"


def test_seeds_take_the_states_of_the_seeds_beside_them(tmp_path):
    losers = [saved(tmp_path / f"loser_{i}", 10, 1.0 + i, key=i) for i in range(2)]
    winners = [saved(tmp_path / f"winner_{i}", 10, 8.0 + i, key=5 + i) for i in range(2)]
    exploit.apply(Move(losers, winners, KNOBS, "v"), 10)
    for i, loser in enumerate(losers):
        content = checkpoint.load(checkpoint.step_folder(loser / "checkpoints", 10))
        assert content.arrays["params/w"].tolist() == [8.0 + i] * 2
        assert content.arrays["key"].tolist() == [0, i]
    with pytest.raises(ValueError, match="zip"):
        exploit.apply(Move(losers, winners[:1], KNOBS, "v"), 10)


def test_losers_of_a_population_move_from_the_settings_of_winners(world, monkeypatch):
    """The best of five at step 3 is trial 0; the worst, trial 4, gets its point moved by a tenth."""
    moves: list[Move] = []
    monkeypatch.setattr(rungs.exploit, "apply", lambda move, step: moves.append(move))
    monkeypatch.setattr(rungs, "trial_spec", lambda *arguments: None)
    sweep_world = world(5, rungs=(0.5,), keep=0.8, explore=lambda space, point, draws: (point[0] + 0.1,))
    sweep_world.engine.experiment = lambda spec: SimpleNamespace(
        plan=SimpleNamespace(steps=6, evaluate_every=1, seeds=(0,)), knobs=KNOBS
    )
    monkeypatch.setattr(rungs, "seeds_of", lambda file, base, study=1: (0, 1))
    made_rungs = sweep_world.rungs()
    stages = made_rungs.stages()
    next(stages)
    assert not made_rungs.is_over(sweep_world.trials[0])
    for trial in sweep_world.trials:
        sweep_world.log(trial, 3, float(trial.number))
    assert numbers(next(stages)) == [0, 1, 2, 3, 4]  # nobody ends
    [move] = moves
    assert [path.name for path in (*move.loser, *move.winner)] == ["sgd-004", "sgd-000"]
    assert made_rungs.settings(sweep_world.trials[4]) == {"optimizer.learning_rate": pytest.approx(0.2)}
    record = json.loads((sweep_world.root / "batches" / "round-0-s0-exploit.done.json").read_text())
    assert record["moves"] == [
        {"loser": "sgd-004", "winner": "sgd-000", "settings": {"optimizer.learning_rate": 0.2}}
    ]
    again = sweep_world.rungs()  # resumed: the same settings, and no state is moved a second time
    stages = again.stages()
    next(stages)
    next(stages)
    assert len(moves) == 1
    assert again.settings(sweep_world.trials[4]) == made_rungs.settings(sweep_world.trials[4])
