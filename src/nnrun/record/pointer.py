"""Which parameters of a run a user means: RUN, RUN:STEP, RUN:AVERAGE or RUN:STEP:AVERAGE."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["split"]

_PARTS = re.compile(r"(.+?)(?::([0-9]+|last|best))?(?::([^:/]+))?")


def split(text: str, root: Path) -> tuple[str, str | None, str | None]:
    """The name of the run; behind it the step, last or best, and the name of an average, each if it was written.

    root   the folder that run folders lie in; what is there under the whole text is meant as a whole
    """
    match = _PARTS.fullmatch(text)
    if not match or _is_there(Path(text)) or _is_there(root / text):
        return text, None, None
    return match[1], match[2], match[3]


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # unreadable folder, name too long
        return False
