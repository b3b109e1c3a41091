"""`nnrun sweep` through the real command line."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun.errors import RunError
from nnrun.report import reports

BASE = """
name: tiny
data: {name: digits, batch_size: 128, examples: 512}
model: {name: mlp, hidden: [8]}
optimizer: {name: adam, learning_rate: 0.01}
train: {duration: 5 epochs}
"""
SWEEP = """
base: tiny.yaml
sweep:
  over:
    optimizer:
      - {name: sgd, learning_rate: {log: [1e-2, 1]}}
      - {name: adam, learning_rate: {log: [1e-3, 1e-1]}}
  trials: 3
  seeds: 2
  final_seeds: 3
"""


def write(folder: Path) -> Path:
    (folder / "tiny.yaml").write_text(BASE)
    (folder / "sweep.yaml").write_text(SWEEP)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a sweep file and its base."""
    return write(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, warm: Callable[..., Any]) -> Path:
    """The sweep in programs of two lanes, by one process that nothing interrupts."""
    return carried_out(write(tmp_path_factory.mktemp("whole")), warm)


def carried_out(folder: Path, warm: Callable[..., Any]) -> Path:
    done = warm("sweep", "sweep.yaml", "sweep.width=2", "--run-dir", "whole", "--quiet", folder=folder)
    assert done.code == 0, done.err
    return folder / "whole"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def results(sweep: Path) -> list[dict[str, Any]]:
    """What must not depend on how a sweep was carried out."""
    found = [*lines(sweep / "trials.jsonl"), *lines(sweep / "final.jsonl")]
    return sorted(
        ({key: value for key, value in one.items() if key != "seconds"} for one in found),
        key=lambda one: one["run"],
    )


def test_a_sweep_from_its_file_to_its_answer(folder: Path, warm: Callable[..., Any]) -> None:
    done = warm("sweep", "sweep.yaml", "--run-dir", "out", folder=folder)
    assert done.code == 0, done.err
    assert "report: out/report.html" in done.out
    assert "train the best: nnrun train out/best.yaml" in done.out
    assert "sgd" in done.out
    assert "adam" in done.out
    left = {path.name for path in (folder / "out").iterdir()}
    assert {"leaderboard.csv", "trials.jsonl", "best.yaml", "report.html", "plots", "trials", "final"} <= left
    assert len(lines(folder / "out" / "trials.jsonl")) == 6
    best = warm("train", "out/best.yaml", "--json", folder=folder)
    assert best.code == 0, best.err
    assert warm("show", "out", folder=folder).code == 0
    listed = warm("ls", "out", "--json", folder=folder)
    assert (
        len(listed.json if isinstance(listed.json, list) else []) >= 8
    )  # trials and finals are ordinary runs
    assert warm("evaluate", "out/trials/sgd-001", folder=folder).code == 0
    whole = warm("evaluate", "out", folder=folder)
    assert whole.code == 4
    first = json.loads((folder / "out/leaderboard.json").read_text())["alternatives"][0]["run"]
    assert f"out: a sweep; write one of its runs: out/{first}, the first of its table, or one of" in whole.err
    assert warm("evaluate", f"out/{first}", folder=folder).code == 0
    again = warm("sweep", "--resume", "out", "--json", folder=folder)
    assert again.code == 0, again.err
    assert {one["trial"] for one in again.json["trials"]} == {
        f"{name}-00{i}" for name in ("sgd", "adam") for i in range(3)
    }


@pytest.mark.slow
def test_a_report_shows_how_the_best_setting_errs(whole: Path, warm: Callable[..., Any]) -> None:
    done = warm("report", "whole", "--split", "test", "-o", "report.html", "--json", folder=whole.parent)
    assert done.code == 0, done.err
    leader = json.loads((whole / "leaderboard.json").read_text())["alternatives"][0]
    [(name, looked)] = done.json["looked"].items()
    assert name == f"{leader['run']}/seed_10000"
    [accuracy] = [
        record["metrics"]["test/accuracy"][0]
        for record in lines(whole / "final.jsonl")
        if record["run"] == leader["run"]
    ]
    assert 1 - looked["errors"] / looked["examples"] == pytest.approx(accuracy, abs=1e-6)
    page = (whole.parent / "report.html").read_text()
    assert f"<h2>Examples of the test part of the best setting ({name})</h2>" in page
    assert page.count("<figure>") >= len(looked["wrong"]) == 24
    assert reports.sweep_page(whole, {}).count("Examples of") == 0


