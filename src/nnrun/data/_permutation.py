"""Permutations that stay the same between versions of NumPy.

They come from the raw stream of the Philox generator, which NumPy keeps stable; it does not keep the methods of
`Generator` stable.
"""

from __future__ import annotations

import numpy as np

__all__ = ["permutation"]


def permutation(count: int, seed: int) -> np.ndarray:
    """0 ... count − 1 in the order of `count` random 64-bit numbers; Philox is keyed by the seed, below 2^128."""
    return np.random.Philox(key=seed).random_raw(count).argsort(kind="stable")
