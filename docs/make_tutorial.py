"""Writes the answers in docs/tutorial.md: what its commands print, in a folder that is thrown away.

python docs/make_tutorial.py      a minute
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = Path(__file__).with_name("tutorial.md")
_COMMANDS = r"```sh\n(?P<lines>.*?)```\n(?:\n```text\n.*?```\n)?"


def answer(lines: list[str], folder: str) -> str:
    """What the last of the commands prints, after the others."""
    environment = {**os.environ, "COLUMNS": "80"}
    printed = ""
    for line in lines:
        command = [sys.executable, "-m", *line.split()]
        done = subprocess.run(
            command, cwd=folder, env=environment, check=True, text=True, stdout=subprocess.PIPE
        )
        printed = done.stdout
    return printed


def main() -> None:
    """Runs the commands in their order; an answer is replaced where the page has one."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "configs", Path(folder) / "configs")

        def with_answer(block: re.Match[str]) -> str:
            printed = answer(block["lines"].splitlines(), folder)
            shown = f"\n```text\n{printed}```\n" if "```text" in block[0] else ""
            return f"```sh\n{block['lines']}```\n{shown}"

        text = re.sub(_COMMANDS, with_answer, DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)
    DOCUMENT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
