"""`nnrun compare` and `nnrun show SWEEP` through the command line."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun.record import preprocessing

SPEC = """
data: {name: iris, batch_size: 16}
model: {name: mlp, hidden: [4]}
optimizer: {name: adam, learning_rate: 1e-2}
train: {duration: 5 epochs, seeds: 6}
"""


@pytest.fixture(scope="module")
def folder(warm: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two groups of six seeds, one far too slow; one run alone; a group with another split written in its spec."""
    place = tmp_path_factory.mktemp("compare")
    (place / "spec.yaml").write_text(SPEC)
    for name, *changes in (("good",), ("slow", "optimizer.learning_rate=1e-5", "name=other")):
        done = warm("train", "spec.yaml", *changes, "--run-dir", f"runs/{name}", "-q", folder=place)
        assert done.code == 0, done.err
    runs = place / "runs"
    shutil.copytree(runs / "good" / "seed_0", runs / "solo")
    rewrite(runs / "solo" / "resolved.yaml", "  b1: 0.9\n", "")
    shutil.copytree(runs / "good", runs / "split")
    rewrite(runs / "split" / "resolved.yaml", "split_seed: 0", "split_seed: 1")
    fitted = preprocessing.read(runs / "split")
    parts = {name: part._replace(chosen=f"other rows of {name}") for name, part in fitted.parts.items()}
    preprocessing.write(runs / "split", fitted._replace(parts=parts))
    return place