def test_without_fresh_seeds_a_report_has_no_examples(whole: Path, tmp_path: Path) -> None:
    shutil.copy(whole / "sweep.json", tmp_path)
    shutil.copy(whole / "trials.jsonl", tmp_path)
    with pytest.raises(RunError, match=r"finished on fresh seeds yet; `nnrun report` of a run below trials/"):
        reports.best_runs(tmp_path)
    about = json.loads((tmp_path / "sweep.json").read_text())
    (tmp_path / "sweep.json").write_text(json.dumps(about | {"final_seeds": 0}))
    with pytest.raises(RunError, match="it has no fresh seeds; "):
        reports.best_runs(tmp_path)


@pytest.mark.slow
def test_workers_leave_the_same_results(whole: Path, folder: Path, warm: Callable[..., Any]) -> None:
    two = warm(
        "sweep", "sweep.yaml", "sweep.width=6", "--run-dir", "two", "--quiet", "--jobs", 2, folder=folder
    )
    assert two.code == 0, two.err
    for a, b in zip(results(whole), results(folder / "two"), strict=True):
        assert a["settings"] == b["settings"]
        if "values" in a:
            assert a["values"] == pytest.approx(b["values"], rel=1e-4)


@pytest.mark.slow
def test_a_dry_run_creates_nothing(
    folder: Path, warm: Callable[..., Any], keeps_contract: Callable[..., None]
) -> None:
    done = warm("sweep", "sweep.yaml", "--dry-run", folder=folder)
    assert done.code == 0, done.err
    for word in (
        "sgd-000",
        "adam-002",
        "optimizer.learning_rate=",
        "runs at once",
        "for the final comparison",
    ):
        assert word in done.out
    told = warm("sweep", "sweep.yaml", "--dry-run", "--json", folder=folder).json
    assert [(one["alternatives"], one["trials"], one["lanes"]) for one in told["programs"]] == [
        (["sgd"], 3, 6), (["adam"], 3, 6)
    ]  # fmt: skip
    assert told["seconds"] > 0 and [program["measured"] for program in told["programs"]] == [True, False]
    assert [(line["place"], line["seeds"]) for line in told["fresh"]] == [("sgd", 3), ("adam", 3)]
    assert "3 fresh seeds: 6 runs" in done.out and 0 < told["final_seconds"] < told["seconds"]
    keeps_contract("sweep-dry-run", told)
    assert sorted(path.name for path in folder.iterdir()) == ["sweep.yaml", "tiny.yaml"]


@pytest.mark.slow
def test_the_shape_of_weights_and_biases(folder: Path, warm: Callable[..., Any]) -> None:
    (folder / "sweep.yaml").write_text("""
base: tiny.yaml
sweep:
  method: grid
  metric: {name: val/loss, goal: minimize}
  parameters:
    optimizer.learning_rate: {values: [0.01, 0.1]}
    optimizer.b1: {value: 0.8}
  final_seeds: 2
""")
    done = warm("sweep", "sweep.yaml", "--run-dir", "out", "--quiet", folder=folder)
    assert done.code == 0, done.err
    told = lines(folder / "out" / "trials.jsonl")
    assert [one["settings"] for one in told] == [{"optimizer.learning_rate": rate} for rate in (0.01, 0.1)]
    assert "b1: 0.8" in (folder / "out" / "trials" / "trial-000" / "resolved.yaml").read_text()
    losses = [
        min(
            line["val/loss"]
            for line in lines(folder / "out" / one["run"] / "metrics.jsonl")
            if "val/loss" in line
        )
        for one in told
    ]
    assert [one["value"] for one in told] == losses


BAD = {
    "sweep.over={optimizr.learning_rate: [0.1, 0.2]}": "optimizr: unknown key; did you mean optimizer?",
    "sweep.over={optimizer.learning_rat: [0.1, 0.2]}": "did you mean learning_rate?",
    "sweep.over={optimizer.learning_rate: {log: [1, 0.1]}}": "the range [1, 0.1] is empty; write the lower end first",
    "sweep.over={optimizer.learning_rate: {log: [-1, 1]}}": "the logarithm of -1 does not exist",
    "sweep.over={optimizer.learning_rate: {uniform: [-1, 1]}}": "got -1.0; write a value",
    "sweep.over={optimizer: [{learning_rate: 0.1}, adam]}": "optimizer.name: missing; ",
    "sweep.over={optimizer: [{name: adm}, sgd]}": 'there is no optimizer "adm"; did you mean adam?',
    "sweep.over={}": "sweep.over: ",
    "sweep.metric=val/acuracy": "there is no metric 'val/acuracy'; did you mean val/accuracy?",
    "sweep.metric=test/accuracy": "there is no metric 'test/accuracy'",
    "sweep.goal=min": "of val/accuracy more is better; leave it out",
    "sweep.search=randm": 'there is no search "randm"; did you mean random?',
    "sweep.search={name: halving, eta: 1}": "sweep.search.eta: got 1",
    "sweep.trial=3": "sweep.trial: unknown key; did you mean trials?",
    "sweep.trials=0": "sweep.trials: got 0",
    "sweep.seeds=two": 'sweep.seeds: got "two"',
    "data.validation=0": "write data.validation: 0.1",
    "model.hidden=[0]": "model.hidden",
}


