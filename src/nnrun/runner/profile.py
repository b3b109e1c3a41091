"""A trace of a few seconds of training: what the device and the host do, to be opened in Perfetto."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import jax

from nnrun.errors import SpecError, one_line
from nnrun.runner.folds import Turn

__all__ = ["SECONDS", "check_target", "profiled"]

SECONDS = 3.0  # after the first steps, when everything is compiled


def check_target(folder: Path) -> None:
    """Raises SpecError unless a trace can be written there."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SpecError(f"--profile {one_line(folder)}: already exists; name a new folder")
    nearest = next(path for path in folder.absolute().parents if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise SpecError(
            f"--profile {one_line(folder)}: cannot be made in {one_line(nearest)}; name another place"
        )


def profiled(training: Iterator[Turn], folder: Path) -> Iterator[Turn]:
    """Trains, and writes a trace of the first seconds after the first steps into a folder: plugins/profile/DATE/.

    A run that ends sooner is traced to its end.  What is computed does not change.
    """
    began, running = 0.0, False
    try:
        for turn in training:
            yield turn
            if not began and turn.progress.step > 0:
                options = jax.profiler.ProfileOptions()
                options.python_tracer_level = 0  # each call of a Python function would hide what is computed
                jax.profiler.start_trace(folder, create_perfetto_trace=True, profiler_options=options)
                began, running = time.monotonic(), True
            elif running and time.monotonic() - began > SECONDS:
                running = False
                jax.profiler.stop_trace()
    finally:
        if running:
            jax.profiler.stop_trace()
