"""`nnrun ensemble` through the real command line, its numbers recomputed from what it saved."""

from __future__ import annotations

import gc
import itertools
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy import special

import nnrun
from nnrun.ensemble import make
from nnrun.ensemble.make import EnsembleRequest
from nnrun.ensemble.unmeasured import make_unmeasured
from nnrun.errors import DataError, SpecError

SPEC = """
data: {name: digits, batch_size: 64}
model: {name: mlp, hidden: [16], norm: batch}
optimizer: {name: adam, learning_rate: 3e-3}
schedule: {name: cosine_restarts, period: 2 epochs}
train: {duration: 6 epochs, log_every: 50 steps}
checkpoint: {keep: cycle_ends}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, warm: Callable[..., Any]) -> Path:
    """A folder that holds runs/four, a population of four seeds, and runs/wide, one run of another width."""
    folder = tmp_path_factory.mktemp("ensemble")
    (folder / "spec.yaml").write_text(SPEC)
    for name, *changes in (("four", "train.seeds=4"), ("wide", "model.hidden=[8]", "data.split_seed=0")):
        done = warm("train", "spec.yaml", "--run-dir", f"runs/{name}", "--quiet", *changes, folder=folder)
        assert done.code == 0, done.err
    return folder


@pytest.fixture
def ensemble(runs: Path, warm: Callable[..., Any]) -> Callable[..., Any]:
    """ensemble(*arguments): the folder and the account; it must succeed."""

    def run(*arguments: object) -> tuple[Path, dict[str, Any], str]:
        done = warm("ensemble", *arguments, "--json", folder=runs)
        assert done.code == 0, done.err
        return runs / done.json["run_dir"], done.json, done.err

    return run


def saved(folder: Path, name: str) -> np.ndarray:
    return np.load(folder / "predictions" / f"{name}.npy", allow_pickle=False)


def outputs(folder: Path, account: dict[str, Any], part: str = "test") -> np.ndarray:
    count = len(account["members"])
    return np.stack([saved(folder, f"member_{i + 1:02d}_{part}") for i in range(count)]).astype(np.float64)


def kernels(folder: Path, account: dict[str, Any]) -> list[dict[str, np.ndarray]]:
    place = "checkpoints/step_{:08d}/arrays.safetensors"
    return [load_file(Path(one["run"]) / place.format(one["step"])) for one in account["members"]]


def test_probabilities_logits_and_votes_from_the_saved_predictions(ensemble):
    for how in ("probabilities", "logits", "vote"):
        folder, account, _ = ensemble("four", "--average", how)
        z, y = outputs(folder, account), saved(folder, "targets_test")
        p = special.softmax(z, axis=2)
        if how == "probabilities":
            wanted = p.mean(0)
        elif how == "logits":
            wanted = special.softmax(z.mean(0), axis=1)
        else:
            wanted = (5 * np.eye(10)[z.argmax(2)].mean(0) + p.mean(0)) / 6  # 4 votes, and p as a fifth of one
        said = saved(folder, "ensemble_test")
        np.testing.assert_allclose(said, wanted, rtol=1e-10, atol=1e-14)
        assert account["ensemble"]["accuracy"] == pytest.approx((wanted.argmax(1) == y).mean(), abs=1e-9)
        nll = -np.log(wanted[np.arange(len(y)), y]).mean()
        assert account["ensemble"]["loss"] == pytest.approx(nll, rel=1e-5)
        accuracies = (z.argmax(2) == y).mean(1)
        assert [one["metrics"]["accuracy"] for one in account["members"]] == pytest.approx(list(accuracies))
        gain = account["gain"]["over_mean"]["accuracy"]
        assert gain["value"] == pytest.approx(account["ensemble"]["accuracy"] - accuracies.mean(), abs=1e-9)
        assert (
            gain["both"][0] <= gain["examples"][0] <= gain["value"] <= gain["examples"][1] <= gain["both"][1]
        )


def test_intervals_curve_diversity_and_calibration_from_the_saved_predictions(ensemble):
    folder, account, _ = ensemble("four")
    z, y = outputs(folder, account), saved(folder, "targets_test")
    p = special.softmax(z, axis=2)
    right = (z.argmax(2) == y).astype(float)
    # Over examples: the standard error of a mean of paired differences.
    gained = (p.mean(0).argmax(1) == y) - right.mean(0)
    gain = account["gain"]["over_mean"]["accuracy"]
    half = 1.96 * gained.std() / np.sqrt(len(y))
    assert gain["examples"][1] - gain["examples"][0] == pytest.approx(2 * half, rel=0.12)
    # Over members: each pair of the four against its own two members.
    pairs = list(itertools.combinations(range(4), 2))
    accuracy = [(p[list(two)].mean(0).argmax(1) == y).mean() for two in pairs]
    over = np.array(accuracy) - [right[list(two)].mean() for two in pairs]
    half = 3.182446305284263 * over.std()  # t of 3 degrees of freedom
    assert gain["members"] == pytest.approx([gain["value"] - half, gain["value"] + half], abs=1e-9)
    curve = {one["members"]: one["accuracy"]["mean"] for one in account["curve"]}
    assert curve[1] == pytest.approx(right.mean(), abs=1e-9)
    assert curve[2] == pytest.approx(np.mean(accuracy), abs=1e-9)
    assert curve[4] == pytest.approx(account["ensemble"]["accuracy"], abs=1e-9)
    labels = z.argmax(2)
    apart = np.mean([(labels[i] != labels[j]).mean() for i, j in pairs])
    assert account["diversity"]["disagreement"] == pytest.approx(apart)
    alike = np.mean([np.corrcoef(right[i], right[j])[0, 1] for i, j in pairs])
    assert account["diversity"]["error_correlation"] == pytest.approx(alike)
    temperature = account["calibration"]["temperature"]
    held, labels = saved(folder, "ensemble_val"), saved(folder, "targets_val")

    def loss(t):
        return -special.log_softmax(np.log(held) / t, axis=1)[np.arange(len(labels)), labels].mean()

    assert loss(temperature) <= min(loss(t) for t in temperature * np.geomspace(0.8, 1.25, 41)) + 1e-9
    errors = [account["calibration"][kind]["error"] for kind in ("before", "after")]
    assert errors[1] < errors[0] == account["ensemble"]["calibration_error"]
    assert sorted(path.name for path in (folder / "plots").iterdir()) == [
        "curve.png", "members.png", "reliability.png",
    ]  # fmt: skip
    assert "gain over the mean member" in (folder / "report.html").read_text()


def test_weights_make_the_validation_loss_least(ensemble):
    folder, account, _ = ensemble("four", "--average", "weighted")
    weights = np.array([one["weight"] for one in account["members"]])
    y = saved(folder, "targets_val")
    p = special.softmax(outputs(folder, account, "val"), axis=2)
    right = p[:, np.arange(len(y)), y]
    assert weights.sum() == pytest.approx(1)
    # The condition of a maximum on the simplex: no member's mean factor is above 1.
    assert (right / (weights @ right)).mean(1).max() <= 1 + 1e-6
    wanted = np.tensordot(weights, special.softmax(outputs(folder, account), axis=2), 1)
    np.testing.assert_allclose(saved(folder, "ensemble_test"), wanted, rtol=1e-9, atol=1e-14)


def test_the_average_of_parameters_from_the_safetensors_files(ensemble, runs, warm):
    folder, account, _ = ensemble("four", "--average", "parameters", "--barrier")
    given = kernels(folder, account)
    [file] = folder.glob("checkpoints/step_*/arrays.safetensors")
    found = load_file(file)
    names = [name for name in given[0] if name.startswith("params/")]
    assert len(names) >= 4
    for name in names:
        wanted = np.mean([one[name] for one in given], axis=0, dtype=np.float64).astype(np.float32)
        np.testing.assert_array_equal(found[name], wanted)
    assert any(not np.array_equal(found[n], given[0][n]) for n in found if n.startswith("stats/"))
    [caution] = account["cautions"]
    assert "these are independent runs" in caution and "half-way" in caution and "--barrier" not in caution
    report = (folder / "report.html").read_text()
    assert (
        caution in report
        and "SHA-256" in report
        and f"jax {jax.__version__}" in report
        and "digest " in report
    )
    line = account["barrier"]["line"]
    assert line[0]["loss"] < line[5]["loss"] > line[-1]["loss"]  # different seeds, different basins
    assert account["barrier"]["height"] > 0.1
    assert (folder / "plots" / "barrier.png").is_file()
    curve = account["curve"]
    assert [one["members"] for one in curve] == [1, 2, 3, 4]
    assert curve[0]["accuracy"]["mean"] == account["best"]["metrics"]["accuracy"]
    assert curve[-1]["loss"]["mean"] == pytest.approx(account["ensemble"]["loss"], rel=1e-3)
    measured = warm("evaluate", folder, "--json", folder=runs).json["metrics"]["test/accuracy"]
    assert measured == pytest.approx(account["ensemble"]["accuracy"], abs=1e-6)


def test_the_greedy_soup_of_independent_runs_is_the_best_of_them(ensemble):
    """Their averages are bad, so nobody enters after the first: parameters and statistics are its own."""
    _, account, _ = ensemble("four", "--average", "greedy")
    assert [one["entered"] for one in account["soup"]] == [True, False, False, False]
    best = max(
        account["members"], key=lambda one: (one["validation"]["accuracy"], -one["validation"]["loss"])
    )
    assert account["best"]["name"] == best["name"] == account["soup"][0]["name"]
    assert account["ensemble"]["accuracy"] == best["metrics"]["accuracy"]
    assert account["ensemble"]["loss"] == best["metrics"]["loss"]


def test_snapshots_of_one_run(ensemble):
    """Three cycles of two epochs: 1258 training examples in batches of 64 are 20 steps an epoch."""
    _, account, err = ensemble("four/seed_1", "--checkpoints", "cycle")
    assert sorted(one["step"] for one in account["members"]) == [40, 80, 120]
    _, account, err = ensemble("four/seed_1", "--checkpoints", "40,120", "--average", "parameters")
    assert sorted(one["step"] for one in account["members"]) == [40, 120]
    assert "independent" not in err


def tree(folder: Path) -> dict[str, bytes]:
    """What depends on the members alone: all but the time and the command."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    named = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    named["report.html"] = re.sub(rb'<p class="dim">(from|on) .*?</p>', b"", named["report.html"])
    return {name: content for name, content in named.items() if name != "run.json"}