@pytest.mark.parametrize("change", BAD)
def test_a_bad_sweep_ends_in_one_line_and_creates_nothing(
    change: str, folder: Path, warm: Callable[..., Any]
) -> None:
    done = warm("sweep", "sweep.yaml", change, folder=folder)
    assert done.code == 2
    assert BAD[change] in done.err
    assert len(done.err.splitlines()) == 1, done.err
    assert done.err.startswith("nnrun: ")
    assert sorted(path.name for path in folder.iterdir()) == ["sweep.yaml", "tiny.yaml"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sweep: {over: {optimizer.learning_rate: [1]}}", "base: missing; write the spec that is swept"),
        ("base: other.yaml\nsweep: {over: {a.b: [1]}}", "other.yaml: no such file"),
        ("base: tiny.yaml", "sweep.over: missing"),
        (
            "base: tiny.yaml\nmodel: mlp\nsweep: {over: {a.b: [1]}}",
            "model: it belongs to the spec that `base` names",
        ),
        ("base: tiny.yaml\nsweep: {parameters: {a.b: {}}}", "write {values: [...]} or {min: ..., max: ...}"),
        (
            "base: tiny.yaml\nsweep: {method: magic, parameters: {a.b: {value: 1}}}",
            "write one of: grid, random, bayes",
        ),
        ("- 1", "write base: SPEC and sweep:"),
        ("base: [tiny.yaml, tiny.yaml]\nsweep: {over: {optimizer.learning_rate: [1]}}", "a spec comes twice"),
    ],
)
def test_a_file_that_is_no_sweep(text: str, message: str, folder: Path, warm: Callable[..., Any]) -> None:
    (folder / "sweep.yaml").write_text(text)
    done = warm("sweep", "sweep.yaml", folder=folder)
    assert done.code == 2
    assert message in done.err
    assert len(done.err.splitlines()) == 1, done.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "write nnrun sweep FILE, or --resume FOLDER"),
        (["--resume", "nowhere"], 4, "nowhere: no such run"),
        (["sweep.yaml", "--jobs", "0"], 2, "--jobs"),
        (["--resume", "x", "--dry-run"], 2, "leave --dry-run and --run-dir out"),
    ],
)
def test_a_wrong_command(
    arguments: list[str], code: int, message: str, folder: Path, warm: Callable[..., Any]
) -> None:
    done = warm("sweep", *arguments, folder=folder)
    assert done.code == code
    assert message in done.err


def test_a_sweep_with_failed_trials_ends_in_7(folder: Path, warm: Callable[..., Any]) -> None:
    changes = ["sweep.over={data.batch_size: [64, 128, 256, 4096]}", "sweep.search=grid", "sweep.trials=null"]
    done = warm("sweep", "sweep.yaml", *changes, "--run-dir", "o", folder=folder)
    assert done.code == 7
    assert "1 of 4 trials failed; trials.jsonl in o says why" in done.err


@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_an_interrupted_sweep_goes_on(
    jobs: str, whole: Path, folder: Path, warm: Callable[..., Any], begun: Callable[..., Any]
) -> None:
    """SIGTERM: everything is saved, the exit code is 143; `--resume` ends as if nothing had been."""
    arguments = ["sweep.yaml", "sweep.width=2", "--run-dir", "cut", "--jobs", jobs, "--quiet"]
    process = begun("sweep", *arguments, folder=folder)
    until(lambda: (folder / "cut" / "trials").is_dir() and any((folder / "cut" / "trials").iterdir()))
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    assert json.loads((folder / "cut" / "state.json").read_text())["status"] == "interrupted"
    rest = warm("sweep", "--resume", "cut", "--quiet", "--jobs", jobs, folder=folder)
    assert rest.code == 0, rest.err
    same(whole, folder / "cut")


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def same(a: Path, b: Path) -> None:
    """Equal results, whatever number of cores the programs had: float32 to its last digits."""
    for one, other in zip(results(a), results(b), strict=True):
        assert {k: v for k, v in one.items() if k not in ("value", "values", "metrics")} == {
            k: v for k, v in other.items() if k not in ("value", "values", "metrics")
        }
        if "values" in one:
            assert one["values"] == pytest.approx(other["values"], rel=1e-4)


