"""The compiled kernels under the sanitizers of addresses and undefined behaviour, and of threads.

    python tests/kernels/sanitized.py [--shapes 100]

Builds sanitized.cc with the compiler's sanitizers into a temporary folder, for the convolutions and for the sums of
batch norm, and lets it compute with random shapes.  Exits with 1 where a sanitizer reports anything, or where a bit
depends on the number of threads.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jaxlib

from nnrun import kernels

__all__ = ["SANITIZERS", "reports", "run"]

HERE = Path(__file__).resolve().parent
SOURCES = Path(kernels.__file__).parent
SANITIZERS = ("address,undefined", "thread")


def run(sanitizer: str, part: str, shapes: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Builds and runs one program; part is conv or norm."""
    program = folder / f"{part}-{sanitizer.partition(',')[0]}"
    build = [
        os.environ.get("CXX", "g++"), "-std=c++17", "-O1", "-g", f"-fsanitize={sanitizer}",
        "-fno-sanitize-recover=all", "-ffp-contract=fast", "-fno-math-errno", "-Wno-psabi",
        f"-I{SOURCES}", f"-isystem{Path(jaxlib.__file__).parent / 'include'}", str(HERE / "sanitized.cc"),
        "-o", str(program), "-pthread", *(["-DNORM"] if part == "norm" else []),
    ]  # fmt: skip
    subprocess.run(build, check=True, timeout=600)
    # The sanitizer of threads does not know the addresses that newer kernels of Linux give out at random.
    fixed = ["setarch", "-R"] if sanitizer == "thread" and sys.platform == "linux" else []
    return subprocess.run([*fixed, str(program), str(shapes)], capture_output=True, text=True, timeout=1200)


def reports(shapes: int) -> Iterator[tuple[str, subprocess.CompletedProcess[str]]]:
    """What each program reports, by its name."""
    with tempfile.TemporaryDirectory() as folder:
        for sanitizer in SANITIZERS:
            for part in ("conv", "norm"):
                yield f"{part}, {sanitizer}", run(sanitizer, part, shapes, Path(folder))


def main() -> None:
    """Prints a line for each program, and the report of one that fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shapes", type=int, default=100)
    failed = False
    for name, done in reports(parser.parse_args().shapes):
        failed |= done.returncode != 0
        print(f"{name}: {done.stdout.strip() or 'no answer'}; exit code {done.returncode}", flush=True)
        print(done.stderr, end="", file=sys.stderr)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
