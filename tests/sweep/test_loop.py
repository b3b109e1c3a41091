"""A sweep from beginning to end: what it leaves behind, how it is resumed, what a failure does to it."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from nnrun import spec
from nnrun.errors import RunError, SpecError
from nnrun.record import run as runs
from nnrun.space import draws
from nnrun.sweep import lifecycle
from nnrun.sweep.batches import Event, InProcess
from nnrun.sweep.engine import Engine, RunBatch

RATES = """
  over:
    optimizer:
      - {name: sgd, learning_rate: {log: [1e-3, 1]}}
      - {name: adam, learning_rate: {log: [1e-4, 1e-1]}}
  trials: 4
  seeds: 2
  final_seeds: 3
  width: 4
"""
ONE = "\n  over: {optimizer.learning_rate: {log: [1e-4, 1e-1]}}\n  trials: 9\n  final_seeds: 2\n"


def test_what_is_left_behind(write: Any, run: Any) -> None:
    sweep = run(write(RATES))
    records, finals = sweep.lines("trials.jsonl"), sweep.lines("final.jsonl")
    assert [one["trial"] for one in records] == [
        f"{name}-{i:03d}" for name in ("sgd", "adam") for i in range(4)
    ]
    for record in records:
        # Every alternative has draws of its own, which follow from the sweep's seed and its name.
        seed = int(hashlib.sha256(f'[0, "", "{record["alternative"]}"]'.encode()).hexdigest()[:8], 16) // 2
        u = draws(seed, record["number"], 1)[0]
        low, high = {"sgd": (1e-3, 1.0), "adam": (1e-4, 1e-1)}[record["alternative"]]
        assert record["settings"] == {
            "optimizer.learning_rate": pytest.approx(low * (high / low) ** u, rel=1e-5)
        }
        written = spec.read(sweep.folder / record["run"] / "seed_1" / "resolved.yaml")
        assert written.blocks["optimizer"]["name"] == record["alternative"]
        assert written.blocks["optimizer"]["learning_rate"] == record["settings"]["optimizer.learning_rate"]
        assert (written.sections["train"].seed, written.sections["train"].seeds) == (1, 1)
    for name, final in zip(("sgd", "adam"), finals, strict=True):
        own = [one for one in records if one["alternative"] == name]
        assert final["trial"] == max(own, key=lambda one: one["value"])["trial"]
        assert final["seeds"] == [10_000, 10_001, 10_002]
        assert len(final["metrics"]["test/accuracy"]) == 3
    best = spec.read(sweep.folder / "best.yaml")
    means = {one["alternative"]: sum(one["metrics"]["val/accuracy"]) for one in finals}
    assert best.blocks["optimizer"]["name"] == max(means, key=lambda name: means[name])
    assert runs.status(sweep.folder) == "done"
    assert json.loads((sweep.folder / "sweep.json").read_text())["alternatives"][0]["dimensions"] == [
        {"path": "optimizer.learning_rate", "kind": "log", "low": 1e-3, "high": 1.0}
    ]


def test_going_on_after_any_batch_ends_in_the_same_results(write: Any, run: Any) -> None:
    path = write(RATES)
    whole = run(path)
    batches = [event.batch.name for event in whole.event if event.phase == "done"]
    assert len(batches) == 6  # 2 × 2 of trials, 2 of the comparison
    for last in batches[:-1:2]:
        cut = run(
            path,
            stop=lambda event, last=last: bool(event) and event.phase == "done" and event.batch.name == last,
        )
        rest = run(cut.folder)
        assert rest.results() == whole.results()
        assert not {n.batch.name for n in rest.event} & set(batches[: batches.index(last)])


@pytest.mark.slow
def test_going_on_within_a_batch(write: Any, run: Any) -> None:
    """Stopped while a program trains: its runs begin again or continue, and end as they would have."""
    path = write(RATES)
    whole = run(path)
    steps = 0

    def stop(event: Event | None) -> bool:
        nonlocal steps
        steps += bool(event) and event.phase == "training"  # type: ignore[union-attr]
        return steps == 3

    assert run(run(path, stop=stop).folder).results() == whole.results()


def test_a_sweep_grows(write: Any, run: Any) -> None:
    path = write(RATES)
    small = run(path, "sweep.trials=2")
    grown, large = run(small.folder, "sweep.trials=4"), run(path)
    assert sorted(one["trial"] for one in grown.lines("trials.jsonl")) == [
        f"{name}-{i:03d}" for name in ("adam", "sgd") for i in range(4)
    ]
    for one, other in zip(grown.results(), large.results(), strict=True):
        assert one["settings"] == other["settings"]
        assert one["run"] == other["run"]
    with pytest.raises(SpecError, match=r"sweep.seeds=3: a sweep that was begun takes sweep.trials, "):
        run(small.folder, "sweep.seeds=3")


def test_a_diverged_trial_hurts_nobody(write: Any, run: Any) -> None:
    """A learning rate of 1e300 beside one of 1e-3 in one program."""
    base = "sweep.over={optimizer.learning_rate: [1e-2, 1e300]}"
    sweep = run(write(ONE), base, "sweep.search=grid", "sweep.trials=null")
    good, bad = sweep.lines("trials.jsonl")
    assert (good["status"], bad["status"]) == ("done", "diverged")
    assert bad["value"] is None
    alone = run(
        write(ONE), "sweep.over={optimizer.learning_rate: [1e-2]}", "sweep.search=grid", "sweep.trials=null"
    )
    assert good["value"] == pytest.approx(alone.lines("trials.jsonl")[0]["value"])
    assert "became infinite or NaN" in bad["reason"]


@pytest.mark.slow
def test_a_trial_that_cannot_begin_does_not_stop_the_others(write: Any, run: Any) -> None:
    """A batch of 100 000 examples does not exist."""
    over = "sweep.over={data.batch_size: [64, 128, 100000]}"
    sweep = run(write(ONE), over, "sweep.search=grid", "sweep.trials=null")
    assert [one["status"] for one in sweep.lines("trials.jsonl")][::-1].count("done") == 2
    [failed] = [one for one in sweep.lines("trials.jsonl") if one["status"] == "failed"]
    assert failed["settings"] == {"data.batch_size": 100000}
    assert "write at most 256, or full" in failed["reason"]
    assert run(sweep.folder).results() == sweep.results()  # it is not tried again


def test_where_no_trial_can_begin_nothing_is_created(write: Any, run: Any, tmp_path: Path) -> None:
    over = "sweep.over={data.batch_size: [100000, 100001, 100002]}"
    with pytest.raises(SpecError, match=r"batch_size: got 100000, .* write at most 256, or full"):
        run(write(ONE), over, "sweep.search=grid", "sweep.trials=null")
    assert not list(tmp_path.glob("sweep-*"))


class Broken(InProcess):
    """Fails where a certain run takes part, as an error in the user's own code would."""

    def __init__(self, engine: Engine, name: str, error: Exception) -> None:
        super().__init__(engine)
        self.name, self.error, self.tried = name, error, 0

    def _one(self, root: Path, batch: RunBatch) -> Any:
        if any(self.name in one for one in batch.runs):
            self.tried += 1
            yield Event(batch, 0, "failed", self.error)  # type: ignore[arg-type]
        else:
            yield from super()._one(root, batch)


