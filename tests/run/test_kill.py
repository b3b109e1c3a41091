"""kill -9 at random instants: a resumed run ends in the same bytes as one that was left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

OPTIMIZED = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "0", "XLA_FLAGS": ""}  # the bits of what a user runs


def kill_and_compare(
    spec: Path,
    warm: Callable[..., Any],
    killed: Callable[..., list[Path]],
    same: Callable[[Path, Path], None],
    kills: int,
    **settings: str,
) -> None:
    clean = spec.parent / "clean"
    assert warm("train", spec, "--run-dir", clean, "--quiet", folder=spec.parent, **settings).code == 0
    for folder in killed(spec, spec.parent / "killed", kills, seed=1, **settings):
        same(clean, folder)


@pytest.mark.quick("mlp", "snapshots")
def test_a_few_kills(spec: Path, warm: Any, killed: Any, same: Any) -> None:
    kill_and_compare(spec, warm, killed, same, kills=2)


@pytest.mark.slow
def test_a_hundred_kills(spec: Path, warm: Any, killed: Any, same: Any) -> None:
    kill_and_compare(spec, warm, killed, same, kills=100, **OPTIMIZED)
