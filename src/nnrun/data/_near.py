"""Which name of a table somebody may have meant who wrote another one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["nearest"]


def nearest(name: str, names: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The name that is most like another one, upper and lower case and blanks aside; None: none is like it.

    Names that differ in a number alone (lab_1, lab_2) are two things, and not like each other.
    """
    by_look: dict[str, str] = {}
    for candidate in names:
        if _without_numbers(candidate) != _without_numbers(name) or _look(candidate) == _look(name):
            by_look.setdefault(_look(candidate), candidate)
    near = get_close_matches(_look(name), by_look, n=1, cutoff=cutoff)
    return by_look[near[0]] if near else None


def _look(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().lower())


def _without_numbers(name: str) -> str:
    return re.sub(r"\d+", "0", _look(name))