@pytest.mark.slow
def test_another_order_of_members_gives_the_same_bytes(ensemble):
    names = [f"four/seed_{i}" for i in range(4)]
    for how in ("probabilities", "weighted", "parameters"):
        first, _, _ = ensemble(*names, "--average", how)
        other, _, _ = ensemble(*reversed(names), "--average", how)
        one, two = tree(first), tree(other)
        assert one.keys() == two.keys()
        assert [name for name in one if one[name] != two[name]] == []


@pytest.mark.slow
def test_an_ensemble_of_one_is_that_member_bit_for_bit(ensemble, runs):
    alone, account, _ = ensemble("four/seed_2")
    _, all_of_them, _ = ensemble("four")
    for how in ("logits", "vote", "weighted"):
        folder, _, _ = ensemble("four/seed_2", "--average", how)
        assert saved(folder, "ensemble_test").tobytes() == saved(alone, "ensemble_test").tobytes()
    [one] = account["members"]
    assert account["ensemble"] == one["metrics"] == account["mean"] == account["best"]["metrics"]
    [same] = [other for other in all_of_them["members"] if other["sha256"] == one["sha256"]]
    assert same["metrics"] == one["metrics"]
    averaged, account, _ = ensemble("four/seed_2", "--average", "parameters")
    own = kernels(averaged, account)[0]
    [file] = averaged.glob("checkpoints/step_*/arrays.safetensors")
    found = load_file(file)
    assert all(found[name].tobytes() == own[name].tobytes() for name in own)


