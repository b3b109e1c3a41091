"""The account of an ensemble, account.json in its run folder, as types."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

from nnrun.record.summary import Baseline
from nnrun.statistics.calibration import Reliability
from nnrun.statistics.metric import Ends

__all__ = [
    "Account",
    "AccountReport",
    "Band",
    "Barrier",
    "BestMember",
    "Bins",
    "Calibration",
    "Gain",
    "Gains",
    "MemberEntry",
    "Metrics",
    "Point",
    "SoupStep",
    "bins_of",
]

Metrics = dict[str, float]  # by name, without the part of the data
SoupStep = dict[str, str | bool | float]  # name, entered, and the judging metric on validation by its name
Point = dict[str, Any]  # of the curve: members, subsets: how many; and a Band for each metric by its name


class MemberEntry(TypedDict):
    """One member and its metrics."""

    name: str
    run: str
    step: int
    parameters: str  # trained, or the name of an average that the run kept
    sha256: str
    weight: float
    epochs: float
    metrics: Metrics
    validation: Metrics | None
    data_digest: NotRequired[str]  # of what it was trained and judged with


class BestMember(TypedDict):
    """The best member by a metric on validation."""

    name: str
    by: str
    metrics: Metrics


class Gain(TypedDict):
    """By how much the ensemble is better in one metric, positive where it is, with intervals [low, high] of 95%."""

    value: float
    examples: list[float]
    members: list[float] | None
    both: list[float] | None


class Gains(TypedDict):
    """The gain in each metric over the mean member and over the best one."""

    over_mean: dict[str, Gain]
    over_best: dict[str, Gain] | None


class Bins(TypedDict):
    """Confidence against accuracy in bins, empty ones left out."""

    error: float  # the expected calibration error
    counts: list[int]
    confidence: list[float]  # mean of the bin
    accuracy: list[float]


def bins_of(bins: Reliability) -> Bins:
    """As JSON has it."""
    return {
        "error": bins.error,
        "counts": bins.counts,
        "confidence": bins.confidence,
        "accuracy": bins.accuracy,
    }


class Calibration(TypedDict):
    """Reliability before and after temperature scaling; the temperature is None if there is no best one."""

    before: Bins
    temperature: NotRequired[float | None]
    after: NotRequired[Bins]


class Band(TypedDict):
    """A metric over subsets of the members: its mean and the ends of the middle 95%."""

    mean: float
    low: float
    high: float


class Barrier(TypedDict):
    """Metrics along the line between the parameters of two members."""

    between: list[str]
    split: str
    line: list[Metrics]  # with alpha, the place on the line
    height: float  # of the loss above the straight line between its ends


class Account(TypedDict):
    """What an ensemble gained on a part of the data."""

    average: str
    split: str
    judge: str  # the metric by which the loss judges
    rising: list[str]  # the metrics of which more is better
    bounds: dict[str, Ends]  # the least and the most that metrics can be
    undefined: NotRequired[dict[str, str]]  # metric of the ensemble that has no value -> why
    members: list[MemberEntry]
    mean: Metrics
    best: BestMember | None
    ensemble: Metrics
    baseline: NotRequired[Baseline]
    examples: int
    gain: Gains
    cautions: NotRequired[list[str]]  # what explains a loss, in sentences
    curve: list[Point]  # metrics against the number of members
    diversity: dict[str, float] | None
    calibration: NotRequired[Calibration]
    soup: NotRequired[list[SoupStep]]  # the members that a greedy soup tried
    barrier: NotRequired[Barrier]


class AccountReport(Account):
    """What `nnrun ensemble --json` prints."""

    run_dir: str
