"""What runs that continue do before they train: they compile no first state, and remove what a kill left there."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from nnrun import signals
from nnrun.errors import Interrupted
from nnrun.record import checkpoint, run
from nnrun.runner import folds, session
from nnrun.runner.recorder import Recorder
from nnrun.training import compiling
from nnrun.training.compiling import LateProgram

SPEC = """
name: tiny
data: {name: digits, batch_size: 64, examples: 256}
model: {name: mlp, hidden: [8], dropout: 0.25}
optimizer: {name: adam, learning_rate: 0.01}
train: {duration: 40 steps, evaluate_every: 10 steps}
checkpoint: {every: 10 steps}
"""


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was compiled for first states; a program is lowered where it is compiled."""
    lowered_programs: list[Any] = []
    compile_one = compiling.compiled
    monkeypatch.setattr(
        compiling, "compiled", lambda lowered: lowered_programs.append(lowered) or compile_one(lowered)
    )
    return lowered_programs


def train(tmp_path: Path, name: str, *overrides: str, until: int | None = None) -> Path:
    """A new run; a signal comes when it has trained `until` steps."""
    (tmp_path / "spec.yaml").write_text(SPEC)
    prepared = session.prepare(tmp_path / "spec.yaml", overrides)
    folder = session.create(prepared, tmp_path / name, tmp_path)
    go_on(folds.train(prepared, folder, pytest.fail), until)
    return folder


def go_on(news: Any, until: int | None = None) -> None:
    for turn in news:
        if until is not None and turn.progress.phase == "training" and turn.progress.step >= until:
            signals.pass_on(signal.SIGTERM)


def results(folder: Path) -> dict[str, bytes]:
    members = run.members(folder) or [folder]
    files = {f"{m.name}/metrics.jsonl": (m / "metrics.jsonl").read_bytes() for m in members}
    return files | {f"{m.name}/arrays": checkpoint.arrays_file(m, 40).read_bytes() for m in members}


@pytest.mark.parametrize("overrides", [(), ("train.seeds=3",), ("train.precision=float64",)])
def test_a_run_that_continues_compiles_no_first_state(
    overrides: tuple[str, ...], compilations: list[Any], tmp_path: Path
) -> None:
    whole = train(tmp_path, "whole/run", *overrides)
    assert len(compilations) == 1, "the parts of a population share one"
    compilations.clear()
    with pytest.raises(Interrupted):
        train(tmp_path, "broken/run", *overrides, until=10)
    folder = tmp_path / "broken/run"
    assert run.read_state(folder)["status"] == "interrupted" and len(compilations) == 1
    compilations.clear()
    go_on(folds.resume(folder, pytest.fail, False))
    assert compilations == []
    assert run.read_state(folder)["status"] == "done"
    names = [name.partition("/")[2] for name in results(whole)]
    assert dict(zip(names, results(folder).values(), strict=True)) == dict(
        zip(names, results(whole).values(), strict=True)
    )


def test_a_seed_without_a_checkpoint_has_all_begin_again(compilations: list[Any], tmp_path: Path) -> None:
    whole = train(tmp_path, "whole/run", "train.seeds=2")
    with pytest.raises(Interrupted):
        train(tmp_path, "broken/run", "train.seeds=2", until=10)
    folder = tmp_path / "broken/run"
    shutil.rmtree(folder / "seed_1/checkpoints")
    compilations.clear()
    go_on(folds.resume(folder, lambda message: None, False))
    assert len(compilations) == 1 and results(folder) == results(whole)


def test_a_signal_while_the_first_state_is_compiled_leaves_the_run_resumable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: LateProgram) -> Any:
        raise Interrupted(signal.SIGTERM, "interrupted while compiling")

    with monkeypatch.context() as patched:
        patched.setattr(LateProgram, "compile", interrupted)
        with pytest.raises(
            Interrupted, match=r"interrupted while compiling; `nnrun resume .*/run` continues"
        ):
            train(tmp_path, "broken/run")
    assert run.read_state(tmp_path / "broken/run")["status"] == "interrupted"
    go_on(folds.resume(tmp_path / "broken/run", lambda message: None, False))
    assert results(tmp_path / "broken/run") == results(train(tmp_path, "whole/run"))


@pytest.mark.parametrize("seeds", [1, 2])
def test_what_was_not_pruned_when_a_run_was_killed_at_its_end_goes_when_it_is_resumed(
    seeds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prune = Recorder.prune

    def killed(self: Recorder) -> None:
        if self.step == 40:
            raise Interrupted(signal.SIGTERM, "after the last checkpoint was saved")
        prune(self)

    overrides = (f"train.seeds={seeds}", "checkpoint.keep=2")
    with monkeypatch.context() as patched:
        patched.setattr(Recorder, "prune", killed)
        with pytest.raises(Interrupted):
            train(tmp_path, "broken/run", *overrides)
    folder, whole = tmp_path / "broken/run", train(tmp_path, "whole/run", *overrides)
    members, others = (run.members(path) or [path] for path in (folder, whole))
    (members[-1] / "checkpoints/.trash_step_00000010").mkdir()
    kept = [sorted(path.name for path in (member / "checkpoints").iterdir()) for member in others]
    assert any(
        len([*(member / "checkpoints").iterdir()]) > len(names)
        for member, names in zip(members, kept, strict=True)
    )
    go_on(folds.resume(folder, pytest.fail, False))
    assert [sorted(path.name for path in (member / "checkpoints").iterdir()) for member in members] == kept