def rewrite(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.fixture
def compare(warm: Callable[..., Any], folder: Path) -> Callable[..., Any]:
    return lambda *arguments: warm("compare", *arguments, folder=folder)


def accuracies(folder: Path, name: str) -> list[float]:
    runs = json.loads((folder / "runs" / name / "summary.json").read_text())["runs"]
    return [one["metrics"]["best"]["test/accuracy"] for one in runs]


def test_only_the_keys_that_differ_and_the_results(compare: Callable[..., Any], folder: Path) -> None:
    done = compare("good", "slow", "--json")
    assert (done.code, done.err) == (0, "")
    found = done.json
    assert found["metric"] == "test/accuracy"
    good, slow = found["runs"]
    assert good["settings"] == {"optimizer.learning_rate": 0.01}
    assert slow["settings"] == {"optimizer.learning_rate": 1e-5}
    assert good["metrics"]["test/accuracy"]["mean"] == pytest.approx(np.mean(accuracies(folder, "good")))
    [pair] = found["comparisons"]
    differences = np.subtract(accuracies(folder, "good"), accuracies(folder, "slow"))
    assert pair["difference"] == pytest.approx(differences.mean())
    assert pair["seeds"] == 6
    assert (differences > 0).all() and pair["p"] == 2 / 64
    assert found["answer"][1].startswith("good beats slow by ")


def test_the_table(compare: Callable[..., Any]) -> None:
    lines = compare("good", "slow").out.splitlines()
    assert lines[0].split() == ["run", "good", "slow"]  # more settings and metrics than runs: turned
    assert lines[1].split() == ["optimizer.learning_rate", "0.01", "1e-05"]
    assert "good beats slow by " in lines[-1]
    assert "(p = 0.031, 6 seeds)" in lines[-1]


def test_markdown_and_csv(compare: Callable[..., Any]) -> None:
    lines = compare("slow", "good", "--markdown").out.splitlines()
    assert lines[0].startswith("| run | optimizer.learning_rate | seeds | test/accuracy |")
    assert lines[2].startswith("| slow | 1e-05 | 6 | ")
    rows = list(csv.DictReader(compare("slow", "good", "--csv").out.splitlines()))
    assert [row["run"] for row in rows] == ["slow", "good"]
    assert float(rows[1]["test/accuracy low"]) <= float(rows[1]["test/accuracy"])


def test_one_seed_says_nothing(compare: Callable[..., Any]) -> None:
    found = compare("good", "solo", "--json").json
    assert found["comparisons"] == []
    assert "no difference can be distinguished from chance" in found["answer"][0]
    assert found["runs"][1]["seeds"] == [0]
    assert found["runs"][1]["metrics"]["test/accuracy"]["low"] is None
    assert [one["settings"] for one in found["runs"]] == [{"optimizer.b1": 0.9}, {"optimizer.b1": None}]


def test_defaults_of_another_block_are_not_shown(compare: Callable[..., Any], folder: Path) -> None:
    """adam's b1 is a default, sgd has none; what was written is shown."""
    shutil.copytree(folder / "runs" / "good", folder / "runs" / "sgd")
    file = folder / "runs" / "sgd" / "resolved.yaml"
    for old, new in (("name: adam", "name: sgd"), ("  b1: 0.9\n", ""), ("  learning_rate: 0.01\n", "")):
        rewrite(file, old, new)
    try:
        found = compare("good", "sgd", "--json").json
    finally:
        shutil.rmtree(folder / "runs" / "sgd")
    assert [one["settings"] for one in found["runs"]] == [
        {"optimizer.name": "adam", "optimizer.learning_rate": 0.01},
        {"optimizer.name": "sgd", "optimizer.learning_rate": None},
    ]


def test_another_split_is_not_tested(compare: Callable[..., Any]) -> None:
    found = compare("good", "split", "--json").json
    assert found["runs"][1]["settings"]["data.split_seed"] == 1
    assert found["answer"] == [
        "the runs were not tested on the same examples, so their differences are not tested"
    ]


def test_a_run_and_its_copy_are_one_setting(compare: Callable[..., Any], folder: Path) -> None:
    """No number of seeds tells it from itself, so none is advised."""
    shutil.copytree(folder / "runs" / "good", folder / "runs" / "twin")
    try:
        report = compare("good", "twin", "--json").json
        assert report["comparisons"] == [] and report["runs"][0]["settings"] == {}
        assert report["answer"] == [
            "all of these runs are one setting; there is no other to compare it with",
            "good and twin have the same settings and a seed in common, with the same values: a second run of a seed "
            "is not counted as a further seed",
        ]
    finally:
        shutil.rmtree(folder / "runs" / "twin")


def test_loose_runs_count_as_seeds_of_their_setting(compare: Callable[..., Any], folder: Path) -> None:
    """The seeds of two groups, copied out of them: the same numbers as the groups have."""
    names = []
    for group in ("good", "slow"):
        for seed in range(6):
            names.append(f"{group}-{'abcdef'[seed]}")
            shutil.copytree(folder / "runs" / group / f"seed_{seed}", folder / "runs" / names[-1])
    try:
        loose = compare(*reversed(names), "--json").json
    finally:
        for name in names:
            shutil.rmtree(folder / "runs" / name)
    groups = compare("slow", "good", "--json").json
    assert [entry["name"] for entry in loose["runs"]] == ["slow", "good"]
    assert loose["runs"][1]["metrics"] == groups["runs"][1]["metrics"]
    assert loose["comparisons"] == groups["comparisons"]
    assert loose["answer"][:2] == groups["answer"]
    assert len(loose["runs"][0]["folders"]) == 6


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["good"], 2, "compare: got one run; name at least two, or a sweep"),
        (["good", "runs/good"], 4, "runs/good: named twice"),
        (["good", "goood"], 4, "goood: no such run"),
        (["good", "slow", "--csv", "--json"], 2, "--csv, --markdown, --json: one of them"),
        ([], 2, "Missing argument 'RUN'"),
    ],
)
def test_mistakes(arguments: list[str], code: int, said: str, compare: Callable[..., Any]) -> None:
    done = compare(*arguments)
    assert done.code == code
    assert said in done.err and done.err.count("\n") == 1 and done.err.startswith("nnrun: ")


def test_a_damaged_or_bare_run(compare: Callable[..., Any], folder: Path) -> None:
    for name, text, said in (("bare", None, "missing"), ("bad", "a: [", "damaged")):
        place = folder / "runs" / name
        place.mkdir()
        (place / "state.json").write_text('{"status": "interrupted"}')
        if text:
            (place / "resolved.yaml").write_text(text)
        done = compare("good", f"runs/{name}")
        shutil.rmtree(place)
        assert done.code == 4 and f"runs/{name}/resolved.yaml: {said}" in done.err


