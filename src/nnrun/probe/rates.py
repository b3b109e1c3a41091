"""The learning-rate range test: short runs at many rates, all of them lanes of one program."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from typing_extensions import TypedDict

from nnrun.build.optimizer import learning_rate
from nnrun.catalog.bound import Bound
from nnrun.errors import SpecError, one_line
from nnrun.runner import session
from nnrun.sweep.width import width_of
from nnrun.training import shards
from nnrun.training.chunks import chunks
from nnrun.types import Experiment, Tree

__all__ = [
    "RangeTest",
    "RangeTestRequest",
    "RatesReport",
    "as_data",
    "batch_noise",
    "highest_stable",
    "place_of_rate",
    "range_test",
    "suggested",
    "with_rate",
]

Counting = Callable[[str, int | None], AbstractContextManager[Callable[[], None]]]

_LAST = 0.2  # of the steps, over which the training loss is averaged
_NOISE = 0.1  # of the first loss: what a batch may have more
_DEVIATIONS = 3.0  # or that of the batches, where it is larger
_OF_MEDIAN = 1.4826  # normal deviations in a median of sizes
_CONSTANT = (  # nothing but the rate decides, and nothing is measured but the training loss
    "schedule=constant", "average=[]", "train.early_stopping=null", "train.log_every=1 steps", "train.seeds=1",
    "checkpoint.keep=2", "checkpoint.best=null",
)  # fmt: skip
_OPTIONS = {"train.seeds": "write --seeds N", "train.duration": "write --steps N"}  # key -> the option for it


class RangeTestRequest(NamedTuple):
    """The ends of the rates, how many there are, evenly spaced in their logarithm, and the runs at each."""

    low: float = 1e-5
    high: float = 10.0
    rates: int = 50
    seeds: int = 3
    steps: int = 100


class RangeTest(NamedTuple):
    """What the short runs have reached.

    key         of the learning rate in the spec: optimizer.learning_rate
    written     the rate of the spec
    rates       (count,) rising
    losses      (count, seeds) training loss at the end of each run; nan: it diverged
    start       training loss of the first step, the mean over seeds
    steps       of each run
    suggestion  the rate with the lowest loss; None: no run has learned anything
    stable      the highest rate below which no run diverges or ends above `start`; None: there is none
    """

    key: str
    written: float
    rates: np.ndarray
    losses: np.ndarray
    start: float
    steps: int
    suggestion: float | None
    stable: float | None


def range_test(spec: Path, overrides: Sequence[str], request: RangeTestRequest, show: Counting) -> RangeTest:
    """Trains the spec at each rate, with the same seeds, at a constant rate, from the same beginnings.

    show   shows how many steps are done
    Nothing is written.  Raises SpecError, DataError, MachineError.
    """
    _refuse_fixed(overrides)
    forced = [*overrides, *_CONSTANT, f"train.duration={request.steps} steps"]
    prepared = session.prepare(spec, forced)
    experiment, block = prepared.experiment, prepared.spec.optimizer
    path = place_of_rate(block)
    written = learning_rate(block, experiment.knobs["optimizer"])
    if path is None or written is None:
        raise prepared.spec.fail(("optimizer", "name"), f"{block.name} has no learning rate to find")
    if not isinstance(written, float) or written == 0:
        raise prepared.spec.fail(
            ("optimizer", *path), "got 0, which switches learning off; write any other rate"
        )
    rates = np.geomspace(request.low, request.high, request.rates)
    first = prepared.spec.train.seed
    lanes = [(seed, rate) for rate in rates.tolist() for seed in range(first, first + request.seeds)]
    width = min(width_of(experiment), len(lanes))
    with (
        session.precision(experiment.plan.precision),
        show("trying rates", -(-len(lanes) // width) * request.steps) as tick,
    ):
        curves = np.stack(list(_trained(experiment, path, lanes, width, tick)))
    losses = _ends(curves).reshape(request.rates, request.seeds)
    lowest = curves[: request.seeds]
    starts = lowest[:, 0]
    start = float(starts.mean())
    return RangeTest(
        ".".join(("optimizer", *path)), written, rates, losses, start, request.steps,
        suggested(rates, losses, start), highest_stable(rates, losses, starts, batch_noise(lowest)),
    )  # fmt: skip


def _refuse_fixed(overrides: Sequence[str]) -> None:
    """Raises SpecError, with a line for each override of what the test sets itself."""
    fixed = {_key(constant) for constant in (*_CONSTANT, "train.duration=")}
    problems = [
        f"lr-find: {one_line(text, 60)}: the test sets {key} itself; {_OPTIONS.get(key, 'leave it out')}"
        for text in overrides
        if (key := _key(text)) in fixed
    ]
    if problems:
        raise SpecError("\n".join(problems))


def _key(override: str) -> str:
    return override.partition("=")[0]


def place_of_rate(block: Bound) -> tuple[str, ...] | None:
    """Where the rate stands below the optimizer's block, as `learning_rate` finds it."""
    if block.options.get("learning_rate") is not None:
        return ("learning_rate",)
    for key, inner in block.options.items():
        if isinstance(inner, Bound) and (place := place_of_rate(inner)):
            return (key, *place)
    return None


