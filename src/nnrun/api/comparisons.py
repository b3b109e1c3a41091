"""Runs compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nnrun.api._frames import frame_of_rows
from nnrun.report import side_by_side_text
from nnrun.report.named_runs import compare_runs
from nnrun.report.plain_text import as_text
from nnrun.report.side_by_side import SideBySide, value

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingImports]

__all__ = ["Comparison", "compare"]


class Comparison(NamedTuple):
    """Settings side by side; it prints as `nnrun compare` does.

    answer   what the tests say, a sentence each
    data     all of it, as `nnrun compare --json` prints it: runs, metric, comparisons, answer
    """

    answer: list[str]
    data: dict[str, object]
    content: SideBySide

    def __repr__(self) -> str:
        return as_text(side_by_side_text.as_table(self.content))

    def to_pandas(self) -> DataFrame:
        """A row for each setting: what differs, and of each metric the mean and the ends of its 95% interval."""
        rows: list[dict[str, object]] = []
        for entry in self.content.entries:
            row: dict[str, object] = {"run": entry.name, "status": entry.status, "seeds": len(entry.seeds)}
            row |= {key: entry.settings.get(key) for key in self.content.keys}
            for metric in self.content.metrics:
                mean, low, high = value(entry, metric)
                row |= {metric.name: mean, f"{metric.name} low": low, f"{metric.name} high": high}
            rows.append(row)
        return frame_of_rows(rows)


def compare(runs: Sequence[str | Path], *, runs_root: str | Path = "runs") -> Comparison:
    """Compares runs, as `nnrun compare` does: settings that differ, results, whether that is more than chance.

    runs        run folders or the beginnings of their names; a sweep stands for its runs on fresh seeds
    runs_root   the folder that run folders lie in
    Raises RunError, SpecError where there are not two runs to compare.
    """
    texts = [runs] if isinstance(runs, str | Path) else runs
    content = compare_runs([str(text) for text in texts], Path(runs_root))
    return Comparison(content.sentences, dict(side_by_side_text.as_data(content)), content)
