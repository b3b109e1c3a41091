"""What `nnrun ensemble` and `nnrun predict` refuse, in one line each, and that nothing is left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nnrun import signals
from nnrun.ensemble.members import find
from nnrun.ensemble.parameters import independent
from nnrun.ensemble.write import building
from nnrun.errors import Interrupted, SpecError
from nnrun.prediction import by_member as predict
from nnrun.prediction.member import Member
from nnrun.record import checkpoint

SPEC = """
data: {name: digits, batch_size: 64}
model: {name: mlp, hidden: [8]}
optimizer: {name: adam, learning_rate: 3e-3}
train: {duration: 2 epochs}
"""
FEW = """
data: {name: csv, path: few.csv, target: y, batch_size: 4, test: 0.1, validation: 0.1}
model: {name: mlp, hidden: [4]}
loss: squared_error
optimizer: {name: adam, learning_rate: 1e-2}
train: {duration: 2 epochs, seeds: 2}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, warm: Callable[..., Any]) -> Path:
    """runs/ab of two seeds, runs/wide of another width, runs/bent like it with tanh, runs/other on another split,
    and runs/lost, which diverged."""
    folder = tmp_path_factory.mktemp("refusals")
    (folder / "spec.yaml").write_text(SPEC)
    variants = {
        "ab": ["train.seeds=2"],
        "wide": ["model.hidden=[12]"],
        "bent": ["model.hidden=[12]", "model.activation=tanh"],
        "other": ["data.split_seed=1"],
        "lost": ["optimizer={name: sgd, learning_rate: 1e30}"],
    }
    for name, changes in variants.items():
        done = warm("train", "spec.yaml", "--run-dir", f"runs/{name}", "--quiet", *changes, folder=folder)
        assert done.code == (5 if name == "lost" else 0), done.err
    return folder


@pytest.fixture
def refused(runs: Path, warm: Callable[..., Any]) -> Callable[..., str]:
    """refused(code, *arguments): the message; nothing may be printed or left behind."""

    def run(code: int, *arguments: object) -> str:
        before = sorted(runs.rglob("*"))
        done = warm(*arguments, folder=runs)
        assert (done.code, done.out) == (code, ""), done.err
        assert sorted(runs.rglob("*")) == before
        assert all(line.startswith("nnrun: ") for line in done.err.splitlines())
        return done.err

    return run


def copy(runs: Path, tmp_path: Path, name: str = "wide") -> Path:
    return Path(shutil.copytree(runs / "runs" / name, tmp_path / name))


def test_members_that_are_missing_are_all_named(refused):
    said = refused(4, "ensemble", "runs/abc", "runs/wid", "runs/ab").splitlines()
    assert len(said) == 2
    assert "runs/abc: no such run" in said[0] and "runs/wid" in said[1]


def test_a_damaged_member_is_refused_by_name(runs, tmp_path, refused):
    folder = copy(runs, tmp_path)
    last = sorted((folder / "checkpoints").iterdir())[-1] / "arrays.safetensors"
    content = bytearray(last.read_bytes())
    content[-5] ^= 1
    last.write_bytes(content)
    said = refused(4, "ensemble", "runs/ab", folder)
    assert (
        said
        == f"nnrun: {last}: its SHA-256 differs from the manifest's; restore it from a copy or use another checkpoint\n"
    )
    last.unlink()
    assert "this file is missing" in refused(4, "ensemble", "runs/ab", folder)


def test_diverged_and_duplicate_members_are_refused_by_name(runs, tmp_path, refused):
    said = refused(4, "ensemble", "runs/ab", "runs/lost", "runs/ab/seed_1").splitlines()
    assert "runs/lost: diverged, so it cannot be a member" in said[0]
    assert (
        "runs/ab/seed_1" in said[1] and "the same as runs/ab/seed_1" in said[1] and "name it once" in said[1]
    )
    assert "the same as" in refused(4, "ensemble", "runs/wide", copy(runs, tmp_path))


def test_members_of_other_data_are_refused(refused):
    said = refused(4, "ensemble", "runs/ab", "runs/other")
    assert "runs/other: step" in said and "trained on other data than runs/ab/seed_0" in said


def test_parameters_of_another_structure_are_refused_with_leaf_and_shapes(refused, runs, warm):
    said = refused(4, "ensemble", "runs/ab", "runs/wide", "--average", "parameters")
    assert ("params/hidden_1/bias is float32 [12]" in said and "it is float32 [8]" in said) or (
        "params/hidden_1/bias is float32 [8]" in said and "it is float32 [12]" in said
    )
    assert "--average probabilities" in said
    done = warm("ensemble", "runs/ab", "runs/wide", "-o", "runs/mixed", folder=runs)
    assert (done.code, done.err) == (0, "")  # predictions can be averaged, and no terminal wants a bar
    shutil.rmtree(runs / "runs" / "mixed")


