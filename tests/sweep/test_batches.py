"""Carrying out batches: what is done is skipped, what fails is cut in half; the trainer is the test's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from nnrun.errors import Interrupted, MachineError, NnrunError, SpecError
from nnrun.record import run
from nnrun.sweep import batches as batches_module
from nnrun.sweep.batches import Event, InProcess, carry_out, is_done, seconds_of
from nnrun.sweep.engine import RunBatch


class Trainer:
    """Fails every batch that has one of these runs, until it has failed so often."""

    def __init__(self, *bad: str, error: NnrunError | None = None, times: int = 1000) -> None:
        self.bad, self.error, self.times = set(bad), error or NnrunError("bad luck"), times
        self.trained: list[list[str]] = []

    def train(self, root: Path, batches: Sequence[RunBatch]) -> Iterator[Event]:
        for batch in batches:
            self.trained.append(list(batch.runs))
            yield Event(batch, 5, "training")
            if self.bad & set(batch.runs) and self.times:
                self.times -= 1
                yield Event(batch, 0, "failed", self.error)
            else:
                yield Event(batch, 0, "done")


@pytest.fixture
def sweep(tmp_path: Path) -> Callable[..., tuple[Path, RunBatch]]:
    """sweep("abc"): a folder with runs a, b, c and the batch that they are in."""

    def make(names: str, lanes: int = 0) -> tuple[Path, RunBatch]:
        (tmp_path / "batches").mkdir()
        for name in names:
            (tmp_path / name).mkdir()
            run.write_state(tmp_path / name, "created")
        return tmp_path, RunBatch("round-00", list(names), lanes or len(names))

    return make


def phases(events: Iterator[Event]) -> list[tuple[str, str]]:
    return [(event.batch.name, event.phase) for event in events]


def test_a_batch_is_carried_out_once(sweep):
    root, batch = sweep("ab")
    trainer = Trainer()
    assert not is_done(root, batch)
    assert phases(carry_out(root, [batch], trainer)) == [("round-00", "training"), ("round-00", "done")]
    assert is_done(root, batch)
    assert phases(carry_out(root, [batch], trainer)) == []
    assert trainer.trained == [["a", "b"]]


@pytest.mark.parametrize("names", ["a", "ab", "abc", "abcde", "abcdefgh"])
def test_the_run_to_blame_fails_alone(names: str, sweep):
    root, batch = sweep(names)
    bad = names[len(names) // 2]
    trainer = Trainer(bad)
    list(carry_out(root, [batch], trainer))
    states = {name: run.read_state(root / name) for name in names}
    assert {name for name, state in states.items() if state["status"] == "failed"} == {bad}
    assert states[bad]["reason"] == "bad luck"
    good = [runs for runs in trainer.trained if bad not in runs]
    assert sorted(name for runs in good for name in runs) == sorted(set(names) - {bad})


def test_two_bad_runs_are_both_found(sweep):
    root, batch = sweep("abcdef")
    list(carry_out(root, [batch], Trainer("a", "f")))
    assert [run.read_state(root / name)["status"] for name in "abcdef"] == [
        "failed",
        *["created"] * 4,
        "failed",
    ]


def test_halves_have_names_and_lanes_in_proportion(sweep):
    root, batch = sweep("abcde", lanes=10)
    seen = {event.batch.name: event.batch for event in carry_out(root, [batch], Trainer("e"))}
    assert seen["round-00a"] == RunBatch("round-00a", ["a", "b", "c"], 6)
    assert seen["round-00b"] == RunBatch("round-00b", ["d", "e"], 6)  # programs of one size serve both
    assert seen["round-00bb"].runs == ["e"]
    assert json.loads((root / "batches" / "round-00.cut.json").read_text()) == {"reason": "bad luck"}
    assert sorted(path.name for path in (root / "batches").glob("*.done.json")) == [
        "round-00a.done.json", "round-00ba.done.json", "round-00bb.done.json",
    ]  # fmt: skip


def test_what_was_cut_before_a_kill_stays_cut(sweep):
    root, batch = sweep("abcd")
    events = carry_out(root, [batch], Trainer("d"))
    for event in events:
        if event.batch.name == "round-00a" and event.phase == "done":
            events.close()  # type: ignore[attr-defined]
            break
    trainer = Trainer("d")
    list(carry_out(root, [batch], trainer))
    assert trainer.trained[0] == ["c", "d"]
    assert ["a", "b"] not in trainer.trained and ["a", "b", "c", "d"] not in trainer.trained


@pytest.mark.parametrize(
    ("error", "cut"),
    [
        (MachineError("the run needs 5 GiB of memory"), True),
        (SpecError("x: wrong"), True),
        (MachineError("disk full"), False),
    ],
)
def test_a_full_disk_is_no_fault_of_a_run_and_memory_may_be(error: NnrunError, cut: bool, sweep):
    root, batch = sweep("ab")
    trainer = Trainer("a", error=error, times=1)
    if not cut:
        with pytest.raises(MachineError, match="disk full"):
            list(carry_out(root, [batch], trainer))
        assert not is_done(root, batch)
        return
    list(carry_out(root, [batch], trainer))
    assert trainer.trained == [["a", "b"], ["a"], ["b"]]
    assert all(run.read_state(root / name)["status"] == "created" for name in "ab")


def test_an_interruption_leaves_the_batch_to_be_done(sweep):
    root, batch = sweep("ab")

    class Stopped:
        def train(self, root: Path, batches: Sequence[RunBatch]) -> Iterator[Event]:
            yield Event(batches[0], 1, "training")
            raise Interrupted(15)

    with pytest.raises(Interrupted):
        list(carry_out(root, [batch], Stopped()))
    assert not is_done(root, batch)
    assert run.read_state(root / "a")["status"] == "created"


def test_the_time_of_a_batch_is_shared_by_its_runs(sweep, monkeypatch):
    root, batch = sweep("abcd")
    now = iter([0.0, 3.0, 8.0])  # training, done, marked
    monkeypatch.setattr(batches_module.time, "monotonic", lambda: next(now))
    list(carry_out(root, [batch], Trainer()))
    assert [seconds_of(root, batch, name) for name in "abcd"] == [2.0] * 4
    assert seconds_of(root, batch, "stranger") == 0.0


def test_the_time_of_a_batch_that_was_cut_is_that_of_its_parts(sweep):
    root, batch = sweep("abc")
    (root / "batches" / "round-00.cut.json").write_text("{}")
    (root / "batches" / "round-00a.done.json").write_text('{"seconds": 8.0}')
    assert [seconds_of(root, batch, name) for name in "abc"] == [4.0, 4.0, 0.0]


# In this process


class Engine:
    """Trains one batch after another, or raises."""

    def __init__(self, *errors: BaseException | None) -> None:
        self.errors = list(errors)

    def train(self, root: Path, batch: RunBatch) -> Iterator[Event]:
        yield Event(batch, 3, "training")
        error = self.errors.pop(0)
        if error is not None:
            raise error


def test_errors_of_a_batch_are_news_of_it(tmp_path):
    batches = [RunBatch(name, [name], 1) for name in ("good", "told", "odd")]
    engine = Engine(None, SpecError("model.hidden: wrong"), ZeroDivisionError("division\nby zero"))
    events = list(InProcess(engine).train(tmp_path, batches))  # type: ignore[arg-type]
    assert [(event.batch.name, event.step, event.phase) for event in events] == [
        ("good", 3, "training"), ("good", 0, "done"), ("told", 3, "training"), ("told", 0, "failed"),
        ("odd", 3, "training"), ("odd", 0, "failed"),
    ]  # fmt: skip
    assert isinstance(events[3].error, SpecError)
    assert str(events[5].error) == r"ZeroDivisionError: division\nby zero"


def test_an_interruption_is_not_the_failure_of_a_batch(tmp_path):
    batches = [RunBatch(name, [name], 1) for name in ("a", "b")]
    with pytest.raises(Interrupted):
        list(InProcess(Engine(Interrupted(2), None)).train(tmp_path, batches))  # type: ignore[arg-type]
