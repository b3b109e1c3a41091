"""What commands print and run folders hold is what `nnrun schema --of` says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer.main

from nnrun import cli
from nnrun.commands._contract import contracts, schema_of
from nnrun.record.contents import foreign_files

SPEC = """
data: {name: digits, batch_size: 64, examples: 200}
model: {name: mlp, hidden: [8]}
optimizer: {name: adam, learning_rate: 1e-3}
train: {duration: 4 epochs}
"""
SWEEP = """
base: spec.yaml
sweep:
  over:
    optimizer: [{name: adam, learning_rate: {log: [1e-4, 1e-2]}}, {name: sgd, learning_rate: {log: [1e-3, 1e-1]}}]
  trials: 3
  final_seeds: 2
  until: decided
  rounds: 2
"""
POPULATION = """
base: spec.yaml
sweep:
  search: {name: population, intervals: 2, losers: 0.5}
  over: {optimizer.learning_rate: {log: [1e-4, 1e-2]}}
  trials: 4
  final_seeds: 2
"""
TABLE = """
data: {name: csv, path: table.csv, target: kind, batch_size: 8, validation: 0.25, test: 0.25, missing: {age: mean}}
model: {name: mlp, hidden: [4]}
optimizer: {name: adam, learning_rate: 1e-2}
train: {duration: 2 epochs}
"""
FILES = {  # in a run folder, by the name of their schema
    "summary": "summary.json", "run": "run.json", "state": "state.json", "account": "account.json",
    "leaderboard": "leaderboard.json", "preprocessing": "preprocessing.json", "columns": "columns.json",
    "tags": "tags.json", "manifest": "manifest.json", "sweep-file": "sweep.json", "examples": "examples.json",
    "batches": "batches/*.json", "ensemble-file": "ensemble.json",
}  # fmt: skip
LINES = {
    "metrics": "metrics.jsonl", "timing": "timing.jsonl", "trials": "trials.jsonl", "final": "final.jsonl",
    "rounds": "rounds.jsonl",
}  # fmt: skip


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, warm: Callable[..., Any], keeps_contract: Callable[..., None]
) -> Path:
    """Runs, a group, folds, an ensemble and a sweep, whose commands have printed what their schemas say."""
    folder = tmp_path_factory.mktemp("contract")
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "sweep.yaml").write_text(SWEEP)
    (folder / "population.yaml").write_text(POPULATION)
    (folder / "table.yaml").write_text(TABLE)
    rows = [f"{i},{'' if i % 9 == 4 else i % 7},{'ab'[i % 2]}" for i in range(64)]
    (folder / "table.csv").write_text("\n".join(["size,age,kind", *rows]) + "\n")
    for arguments, code in (
        (["train", "spec.yaml", "train.seeds=2", "--run-dir", "runs/group"], 0),
        (
            [
                "train",
                "spec.yaml",
                "optimizer={name: sgd, learning_rate: 1e30}",
                "--run-dir",
                "runs/diverged",
            ],
            5,
        ),
        (
            [
                "train",
                "spec.yaml",
                "train.folds=2",
                "train.early_stopping={patience: 1 epoch}",
                "--run-dir",
                "runs/folds",
            ],
            0,
        ),
        (["ensemble", "runs/group", "-o", "runs/together"], 0),
        (["sweep", "sweep.yaml", "--run-dir", "runs/sweep"], 0),
        (["sweep", "population.yaml", "--run-dir", "runs/population"], 0),
        (["train", "table.yaml", "--run-dir", "runs/table"], 0),
        (["tag", "runs/table", "good"], 0),
    ):
        done = warm(*arguments, "--json", folder=folder)
        assert done.code == code, done.err
        if done.out:
            keeps_contract(arguments[0], json.loads(done.out))
    return folder


def test_files_are_what_their_schemas_say(place: Path, keeps_contract: Callable[..., None]) -> None:
    for name, pattern in FILES.items():
        files = sorted((place / "runs").rglob(pattern))
        assert files, name
        for file in files:
            keeps_contract(name, json.loads(file.read_text()))
    for name, pattern in LINES.items():
        lines = [line for file in (place / "runs").rglob(pattern) for line in file.read_text().splitlines()]
        assert lines, name
        for line in lines:
            keeps_contract(name, json.loads(line))


def test_every_file_of_json_has_a_schema(place: Path) -> None:
    known = {*FILES.values(), *LINES.values()}
    others = {
        file.name
        for file in (place / "runs").rglob("*.json*")
        if file.name not in known and file.parent.name != "batches"
    }
    assert others == set()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ls", ["ls", "--json"]),
        ("evaluate", ["evaluate", "group", "--json"]),
        ("evaluate", ["evaluate", "together", "--json"]),
        ("report", ["report", "together", "--json"]),
        ("train", ["resume", "group", "--json"]),
        ("train-dry-run", ["train", "spec.yaml", "--dry-run", "--json"]),
        ("show", ["show", "group", "--json"]),
        ("show", ["show", "diverged", "--json"]),
        ("show", ["show", "runs/sweep", "--json"]),
        ("compare", ["compare", "group", "folds", "diverged", "--json"]),
        ("predict", ["predict", "group/seed_0", "--split", "val", "--calibrated", "--json"]),
        ("list", ["list", "--json"]),
        ("list", ["list", "optimizer", "adam", "--json"]),
    ],
)
def test_answers_are_what_their_schemas_say(
    name: str,
    arguments: list[str],
    place: Path,
    warm: Callable[..., Any],
    keeps_contract: Callable[..., None],
) -> None:
    done = warm(*arguments, folder=place)
    assert done.code == 0, done.err
    keeps_contract(name, json.loads(done.out))


def test_the_list_of_everything_has_each_entry_as_it_is_alone(
    warm: Callable[..., Any], tmp_path: Path
) -> None:
    catalogue = json.loads(warm("list", "--json", folder=tmp_path).out)
    adam = json.loads(warm("list", "optimizer", "adam", "--json", folder=tmp_path).out)
    assert catalogue["optimizer"]["adam"] == adam
    b1 = adam["options"]["b1"]
    assert (b1["type"], b1["default"]) == ("number in [0, 1)", 0.9)
    assert "weight_decay" in adam["common"]


def test_each_schema_is_one_and_is_listed(warm: Callable[..., Any], tmp_path: Path) -> None:
    for name in contracts():
        jsonschema.Draft202012Validator.check_schema(schema_of(name))
    known = warm("schema", "--help", folder=tmp_path, COLUMNS="200").out
    assert all(name in known for name in contracts())
    done = warm("schema", "--of", "sumary", folder=tmp_path)
    assert done.code == 2 and "write one of summary, run, state" in done.err


def test_all_that_is_written_is_known_as_ours(place: Path) -> None:
    for folder in (place / "runs").iterdir():
        assert foreign_files(folder) == [], folder


def test_each_command_that_prints_json_has_a_schema() -> None:
    group: Any = typer.main.get_command(cli.app)
    documented = " ".join(contracts().values())
    for name, command in group.commands.items():
        if any("--json" in parameter.opts for parameter in command.params):
            assert f"nnrun {name} --json" in documented, name