@pytest.mark.slow
def test_the_result_is_a_run_like_any_other(ensemble, runs, warm):
    folder, account, _ = ensemble("four", "-o", runs / "together")
    assert folder == runs / "together"
    found = warm("evaluate", folder, "--json", folder=runs).json
    for name in ("accuracy", "loss"):
        assert found["metrics"][f"test/{name}"] == pytest.approx(account["ensemble"][name], rel=1e-6)
        assert found["mean"][f"test/{name}"] == pytest.approx(account["mean"][name], rel=1e-5)
    assert len(found["runs"]) == 4
    assert nnrun.evaluate(folder) == found
    shown = warm("show", folder, folder=runs)
    assert shown.code == 0 and "member_04" in shown.out
    assert warm("ls", runs / "together", folder=runs).out.count("done") == 5
    member = warm("evaluate", folder / "member_01", "--json", folder=runs).json
    assert member["metrics"]["test/accuracy"] == pytest.approx(account["members"][0]["metrics"]["accuracy"])
    _, again, _ = ensemble(folder, "runs/wide")
    assert len(again["members"]) == 5
    assert {one["sha256"] for one in account["members"]} < {one["sha256"] for one in again["members"]}
    listed = json.loads((folder / "ensemble.json").read_text())["members"]
    assert [one["sha256"] for one in listed] == sorted(one["sha256"] for one in listed)


