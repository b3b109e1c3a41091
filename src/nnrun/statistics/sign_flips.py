"""The paired permutation test: the signs of differences are flipped, in all ways or in many.

Random draws come from Philox with a fixed key: the same values always give the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnrun.statistics.mean import mean_and_interval

__all__ = ["ALPHA", "sign_flip_interval", "sign_flip_test", "sign_flips"]

ALPHA = 0.05
_EXACT = 14  # differences up to which every flip is tried: 2^14
_FLIPS = 20_000


def sign_flip_test(differences: Sequence[float]) -> float:
    """The p-value of "the two are alike": how often flipped signs give a mean as far from 0, on either side.

    If both come from one distribution, each difference is as likely with the other sign.
    Exact up to 14 differences, else 20,000 random flips, the observed signs among them.
    Source: Fisher 1935; Good 2005, Permutation, Parametric and Bootstrap Tests of Hypotheses, 3.2.
    """
    x = np.asarray(differences, np.float64)
    # What is equal but for rounding is as far.
    return float(np.mean(np.abs(sign_flips(len(x)) @ x) >= abs(x.sum()) - 1e-9 * np.abs(x).sum()))


def sign_flip_interval(differences: Sequence[float]) -> tuple[float, float] | None:
    """Confidence interval of a mean difference: the shifts that `sign_flip_test` does not reject at 5%.

    So a difference that is significant for itself has an interval without 0.  Its ends are the k-th least and the
    k-th greatest of the means of all subsets, k = 2.5% of 2ⁿ; exact where differences are as likely above as below
    their mean.  Below six differences the test rejects nothing, and it is Student's;
    one difference has none.
    Source: Hartigan 1969, Using Subsample Values as Typical Values.
    """
    x = np.asarray(differences, np.float64)
    signs = sign_flips(len(x))
    flipped = signs < 0
    flips_any = flipped.any(axis=1)
    # A way that flips none is as far as the observed one at any shift.
    k = int(ALPHA / 2 * len(signs)) - int((~flips_any).sum()) + 1
    if k < 1:
        mean, half = mean_and_interval(differences)
        return None if half is None else (mean - half, mean + half)
    flipped = flipped[flips_any]
    means = np.partition(flipped @ x / flipped.sum(axis=1), [k - 1, len(flipped) - k])
    return float(means[k - 1]), float(means[len(flipped) - k])


def sign_flips(n: int) -> np.ndarray:
    """Ways to flip n signs, each with its opposite: (ways, n) float64 of ±1."""
    if n <= _EXACT:
        return 1.0 - 2.0 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    half = _FLIPS // 2
    bits = np.random.Philox(key=n).random_raw((half - 1) * n) & np.uint64(1)
    signs = np.vstack([np.ones(n), 1.0 - 2.0 * bits.astype(np.float64).reshape(-1, n)])
    return np.vstack([signs, -signs])
