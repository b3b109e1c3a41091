"""Which columns a run was trained on, while its data are read again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from nnrun.preprocessing import Wanted

__all__ = ["inputs_of_run", "is_input_of_run"]

_inputs: ContextVar[frozenset[str]] = ContextVar("inputs", default=frozenset())


@contextmanager
def inputs_of_run(wanted: Wanted | None) -> Iterator[None]:
    """Within it, columns that a run was trained on are its inputs, whatever nnrun would ask of them today.

    wanted   what the folder of the run records; None: no run is read again
    """
    columns = wanted.fitted.columns if wanted is not None else ()
    token = _inputs.set(frozenset(column.name for column in columns))
    try:
        yield
    finally:
        _inputs.reset(token)


def is_input_of_run(name: str) -> bool:
    """Whether data are read again of a run that was trained on this column."""
    return name in _inputs.get()