@pytest.mark.slow
def test_members_may_be_moved(ensemble, runs, tmp_path, warm):
    folder, account, _ = ensemble("four")
    moved = tmp_path / "elsewhere"
    shutil.copytree(runs / "runs" / "four", moved)
    _, same, _ = ensemble(moved)
    assert same["ensemble"] == account["ensemble"]
    shutil.rmtree(moved)
    shutil.move(folder, tmp_path / "moved")
    found = warm("evaluate", tmp_path / "moved", "--json", folder=runs).json
    assert found["metrics"]["test/accuracy"] == pytest.approx(account["ensemble"]["accuracy"])


@pytest.mark.slow
def test_one_member_is_on_the_device_at_a_time(runs, monkeypatch):
    """All arrays on the device together are as large while the last member predicts as for the first."""
    monkeypatch.chdir(runs)
    sizes: list[int] = []

    @contextmanager
    def counting(what: str, total: int | None) -> Iterator[Callable[[], None]]:
        def tick() -> None:
            if what == "predicting":
                gc.collect()
                sizes.append(sum(array.nbytes for array in jax.live_arrays()))

        yield tick
        if what == "predicting":
            assert len(sizes) == total

    make.make(["four"], EnsembleRequest(), Path("runs"), None, pytest.fail, counting)
    each = np.array(sizes).reshape(4, -1).max(1)
    assert each[-1] <= each[0] * 1.01


def test_without_the_data_an_ensemble_predicts_the_same_and_says_that_nothing_was_measured(
    tmp_path, warm, monkeypatch
):
    """In a copy of the run folders, where the data are gone."""
    x = np.random.default_rng(0).normal(size=(80, 2))
    rows = [f"{a!r},{b!r},{'yes' if a > b else 'no'}" for a, b in x.tolist()]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,kind", *rows]) + "\n")
    (tmp_path / "spec.yaml").write_text(
        "data: {name: csv, path: t.csv, target: kind, batch_size: 16}\nmodel: linear\n"
        "optimizer: {name: adam, learning_rate: 0.1}\n"
        "train: {duration: 3 epochs, seeds: 2}\n"
    )
    monkeypatch.chdir(tmp_path)
    nnrun.train("spec.yaml", run_dir="runs/two")
    expected = nnrun.load(nnrun.ensemble(["two"], run_dir="runs/measured").run_dir).predict_proba(x)
    (tmp_path / "t.csv").unlink()
    shutil.move(tmp_path / "runs", tmp_path / "elsewhere")
    place = tmp_path / "elsewhere"
    with pytest.raises(DataError, match=r"there is no such file.*\n.*--unmeasured averages without them"):
        nnrun.ensemble([place / "two"], run_dir=place / "new")
    np.testing.assert_array_equal(nnrun.load(place / "measured").predict_proba(x), expected)
    done = warm("ensemble", place / "two", "--unmeasured", "-o", place / "new", folder=tmp_path)
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == "ensemble of 2, probabilities; nothing was measured"
    np.testing.assert_array_equal(nnrun.load(place / "new").predict_proba(x), expected)
    assert not (place / "new" / "account.json").exists()
    shown = warm("show", place / "new", folder=tmp_path)
    assert shown.code == 0 and "done after" in shown.out and "best" not in shown.out
    with pytest.raises(SpecError) as error:
        request = EnsembleRequest("greedy", split="val", barrier=True)
        make_unmeasured([str(place / "two")], request, place, None, pytest.fail)
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == ["--unmeasured"] * 3
