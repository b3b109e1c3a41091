"""Makes the pictures of a run: `nnrun show` of the digits as SVG, and its report as a browser shows it, as PNG.

python docs/make_pictures.py

The report needs chromium or Chrome; without it its pictures stay as they are, which is said.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from rich.console import Console

import nnrun
from nnrun.report import table

ROOT = Path(__file__).resolve().parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHTS = 1280, {"report": 1545, "report_examples": 1915}


def main() -> None:
    """Trains the digits in a folder that is thrown away, and draws the result."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.argv = ["nnrun", "train", "configs/digits.yaml"]  # what the reader would have typed
        run = nnrun.train(ROOT / "configs" / "digits.yaml", run_dir="runs/digits").run_dir
        console = Console(record=True, width=92, file=io.StringIO())
        console.print(f"[bold]$ nnrun show {run.name}[/]", highlight=False)
        console.print(table.show_view(run))
        console.save_svg(str(ROOT / "docs" / "show.svg"), title="nnrun")
        small = ["model.hidden=[24]", "train.duration=8 epochs"]  # a net that errs
        draw_report(nnrun.train(ROOT / "configs" / "digits.yaml", small, run_dir="runs/small").run_dir)


def draw_report(run: Path) -> None:
    """The beginning of the report, and its section about examples."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print(f"no browser ({', '.join(BROWSERS)}): the pictures of the report stay as they are")
        return
    page = Path("report.html").absolute()
    subprocess.run([sys.executable, "-m", "nnrun", "report", str(run), "-o", str(page)], check=True)
    text = page.read_text()
    head, examples = text.partition("<body>")[0], text[text.index("<h2>Examples") :]
    for name, content in {"report": text, "report_examples": f"{head}<body>{examples}"}.items():
        page.write_text(content)
        picture = Path(f"{name}.png").absolute()
        size = f"--window-size={WIDTH},{HEIGHTS[name]}"
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            "--hide-scrollbars",
            "--virtual-time-budget=3000",
            size,
        ]
        command += ["--no-sandbox"] if os.geteuid() == 0 else []
        subprocess.run([*command, f"--screenshot={picture}", page.as_uri()], check=True, capture_output=True)
        small = (
            Image.open(picture)
            .convert("RGB")
            .quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        )
        small.save(ROOT / "docs" / "pictures" / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
