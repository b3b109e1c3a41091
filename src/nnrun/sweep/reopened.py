"""The folder of a sweep that is to continue.  Imports no jax."""

from __future__ import annotations

from pathlib import Path

from nnrun.errors import RunError, one_line
from nnrun.record import run
from nnrun.record.names import SWEEP

__all__ = ["begun_sweep"]


def begun_sweep(text: Path, root: Path) -> Path:
    """The folder of the sweep that `text` names.  Raises RunError where it is none, or another process has it.

    root   the folder that run folders lie in
    """
    if (text / SWEEP).is_file() and not run.is_run(text):
        run.write_state(text, "interrupted")  # its state.json is gone, and follows from the rest
    folder = run.resolve(str(text), root)
    if not (folder / SWEEP).is_file():
        raise RunError(f"{one_line(folder)}: not a sweep; `nnrun resume {one_line(folder)}` continues a run")
    run.check_free(folder)
    return folder
