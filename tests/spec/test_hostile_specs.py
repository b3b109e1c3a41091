"""Every hostile spec ends in one clear error, after little work, and never in another exception."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType

import pytest

from nnrun import catalog, spec
from nnrun.errors import SpecError


def _table() -> ModuleType:
    found = importlib.util.spec_from_file_location("hostile", Path(__file__).with_name("hostile.py"))
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


TABLE = _table()
MOST_CALLS = 3_000_000  # of functions, about a second's work; most specs need a hundredth of that


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in TABLE.USER_FILES.items():
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return tmp_path


@pytest.fixture(scope="module", autouse=True)
def _warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Imports jax and the entries: the limit is on the work after that."""
    file = tmp_path_factory.mktemp("warm") / "spec.yaml"
    file.write_text(TABLE.VALID)
    assert catalog.bind(spec.read(file)).name == "digits"


@contextmanager
def at_most(limit: int) -> Iterator[None]:
    """Fails where the body calls more functions than that."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")
        if calls > limit:
            sys.setprofile(None)
            pytest.fail(f"more than {limit} calls of functions")

    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("case", TABLE.CASES, ids=lambda case: case.id)
def test_it_ends_in_one_clear_error(case, folder, monkeypatch):
    monkeypatch.chdir(folder)
    file = Path("spec.yaml")
    if case.spec == "/":
        file.mkdir()
    elif case.spec is not None:
        file.write_bytes(case.spec if isinstance(case.spec, bytes) else case.spec.encode())
    before = set(folder.iterdir())
    with pytest.raises(SpecError) as caught, at_most(MOST_CALLS):
        catalog.bind(spec.read(file, case.overrides))
    assert {path for path in folder.iterdir() if path.name != "__pycache__"} == before
    _assert_told(caught.value, case)


def _assert_told(error: SpecError, case) -> None:
    message = str(error)
    lines = message.split("\n")
    assert lines == list(error.problems)
    assert 1 <= len(lines) <= 6
    for expected in case.expected:
        wanted = "spec.yaml" + expected if re.match(r":\d+:", expected) else expected
        assert wanted in message
    for line in lines:
        assert line.isprintable()
        assert len(line) < 700
        assert line.startswith(("spec.yaml:", "argument ", "... and ")), "a line begins with its place"
        assert line.startswith("... and ") or "; " in line, "a line ends with the remedy"


def test_the_table_is_of_use():
    ids = [case.id for case in TABLE.CASES]
    assert len(ids) == len(set(ids)) >= 60
    assert all(case.expected for case in TABLE.CASES)
