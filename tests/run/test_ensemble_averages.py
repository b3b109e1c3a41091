"""Averages that runs keep, as members of an ensemble and as what predicts: RUN:ema."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from nnrun.ensemble.members import find

SPEC = """
data: {name: digits, batch_size: 64}
model: {name: mlp, hidden: [16], norm: batch}
optimizer: {name: adam, learning_rate: 1e-2}
average: [{name: ema, decay: 0.95}, {name: swa, start: 1 epochs, every: 9 steps}]
train: {duration: 3 epochs}
checkpoint: {every: 1 epochs, keep: 3, best: val/ema/accuracy}
"""
ARRAYS = "checkpoints/step_{:08d}/arrays.safetensors"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, warm: Callable[..., Any]) -> Path:
    """runs/both, two seeds that keep two averages, and runs/plain, which keeps none."""
    folder = tmp_path_factory.mktemp("averages")
    (folder / "spec.yaml").write_text(SPEC)
    for name, *changes in (("both", "train.seeds=2"), ("plain", "average=[]", "checkpoint.best=val/loss")):
        done = warm("train", "spec.yaml", "--run-dir", f"runs/{name}", "--quiet", *changes, folder=folder)
        assert done.code == 0, done.err
    return folder


@pytest.fixture
def nnrun(runs: Path, warm: Callable[..., Any]) -> Callable[..., Any]:
    """nnrun(*arguments): what it says as JSON; it must succeed."""

    def run(*arguments: object) -> Any:
        done = warm(*arguments, "--json", folder=runs)
        assert done.code == 0, done.err
        return done.json

    return run


def averages_of(folder: Path, step: int) -> dict[str, np.ndarray]:
    """Parameters of the EMA by hand: the weighted sum over the sum of the weights."""
    arrays = load_file(folder / ARRAYS.format(step))
    sums = {
        n.removeprefix("average/ema/sum/"): a for n, a in arrays.items() if n.startswith("average/ema/sum/")
    }
    assert len(sums) >= 4
    return {f"params/{name}": value / arrays["average/ema/weight"] for name, value in sums.items()}


@pytest.mark.quick("ema-best")
@pytest.mark.parametrize(("average", "which"), [("ema", "best"), ("ema", "last"), ("swa", "last")])
def test_members_are_as_good_as_evaluate_says(average, which, nnrun, runs):
    account = nnrun("ensemble", f"both:{average}", "--checkpoints", which)
    measured = nnrun("evaluate", "both", "--checkpoint", which)["runs"]
    by_run = {Path(one["run_dir"]).name: one for one in measured}
    assert len(account["members"]) == 2
    for one in account["members"]:
        seed = Path(one["run"]).name
        wanted = by_run[seed]
        assert (one["step"], one["parameters"]) == (wanted["step"], average)
        assert one["name"] == f"both/{seed}:{one['step']}:{average}"
        for metric in ("accuracy", "loss"):
            found = one["metrics"][metric]
            assert found == pytest.approx(wanted["metrics"][f"test/{average}/{metric}"], rel=1e-5)
            assert metric == "accuracy" or found != pytest.approx(wanted["metrics"]["test/loss"], rel=1e-4)
    folder = runs / account["run_dir"]
    assert not (folder / ".averages").exists()
    again = nnrun("evaluate", folder)
    assert again["metrics"]["test/loss"] == pytest.approx(account["ensemble"]["loss"], rel=1e-6)
    alone = nnrun("evaluate", folder / "member_01")["metrics"]["test/accuracy"]
    assert alone == pytest.approx(account["members"][0]["metrics"]["accuracy"])
    listed = json.loads((folder / "ensemble.json").read_text())["members"]
    assert [one["parameters"] for one in listed] == [average, average]


@pytest.mark.slow
def test_predictions_of_an_average_are_as_good_as_evaluate_says(nnrun, runs):
    step = nnrun("evaluate", "both/seed_0", "--checkpoint", "last")["step"]
    found = {}
    for name in ("both/seed_0:last", "both/seed_0:last:ema", f"both/seed_0:{step}:ema"):
        nnrun("predict", name, "--split", "test", "-o", "said.npz", "--force")
        found[name] = np.load(runs / "said.npz", allow_pickle=False)
    raw, ema, same = found.values()
    measured = nnrun("evaluate", "both/seed_0", "--checkpoint", "last")["metrics"]
    for said, name in ((raw, "test"), (ema, "test/ema")):
        right = said["probabilities"][np.arange(len(said["targets"])), said["targets"]]
        assert (said["labels"] == said["targets"]).mean() == pytest.approx(measured[f"{name}/accuracy"])
        assert -np.log(right).mean() == pytest.approx(measured[f"{name}/loss"], rel=1e-4)
    np.testing.assert_array_equal(ema["probabilities"], same["probabilities"])
    nnrun(
        "predict", "both/seed_0:ema", "--checkpoint", "last", "--split", "test", "-o", "said.npz", "--force"
    )
    option = np.load(runs / "said.npz", allow_pickle=False)
    np.testing.assert_array_equal(ema["probabilities"], option["probabilities"])


def test_parameters_of_averages_are_averaged(nnrun, runs):
    """The EMA of a run and what it trained are two members, and half-way between them lies one net."""
    run = runs / "runs" / "both" / "seed_1"
    account = nnrun("ensemble", "both/seed_1:last", "both/seed_1:last:ema", "--average", "parameters")
    assert sorted(one["parameters"] for one in account["members"]) == ["ema", "trained"]
    assert len({one["sha256"] for one in account["members"]}) == 2
    step = account["members"][0]["step"]
    trained, ema = load_file(run / ARRAYS.format(step)), averages_of(run, step)
    found = load_file(runs / account["run_dir"] / ARRAYS.format(step))
    for name, value in ema.items():
        np.testing.assert_allclose(found[name], (trained[name] + value) / 2, rtol=1e-5, atol=1e-6)


def test_averages_of_the_best_trials_of_a_sweep(runs, tmp_path):
    shutil.copytree(runs / "runs" / "both", tmp_path / "sweep" / "trials" / "both")
    trials = [{"run": "trials/both", "metric": 0.9, "status": "done"}]
    (tmp_path / "sweep" / "leaderboard.json").write_text(json.dumps({"trials": trials}))
    for text, steps in (("sweep:ema", {60}), ("sweep:40:swa", {40})):
        found = find([text], tmp_path, "last", 1, pytest.fail)
        assert [one.average for one in found] == [text.split(":")[-1]] * 2
        assert {one.step for one in found} == steps


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ensemble", "both:emma"], "both/seed_0: keeps no average 'emma'; did you mean ema?"),
        (["predict", "both/seed_0:swap", "--split", "test"], "keeps no average 'swap'; did you mean swa?"),
        (["ensemble", "plain:ema"], "keeps no average 'ema'; train with average: ema"),
        (["ensemble", "both:ema", "both/seed_0:ema"], "ema: the same as runs/both/seed_0: step"),
        (["predict", "mixed:ema", "--split", "test"], "mixed: an ensemble, it keeps no average 'ema'"),
        (["ensemble", "mixed", "both/seed_1:ema"], "name it once"),
        (["predict", "nobody:ema", "--split", "test"], "nobody: no such run here or in runs"),
    ],
)
def test_what_is_refused(arguments, said, nnrun, runs, warm):
    if not (runs / "runs" / "mixed").exists():
        assert len(nnrun("ensemble", "both/seed_0", "both/seed_1:ema", "-o", "runs/mixed")["members"]) == 2
    before = sorted((runs / "runs").iterdir())
    done = warm(*arguments, folder=runs)
    assert done.code == 4 and said in done.err, done.err
    assert all(line.startswith("nnrun: ") for line in done.err.splitlines())
    assert sorted((runs / "runs").iterdir()) == before
