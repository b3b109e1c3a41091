"""The command line.  Only this module, the commands and the console print; only this one exits."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import traceback
from typing import NoReturn

from nnrun import hosts
from nnrun.commands import (
    catalogue,
    comparing,
    console,
    ensembling,
    evaluating,
    exporting,
    keeping,
    looking,
    predicting,
    probing,
    racing,
    reporting,
    sweeping,
    tracking,
    training,
)
from nnrun.commands._app import app

__all__ = [
    "app",
    "catalogue",
    "comparing",
    "ensembling",
    "evaluating",
    "exporting",
    "keeping",
    "looking",
    "main",
    "predicting",
    "probing",
    "racing",
    "reporting",
    "sweeping",
    "tracking",
    "training",
]


def main() -> None:
    """Runs the command line and exits with the code that nnrun.errors documents."""
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    console.open_streams()
    # It draws without a home that can be written, too, and need not say so.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    os.environ.pop("MPLBACKEND", None)  # of a notebook, say; pictures are drawn into files
    try:
        code = app(prog_name="nnrun", standalone_mode=False) or 0
        if sys.stdout is not None:
            sys.stdout.flush()
    except (Exception, SystemExit) as error:
        if debug:
            with contextlib.suppress(OSError, ValueError):
                traceback.print_exc()
        _leave(*console.explain(error))
    _leave(code)


def _leave(code: int, message: str = "") -> NoReturn:
    """Ends the process, and before it those that train the same run."""
    hosts.leave(code, message)
    console.leave(code, message)
