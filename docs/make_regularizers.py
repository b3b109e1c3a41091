"""Draws and measures everything in docs/regularizers.md, and writes it into the marked blocks there.

    python docs/make_regularizers.py                          all of it: about an hour on two CPU cores
    python docs/make_regularizers.py --only units             one section; pictures take seconds
    python docs/make_regularizers.py --runs FOLDER            keeps the runs, and continues what is missing

MNIST is read from NNRUN_DATA_DIR (or downloaded), the CIFAR-10 images from NNRUN_IMAGES, a folder that holds
train/CLASS/ and test/CLASS/.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from make_optimizers import BLOCK, write_block
from optimizers_parts import PICTURES, ROOT
from regularizers_measured import GROUPS, measured
from regularizers_pictures import blocks, regions, units, weights

__all__ = ["BLOCK", "DOCUMENT", "SECTIONS", "main"]

DOCUMENT = ROOT / "docs" / "regularizers.md"
_PICTURES: dict[str, Callable[[], str]] = {f.__name__: f for f in (units, weights, blocks, regions)}
SECTIONS = (*_PICTURES, *GROUPS)


def main() -> None:
    """Makes the sections that are wanted, one after another; what is done is kept if one fails."""
    parser = argparse.ArgumentParser(description="Regenerates the measured blocks of docs/regularizers.md.")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="one section; may be repeated")
    parser.add_argument("--runs", type=Path, help="a folder in which runs are kept")
    arguments = parser.parse_args()
    PICTURES.mkdir(exist_ok=True)
    data = os.environ.get("NNRUN_DATA_DIR", "")
    for name in arguments.only or SECTIONS:
        begin = time.perf_counter()
        os.environ["NNRUN_DATA_DIR"] = (
            os.environ.get("NNRUN_IMAGES", data) if name.startswith("cifar10") else data
        )
        make = _PICTURES.get(name) or partial(measured, name, arguments.runs)
        write_block(DOCUMENT, name, make())
        print(f"{name}: {time.perf_counter() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
