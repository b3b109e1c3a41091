"""How often 95% intervals hold what they are of, and how wide they are: the tables of docs/statistics.md.

    python benchmarks/intervals.py mean       of the mean of seeds: Student's t beside the bootstrap-t; half a minute
    python benchmarks/intervals.py members    of an ensemble's gain, over the choice of its members; half a minute
    python benchmarks/intervals.py folds      of a cross-validation, and the test of two: corrected and naive; a minute

Every number is from simulated values with fixed keys, so it is the same at every call.  Widths are in standard
deviations: of the values for `mean`, of the gain over other members for `members`, of the mean over the folds for
`folds`.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from nnrun.data._folds import Fold, fold_of_rows
from nnrun.statistics.folds import corrected_t_test
from nnrun.statistics.gain import over_members, subsets
from nnrun.statistics.mean import mean_and_interval
from nnrun.statistics.metric import ANY, SHARE, Metric

__all__ = [
    "COUNTS", "DIVISIONS", "GAINS", "MEMBERS", "SHAPES", "Shape", "fold_rows", "main", "mean_rows", "member_rows",
    "table",
]  # fmt: skip

COUNTS = (3, 4, 5, 8, 10, 20)
MEMBERS = (4, 5, 6, 8, 10, 20)
DIVISIONS = [
    (n, k, r) for n in (50, 200) for k, r in ((5, 1), (10, 1), (5, 10), (10, 10))
]  # examples, folds, repeats
_SAMPLES = 4_000
_RESAMPLES = 1_999
_BLOCK = 500  # samples at a time
_HALVES = 100  # of the members, as an ensemble's account takes
_FEATURES = 5  # of a model
_HALVES_OF_FEATURES = (slice(0, _FEATURES), slice(_FEATURES, 2 * _FEATURES))
_EXAMPLES = 10  # independent directions in which the predictions of members differ
Ends = tuple[np.ndarray, np.ndarray]


class Shape(NamedTuple):
    """A distribution of values: how they are drawn, their mean and standard deviation, whether they are shares."""

    draw: Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
    mean: float
    spread: float
    share: bool = False


SHAPES = {
    "normal": Shape(lambda random, size: random.standard_normal(size), 0.0, 1.0),
    "gamma, skewness 1": Shape(lambda random, size: random.gamma(4.0, size=size), 4.0, 2.0),
    "gamma, skewness 2": Shape(lambda random, size: random.gamma(1.0, size=size), 1.0, 1.0),
    "accuracy, 97% of 360 examples": Shape(
        lambda random, size: random.binomial(360, 0.97, size) / 360, 0.97, (0.97 * 0.03 / 360) ** 0.5, True
    ),
    "accuracy, 90% of 30 (ties)": Shape(
        lambda random, size: random.binomial(30, 0.9, size) / 30, 0.9, (0.9 * 0.1 / 30) ** 0.5, True
    ),
    "beta, mean 0.92, skewness −1.6": Shape(
        lambda random, size: random.beta(12.0, 1.0, size), 12 / 13, (12 / 13**2 / 14) ** 0.5, True
    ),
}


def mean_rows(counts: Sequence[int] = COUNTS, samples: int = _SAMPLES) -> Iterator[list[str]]:
    """A row for each shape and count: of both intervals the coverage, the mean width, and one that 1% exceed."""
    for (name, shape), n in itertools.product(SHAPES.items(), counts):
        random = np.random.Generator(np.random.Philox(key=n))
        values = shape.draw(random, (samples, n))
        row = [name, str(n)]
        for low, high in (_student(values, shape.share), _bootstrap_t(values, shape.share, random)):
            covered = np.mean((low - 1e-12 <= shape.mean) & (shape.mean <= high + 1e-12))
            widths = (high - low) / shape.spread
            row += [f"{100 * covered:.1f}%", f"{widths.mean():.2f}", f"{np.quantile(widths, 0.99):.2f}"]
        yield row


def _student(values: np.ndarray, share: bool) -> Ends:
    """The interval of nnrun for samples (samples, n)."""
    metric = Metric("", rising=True, bounds=SHARE if share else ANY)
    ends = np.array([metric.mean(row)[1] for row in values.tolist()])
    return ends[:, 0], ends[:, 1]


def _bootstrap_t(values: np.ndarray, share: bool, random: np.random.Generator) -> Ends:
    """[m − t*₀.₉₇₅ s/√n, m − t*₀.₀₂₅ s/√n] for samples (samples, n); Student's where ties leave that infinite.

    t* = √n (m* − m) / s*  over resamples.  Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, 12.5.
    """
    n = values.shape[1]
    shares = random.multinomial(n, np.full(n, 1 / n), _RESAMPLES) / n  # (resamples, n)
    low, high = (ends.copy() for ends in _student(values, share))
    cut = (_RESAMPLES + 1) // 40
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK]
        means = block.mean(axis=1)
        centered = block - means[:, None]
        error = block.std(axis=1, ddof=1) / np.sqrt(n)
        moved = centered @ shares.T
        variances = np.maximum(centered**2 @ shares.T - moved**2, 0.0)
        flat = variances <= 1e-12 * (centered**2).mean(axis=1, keepdims=True)
        errors = np.sqrt(np.where(flat, 1.0, variances) / (n - 1))
        t = np.where(flat, np.copysign(np.inf, moved), moved / errors)
        t = np.partition(t, [cut - 1, _RESAMPLES - cut], axis=1)
        least, most = t[:, cut - 1], t[:, _RESAMPLES - cut]
        rows = np.flatnonzero(np.isfinite(least) & np.isfinite(most))
        low[start + rows] = means[rows] - most[rows] * error[rows]
        high[start + rows] = means[rows] - least[rows] * error[rows]
    return (low.clip(0.0), high.clip(max=1.0)) if share else (low, high)


def _mean(outputs: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """The mean of the members: where nothing bends, the interval is Student's."""
    del judged
    return outputs.mean(axis=(1, 2))