def test_a_batch_that_fails_is_cut_until_the_trial_to_blame_stands_alone(
    write: Any, engine: Engine, tmp_path: Path
) -> None:
    sweep_plan, folder = lifecycle.begin(write(ONE), [], engine, tmp_path / "sweep", tmp_path)
    trainer = Broken(engine, "trial-005", RunError("a checkpoint is damaged"))
    for _ in lifecycle.sweep(sweep_plan, folder, engine, trainer):
        pass
    records = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    assert {one["trial"]: one["status"] for one in records} == {
        f"trial-{i:03d}": "failed" if i == 5 else "done" for i in range(9)
    }
    assert trainer.tried == 4  # of 9, 4, 2 runs and 1


def test_the_same_failure_in_all_of_the_first_trials_ends_it(
    write: Any, engine: Engine, tmp_path: Path
) -> None:
    sweep_plan, folder = lifecycle.begin(write(ONE), [], engine, tmp_path / "sweep", tmp_path)
    trainer = Broken(engine, "trial", RunError("ValueError: the user's layer is wrong"))
    with pytest.raises(
        SpecError, match="the first 3 trials failed in the same way: ValueError: the user's layer"
    ):
        for _ in lifecycle.sweep(sweep_plan, folder, engine, trainer):
            pass
    assert runs.read_state(folder)["status"] == "failed"
    assert len((folder / "trials.jsonl").read_text().splitlines()) == 3