def kill_and_compare(
    whole: Path, folder: Path, warm: Any, begun: Callable[..., Any], jobs: str, kills: int
) -> None:
    """Kills the parent, or one of its workers, at random instants, and resumes until the sweep is done."""
    chance = random.Random(7)
    arguments = ["sweep.yaml", "sweep.width=2", "--run-dir", "killed", "--jobs", jobs, "--quiet"]
    for _ in range(kills):
        process = begun("sweep", *arguments, folder=folder)
        time.sleep(chance.uniform(0.2, 4.0))
        workers = children(process.pid)
        os.kill(chance.choice([process.pid, *workers]), signal.SIGKILL)
        if workers and process.poll() is None:
            time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (folder / "killed" / "state.json").exists():
            arguments = ["--resume", "killed", "--jobs", jobs, "--quiet"]
        elif (folder / "killed").exists():
            subprocess.run(["rm", "-rf", str(folder / "killed")], check=True)
    rest = warm("sweep", *arguments, folder=folder)
    assert rest.code == 0, rest.err
    same(whole, folder / "killed")
    names = [one["trial"] for one in lines(folder / "killed" / "trials.jsonl")]
    assert len(names) == len(set(names)) == len(lines(whole / "trials.jsonl"))


def children(parent: int) -> list[int]:
    try:
        return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    except OSError:
        return []


def test_a_few_kills(whole: Path, folder: Path, warm: Any, begun: Any) -> None:
    kill_and_compare(whole, folder, warm, begun, "1", kills=1)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_many_kills_of_forty_trials(jobs: str, folder: Path, warm: Any, begun: Any) -> None:
    (folder / "sweep.yaml").write_text(SWEEP.replace("trials: 3", "trials: 20"))
    kill_and_compare(carried_out(folder, warm), folder, warm, begun, jobs, kills=12)


def test_metrics_on_other_examples_are_those_of_resamples(whole: Path) -> None:
    """Their mean is the metric, and of one seed they would spread by √(p (1 − p) / n), of three by hardly less."""
    [final] = [record for record in lines(whole / "final.jsonl") if record["alternative"] == "adam"]
    content = json.loads((whole / final["run"] / "examples.json").read_text())
    assert (content["part"], content["draws"]) == ("test", 1000)
    accuracy = sum(final["metrics"]["test/accuracy"]) / 3
    drawn = content["metrics"]["test/accuracy"]
    mean = sum(drawn) / len(drawn)
    spread = (sum((value - mean) ** 2 for value in drawn) / len(drawn)) ** 0.5
    binomial = (accuracy * (1 - accuracy) / 359) ** 0.5  # a fifth of 1,797 digits is tested
    assert mean == pytest.approx(accuracy, abs=4 * binomial / 1000**0.5)
    assert 0.5 * binomial < spread < 1.1 * binomial
    assert sum(content["metrics"]["test/loss"]) / 1000 == pytest.approx(
        sum(final["metrics"]["test/loss"]) / 3, rel=0.03
    )


@pytest.mark.slow
def test_lost_resamples_are_made_again_from_the_checkpoints(
    tmp_path: Path, whole: Path, warm: Callable[..., Any]
) -> None:
    """From the checkpoints, the same bytes; without checkpoints the runs are trained again."""
    shutil.copytree(whole, tmp_path / "whole")
    place = tmp_path / "whole" / lines(whole / "final.jsonl")[0]["run"]
    before = (place / "examples.json").read_bytes()
    for lost in (False, True):
        (place / "examples.json").unlink()
        if lost:
            shutil.rmtree(next(place.glob("seed_*")) / "checkpoints")
        done = warm("sweep", "--resume", "whole", "-q", folder=tmp_path)
        assert done.code == 0, done.err
        assert ("is trained again" in done.err) == lost
        assert (place / "examples.json").read_bytes() == before


def test_a_sweep_of_which_all_trials_diverged_fails_however_its_last_events_fell(
    folder: Path, warm: Callable[..., Any]
) -> None:
    """Without fresh seeds there is no event behind the last trials, and a sweep that is done has none at all."""
    np.savez(folder / "t.npz", x=np.linspace(-1, 1, 80)[:, None], y=np.linspace(3, 9, 80))
    (folder / "tiny.yaml").write_text(
        "data: {name: npz, path: t.npz, batch_size: full}\nmodel: {name: linear}\nloss: squared_error\n"
        "optimizer: {name: sgd, learning_rate: 1e30}\ntrain: {duration: 9 steps}\n"
    )
    over = "sweep.over={optimizer.learning_rate: [1e30, 1e31]}"
    options = ["sweep.search=grid", "sweep.trials=2", "sweep.seeds=1", "sweep.final_seeds=0", over]
    done = warm("sweep", "sweep.yaml", *options, "--run-dir", "lost", "--quiet", folder=folder)
    assert done.code == 5
    assert done.err.splitlines()[-1].startswith("nnrun: all 2 trials diverged, so nothing is compared")
    assert warm("sweep", "--resume", "lost", "--quiet", folder=folder).code == 5
