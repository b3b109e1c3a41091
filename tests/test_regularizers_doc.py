"""docs/regularizers.md, the script that measures it and the configs fit together; nothing is trained here."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from nnrun import catalog, spec

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
TEXT = (DOCS / "regularizers.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
PICTURES = ("units", "weights", "blocks", "regions")


@pytest.fixture(scope="module")
def scripts() -> tuple[ModuleType, ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        return tuple(map(importlib.import_module, ("make_regularizers", "regularizers_measured")))  # type: ignore[return-value]


def test_the_blocks_are_the_sections_of_the_script(scripts: tuple[ModuleType, ModuleType]) -> None:
    script, _ = scripts
    found = {match[2]: match[3] for match in script.BLOCK.finditer(TEXT)}
    assert list(found) == list(script.SECTIONS)
    for name, content in found.items():
        assert ("![" if name in PICTURES else "| ---") in content, name


def test_the_pictures_are_there() -> None:
    shown = re.findall(r"!\[[^]]+\]\(pictures/([^)]+)\)", TEXT)
    assert len(shown) == len(PICTURES)
    for name in shown:
        with Image.open(DOCS / "pictures" / name) as image:
            assert 700 <= image.width <= 900, name


def test_every_row_has_its_command_in_the_header_of_its_config(
    scripts: tuple[ModuleType, ModuleType],
) -> None:
    """Whoever opens the config sees what to type for each row, and each is a valid spec."""
    _, measured = scripts
    for config, rows in measured.GROUPS.items():
        header = (ROOT / "configs" / f"{config}.yaml").read_text().partition("\nname:")[0]
        typed = [sorted(shlex.split(line[1:])) for line in header.splitlines() if "nnrun train" in line]
        for changes in rows.values():
            command = shlex.split(measured.command(config, changes))
            assert sorted(command) in typed, command
            catalog.bind(spec.read(ROOT / command[2], command[3:]))


def test_rows_are_compared_with_the_plain_net(scripts: tuple[ModuleType, ModuleType]) -> None:
    _, measured = scripts
    assert all(next(iter(rows.values())) == () for rows in measured.GROUPS.values())
    steady = np.array([0.9, 1.0, 1.1, 1.0, 1.0])
    assert measured._verdict(-steady) == "better"
    assert measured._verdict(steady) == "worse"
    assert measured._verdict(steady - 0.95) == "no difference shown"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_understood(command: str, scripts: tuple[ModuleType, ModuleType]) -> None:
    script, _ = scripts
    program, verb, *words = shlex.split(command)
    if program == "python":
        assert verb == "docs/make_regularizers.py"
        assert words in ([], *(["--only", name] for name in script.SECTIONS))
    elif verb == "train":
        catalog.bind(spec.read(ROOT / words[0], words[1:]))
    else:
        assert (program, verb) == ("nnrun", "list")
        assert words[1] in catalog.names(words[0]) if len(words) > 1 else words[0] in catalog.KINDS
