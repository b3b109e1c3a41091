"""What is missing of runs that a sweep has trained, from folders made by hand, and what is trained again for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nnrun.errors import RunError
from nnrun.record import run
from nnrun.record.names import EXAMPLES
from nnrun.sweep import flaws, repair
from nnrun.sweep.batches import is_done, mark
from nnrun.sweep.engine import RunBatch
from nnrun.sweep.flaws import flaw, rewind, unmeasured
from nnrun.sweep.repair import correct_markers, reopen_round


class Folder:
    """The folder of a sweep, its runs and batches."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "batches").mkdir()

    def add(self, name: str, status: str, *saved: int, steps: int | None = None, seeds: int = 1) -> str:
        """A run with checkpoints of these steps; of several seeds each has them.  steps: of its summary"""
        members = [name] if seeds == 1 else [f"{name}/seed_{seed}" for seed in range(seeds)]
        for place in dict.fromkeys([name, *members]):
            (self.root / place).mkdir(parents=True, exist_ok=True)
            run.write_state(self.root / place, status)
        for place in members:
            for step in saved:
                (self.root / place / "checkpoints" / f"step_{step:08d}").mkdir(parents=True)
        if steps is not None:
            (self.root / name / "summary.json").write_text(json.dumps({"steps": steps}))
        return name

    def plan(self, file: str, *batches: RunBatch) -> None:
        """Writes down the batches of a stage."""
        runs = [name for batch in batches for name in batch.runs]
        content = {"runs": runs, "batches": [batch._asdict() for batch in batches]}
        (self.root / "batches" / f"{file}.json").write_text(json.dumps(content))

    def status(self, name: str) -> str:
        return run.read_state(self.root / name)["status"]

    def files(self) -> list[str]:
        return sorted(path.name for path in (self.root / "batches").iterdir())


