"""What is sent to trackers: each line once and in order, whatever one of them does."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from nnrun import catalog
from nnrun.errors import RunError, SpecError
from nnrun.record import run
from nnrun.storage.lock import lock
from nnrun.track import send, state
from nnrun.tracker.mlflow import _name
from nnrun.tracking import Record, Row, Session, Tracker


class Kept:
    """A tracker that keeps all it gets, and fails from the n-th call of `log` on."""

    def __init__(self, fails_from: int | None = None) -> None:
        self.fails_from, self.calls = fails_from, 0
        self.records: dict[str, Record] = {}
        self.lines: dict[str, list[tuple[int, dict[str, float]]]] = {}
        self.files: dict[str, list[str]] = {}
        self.ends: dict[str, list[str]] = {}

    def tracker(self) -> Tracker:
        def begin(record: Record, known: str | None, folder: Path) -> Session:
            key = known or f"id of {record.name}"
            self.records.setdefault(key, record)

            def log(rows: Sequence[Row]) -> None:
                for step, metrics in rows:
                    self.calls += 1
                    if self.fails_from is not None and self.calls >= self.fails_from:
                        raise ConnectionError("nobody there")
                    self.lines.setdefault(key, []).append((step, dict(metrics)))

            def file(source: Path, name: str) -> None:
                assert source.is_file()
                self.files.setdefault(key, []).append(name)

            return Session(key, log, file, lambda status: self.ends.setdefault(key, []).append(status))

        return Tracker(begin)


def line(step: int, loss: float | str = 0.5) -> str:
    return json.dumps({"step": step, "epoch": step / 10, "val/loss": loss}) + "\n"


def write_run(folder: Path, status: str, lines: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "resolved.yaml").write_text(
        "model: {name: mlp, hidden: [4, 4]}\noptimizer: {learning_rate: 0.1}\n"
    )
    (folder / "metrics.jsonl").write_text("".join(lines))
    run.write_state(folder, status, step=len(lines))  # type: ignore[arg-type]
    return folder


def test_a_run_that_is_over_is_sent_whole(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "done", [line(1), line(2, "NaN")])
    kept = Kept()
    sent = send.send(folder, {"kept": kept.tracker()}, follow=True)
    (key,) = kept.lines
    assert [step for step, _ in kept.lines[key]] == [1, 2]
    assert kept.lines[key][0][1] == {"epoch": 0.1, "val/loss": 0.5} and math.isnan(
        kept.lines[key][1][1]["val/loss"]
    )
    assert kept.records[key].settings == {
        "model.name": "mlp",
        "model.hidden": [4, 4],
        "optimizer.learning_rate": 0.1,
    }
    assert kept.files[key] == ["resolved.yaml", "curves.png", "report.html"]
    assert kept.ends[key] == ["done"]
    assert sent["run"]["kept"] == {"id": key, "step": 2, "ended": True, "problem": None}
    send.send(folder, {"kept": kept.tracker()}, follow=False)
    assert (len(kept.lines[key]), kept.ends[key]) == (2, ["done"]), "nothing is sent twice"


def test_a_run_that_continues_continues_its_record(tmp_path: Path) -> None:
    """The lines after its last checkpoint are written again, and are not sent again."""
    kept = Kept()
    folder = write_run(tmp_path / "run", "interrupted", [line(1), line(2), line(3)])
    send.send(folder, {"kept": kept.tracker()}, follow=True)
    write_run(folder, "done", [line(1), line(2), line(3), line(4)])
    send.send(folder, {"kept": kept.tracker()}, follow=True)
    (key,) = kept.lines
    assert [step for step, _ in kept.lines[key]] == [1, 2, 3, 4]
    assert kept.ends[key] == ["interrupted", "done"]


def test_one_that_fails_disturbs_no_other_and_gets_the_rest_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_run(tmp_path / "run", "done", [line(1), line(2), line(3)])
    monkeypatch.setattr(send, "_AT_ONCE", 1)
    bad, good = Kept(fails_from=3), Kept()
    sent = send.send(folder, {"bad": bad.tracker(), "good": good.tracker()}, follow=True)
    assert sent["run"]["bad"]["problem"] == "ConnectionError: nobody there"
    assert (sent["run"]["bad"]["step"], sent["run"]["good"]["ended"]) == (2, True), (
        "it has what was sent before"
    )
    assert [*bad.ends.values()] == [["interrupted"]]
    bad.fails_from = None
    again = send.send(folder, {"bad": bad.tracker()}, follow=False)
    (key,) = bad.lines
    assert [step for step, _ in bad.lines[key]] == [1, 2, 3] and bad.ends[key] == ["interrupted", "done"]
    assert again["run"]["bad"]["problem"] is None and set(state.read(folder)) == {"bad", "good"}


def test_the_results_of_the_best_step_arrive(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "done", [line(1), line(2)])
    best = {"test/accuracy": 0.9, "val/loss": 0.1, "train/loss": 0.0, "val/auroc": "NaN"}
    summary = {"status": "done", "steps": 2, "metrics": {"best": best}, "best": None}
    (folder / "summary.json").write_text(json.dumps(summary))
    kept = Kept()
    send.send(folder, {"kept": kept.tracker()}, follow=False)
    (lines,) = kept.lines.values()
    assert lines[-1] == (2, {"best/test/accuracy": 0.9, "best/val/loss": 0.1})


def test_two_do_not_send_at_once(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "done", [line(1)])
    with lock(folder, "tracking.lock"), pytest.raises(RunError, match="in use by process"):
        send.send(folder, {"kept": Kept().tracker()}, follow=False)


def test_names_that_mlflow_takes() -> None:
    names = {
        "val/loss": "val/loss", "val/rmse(größe)": "val/rmse/größe", "rates.output/*": "rates.output/_2a",
        "a//b": "a/_/b", "rmse(..)": "rmse/_2e_2e", "a/.": "a/_2e", "x..y": "x..y",
    }  # fmt: skip
    assert {name: _name(name) for name in names} == names


def test_seeds_are_records_of_one_group(tmp_path: Path) -> None:
    for seed in range(2):
        write_run(tmp_path / f"group/seed_{seed}", "done", [line(1)])
    run.write_state(tmp_path / "group", "done")
    kept = Kept()
    send.send(tmp_path / "group", {"kept": kept.tracker()}, follow=False)
    assert [(record.name, record.group) for record in kept.records.values()] == [
        ("group-seed_0", "group"), ("group-seed_1", "group"),
    ]  # fmt: skip


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is no run or group of runs"):
        send.runs_in(tmp_path)
    (tmp_path / "ensemble.json").write_text("{}")
    with pytest.raises(RunError, match="is an ensemble; name one of the runs"):
        send.runs_in(tmp_path)


def test_a_package_that_is_missing_is_named(tmp_path: Path, warm: Any) -> None:
    import importlib.util

    write_run(tmp_path / "runs/run", "done", [line(1)])
    for name in ("aim", "mlflow", "tensorboard", "trackio", "wandb"):
        if importlib.util.find_spec(name) is None:
            done = warm("track", "run", name, folder=tmp_path)
            assert done.code == 6
            assert done.err == (
                f"nnrun: tracker {name}: the package is not installed; install it with pip install 'nnrun[{name}]'\n"
            )
    done = warm("track", "run", "tensorbord", folder=tmp_path)
    assert done.code == 2 and "did you mean tensorboard?" in done.err


SPEC = """
data: {name: digits, batch_size: 64, examples: 200}
model: {name: mlp, hidden: [8]}
optimizer: {name: adam, learning_rate: 1e-3}
train: {duration: 4 steps}
"""


def test_a_spec_names_its_trackers(tmp_path: Path) -> None:
    place = tmp_path / "spec.yaml"

    def texts(track: str, *overrides: str) -> list[str]:
        place.write_text(f"{SPEC}track: {track}\n")
        return catalog.bind(catalog.read(place, overrides)).track

    assert texts("mlflow") == ["mlflow"] and texts("null") == texts("mlflow", "track=null") == []
    assert texts("[wandb, {name: tensorboard, folder: logs}]") == [
        "wandb", json.dumps({"name": "tensorboard", "folder": str(tmp_path / "logs")}),
    ]  # fmt: skip
    assert texts("{name: mlflow}", "track.uri=http://a:5000") == [
        '{"name": "mlflow", "uri": "http://a:5000"}'
    ]
    with pytest.raises(SpecError) as caught:
        texts("[{name: mlflow, uri: 3}, {name: wandb, projekt: x}, mine:tracker]")
    lines = str(caught.value).splitlines()
    assert len(lines) == 1 and "did you mean project" in lines[0], "names come first"
    with pytest.raises(SpecError) as caught:
        texts("[{name: mlflow, uri: 3}, mine:tracker]")
    assert "track.0.uri: got 3" in str(caught.value) and "--track module:function" in str(caught.value)


def test_what_a_spec_names_is_checked_before_anything_trains_and_replaced_by_the_option(
    tmp_path: Path, warm: Any, keeps_contract: Any
) -> None:
    (tmp_path / "spec.yaml").write_text(f"{SPEC}track: [tensorbord]\n")
    done = warm("train", "spec.yaml", folder=tmp_path)
    assert done.code == 2 and "spec.yaml:6:9: track.0" in done.err and not (tmp_path / "runs").exists()
    (tmp_path / "spec.yaml").write_text(f"{SPEC}track: {{name: mlflow, uri: 'http://localhost:9'}}\n")
    (tmp_path / "mine.py").write_text(MINE)
    done = warm("train", "spec.yaml", "--track", "mine:kept", "-q", "--run-dir", "run", folder=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert set(state.read(tmp_path / "run")) == {"mine:kept"}
    assert state.read(tmp_path / "run")["mine:kept"]["ended"]
    done = warm("track", "run", "mine:kept", "--json", folder=tmp_path)
    keeps_contract("track", json.loads(done.out))
    assert "track" not in (tmp_path / "run/resolved.yaml").read_text()
    (tmp_path / "sweep.yaml").write_text("base: spec.yaml\nsweep: {over: {model.dropout: [0.0, 0.1]}}\n")
    done = warm("sweep", "sweep.yaml", "--dry-run", folder=tmp_path)
    assert done.code == 2 and "track: a sweep sends its runs to no tracker; leave track out" in done.err


MINE = """
from nnrun.tracking import Session, Tracker


def kept() -> Tracker:
    return Tracker(lambda record, known, folder: Session("id", lambda rows: None, lambda a, b: None, lambda s: None))
"""