def _over_mean(outputs: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """By how much the squared error of the mean output is below the mean squared error."""
    del judged
    return (outputs**2).mean(axis=(1, 2)) - (outputs.mean(axis=1) ** 2).mean(axis=1)


def _over_best(outputs: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """The same against the member that is best on validation data."""
    errors = (outputs**2).mean(axis=2)
    best = np.take_along_axis(errors, judged.argmin(axis=1)[:, None], axis=1)[:, 0]
    return best - (outputs.mean(axis=1) ** 2).mean(axis=1)


GAINS = {"the mean of the members": _mean, "gain over the mean": _over_mean, "gain over the best": _over_best}


def member_rows(counts: Sequence[int] = MEMBERS, samples: int = _SAMPLES // 2) -> Iterator[list[str]]:
    """A row for each gain and number of members: coverage and width, with t and by quantiles of the halves."""
    for (name, gain), members in itertools.product(GAINS.items(), counts):
        random = np.random.Generator(np.random.Philox(key=members))
        outputs = 1.0 + random.standard_normal((samples, members, _EXAMPLES))  # errors with a bias
        judged = (outputs**2).mean(axis=2) + 0.3 * random.standard_normal((samples, members))
        half = members // 2
        chosen = [list(subset) for subset in subsets(members, half, _HALVES)]
        of_halves = np.stack([gain(outputs[:, subset], judged[:, subset]) for subset in chosen], axis=1)
        gains = gain(outputs, judged)
        widths = np.array([over_members(row, members, half) for row in of_halves])
        scale = (half / (members - half)) ** 0.5
        low, high = scale * (np.quantile(of_halves, [0.025, 0.975], axis=1) - of_halves.mean(axis=1))
        row = [name, str(members), str(len(chosen))]
        for below, above in ((widths, widths), (-low, high)):
            covered = np.mean((gains - below <= gains.mean()) & (gains.mean() <= gains + above))
            row += [f"{100 * covered:.1f}%", f"{(below + above).mean() / gains.std():.2f}"]
        yield row


def fold_rows(
    divisions: Sequence[tuple[int, int, int]] = DIVISIONS, samples: int = _SAMPLES
) -> Iterator[list[str]]:
    """A row for each kind of error and division: coverage and width of the mean, and how often equals are told apart.

    Least squares on half of ten features, normal like the noise; the other half would do as well.  Squared errors of
    numbers, or errors of their signs.  The interval is of the error that models trained on as many examples make of
    all others, on average over what they are trained on.
    """
    for kind, (examples, folds, repeats) in itertools.product(("squared error", "error rate"), divisions):
        random = np.random.Generator(np.random.Philox(key=examples))
        x = random.standard_normal((samples, examples, 2 * _FEATURES))
        y = x.mean(axis=2) * (2 * _FEATURES) ** 0.5 + random.standard_normal((samples, examples))
        values, exact = [], []  # (folds, models, samples)
        rows, labels = np.arange(examples), np.zeros(examples, np.int32)
        for number in range(1, folds * repeats + 1):
            val, train = fold_of_rows(rows, labels, Fold(number, folds), 0, None)
            errors = [_errors(kind, x[:, :, half], y, val, train) for half in _HALVES_OF_FEATURES]
            values.append([measured for measured, _ in errors])
            exact.append([expected for _, expected in errors])
        ratio = 1 / (folds - 1)
        means, differences = np.array(values), np.array(values)[:, 0] - np.array(values)[:, 1]
        row = [kind, str(examples), str(folds), str(repeats)]
        for share in (ratio, 0.0):
            ends = np.array([mean_and_interval(column, ratio=share) for column in means[:, 0].T.tolist()])
            covered = np.abs(ends[:, 0] - np.mean(exact)) <= ends[:, 1]
            width = (2 * ends[:, 1]).mean() / ends[:, 0].std()
            found = np.mean([corrected_t_test(column, share) <= 0.05 for column in differences.T.tolist()])
            row += [f"{100 * covered.mean():.1f}%", f"{width:.2f}", f"{100 * found:.1f}%"]
        yield row


def _errors(
    kind: str, x: np.ndarray, y: np.ndarray, val: np.ndarray, train: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(samples,): the mean error of a fold on what it validates with, and that on all examples there could be."""
    fitted, targets = x[:, train], y[:, train] if kind == "squared error" else np.sign(y[:, train])
    weights = np.linalg.solve(fitted.mT @ fitted, fitted.mT @ targets[..., None])[..., 0]
    outputs = np.einsum("snf,sf->sn", x[:, val], weights)
    true = np.full(_FEATURES, (2 * _FEATURES) ** -0.5)
    if kind == "squared error":
        rest = 2.0 - true @ true  # the other half of the features, and the noise
        return ((y[:, val] - outputs) ** 2).mean(axis=1), ((weights - true) ** 2).sum(axis=1) + rest
    correlation = weights @ true / np.linalg.norm(weights, axis=1) / 2**0.5
    return (np.sign(outputs) != np.sign(y[:, val])).mean(axis=1), np.arccos(correlation) / np.pi


def table(which: str) -> Iterator[str]:
    """The lines of a table in Markdown: `mean`, `members` or `folds`."""
    if which == "mean":
        ends = ["coverage", "width", "99% below"]
        rows = mean_rows()
        head = ["values", "n", *(f"{kind}: {end}" for kind in ("Student's t", "bootstrap-t") for end in ends)]
    elif which == "folds":
        rows = fold_rows()
        ends = [
            f"{kind}: {end}"
            for kind in ("corrected", "naive")
            for end in ("coverage", "width", "false alarms")
        ]
        head = ["of", "examples", "folds", "repeats", *ends]
    else:
        rows = member_rows()
        ends = [f"{kind}: {end}" for kind in ("with t", "quantiles") for end in ("coverage", "width")]
        head = ["of", "members", "halves", *ends]
    yield f"| {' | '.join(head)} |"
    yield f"| --- |{' ---: |' * (len(head) - 1)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """Prints one of the tables."""
    parser = argparse.ArgumentParser(description="Coverage and width of 95% intervals, by simulation.")
    parser.add_argument("table", choices=("mean", "members", "folds"))
    for line in table(parser.parse_args().table):
        print(line, flush=True)


if __name__ == "__main__":
    main()
