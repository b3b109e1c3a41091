"""Comparing layers with those of Flax."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
import pytest


@pytest.fixture(scope="session")
def flax_rules() -> Callable[[], Any]:
    """A context in which Flax works: it mixes dtypes and ranks, which the tests forbid."""

    @contextmanager
    def relaxed() -> Iterator[None]:
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            yield

    return relaxed


@pytest.fixture(scope="session")
def near() -> Callable[..., None]:
    """near(found, wanted, tolerance): trees of the same structure agree, relative to their largest entry."""

    def check(found: Any, wanted: Any, tolerance: float = 1e-10) -> None:
        def one(a: Any, b: Any) -> None:
            a, b = np.asarray(a), np.asarray(b)
            np.testing.assert_equal(a.shape, b.shape)
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1.0, np.abs(b).max(initial=0)))

        jax.tree.map(one, found, wanted)

    return check
