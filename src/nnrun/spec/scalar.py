"""Unquoted values of YAML: the core schema of YAML 1.2, less what readers disagree about.

YAML 1.1, which many readers still follow, takes `on` for true, `017` for 15, `1:30` for 90 and `1_000` for
1000; YAML 1.2 takes them for text or other numbers.  What was meant cannot be known, so they are refused.
"""

from __future__ import annotations

import math
import re

from nnrun.errors import one_line

__all__ = ["value"]

_LONGEST = 64  # characters of anything that can be a number
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*|0x[0-9a-fA-F]+|0o[0-7]+)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NONFINITE = re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE)
_ENDLESS = re.compile(r"[-+]?[0-9][0-9_.]*([eE][-+]?[0-9]*)?")
_TRUE = re.compile(r"on|yes", re.IGNORECASE)
_FALSE = re.compile(r"off|no", re.IGNORECASE)
_OCTAL = re.compile(r"[-+]?0[0-9]+")
_BASE_60 = re.compile(r"[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?")
_UNDERSCORES = re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?")


def value(text: str) -> bool | int | float | str | None:
    """What an unquoted scalar means: None, a bool, an int, a finite float, or the text itself.

    Raises ValueError with what to write instead.
    """
    if len(text) > _LONGEST:
        if _ENDLESS.fullmatch(text):
            raise ValueError(f"{one_line(text, 24)} is too long for a number; write fewer digits")
        return text
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    _refuse_ambiguous(text)
    if _INT.fullmatch(text):
        return _int(text)
    if _FLOAT.fullmatch(text):
        return _float(text)
    return text


def _refuse_ambiguous(text: str) -> None:
    if _NONFINITE.fullmatch(text):
        raise ValueError(f"{text} is not allowed; write a finite number")
    for pattern, meaning in ((_TRUE, "true"), (_FALSE, "false")):
        if pattern.fullmatch(text):
            raise ValueError(
                f"{text} is {meaning} to some readers only; write {meaning}, or '{text}' for text"
            )
    if _OCTAL.fullmatch(text):
        plain = str(int(text, 10))
        raise ValueError(f"{text} is octal to some readers; write {plain}, or '{text}' for text")
    if _BASE_60.fullmatch(text):
        raise ValueError(f"{text} is a base-60 number to some readers; write seconds, or '{text}' for text")
    if "_" in text and _UNDERSCORES.fullmatch(text):
        plain = text.replace("_", "")
        raise ValueError(f"{text} is a number to some readers only; write {plain}, or '{text}' for text")


def _int(text: str) -> int:
    number = int(text, 0)
    if not -(2**63) <= number < 2**63:  # what other readers and the arrays can hold
        raise ValueError(f"{text} is too large for a whole number; write at most 18 digits")
    return number


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large for a number; write one below 1e308")
    if number == 0 and re.search(r"[1-9]", re.split(r"[eE]", text)[0]):
        raise ValueError(f"{text} is too small for a number; write 0, or one above 1e-308")
    return number
