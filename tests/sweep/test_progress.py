"""The share of the work that is shown."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from nnrun.sweep import lifecycle
from nnrun.sweep.batches import InProcess
from nnrun.sweep.engine import Engine
from nnrun.sweep.progress import ProgressCounter

HALVING = """
  search: {name: halving, eta: 3, first: 0.17}
  over: {optimizer.learning_rate: {log: [1e-4, 1e-1]}}
  trials: 9
  final_seeds: 2
"""


@pytest.mark.slow
def test_the_share_rises_to_one(write: Any, engine: Engine, tmp_path: Path) -> None:
    """Also where most trials end early: what they did not need is no work that is left."""
    sweep_plan, folder = lifecycle.begin(write(HALVING), [], engine, tmp_path / "sweep", tmp_path)
    shares, rows = [], []
    counter = None
    for loop, event in lifecycle.sweep(sweep_plan, folder, engine, InProcess(engine)):
        counter = counter or ProgressCounter(loop)
        progress = counter.progress(event)
        shares.append(progress.share)
        rows = progress.rows
    assert shares[0] == 0
    assert shares[-1] == pytest.approx(1.0)
    assert all(later >= earlier - 1e-9 for earlier, later in itertools.pairwise(shares))
    [row] = rows
    assert (row.label, row.done, row.trials, row.lost) == ("trial", 9, 9, "8 stopped")
    assert row.best