def test_a_run_without_results_yet(compare: Callable[..., Any], folder: Path) -> None:
    place = folder / "runs" / "young"
    place.mkdir()
    (place / "state.json").write_text('{"status": "interrupted"}')
    shutil.copy(folder / "runs" / "solo" / "resolved.yaml", place)
    done = compare("good", "young")
    shutil.rmtree(place)
    assert done.code == 0
    assert "interrupted" in done.out and "–" in done.out


def test_a_sweep_stands_for_its_runs_on_fresh_seeds_else_its_trials(
    compare: Callable[..., Any], warm: Callable[..., Any], folder: Path
) -> None:
    sweep = folder / "runs" / "race"
    for place, source in (("trials/adam-000", "good"), ("trials/adam-001", "slow"), ("final/adam", "good")):
        shutil.copytree(folder / "runs" / source, sweep / place)
    rate = {"path": "optimizer.learning_rate", "kind": "log", "low": 1e-5, "high": 1.0}
    about = {"format": 2, "name": "race", "metric": "val/accuracy", "goal": "max", "bounds": [0, 1],
             "search": "random", "adaptive": False, "seed": 0,
             "trials": 2, "seeds": 6, "final_seeds": 6, "bases": ["iris"],
             "alternatives": [{"label": "adam", "settings": {}, "dimensions": [rate]}]}  # fmt: skip
    (sweep / "sweep.json").write_text(json.dumps(about))
    (sweep / "state.json").write_text('{"status": "interrupted"}')
    trials = [
        {"trial": f"adam-00{i}", "base": "iris", "alternative": "adam", "number": i, "run": f"trials/adam-00{i}",
         "settings": {"optimizer.learning_rate": 0.01}, "status": "done", "value": value, "values": [value] * 6,
         "steps": 50, "seconds": 1.0, "reason": None}
        for i, value in enumerate([0.9, 0.3])
    ]  # fmt: skip
    (sweep / "trials.jsonl").write_text("".join(json.dumps(one) + "\n" for one in trials))
    try:
        found = compare("race", "--json").json
        assert [one["name"] for one in found["runs"]] == ["adam-000", "adam-001"]
        shown = warm("show", "race", folder=folder)
        assert (shown.code, shown.err) == (0, "")
        assert "adam leads the search with val/accuracy" in shown.out
        assert "continue: nnrun sweep --resume runs/race" in shown.out
        plain = warm("show", "race", "--json", folder=folder).json
        assert plain["status"] == "interrupted" and len(plain["trials"]) == 2
        (sweep / "trials.jsonl").write_text(json.dumps(trials[0]) + "\n")
        lonely = "runs/race has one setting, with nothing beside it; `nnrun show runs/race` has its answer"
        assert compare("race").err == f"nnrun: compare: {lonely}\n"
    finally:
        shutil.rmtree(sweep)


def test_pairs_are_of_sweeps(warm: Callable[..., Any], folder: Path) -> None:
    done = warm("show", "good", "--pairs", folder=folder)
    assert done.code == 2
    assert done.err == "nnrun: --pairs: runs/good is no sweep; leave it out, or name a sweep\n"


def test_the_chosen_settings_of_a_sweep_do_not_beat_each_other_as_methods(
    compare: Callable[..., Any], folder: Path
) -> None:
    """Another search might have found others; trials, and runs by themselves, were chosen by no search."""
    sweeps = [folder / "runs" / f"search-{name}" for name in ("good", "slow")]
    for sweep in sweeps:
        name = sweep.name.removeprefix("search-")
        shutil.copytree(folder / "runs" / name, sweep / "final" / name)
        (sweep / "sweep.json").write_text("{}")
    try:
        found = compare("runs/search-good/final/good", "runs/search-slow/final/slow", "--json").json
    finally:
        for sweep in sweeps:
            shutil.rmtree(sweep)
    assert found["answer"][1].startswith("good's chosen setting beats slow's by ")
    assert found["answer"][1].endswith(
        "compare looks at no search (`nnrun show runs/search-good` does), so this says nothing about other searches"
    )
    assert not found["comparisons"][0]["decided"] and found["comparisons"][0]["significant"]
