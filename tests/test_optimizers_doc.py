"""docs/optimizers.md and the script that measures it fit together; nothing is trained here."""

from __future__ import annotations

import importlib
import itertools
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from nnrun import catalog, spec
from nnrun.race import entrants

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
TEXT = (DOCS / "optimizers.md").read_text(encoding="utf-8")
PICTURES = DOCS / "pictures"
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
NOT_MEASURED = (
    "cs231n 2016",
    "cs231n.github.io/neural-networks-3/",
    "lecture 6",
    "95% interval",
    "batches of 128",
)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        return importlib.import_module("make_optimizers")


def test_the_blocks_are_the_sections_of_the_script(script: ModuleType) -> None:
    assert [found[2] for found in script.BLOCK.finditer(TEXT)] == list(script.SECTIONS)
    assert TEXT.count("<!--") == 2 * len(script.SECTIONS)


def test_every_block_is_filled(script: ModuleType) -> None:
    for found in script.BLOCK.finditer(TEXT):
        assert "![" in found[3], found[2]
        assert "| ---" in found[3], found[2]


def test_the_pictures_are_those_that_are_shown() -> None:
    shown = re.findall(r"!\[[^]]+\]\(pictures/([^)]+)\)", TEXT)
    documents = [path for path in DOCS.glob("*.md") if path.name != "optimizers.md"]
    text = "".join(path.read_text(encoding="utf-8") for path in documents)
    others = re.findall(r"\(pictures/([^)]+)\)", text)
    assert {*shown, *others} == {path.name for path in PICTURES.iterdir()}
    for name in shown:
        size = (PICTURES / name).stat().st_size
        assert size < (2_000_000 if name.endswith(".gif") else 120_000), name
        with Image.open(PICTURES / name) as image:
            assert 700 <= image.width <= 900, name


def test_prose_has_no_numbers_of_its_own(script: ModuleType) -> None:
    prose = script.BLOCK.sub("", TEXT)
    prose = re.sub(r"```.*?```|`[^`]*`", "", prose, flags=re.DOTALL)
    for known in NOT_MEASURED:
        assert known in prose
        prose = prose.replace(known, "")
    assert [line for line in prose.splitlines() if re.search(r"\d", line)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_understood(command: str, script: ModuleType) -> None:
    program, verb, *words = shlex.split(command)
    if program == "python":
        assert verb == "docs/make_optimizers.py"
        assert words in ([], *(["--only", name] for name in script.SECTIONS))
    elif verb == "train":
        catalog.bind(spec.read(ROOT / words[0], words[1:]))
    elif verb == "race":
        for text in itertools.takewhile(lambda word: not word.startswith("-"), words):
            entrants.entrant(text, ROOT, 1)
    else:
        assert (program, verb) == ("nnrun", "list")


def test_races_are_those_of_the_document(script: ModuleType) -> None:
    """What the script runs is what the reader is told to type."""
    races = importlib.import_module("optimizers_races")
    told = [shlex.split(command)[2:] for command in COMMANDS if command.startswith("nnrun race")]
    typed = [list(itertools.takewhile(lambda word: not word.startswith("-"), words)) for words in told]
    assert typed == [*races.RACES.values()]
