"""Ensembles."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nnrun.api._frames import frame_of_rows, uncounted
from nnrun.ensemble import make
from nnrun.errors import one_line
from nnrun.report.ensemble import tables
from nnrun.report.ensemble.account import Account
from nnrun.report.plain_text import as_text

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingImports]

__all__ = ["Ensemble", "ensemble"]


class Ensemble(NamedTuple):
    """An ensemble; it prints as `nnrun ensemble` does.  `nnrun.load(ensemble.run_dir)` predicts with it.

    account   as account.json: metrics of the members and of the ensemble, gains, diversity, calibration
    """

    run_dir: Path
    account: Account

    def __repr__(self) -> str:
        return as_text(*tables.view(self.account), f"run folder: {one_line(self.run_dir)}")

    def to_pandas(self) -> DataFrame:
        """A row for each member, their mean, and the ensemble: its weight, and each metric."""
        account = self.account
        rows: list[Mapping[str, object]] = [
            {"name": member["name"], "weight": member["weight"], **member["metrics"]}
            for member in account["members"]
        ]
        rows += [{"name": "mean member", **account["mean"]}, {"name": "ensemble", **account["ensemble"]}]
        return frame_of_rows(rows)


def ensemble(
    members: Sequence[str | Path],
    *,
    average: str = "probabilities",
    checkpoints: str = "best",
    top: int | None = None,
    split: str = "test",
    barrier: bool = False,
    run_dir: str | Path | None = None,
    runs_root: str | Path = "runs",
) -> Ensemble:
    """Averages predictions or parameters of runs, as `nnrun ensemble` does, in a new run folder.

    members      runs, groups of seeds or folds, sweeps, ensembles; behind each :STEP, :AVERAGE or both
    average      of predictions: probabilities, logits, vote or weighted; of parameters: parameters or greedy
    checkpoints  of each run: best, last, all, cycle, or steps: "100,200"
    top          how many of the best finished trials of each sweep; None: all
    split        the part of the data that it is measured on
    barrier      whether the loss along the line between the parameters of two members is measured too
    run_dir      the exact folder of the ensemble, which must not exist or be empty; None: a new one in runs_root
    Raises the errors of nnrun.errors; then nothing is left behind.
    """
    texts = [members] if isinstance(members, str | Path) else members
    request = make.EnsembleRequest(average, checkpoints, top, split, barrier)
    target = None if run_dir is None else Path(run_dir)
    folder, account = make.make(
        [str(text) for text in texts], request, Path(runs_root), target, warnings.warn, uncounted
    )
    return Ensemble(folder, account)