def _trained(
    experiment: Experiment,
    path: tuple[str, ...],
    lanes: Sequence[tuple[int, float]],
    width: int,
    tick: Callable[[], None],
) -> Iterator[np.ndarray]:
    """The training loss of each step of each lane, `width` lanes at a time; `tick` after each step."""
    compiled = None
    for begin in range(0, len(lanes), width):
        share = list(lanes[begin : begin + width])
        full = share + [share[-1]] * (width - len(share))  # another number would be another program
        population = _population(experiment, path, full)
        compiled = shards.compile_shards(population) if compiled is None else compiled.for_lanes(population)
        loss = compiled.names.index("train/loss")
        rows = []
        for chunk in chunks(compiled, compiled.initial(), 0, experiment.plan.steps):
            rows.append(chunk.rows[..., loss])
            for _ in range(chunk.rows.shape[1]):
                tick()
        yield from np.concatenate(rows, axis=1)[: len(share)]


def _population(
    experiment: Experiment, path: tuple[str, ...], lanes: Sequence[tuple[int, float]]
) -> Experiment:
    plan = experiment.plan
    plan = plan._replace(seeds=tuple(seed for seed, _ in lanes), judge=None, evaluate_every=plan.steps)
    knobs = tuple(with_rate(experiment.knobs, ("optimizer", *path), rate) for _, rate in lanes)
    return experiment._replace(plan=plan, lane_knobs=knobs)


def with_rate(knobs: Tree, path: tuple[str, ...], rate: float) -> Tree:
    """Knobs with another learning rate at this path."""
    first, *rest = path
    return {**knobs, first: with_rate(knobs[first], tuple(rest), rate) if rest else rate}


def _ends(curves: np.ndarray) -> np.ndarray:
    """(lanes,) mean loss of the last steps of each curve (lanes, steps); nan where any step is not finite."""
    last = max(1, round(_LAST * curves.shape[1]))
    ends = curves[:, -last:].mean(1)
    return np.where(np.isfinite(curves).all(1), ends, math.nan)


def suggested(rates: np.ndarray, losses: np.ndarray, start: float) -> float | None:
    """The rate with the lowest mean loss; None where none falls below `start`.

    A rate at which a seed diverges has no loss.
    """
    means = np.where(np.isfinite(losses).all(1), losses.mean(1), math.inf)
    best = int(np.argmin(means))
    return float(rates[best]) if means[best] < start else None


def batch_noise(curves: np.ndarray) -> np.ndarray:
    """(seeds,) by how much the losses of single batches differ, from curves (seeds, steps) at a low rate.

    The deviation that the median change from step to step would have if the changes were normal: a trend, or a run
    that diverges, hardly moves it.
    """
    changes = np.abs(np.diff(curves, axis=1))
    known = [row[np.isfinite(row)] for row in changes]
    return np.array([_OF_MEDIAN * np.median(row) / math.sqrt(2) if len(row) else 0.0 for row in known])


def highest_stable(
    rates: np.ndarray, losses: np.ndarray, starts: np.ndarray | float, noise: np.ndarray | float = 0.0
) -> float | None:
    """The highest rate up to which every seed ends finite, and not above where it began.

    losses   (rates, seeds)
    starts   (seeds,) loss of each seed before its first step; initial weights of one net may begin far apart
    noise    (seeds,) of that loss, which is of one batch
    """
    limits = starts + np.maximum(_NOISE * np.abs(starts), _DEVIATIONS * noise)
    good = np.all(np.isfinite(losses) & (losses <= limits), axis=1).tolist()
    count = len(good) if all(good) else good.index(False)
    return float(rates[count - 1]) if count else None


class RatesReport(TypedDict):
    """A range test for programs; a loss is null where the run diverged."""

    key: str
    written: float
    rates: list[float]
    losses: list[list[float | None]]
    start: float
    steps: int
    suggestion: float | None
    stable: float | None


def as_data(test: RangeTest) -> RatesReport:
    """For programs; null where a run diverged."""
    losses = [[value if math.isfinite(value) else None for value in row] for row in test.losses.tolist()]
    return RatesReport(**{**test._asdict(), "rates": test.rates.tolist(), "losses": losses})
