"""Whether the package of a tracker is installed."""

from __future__ import annotations

import importlib.util

from nnrun.errors import MachineError

__all__ = ["demand"]


def demand(package: str) -> None:
    """Raises MachineError where the package is missing, which has the name of the extra."""
    if importlib.util.find_spec(package) is None:
        raise MachineError(
            f"tracker {package}: the package is not installed; install it with pip install 'nnrun[{package}]'"
        )