def test_parameters_of_another_model_of_the_same_shapes_are_refused_with_the_option(refused):
    said = refused(4, "ensemble", "runs/wide", "runs/bent", "--average", "greedy")
    assert "model.activation is " in said and "tanh" in said and "relu" in said
    assert "--average probabilities" in said and len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("code", "arguments", "said"),
    [
        (
            2,
            ["ensemble", "runs/ab", "--average", "mean"],
            "write one of probabilities, logits, vote, weighted",
        ),
        (
            2,
            ["ensemble", "runs/ab", "--checkpoints", "first"],
            "write last, best, all, cycle, or steps: 100,200",
        ),
        (2, ["ensemble", "runs/ab", "--split", "dev"], "write one of train, val, test"),
        (2, ["ensemble", "runs/ab", "--top", "2"], "none of the members is a sweep"),
        (2, ["ensemble", "runs/wide", "--barrier"], "name two members"),
        (4, ["ensemble", "runs/ab", "--checkpoints", "cycle"], "train with checkpoint.keep=cycle_ends"),
        (
            4,
            ["ensemble", "runs/ab", "--checkpoints", "7"],
            "has no checkpoint '7'; write last, best or a step: ",
        ),
        (4, ["ensemble", "runs/ab/seed_0:7"], "has no checkpoint '7'"),
        (4, ["ensemble", "runs/ab", "-o", "runs/wide"], "already exists; choose another folder"),
        (4, ["predict", "runs/ab", "--split", "test", "-o", "p.csv"], "a group of 2 runs; name one"),
        (2, ["predict", "runs/wide", "-o", "p.csv"], "what to predict for?"),
        (
            2,
            ["predict", "runs/wide", "--split", "test", "-o", "p.txt"],
            "write a name that ends in .csv or .npz",
        ),
        (3, ["predict", "runs/wide", "nothing.npz", "-o", "p.csv"], "nothing.npz: there is no such file"),
        (3, ["predict", "runs/wide", "spec.yaml", "-o", "p.csv"], "spec.yaml"),
    ],
)
def test_what_else_is_refused(code, arguments, said, refused):
    assert said in refused(code, *arguments)


def test_the_best_trials_of_a_sweep(runs, tmp_path, warm):
    sweep = tmp_path / "sweep"
    for name in ("wide", "ab"):
        shutil.copytree(runs / "runs" / name, sweep / "trials" / name)
    trials = [
        {"run": "trials/wide", "metric": 0.9, "status": "done"},
        {"run": "trials/gone", "metric": None, "status": "diverged"},
        {"run": "trials/ab", "metric": 0.8, "status": "done"},
    ]
    (sweep / "leaderboard.json").write_text(json.dumps({"trials": trials}))
    for top, members in ((1, 1), (2, 3)):  # the second trial has two seeds
        done = warm("ensemble", sweep, "--top", top, "--json", folder=tmp_path)
        assert done.code == 0, done.err
        assert len(done.json["members"]) == members
    done = warm("ensemble", sweep, "--top", 3, folder=tmp_path)
    assert done.code == 4 and "the sweep has 2 finished trials" in done.err
    done = warm("ensemble", sweep, folder=tmp_path)
    assert done.code == 2 and "write --top 5" in done.err


def test_a_sweep_that_is_not_finished_has_no_best_trials(runs, tmp_path, warm):
    shutil.copytree(runs / "runs" / "ab", tmp_path / "sweep" / "trials" / "ab")
    (tmp_path / "sweep" / "sweep.json").write_text("{}")
    done = warm("ensemble", "sweep", "--top", 1, folder=tmp_path)
    assert done.code == 4 and "sweep: the sweep is not finished; `nnrun sweep --resume sweep`" in done.err


def test_a_member_that_predicts_nan_is_refused_by_name(runs, tmp_path, refused):
    """Its parameters are finite, but 10²⁵ times what they were: two layers later that is no float32."""
    folder = copy(runs, tmp_path)
    place = sorted((folder / "checkpoints").iterdir())[-1]
    content = checkpoint.load(place)
    huge = {name: array * np.float32(1e25) for name, array in content.arrays.items() if "params/" in name}
    shutil.rmtree(place)
    checkpoint.save(place.parent, *content._replace(arrays={**content.arrays, **huge}))
    said = refused(4, "ensemble", "runs/ab", folder, "--checkpoints", "last")
    assert "wide:" in said and "predicts NaN or infinity on the val part; name the others" in said


@pytest.mark.slow
def test_a_test_part_of_one_example_has_no_r2(tmp_path, warm):
    """Its targets do not vary; everything else is told."""
    table = "\n".join(["a,y", *(f"{i},{i * i + 0.5}" for i in range(8))])
    (tmp_path / "few.csv").write_text(table)
    (tmp_path / "few.yaml").write_text(FEW)
    assert warm("train", "few.yaml", "--run-dir", "few", "-q", folder=tmp_path).code == 0
    done = warm("ensemble", "few", folder=tmp_path)
    assert done.code == 0, done.err
    assert "gain over the mean member: rmse" in done.out and "member: r2" not in done.out
    assert "undefined" in done.out
    assert "ensemble of 2, mean" in done.out and "probabilities" not in done.out
    done = warm("ensemble", "few", "--average", "vote", folder=tmp_path)
    assert done.code == 2 and "the members predict numbers; write --average probabilities" in done.err


