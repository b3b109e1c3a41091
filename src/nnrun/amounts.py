"""Amounts: values of metrics, times, and numbers that are too large to be read digit by digit."""

from __future__ import annotations

import math
from typing import Any, SupportsFloat

__all__ = ["figure", "short_number", "time_text", "way", "with_digits"]

_EXPONENTS = 1e15  # from here on digits before the point say nothing in float64


def figure(value: SupportsFloat, digits: int = 4, sign: str = "") -> str:
    """A number to be read: this many significant digits, or all that stand before the point: `0.01234`, `45123`.

    sign   "+": always with one, but for 0
    """
    number = float(value) or 0.0  # -0.0 is 0
    sign = sign if number else ""
    if 10**digits <= abs(number) < _EXPONENTS:
        return f"{number:{sign}.0f}"
    return f"{number:{sign}.{digits}g}"


def way(value: Any, low: float, high: float) -> Any:
    """How far a number, or each of an array, is on the way from low to high > low: 0 at low, 1 at high.

    Also where high − low is too large for a number.
    """
    scale = 1.0 if math.isfinite(high - low) else 0.5
    return (value * scale - low * scale) / (high * scale - low * scale)


def with_digits(value: float, digits: int = 3) -> str:
    """This many significant digits; a large number in groups of three, `128,000`, never with an exponent."""
    shown = float(f"{value:.{digits}g}")
    return f"{shown:,.0f}" if abs(shown) >= 1000 else f"{shown:.{digits}g}"


def short_number(value: float) -> str:
    """With three digits and k, M, G or T."""
    for unit in ("", "k", "M", "G"):
        if value < 999.5:
            return f"{value:.3g}{unit}"
        value /= 1000
    return f"{with_digits(value)}T"


def time_text(seconds: float) -> str:
    """A time with three digits in the largest of s, ms and µs of which it is at least one: `1.9 ms`."""
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if seconds * factor >= 0.9995:  # shown as 1
            return f"{with_digits(seconds * factor)} {unit}"
    return f"{with_digits(seconds * 1e6)} µs"
