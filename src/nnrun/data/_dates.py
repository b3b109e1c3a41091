"""Cells that hold dates, as days since 1970 in UTC, and the inputs that are made of these."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import numpy as np

__all__ = ["as_iso", "date_inputs", "days_of", "formats_of", "is_date"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?")
_LOCAL = re.compile(r"\d{1,2}([./-])\d{1,2}\1(\d{4}|\d{2})([ T]\d{1,2}:\d{2}(:\d{2})?)?")
_DAYS = [
    f"{day}{sep}{year}".replace("-", sep)
    for sep in "./-"
    for year in ("%Y", "%y")
    for day in ("%d-%m", "%m-%d")
]
_TIMES = ("", " %H:%M", " %H:%M:%S", "T%H:%M", "T%H:%M:%S")
_FORMS = (None, *(f"{day}{time}" for day in _DAYS for time in _TIMES))
_LOOKED_AT = 5000  # different cells of a column, which say how its dates are written
_THURSDAY = 3  # the day of the week of 1970-01-01, Monday being 0


def is_date(cell: str) -> bool:
    """Whether a cell looks like a date, perhaps with a time of day."""
    return bool(_ISO.fullmatch(cell) or _LOCAL.fullmatch(cell))


def formats_of(cells: Iterable[str], least: float = 0.5) -> list[str | None]:
    """What data.date_format may be for these dates, the day first; None: ISO 8601.  Empty: too many fit no form.

    least   the share of the different cells that a form has to fit
    A few mistyped cells hide no form: those of most cells are given.
    """
    distinct = sorted(set(cells))[:_LOOKED_AT]
    beginning = distinct[:: max(1, len(distinct) // 50)]
    likely = [form for form in _FORMS if any(days_of(cell, form) is not None for cell in beginning)]
    counts = {form: sum(days_of(cell, form) is not None for cell in distinct) for form in likely}
    most = max(counts.values(), default=0)
    return [form for form, count in counts.items() if count == most and count >= least * len(distinct)]


def days_of(cell: str, form: str | None) -> float | None:
    """Days since 1970-01-01 in UTC; None: the cell is no date of this form.

    form   as datetime.strptime takes it; None: ISO 8601.  A time without an offset is taken as UTC.
    """
    try:
        if form is None:
            moment = datetime.fromisoformat(cell) if _ISO.fullmatch(cell) else None
        else:
            moment = datetime.strptime(cell, form)
    except ValueError:
        return None
    if moment is None:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (moment - _EPOCH) / _DAY


def as_iso(days: float) -> str:
    """The moment as ISO 8601, which `days_of` reads back."""
    moment = (_EPOCH + days * _DAY).replace(tzinfo=None)
    return moment.date().isoformat() if moment.time() == datetime.min.time() else moment.isoformat()


def date_inputs(days: np.ndarray, parts: tuple[str, ...], origin: float) -> np.ndarray:
    """(n, inputs) float64 of the parts of a date, in order.

    days     (n,) since 1970-01-01, as the origin
    parts    days: since the origin; weekday, month, hour: sine and cosine of the place in the week, year or day
    """
    inputs = []
    for part in parts:
        if part == "days":
            inputs.append(days - origin)
            continue
        turn = 2 * np.pi * _share(days, part)
        inputs += [np.sin(turn), np.cos(turn)]
    return np.stack(inputs, axis=1)


def _share(days: np.ndarray, part: str) -> np.ndarray:
    """(n,) in [0, 1): how far the week, the year (in whole months) or the day has come."""
    whole = np.floor(days)
    if part == "weekday":
        return (whole + _THURSDAY) % 7 / 7
    if part == "month":
        return (
            whole.astype(np.int64).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12 / 12
        )
    return days - whole
