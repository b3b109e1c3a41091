"""What an interrupted sweep has already, and whose fault a failure is."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from nnrun import spec
from nnrun.errors import MachineError, RunError, SpecError
from nnrun.record import preprocessing
from nnrun.record import run as runs
from nnrun.space import draws
from nnrun.sweep import lifecycle
from nnrun.sweep.batches import Event, InProcess
from nnrun.sweep.engine import Engine, RunBatch

ONE = "\n  over: {optimizer.learning_rate: {log: [1e-4, 1e-1]}}\n  trials: 6\n  final_seeds: 0\n"


class Failing(InProcess):
    """Fails where a run of a certain name takes part."""

    def __init__(self, engine: Engine, name: str, error: Exception) -> None:
        super().__init__(engine)
        self.name, self.error, self.tried = name, error, 0

    def _one(self, root: Path, batch: RunBatch) -> Any:
        if any(self.name in one for one in batch.runs):
            self.tried += 1
            yield Event(batch, 0, "failed", self.error)  # type: ignore[arg-type]
        else:
            yield from super()._one(root, batch)


def records_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]


def test_a_resumed_sweep_tells_at_once_what_it_has(write: Any, run: Any) -> None:
    """So that its progress is right, and a second kill leaves no shorter record than the first."""
    path = write(ONE + "  width: 2\n")
    done = itertools.count(1)
    cut = run(path, stop=lambda event: bool(event) and event.phase == "done" and next(done) == 2)
    again = run(cut.folder, stop=lambda event: event is not None)
    assert [one["trial"] for one in again.lines("trials.jsonl")] == [f"trial-{i:03d}" for i in range(4)]


@pytest.mark.slow
def test_failures_here_and_there_do_not_end_a_sweep(write: Any, run: Any) -> None:
    """Three trials that cannot begin, for one reason, are known before any other has ended."""
    seed = int(hashlib.sha256(b'[0, "", "trial"]').hexdigest()[:8], 16) // 2  # of the one alternative
    sizes = [64 if draws(seed, i, 1)[0] < 0.5 else 100_000 for i in range(9)]
    assert sizes.count(100_000) >= 3
    assert 64 in sizes[:3]
    over = "sweep.over={data.batch_size: [64, 100000]}"
    records = run(write(ONE), over, "sweep.trials=9").lines("trials.jsonl")
    assert {one["number"]: one["status"] for one in records} == {
        i: "done" if size == 64 else "failed" for i, size in enumerate(sizes)
    }


def test_a_full_disk_ends_the_sweep_at_once(write: Any, engine: Engine, tmp_path: Path) -> None:
    """It is the fault of no run: looking for one would fail dozens of times more."""
    sweep_plan, folder = lifecycle.begin(write(ONE), [], engine, tmp_path / "sweep", tmp_path)
    trainer = Failing(engine, "trial", MachineError("no space left on device"))
    with pytest.raises(MachineError, match="no space left"):
        list(lifecycle.sweep(sweep_plan, folder, engine, trainer))
    assert trainer.tried == 1
    assert runs.read_state(folder)["status"] == "failed"
    list(lifecycle.sweep(sweep_plan, folder, engine, InProcess(engine)))
    assert [one["status"] for one in records_of(folder)] == ["done"] * 6


@pytest.mark.slow
def test_a_batch_that_was_cut_stays_cut(write: Any, engine: Engine, tmp_path: Path) -> None:
    sweep_plan, folder = lifecycle.begin(write(ONE), [], engine, tmp_path / "sweep", tmp_path)
    trainer = Failing(engine, "trial-004", RunError("a checkpoint is damaged"))
    list(lifecycle.sweep(sweep_plan, folder, engine, trainer))
    before, tried = records_of(folder), trainer.tried
    list(lifecycle.sweep(sweep_plan, folder, engine, trainer))
    key = lambda one: one["trial"]  # noqa: E731
    assert sorted(records_of(folder), key=key) == sorted(before, key=key)
    assert trainer.tried == tried
    assert sum(one["seconds"] > 0 for one in before) == 5  # the time of the parts is that of their trials


def test_where_nothing_varies_there_is_one_trial(write: Any, run: Any) -> None:
    over = "sweep.over={optimizer: [{name: sgd, learning_rate: 0.1}, {name: adam, learning_rate: {log: [1e-3, 1e-2]}}]}"
    records = run(write(ONE), over, "sweep.trials=2").lines("trials.jsonl")
    assert [one["trial"] for one in records] == ["sgd-000", "adam-000", "adam-001"]


@pytest.mark.parametrize("status", [pytest.param("diverged", marks=pytest.mark.slow), "failed"])
def test_a_rung_is_not_decided_again(status: str, write: Any, run: Any) -> None:
    """What becomes of a trial after a rung does not bring back another that had lost there."""
    search = "sweep.search={name: halving, eta: 3, first: 0.17}"
    sweep = run(write(ONE), search, "sweep.trials=9")
    before = {one["trial"]: one["status"] for one in sweep.lines("trials.jsonl")}
    second = next(one for one in sweep.lines("trials.jsonl") if one["steps"] == 4)
    runs.write_state(sweep.folder / second["run"], status, step=3)
    after = {one["trial"]: one["status"] for one in run(sweep.folder).lines("trials.jsonl")}
    assert after == {**before, second["trial"]: status}


@pytest.mark.parametrize(
    "search",
    [
        pytest.param("{name: halving, eta: 3, first: 0.3}", marks=pytest.mark.slow),
        "{name: population, intervals: 2}",
    ],
)
def test_a_trial_with_a_diverged_seed_loses(search: str, write: Any, run: Any) -> None:
    """One of two seeds has diverged: the trial cannot be chosen, so it takes nobody's place."""
    path, overrides = write(ONE), (f"sweep.search={search}", "sweep.seeds=2")
    cut = run(path, *overrides, stop=lambda event: bool(event) and event.phase == "done")
    batch = json.loads(next((cut.folder / "batches").glob("r000-s0.json")).read_text())["batches"][0]
    values = {one: value_of(cut.folder / one, batch["until"]) for one in batch["runs"]}
    best = max(sorted(values), key=lambda name: values[name])
    runs.write_state(cut.folder / best / "seed_1", "diverged", step=batch["until"])
    records = {one["run"]: one for one in run(cut.folder).lines("trials.jsonl")}
    if "halving" in search:
        assert (records[best]["status"], records[best]["steps"]) == ("stopped", batch["until"])
        assert sum(one["status"] == "done" for one in records.values()) == 2
    else:  # it went on from another's state
        assert None not in records[best]["values"]
        moves = json.loads((cut.folder / "batches" / "r000-s0-exploit.done.json").read_text())["moves"]
        assert [f"trials/{one['loser']}" for one in moves] == [best]