@pytest.mark.slow
def test_members_of_another_loss_are_told(runs, tmp_path, warm):
    change = "loss={name: cross_entropy, label_smoothing: 0.1}"
    done = warm("train", "spec.yaml", "--run-dir", tmp_path / "smooth", "-q", change, folder=runs)
    assert done.code == 0, done.err
    done = warm("ensemble", runs / "runs" / "wide", "smooth", folder=tmp_path)
    [line] = done.err.splitlines()
    assert done.code == 0 and "its loss is {'name': 'cross_entropy', 'label_smoothing': 0" in line
    assert line.endswith("every metric here is by the latter")


def test_a_signal_ends_the_search_for_members(runs, monkeypatch):
    monkeypatch.setattr(signals, "pending", lambda: signal.SIGTERM)
    with pytest.raises(Interrupted, match="nothing was written"):
        find([str(runs / "runs" / "ab")], runs, "last", None, pytest.fail)


def test_a_vote_on_numbers_is_refused_before_anything_is_predicted(monkeypatch, tmp_path):
    regression = SimpleNamespace(kind="numbers")
    monkeypatch.setattr(predict, "by_model", lambda folders: iter([[0]]))
    monkeypatch.setattr(predict, "open_model", lambda folder, warn, parts: regression)
    member = Member(tmp_path, 1, "", "", "", b"")
    with pytest.raises(SpecError, match="vote: the members predict numbers"):
        predict.predict([member], "test", "vote", tmp_path, pytest.fail, lambda *_: pytest.fail("predicts"))


def test_runs_of_one_seed_are_independent_where_their_specs_differ(runs):
    def of(*names: str) -> list[Member]:
        return find([str(runs / "runs" / name) for name in names], runs, "last", None, pytest.fail)

    assert independent(of("ab/seed_0", "wide")) is not None
    assert independent(of("ab/seed_0", "ab/seed_1")) is not None
    assert independent(of("ab/seed_0")) is None


def test_what_a_process_of_the_same_number_left_is_cleared(tmp_path):
    """In a container every process may have the number that a killed one had."""
    left = tmp_path / f".tmp_ensemble-{os.getpid()}"
    left.mkdir()
    (left / "half").write_text("written")
    with building(tmp_path) as folder:
        assert folder == left and not (folder / "half").exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.quick(1)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_kill_leaves_nothing_half_written(number, runs, tmp_path, begun, warm):
    """At moments spread over its course; the next command clears what a SIGKILL left."""
    shutil.copytree(runs / "runs" / "ab", tmp_path / "runs" / "ab")
    codes = set()
    for patience in (None, 0.0, 0.05, 0.4):
        command = begun("ensemble", "ab", folder=tmp_path)
        if patience is not None:
            while command.poll() is None and not list(tmp_path.glob("runs/.tmp_*")):
                time.sleep(0.005)
            time.sleep(patience)
            command.send_signal(number)
        codes.add(command.wait())
        for folder in tmp_path.glob("runs/ensemble-*"):
            assert (folder / "state.json").is_file() and (folder / "summary.json").is_file()
            assert json.loads((folder / "state.json").read_text())["status"] == "done"
    assert codes <= {0, 128 + number, -number} and len(codes) == 2
    assert warm("ensemble", "ab", "-q", folder=tmp_path).code == 0
    assert list(tmp_path.glob("runs/.tmp_*")) == []


def test_a_damaged_ensemble_is_refused(runs, tmp_path, warm):
    """A member swapped for another good one, one that is gone, and a record that is no record."""

    def evaluated(folder: Path, said: str) -> None:
        done = warm("evaluate", folder, folder=runs)
        assert done.code == 4 and said in done.err, done.err
        assert len(done.err.splitlines()) == 1

    whole = tmp_path / "whole"
    assert warm("ensemble", "runs/ab", "-o", whole, "-q", folder=runs).code == 0
    done = warm("ensemble", whole / "member_01:7", folder=runs)
    assert done.code == 4 and "has no checkpoint '7'; write last, best or a step: " in done.err
    for number, said in enumerate(
        ("not the member that ensemble.json lists", "this member is missing; put it back", "damaged")
    ):
        folder = Path(shutil.copytree(whole, tmp_path / str(number)))
        if number == 0:
            a, b = (sorted((folder / f"member_0{i}" / "checkpoints").iterdir())[0] for i in (1, 2))
            swapped = a.with_name("swapped")
            a.rename(swapped)
            shutil.copytree(b, a.with_name(b.name))
        elif number == 1:
            shutil.rmtree(folder / "member_02")
        else:
            (folder / "ensemble.json").write_text('{"average": "probabilities"}')
        evaluated(folder, said)
