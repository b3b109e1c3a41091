"""Measures and draws everything in docs/optimizers.md, and writes it into the marked blocks there.

    python docs/make_optimizers.py                        all of it, in about ten minutes on two CPU cores
    python docs/make_optimizers.py --only mnist           one section

MNIST is read from NNRUN_DATA_DIR, or downloaded where that is unset.  The seconds behind the ratios of times
are those of this machine; all else is the same at every call on the same machine and versions.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from pathlib import Path

from optimizers_mnist import mnist
from optimizers_parts import PICTURES, ROOT
from optimizers_races import momentum, nesterov, six, zigzag
from optimizers_rates import bias_correction, decay, dying_rate
from optimizers_second_order import mini_batches, second_order

__all__ = ["BLOCK", "DOCUMENT", "SECTIONS", "main", "write_block"]

DOCUMENT = ROOT / "docs" / "optimizers.md"
BLOCK = re.compile(r"(<!-- measured: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
SECTIONS: dict[str, Callable[[], str]] = {  # block -> its content, in the order of the document
    function.__name__: function
    for function in (
        zigzag,
        momentum,
        nesterov,
        six,
        dying_rate,
        bias_correction,
        decay,
        second_order,
        mini_batches,
        mnist,
    )
}


def main() -> None:
    """Makes the sections that are wanted, one after another; what is done is kept if one fails."""
    parser = argparse.ArgumentParser(description="Regenerates the measured blocks of docs/optimizers.md.")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="one section; may be repeated")
    PICTURES.mkdir(exist_ok=True)
    for name in parser.parse_args().only or SECTIONS:
        begin = time.perf_counter()
        write_block(DOCUMENT, name, SECTIONS[name]())
        print(f"{name}: {time.perf_counter() - begin:.0f} s", flush=True)


def write_block(document: Path, name: str, content: str) -> None:
    """Puts the content into the document's block of that name."""
    text = document.read_text(encoding="utf-8")

    def block(match: re.Match[str]) -> str:
        return f"{match[1]}{content}\n{match[4]}" if match[2] == name else match[0]

    document.write_text(BLOCK.sub(block, text), encoding="utf-8")


if __name__ == "__main__":
    main()