@pytest.fixture
def sweep(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.mark.parametrize(
    ("until", "final", "status", "saved", "settled"),
    [
        (None, False, "done", (), True),
        (None, False, "diverged", (), True),
        (None, False, "failed", (), True),
        (None, False, "interrupted", (90,), False),
        (None, False, "created", (), False),
        (50, False, "interrupted", (40, 50), True),
        (50, False, "interrupted", (60,), True),  # further than that
        (50, False, "interrupted", (40,), False),
        (50, False, "created", (), False),
        (50, False, "done", (), True),
        (50, True, "interrupted", (50,), False),  # it was to end there
    ],
)
def test_a_batch_is_done_only_if_its_runs_are_where_it_left_them(
    until: int | None, final: bool, status: str, saved: tuple[int, ...], settled: bool, sweep: Folder
) -> None:
    runs = [sweep.add("trials/a", "done"), sweep.add("trials/b", status, *saved)]
    batch = RunBatch("r0-s0-00", runs, 2, until, final)
    mark(sweep.root, batch, 3.0)
    correct_markers(sweep.root, [batch])
    assert is_done(sweep.root, batch) is settled


@pytest.mark.parametrize(
    ("status", "done"), [("done", True), ("diverged", True), ("failed", False), ("created", False)]
)
def test_a_batch_whose_runs_have_ended_is_not_trained_again(status: str, done: bool, sweep: Folder) -> None:
    """A run that failed may be tried again."""
    batch = RunBatch("r0-s0-00", [sweep.add("trials/a", "done"), sweep.add("trials/b", status)], 2)
    correct_markers(sweep.root, [batch])
    assert is_done(sweep.root, batch) is done


def test_of_a_batch_that_was_cut_each_part_has_its_own_marker(sweep: Folder) -> None:
    runs = [sweep.add(f"trials/{name}", status) for name, status in (("a", "done"), ("b", "created"))]
    batch = RunBatch("r0-s0-00", runs, 2)
    (sweep.root / "batches" / "r0-s0-00.cut.json").write_text("{}")
    correct_markers(sweep.root, [batch])
    assert sweep.files() == ["r0-s0-00.cut.json", "r0-s0-00a.done.json"]


def test_of_several_seeds_all_have_to_be_there(sweep: Folder) -> None:
    batch = RunBatch("r0-s0-00", [sweep.add("trials/a", "interrupted", 50, seeds=2)], 2, 50)
    mark(sweep.root, batch, 1.0)
    correct_markers(sweep.root, [batch])
    assert is_done(sweep.root, batch)
    (sweep.root / "trials/a/seed_1/checkpoints/step_00000050").rename(sweep.root / "moved")
    correct_markers(sweep.root, [batch])
    assert not is_done(sweep.root, batch)


def reopened(sweep: Folder, runs: list[str], rungs: bool = False, exploits: bool = False) -> list[str]:
    return reopen_round(sweep.root, "r0", runs, rungs, exploits)


def test_a_round_that_lacks_nothing_is_left_alone(sweep: Folder) -> None:
    runs = [sweep.add("trials/a", "done", 90), sweep.add("trials/b", "interrupted", 40)]
    sweep.plan("r0-s0", RunBatch("r0-s0-00", runs[:1], 1), RunBatch("r0-s0-01", runs[1:], 1))
    mark(sweep.root, RunBatch("r0-s0-00", runs[:1], 1), 1.0)
    before = sorted(sweep.root.rglob("*"))
    assert reopened(sweep, runs) == []
    assert sorted(sweep.root.rglob("*")) == before


def test_a_run_that_was_made_anew_is_trained_again_and_the_others_of_its_batch_are_not(sweep: Folder) -> None:
    runs = [sweep.add("trials/a", "done", 90), sweep.add("trials/b", "created")]
    batch = RunBatch("r0-s0-00", runs, 2)
    sweep.plan("r0-s0", batch)
    mark(sweep.root, batch, 1.0)
    assert reopened(sweep, runs) == ["trials/b"]
    assert (sweep.status("trials/a"), sweep.status("trials/b")) == ("done", "created")
    assert not is_done(sweep.root, batch)


def test_a_batch_that_names_a_run_of_no_trial_is_not_looked_at(sweep: Folder) -> None:
    """One of another round, or a trial that is to be packed again."""
    runs = [sweep.add("trials/a", "created")]
    batch = RunBatch("r0-s0-00", [*runs, "trials/gone"], 2)
    sweep.plan("r0-s0", batch)
    mark(sweep.root, batch, 1.0)
    assert reopened(sweep, runs) == [] and is_done(sweep.root, batch)


@pytest.mark.parametrize(
    ("first", "second", "stuck"),
    [
        ((30, 40), (40, 50), False),
        ((30, 40), (50,), True),  # none of one step
        ((30,), (), False),  # whoever has none begins again, and the other with it
        ((), (), False),
    ],
)
def test_runs_that_share_no_checkpoint_begin_again(
    first: tuple[int, ...], second: tuple[int, ...], stuck: bool, sweep: Folder
) -> None:
    runs = [sweep.add("trials/a", "interrupted", *first), sweep.add("trials/b", "interrupted", *second)]
    sweep.plan("r0-s0", RunBatch("r0-s0-00", runs, 2))
    assert reopened(sweep, runs) == (runs if stuck else [])
    if stuck:
        assert sweep.status("trials/a") == "created" and not (sweep.root / "trials/a/checkpoints").exists()


def test_a_run_that_waits_at_a_rung_does_not_hold_up_the_others(sweep: Folder) -> None:
    """At step 50 it is there; the other one continues alone from 30."""
    runs = [sweep.add("trials/a", "interrupted", 50), sweep.add("trials/b", "interrupted", 30)]
    sweep.plan("r0-s0", RunBatch("r0-s0-00", runs, 2, 50))
    assert reopened(sweep, runs) == []


def chain(sweep: Folder, *files: str) -> None:
    for file in files:
        (sweep.root / "batches" / f"r0-{file}.json").write_text('{"runs": [], "batches": []}')


def test_where_trials_are_compared_all_that_have_not_ended_are_trained_again_together(sweep: Folder) -> None:
    """A run that begins again needs the others of its programs where they were."""
    runs = [
        sweep.add("trials/a", "done", 50, steps=50), sweep.add("trials/b", "created"),
        sweep.add("trials/c", "interrupted", 50),
    ]  # fmt: skip
    batches = RunBatch("r0-s0-00", runs[:2], 2, 50), RunBatch("r0-s0-01", runs[2:], 1, 50)
    sweep.plan("r0-s0", *batches)
    for batch in batches:
        mark(sweep.root, batch, 1.0)
    chain(sweep, "s0.rung", "s0x")
    assert reopened(sweep, runs, rungs=True) == ["trials/b", "trials/c"]
    assert (sweep.status("trials/a"), sweep.status("trials/c")) == ("done", "created")


def test_where_trials_take_states_of_others_all_of_them_are_trained_again(sweep: Folder) -> None:
    runs = [sweep.add("trials/a", "done", 50, steps=50), sweep.add("trials/b", "created")]
    batch = RunBatch("r0-s0-00", runs, 2, 50)
    sweep.plan("r0-s0", batch)
    mark(sweep.root, batch, 1.0)
    chain(sweep, "s0.rung", "s0-exploit.done")
    assert reopened(sweep, runs, rungs=True, exploits=True) == runs
    assert sweep.status("trials/a") == "created"
    assert "r0-s0-exploit.done.json" not in sweep.files()


@pytest.mark.parametrize(
    ("files", "gap"),
    [
        ([], True),  # a run is at step 40 of which no stage says that it may
        (["s0"], False),
        (["s0", "s0.rung"], False),
        (["s0", "s0.rung", "s0x", "s1"], False),
        (["s0", "s0x"], True),  # what was decided is not written down
        (["s0.rung"], True),
        (["s0", "s0.rung", "s1"], True),
        (["s0", "s0.rung", "s0x", "s1.rung"], True),
        (["s10"], True),
    ],
)
def test_a_decision_that_is_lost_is_seen_by_what_follows_from_it(
    files: list[str], gap: bool, sweep: Folder
) -> None:
    runs = [sweep.add("trials/a", "interrupted", 40), sweep.add("trials/b", "created")]
    chain(sweep, *files)
    if "s0" in files:
        sweep.plan("r0-s0", RunBatch("r0-s0-00", runs, 2, 50))
    (sweep.root / "batches" / "r0-s0-00.cut.json").write_text(
        "{}"
    )  # how a batch had to be cut is no decision
    (sweep.root / "batches" / "r0b-s9.json").write_text('{"batches": []}')  # of another round
    assert reopened(sweep, runs, rungs=True) == (["trials/a"] if gap else [])
    left = {"r0-s0-00.cut.json", "r0b-s9.json"}
    if gap:
        assert set(sweep.files()) == left and sweep.status("trials/a") == "created"
    else:
        assert set(sweep.files()) == left | {f"r0-{file}.json" for file in files}


@pytest.mark.parametrize(
    ("status", "saved", "steps", "decided", "gap"),
    [
        ("interrupted", (50,), None, False, False),
        ("interrupted", (50, 60), None, False, True),  # further than its stage lets it be
        ("done", (), 50, False, True),  # it ended where it was to be ranked, which is not written down
        ("done", (), 50, True, False),
        ("done", (), 40, False, False),  # early stopping
        ("done", (), 60, True, True),
    ],
)
def test_no_run_is_further_than_what_is_decided(
    status: str, saved: tuple[int, ...], steps: int | None, decided: bool, gap: bool, sweep: Folder
) -> None:
    runs = [sweep.add("trials/a", status, *saved, steps=steps)]
    sweep.plan("r0-s0", RunBatch("r0-s0-00", runs, 1, 50))
    mark(sweep.root, RunBatch("r0-s0-00", runs, 1, 50), 1.0)
    if decided:
        chain(sweep, "s0.rung", "s0x")
    assert repair._has_gap(sweep.root, "r0", runs, exploits=False) is gap


# What a run lacks


@pytest.fixture
def described(sweep: Folder, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """described(status, *saved, seeds=...): a run with its descriptions, its log and the spec that it was made of."""
    monkeypatch.setattr(flaws, "recorded", lambda path: None)
    monkeypatch.setattr(flaws, "has_own_spec", lambda path: (path / "resolved.yaml").read_text() == "own")

    def make(status: str, *saved: int, seeds: int = 1) -> Path:
        folder = sweep.root / sweep.add("trials/a", status, *saved, steps=90, seeds=seeds)
        for path in dict.fromkeys([folder, *(run.members(folder) or [folder])]):
            for name in ("resolved.yaml", "spec.yaml", "run.json", "summary.json"):
                (path / name).write_text("own" if name == "resolved.yaml" else "{}")
            (path / "metrics.jsonl").write_text('{"step": 10, "val/loss": 0.5}\n')
        return folder

    return make


@pytest.mark.parametrize("lost", ["resolved.yaml", "spec.yaml", "run.json", "state.json"])
@pytest.mark.parametrize("seeds", [1, 2])
def test_a_file_that_a_run_needs_is_named(seeds: int, lost: str, described: Callable[..., Path]) -> None:
    folder = described("done", seeds=seeds)
    assert flaw(folder, range(seeds), "val/loss") is None
    where = folder if seeds == 1 else folder / "seed_1"
    (where / lost).unlink()
    assert flaw(folder, range(seeds), "val/loss") == (lost if seeds == 1 else f"seed_1/{lost}")


def test_a_spec_that_was_edited_is_a_flaw(described: Callable[..., Path]) -> None:
    folder = described("interrupted", 40)
    (folder / "resolved.yaml").write_text("edited")
    assert flaw(folder, [0], "val/loss") == "resolved.yaml"


@pytest.mark.parametrize("lost", ["summary.json", "metrics.jsonl"])
def test_a_run_that_has_ended_needs_its_results_and_no_checkpoints(
    lost: str, described: Callable[..., Path]
) -> None:
    folder = described("done")
    assert flaw(folder, [0], "val/loss") is None
    (folder / lost).unlink()
    assert flaw(folder, [0], "val/loss") == lost
    run.write_state(folder, "failed")
    assert flaw(folder, [0], "val/loss") is None  # it has none


@pytest.mark.parametrize(
    ("status", "saved", "metrics", "best", "found"),
    [
        ("created", (), None, None, None),
        ("interrupted", (), None, None, None),  # it begins again
        ("interrupted", (40,), None, None, "metrics.jsonl"),
        ("interrupted", (20, 40), 0.5, 20, None),
        ("interrupted", (40,), 0.5, 20, "checkpoints/step_00000020"),
        ("interrupted", (40,), 0.5, None, None),
    ],
)
def test_a_run_that_goes_on_needs_its_log_and_the_state_of_its_best_step(
    status: str, saved: tuple[int, ...], metrics: float | None, best: int | None, found: str | None,
    described: Callable[..., Path], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder = described(status, *saved)
    if metrics is None:
        (folder / "metrics.jsonl").unlink()

    latest = SimpleNamespace(progress={"best": None if best is None else {"step": best, "value": 0.5}})
    monkeypatch.setattr(flaws.checkpoint, "load_latest", lambda place, warn: latest if saved else None)
    assert flaw(folder, [0], "val/loss") == found


def member_flaw(folder: Path, status: str, value: Any, metric: str) -> str | None:
    """Of a seed that has ended in this way before the other one, without checkpoints."""
    run.write_state(folder / "seed_0", status)
    (folder / "seed_0" / "metrics.jsonl").write_text(json.dumps({"step": 10, "val/loss": value}) + "\n")
    return flaw(folder, [0, 1], metric)


def test_a_seed_that_ended_before_the_others_has_a_best_step_to_test(described: Callable[..., Path]) -> None:
    folder = described("interrupted", seeds=2)
    assert member_flaw(folder, "done", 0.5, "val/loss") == "seed_0/checkpoints"
    assert member_flaw(folder, "diverged", 0.5, "val/loss") == "seed_0/checkpoints"
    assert member_flaw(folder, "diverged", 0.5, "val/accuracy") is None  # it had no value before it diverged
    assert member_flaw(folder, "diverged", "NaN", "val/loss") is None


def test_a_run_that_cannot_be_measured_on_resamples(
    described: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = described("done", seeds=2)
    asked: list[str] = []

    def load(path: Path, which: str, warn: object) -> None:
        asked.append(f"{path.name} {which}")
        if path.name == "seed_1":
            raise RunError("lost")

    monkeypatch.setattr(flaws, "load_checkpoint", load)
    assert unmeasured(folder) == "seed_1/checkpoints" and asked == ["seed_0 best", "seed_1 best"]
    (folder / EXAMPLES).write_text("{}")
    assert unmeasured(folder) is None  # it has been
    (folder / EXAMPLES).unlink()
    run.write_state(folder / "seed_0", "diverged")
    assert unmeasured(folder) is None


def test_a_run_is_taken_back_to_its_beginning(described: Callable[..., Path]) -> None:
    folder = described("done", 40, 90, seeds=2)
    (folder / "lock").write_text("")
    rewind(folder)
    assert {path.name for path in folder.iterdir()} == {
        "seed_0", "seed_1", "state.json", "resolved.yaml", "spec.yaml", "run.json", "lock",
    }  # fmt: skip
    assert {path.name for path in (folder / "seed_1").iterdir()} == {
        "state.json", "resolved.yaml", "spec.yaml", "run.json",
    }  # fmt: skip
    assert run.read_state(folder / "seed_1") == {"status": "created", "step": 0}
