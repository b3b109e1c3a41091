"""Makes the picture of the README: `nnrun show` of the digits, as SVG.

python docs/make_pictures.py
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console

import nnrun
from nnrun.report import table

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Trains the digits in a folder that is thrown away, and draws the result."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.argv = ["nnrun", "train", "configs/digits.yaml"]  # what the reader would have typed
        result = nnrun.train(ROOT / "configs" / "digits.yaml")
        console = Console(record=True, width=92, file=io.StringIO())
        console.print(f"[bold]$ nnrun show {result.run_dir.name}[/]", highlight=False)
        console.print(table.show_view(result.run_dir))
        console.save_svg(str(ROOT / "docs" / "show.svg"), title="nnrun")


if __name__ == "__main__":
    main()
