"""The name of a file of run folders is written once in the source, however many rooms read that file."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import nnrun
from nnrun.record import contents, names

SOURCE = Path(nnrun.__file__).parent
ELSEWHERE = ("data", "export", "spec")  # rooms that meet such names in folders of another kind


def literals(file: Path) -> list[str]:
    """Every text that a module writes out, but for the parts of formatted ones."""
    tree = ast.parse(file.read_text())
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in parts]
    return [node.value for node in constants if isinstance(node.value, str)]


def test_each_name_is_written_once() -> None:
    files = [file for file in SOURCE.rglob("*.py") if file.relative_to(SOURCE).parts[0] not in ELSEWHERE]
    counts = Counter(text for file in files for text in literals(file))
    ours = sorted(contents._FILES - {"lock"})  # "lock" is a word, too
    assert len(ours) == 25 and {"ensemble.json", "resolved.yaml", "state.json", "tags.json"} <= set(ours)
    assert {name: counts[name] for name in ours if counts[name] != 1} == {}


def test_all_names_are_listed() -> None:
    assert {getattr(names, name) for name in names.__all__ if name != "ALL"} == names.ALL
