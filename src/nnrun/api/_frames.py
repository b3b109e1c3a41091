"""Tables for pandas, which nnrun can do without; and progress that nobody looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nnrun import signals
from nnrun.errors import Interrupted, MachineError

if TYPE_CHECKING:
    import numpy as np
    from pandas import DataFrame  # pyright: ignore[reportMissingImports]

__all__ = ["frame_of_columns", "frame_of_rows", "uncounted"]


def frame_of_columns(columns: Mapping[str, np.ndarray | Sequence[object]]) -> DataFrame:
    """A DataFrame of columns of one length.  Raises MachineError where pandas is not installed."""
    try:
        from pandas import DataFrame  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise MachineError("to_pandas: needs pandas, which is not installed; pip install pandas") from None
    return DataFrame(dict(columns))


def frame_of_rows(rows: Sequence[Mapping[str, object]]) -> DataFrame:
    """A DataFrame with a column for each name that a row has; what a row lacks is missing in it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return frame_of_columns({name: [row.get(name) for row in rows] for name in names})


@contextmanager
def uncounted(what: str, total: int | None) -> Iterator[Callable[[], None]]:
    """Nothing is shown of how far it is; the function raises Interrupted once a signal has arrived."""
    del total

    def tick() -> None:
        if signals.pending():
            raise Interrupted(signals.pending(), f"interrupted while {what}; nothing was written")

    yield tick
