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
sweep: {over: {optimizer.learning_rate: {log: [1e-4, 1e-2]}}, trials: 3, seeds: 1, final_seeds: 2}
"""


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, warm: Callable[..., Any], keeps_contract: Callable[..., None]
) -> Path:
    """Runs, a group, folds, an ensemble and a sweep, whose commands have printed what their schemas say."""
    folder = tmp_path_factory.mktemp("contract")
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "sweep.yaml").write_text(SWEEP)
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
    ):
        done = warm(*arguments, "--json", folder=folder)
        assert done.code == code, done.err
        if done.out:
            keeps_contract(arguments[0], json.loads(done.out))
    return folder


def test_files_are_what_their_schemas_say(place: Path, keeps_contract: Callable[..., None]) -> None:
    for name in ("summary", "run", "state", "account", "leaderboard"):
        files = sorted(place.rglob(f"{name}.json"))
        assert files, name
        for file in files:
            keeps_contract(name, json.loads(file.read_text()))
    for file in place.rglob("metrics.jsonl"):
        for line in file.read_text().splitlines():
            keeps_contract("metrics", json.loads(line))


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
