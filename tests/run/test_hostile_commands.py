"""Hostile specs through the command line: exit code 2, a few clear lines, and nothing on disk."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def load(path: Path) -> ModuleType:
    found = importlib.util.spec_from_file_location(path.stem, path)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


TABLE = load(Path(__file__).resolve().parents[1] / "spec" / "hostile.py")
GROUPS = sorted({case.id.partition(":")[0] for case in TABLE.CASES})
# A C string ends at a NUL: no command line can hold one.  JSON cannot carry the other.
CASES = [case for case in TABLE.CASES if case.id not in ("argument: NUL", "argument: surrogate")]
# Some through a process of their own, nothing imported before.
ALONE = [next(case for case in CASES if case.id.startswith(group)) for group in ("file", "key", "user code")]


def prepare(folder: Path, case: Any) -> list[str]:
    """Writes the case's files; the arguments of the command."""
    for name, text in TABLE.USER_FILES.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    file = folder / "spec.yaml"
    if case.spec == "/":
        file.mkdir()
    elif case.spec is not None:
        file.write_bytes(case.spec if isinstance(case.spec, bytes) else case.spec.encode())
    # What follows `--` is no option of ours, whatever it begins with.
    return ["train", "spec.yaml", *(["--", *case.overrides] if case.overrides else [])]


def listing(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*") if "__pycache__" not in path.parts}


def mistakes(case: Any, done: Any) -> list[str]:
    """What is wrong with nnrun's answer to a hostile spec."""
    lines = done.err.splitlines()
    found = [] if done.code == 2 else [f"exit code {done.code}"]
    found += [] if not done.out else [f"stdout: {done.out[:200]!r}"]
    found += [] if 1 <= len(lines) <= 6 else [f"{len(lines)} lines"]
    found += [
        f"line {line[:300]!r}" for line in lines if not line.startswith("nnrun: ") or not line.isprintable()
    ]
    found += [] if "Traceback" not in done.err else ["a traceback"]
    for expected in case.expected:
        wanted = "spec.yaml" + expected if re.match(r":\d+:", expected) else expected
        found += [] if wanted in done.err else [f"no {wanted!r} in {done.err[:500]!r}"]
    return found


def first_middle_last(cases: list[Any]) -> list[Any]:
    return [cases[0], cases[len(cases) // 2], cases[-1]]


@pytest.mark.parametrize(
    "choose", [first_middle_last, pytest.param(list, marks=pytest.mark.slow)], ids=["some", "all"]
)
@pytest.mark.parametrize("group", GROUPS)
def test_a_case_ends_in_a_few_clear_lines(
    group: str, choose: Callable[[list[Any]], list[Any]], warm: Callable[..., Any], tmp_path: Path
) -> None:
    """Three cases of each group; tests/spec/test_hostile_specs.py has them all, without the command line."""
    wrong = {}
    cases = choose([case for case in CASES if case.id.startswith(f"{group}:")])
    for number, case in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        arguments = prepare(folder, case)
        before = listing(folder)
        found = mistakes(case, warm(*arguments, folder=folder))
        found += [f"left behind: {name}" for name in sorted(listing(folder) - before)]
        if found:
            wrong[case.id] = found
    assert not wrong, "\n".join(f"{case}: {'; '.join(found)}" for case, found in wrong.items())


@pytest.mark.parametrize("case", ALONE, ids=lambda case: case.id)
def test_a_process_of_its_own(case: Any, nnrun: Callable[..., Any], tmp_path: Path) -> None:
    arguments = prepare(tmp_path, case)
    before = listing(tmp_path)
    assert mistakes(case, nnrun(*arguments)) == []
    assert listing(tmp_path) == before


def test_most_of_the_table_is_run() -> None:
    assert len(CASES) >= len(TABLE.CASES) - 2 >= 180