def test_halving_stops_the_worst_at_each_rung(write: Any, run: Any) -> None:
    search = "sweep.search={name: halving, eta: 3, first: 0.17}"
    sweep = run(write(ONE), search)
    records = sweep.lines("trials.jsonl")
    steps = sorted(one["steps"] for one in records)
    assert steps == [2, 2, 2, 2, 2, 2, 4, 4, 6]  # rungs after 1.02 -> 2 and 3.06 -> 4 of 6 epochs of one step
    assert [one["status"] for one in records].count("stopped") == 8
    full = run(write(ONE))
    values = {one["trial"]: first_value(full.folder / one["run"], 2) for one in full.lines("trials.jsonl")}
    on = sorted(values, key=lambda name: (-values[name], name))[:3]
    assert sorted(one["trial"] for one in records if one["steps"] > 2) == sorted(on)
    [winner] = [one for one in records if one["status"] == "done"]
    alone = next(one for one in full.lines("trials.jsonl") if one["trial"] == winner["trial"])
    assert winner["value"] == pytest.approx(alone["value"], rel=1e-9)  # repacking changed nothing


def first_value(folder: Path, until: int) -> float:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return max(line["val/accuracy"] for line in lines if line["step"] <= until and "val/accuracy" in line)


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "search", ["{name: halving, first: 0.17}", "{name: population, intervals: 3, losers: 0.3}"]
)
def test_rungs_are_resumed(search: str, write: Any, run: Any) -> None:
    path = write(ONE)
    whole = run(path, f"sweep.search={search}")
    seen: list[str] = []

    def stop(event: Event | None) -> bool:
        if event and event.phase == "done":
            seen.append(event.batch.name)
        return len(seen) == 2

    assert run(run(path, f"sweep.search={search}", stop=stop).folder).results() == whole.results()


def test_losers_of_a_population_go_on_from_winners(write: Any, run: Any) -> None:
    sweep = run(write(ONE), "sweep.search={name: population, intervals: 3, losers: 0.3}")
    records = {one["trial"]: one for one in sweep.lines("trials.jsonl")}
    assert all(one["status"] == "done" and one["steps"] == 6 for one in records.values())
    moves = json.loads((sweep.folder / "batches" / "r000-s1-exploit.done.json").read_text())["moves"]
    assert len(moves) == 2  # three of ten of nine trials, rounded down
    for move in moves:
        now = records[move["loser"]]["settings"]["optimizer.learning_rate"]
        assert now == move["settings"]["optimizer.learning_rate"]
        arrays = last_arrays(sweep.folder / records[move["loser"]]["run"])
        assert float(arrays["knobs/optimizer/learning_rate"]) == pytest.approx(now)


def last_arrays(folder: Path) -> Any:
    from nnrun.record import checkpoint

    found = checkpoint.load_latest(folder / "checkpoints", lambda message: None)
    assert found
    return found.arrays


def test_a_population_changes_only_what_may_change(write: Any, run: Any) -> None:
    over = "sweep.over={data.batch_size: [64, 128]}"
    with pytest.raises(
        SpecError,
        match=r"data.batch_size cannot change there; write another sweep.search, see `nnrun list search`",
    ):
        run(write(ONE), over, "sweep.search=population")


def test_a_run_folder_that_was_begun_is_made_anew(write: Any, run: Any) -> None:
    """Killed between the folder and its state.json."""
    path = write(ONE)
    whole = run(path)
    cut = run(path, stop=lambda event: bool(event) and event.phase == "ready")
    folder = cut.folder / "trials" / "trial-003"
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "spec.yaml").write_text("half")
    assert run(cut.folder).results() == whole.results()
