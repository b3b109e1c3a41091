"""A signal at the end of a batch, of a fold, or while the answer of a sweep is written is not forgotten."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nnrun import signals
from nnrun.errors import Interrupted
from nnrun.record import run
from nnrun.report import drawing
from nnrun.report.sweep import answer as answers
from nnrun.runner import driver, folds, session
from nnrun.sweep import lifecycle, whole
from nnrun.sweep.batches import InProcess
from nnrun.sweep.engine import Engine

BASE = """
name: tiny
data: {name: digits, batch_size: 64, examples: 256}
model: {name: mlp, hidden: [4]}
optimizer: {name: sgd, learning_rate: 0.1}
train: {duration: 2 epochs}
"""
SWEEP = """
base: tiny.yaml
sweep:
  over: {model.hidden: {choice: [[4], [5]]}}
  search: grid
  seeds: 1
  final_seeds: 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(BASE)
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    return tmp_path


def no_view() -> Any:

    return contextlib.nullcontext(lambda progress: None)


def carried_out(place: Path, *, resume: bool = False) -> None:
    engine = Engine(pytest.fail)
    if resume:
        plan, target = lifecycle.continue_sweep(place / "out", [], engine), place / "out"
    else:
        plan, target = lifecycle.begin(place / "sweep.yaml", [], engine, place / "out", place)
    whole.carry_out(plan, target, engine, InProcess(engine), no_view, pytest.fail, True)


def signal_in(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, at: int = 1) -> list[int]:
    """Has a signal arrive when a function is called for the `at`-th time; returns the numbers of the calls."""
    calls: list[int] = []
    original: Callable[..., Any] = getattr(module, name)

    def interrupted(*arguments: Any, **named: Any) -> Any:
        calls.append(len(calls) + 1)
        if len(calls) == at:
            signals.pass_on(signal.SIGTERM)
        return original(*arguments, **named)

    monkeypatch.setattr(module, name, interrupted)
    return calls


def files(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (lifecycle, "_summary"), (answers, "as_data"), (answers, "_leaderboard_csv"), (drawing, "Picture"),
    ],
    ids=["summary", "leaderboard", "csv", "picture"],
)  # fmt: skip
def test_while_the_answer_is_written(
    module: Any,
    name: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with monkeypatch.context() as patched:
        if name == "Picture":
            from nnrun.report.sweep import plots as module

        calls = signal_in(patched, module, name)
        with pytest.raises(
            Interrupted, match=r"interrupted; `nnrun sweep --resume .*/out` continues"
        ) as error:
            carried_out(folder)
        assert (error.value.signum, error.value.exit_code) == (signal.SIGTERM, 143)
        assert len(calls) == 1, "it does not go on drawing"
    assert (
        run.read_state(folder / "out")["status"] == "interrupted"
        and not (folder / "out/report.html").exists()
    )
    trained = (folder / "out/trials.jsonl").read_bytes(), (folder / "out/final.jsonl").read_bytes()
    with monkeypatch.context() as patched:
        begun = signal_in(patched, driver, "_train", at=-1)
        carried_out(folder, resume=True)
        assert begun == [], "all runs were there"
    assert run.read_state(folder / "out")["status"] == "done" and (folder / "out/report.html").is_file()
    assert (folder / "out/final.jsonl").read_bytes() == trained[1]
    assert signals.pending() == 0


def test_at_the_end_of_a_batch_the_next_one_does_not_begin(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two nets are two programs; the signal arrives while the first is tested."""
    with monkeypatch.context() as patched:
        ended = signal_in(patched, driver, "finish")
        with pytest.raises(Interrupted):
            carried_out(folder)
        assert ended == [1]
    carried_out(folder, resume=True)
    assert run.read_state(folder / "out")["status"] == "done"


def test_at_the_end_of_a_fold_the_next_one_does_not_begin(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = session.prepare(folder / "tiny.yaml", ["train.folds=3"])
    place = session.create(prepared, folder / "cv", folder)
    with monkeypatch.context() as patched:
        ended = signal_in(patched, driver, "finish")
        with pytest.raises(
            Interrupted, match=r"interrupted after fold 1 of 3; `nnrun resume .*/cv` continues"
        ):
            list(folds.train(prepared, place, pytest.fail))
        assert ended == [1]
    list(folds.resume(place, lambda message: None))
    assert run.read_state(place)["status"] == "done"


def test_what_comes_too_late_for_a_run_alone_is_let_go(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is done, and there is nothing to resume."""
    prepared = session.prepare(folder / "tiny.yaml")
    place = session.create(prepared, folder / "alone", folder)
    signal_in(monkeypatch, driver, "finish")
    list(folds.train(prepared, place, pytest.fail))
    assert run.read_state(place)["status"] == "done" and signals.pending() == 0
