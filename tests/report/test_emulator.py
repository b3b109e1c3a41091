"""What commands print, in a terminal emulator: nothing is cut at 60, 80, 120 and 200 columns, in UTF-8 and ASCII."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main

from nnrun import cli

SPEC = """
data: {name: digits, batch_size: 64, examples: 300}
model: {name: mlp, hidden: [16]}
optimizer: {name: adam, learning_rate: 0.01}
train: {duration: 12 epochs, seeds: 2}
"""
COMMANDS: dict[str, list[str]] = {
    "ls": ["ls"],
    "show a group": ["show", "plain"],
    "show a run": ["show", "two_layers_of_48_and_32"],
    "show an ensemble": ["show", "together"],
    "show a sweep": ["show", "sweep"],
    "compare": ["compare", "plain", "two_layers"],
    "list": ["list"],
    "list a kind": ["list", "optimizer"],
    "list one": ["list", "optimizer", "adam"],
    "list a record": ["list", "data", "csv"],
    "list a plot": ["list", "schedule", "cosine", "--plot"],
}
COMMAND: Any = typer.main.get_command(cli.app)


@pytest.fixture(scope="module")
def folder(warm: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory, written_once: Path) -> Path:
    """Two runs, one of them a group of seeds, its ensemble, and a sweep."""
    place = tmp_path_factory.mktemp("shown")
    (place / "spec.yaml").write_text(SPEC)
    other = ["model.hidden=[48,32]", "optimizer.learning_rate=0.001", "train.seeds=1"]
    for command in (
        ("train", "spec.yaml", "--run-dir", "runs/plain"),
        ("train", "spec.yaml", *other, "--run-dir", "runs/two_layers_of_48_and_32"),
        ("ensemble", "runs/plain", "-o", "runs/together"),
    ):
        done = warm(*command, "--quiet", folder=place)
        assert done.code == 0, done.err
    (place / "runs" / "sweep").symlink_to(written_once)
    return place


def run(arguments: list[str]) -> None:
    COMMAND(arguments, standalone_mode=False)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_cut(
    command: str, encoding: str, folder: Path, screens: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("nnrun.report.overview._ago", lambda changed: "5 min ago")
    screens.assert_whole(lambda: run(COMMANDS[command]), encoding, monkeypatch, "list" in COMMANDS[command])


def test_a_word_that_is_cut_is_noticed(screens: ModuleType) -> None:
    assert screens.broken(["accuracy  0.9", "712"], "accuracy 0.9712\n") == ["0.9", "712"]
    assert screens.broken(["a_long…name  0.97…"], "a_long_long_name 0.9712") == ["0.97…"]


def test_training_on_a_narrow_terminal(
    begun: Callable[..., Any], tmp_path: Path, screens: ModuleType
) -> None:
    """In ASCII and 60 columns: what is left when it has ended is its course, the answer and the next command."""
    (tmp_path / "spec.yaml").write_text(SPEC)
    terminal, streams = pty.openpty()
    settings = {
        "TERM": "xterm-256color",
        "COLUMNS": "60",
        "LINES": "40",
        "PYTHONIOENCODING": "ascii",
        "LANG": "C",
    }
    command = ("train", "spec.yaml", "--run-dir", "run")
    process = begun(*command, folder=tmp_path, terminal=os.ttyname(streams), **settings)
    output = b""
    while process.poll() is None or select.select([terminal], [], [], 0.1)[0]:
        if select.select([terminal], [], [], 0.1)[0]:
            output += os.read(terminal, 65536)
    shown = screens.on_screen(output.decode("ascii"), 60)
    os.close(streams)
    os.close(terminal)
    assert process.returncode == 0, shown
    text = " ".join(shown)
    assert "done: test/accuracy " in text and "+-" in text and shown[-1] == "look at it: nnrun show run"
    answer = text[text.index("done:") :]
    assert re.fullmatch(
        r"done: test/accuracy \d+\.\d\d% (\+- \S+|\[\S+, \S+\]) \(largest class: \d+\.\d\d%\) +test/loss \d\.\d+ "
        r"(\+- \S+|\[\S+, \S+\]) +\(mean \+- 95% interval of 2 seeds\) run folder: run look at it: nnrun show run",
        answer,
    ), answer


def test_damage_is_named(
    folder: Path, tmp_path: Path, screens: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint that was cut short by `show`, a changed resolved.yaml by `ls`, which reads neither whole."""
    place = tmp_path / "runs" / "one"
    shutil.copytree(folder / "runs" / "two_layers_of_48_and_32", place)
    [arrays] = place.glob("checkpoints/*/arrays.safetensors")
    step = int(arrays.parent.name.removeprefix("step_"))
    arrays.write_bytes(arrays.read_bytes()[:-1])
    (place / "resolved.yaml").write_bytes((place / "resolved.yaml").read_bytes()[:200])
    monkeypatch.chdir(tmp_path)
    for arguments, words in (
        (["show", "one"], f"damaged  checkpoints of steps {step}, cut short"),
        (["ls"], "damaged (resolved.yaml)"),
    ):
        pipe = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        screens.printed(partial(run, arguments), pipe, monkeypatch)
        assert words in pipe.buffer.getvalue().decode()