def value_of(folder: Path, until: int) -> float:
    lines = [
        json.loads(line)
        for seed in (0, 1)
        for line in (folder / f"seed_{seed}" / "metrics.jsonl").read_text().splitlines()
    ]
    return sum(line["val/accuracy"] for line in lines if line["step"] == until)


def test_the_comparison_is_of_the_settings_that_a_trial_ended_with(write: Any, run: Any) -> None:
    """In a population a loser takes other settings; its first ones say nothing of its result."""
    overrides = ("sweep.search={name: population, intervals: 3, losers: 0.5}", "sweep.final_seeds=1")
    sweep = run(write(ONE), *overrides)
    [final] = sweep.lines("final.jsonl")
    records = {one["trial"]: one for one in sweep.lines("trials.jsonl")}
    assert final["settings"] == records[final["trial"]]["settings"]
    for file in (sweep.folder / final["run"] / "resolved.yaml", sweep.folder / "best.yaml"):
        rate = spec.read(file).blocks["optimizer"]["learning_rate"]
        assert rate == final["settings"]["optimizer.learning_rate"]


def test_what_has_changed_since_is_told(write: Any, run: Any) -> None:
    """One line for each difference, as for a run."""
    sweep = run(write(ONE), "sweep.trials=2")
    file = sweep.folder / "trials" / "trial-000" / "run.json"
    before = json.loads(file.read_text())
    file.write_text(json.dumps({**before, "platform": "Plan9 mips"}))
    told: list[str] = []
    engine = Engine(told.append)
    list(
        lifecycle.sweep(
            lifecycle.continue_sweep(sweep.folder, [], engine), sweep.folder, engine, InProcess(engine)
        )
    )
    assert told == [
        f"{sweep.folder.name}: since the sweep began, platform: was Plan9 mips, is {before['platform']}; "
        "its trials may differ by that"
    ]


def test_trials_of_other_data_cannot_be_compared(write: Any, run: Any) -> None:
    sweep = run(write(ONE), "sweep.trials=2")
    folder = sweep.folder / "trials" / "trial-000"
    fitted = preprocessing.read(folder)
    preprocessing.write(folder, fitted._replace(classes=tuple(f"{name}!" for name in fitted.classes)))
    about = json.loads((folder / "run.json").read_text())
    about["data_digest"] = preprocessing.read(folder).digest
    (folder / "run.json").write_text(json.dumps(about))
    engine = Engine(pytest.fail)
    with pytest.raises(RunError, match=r"trial-000: the classes of its data have changed \(from 0!, 1!"):
        list(
            lifecycle.sweep(
                lifecycle.continue_sweep(sweep.folder, [], engine), sweep.folder, engine, InProcess(engine)
            )
        )


def test_a_population_has_losers(write: Any, run: Any) -> None:
    """A fifth of four is none: it would be a random search under another name."""
    with pytest.raises(
        SpecError, match=r"of 4 trials the share of losers is less than one; write more sweep.trials"
    ):
        run(write(ONE), "sweep.search=population", "sweep.trials=4")
