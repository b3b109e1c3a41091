"""The account of an ensemble, account.json in its run folder, as types."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

__all__ = [
    "Account",
    "Barrier",
    "BestMember",
    "Calibration",
    "Gain",
    "Gains",
    "MemberEntry",
    "Metrics",
]

Metrics = dict[str, float]  # by name, without the part of the data


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


class Calibration(TypedDict):
    """Reliability before and after temperature scaling; the temperature is None if there is no best one."""

    before: dict[str, Any]
    temperature: NotRequired[float | None]
    after: NotRequired[dict[str, Any]]


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
    shares: list[str]  # the metrics that are shares of the examples
    members: list[MemberEntry]
    mean: Metrics
    best: BestMember | None
    ensemble: Metrics
    examples: int
    gain: Gains
    curve: list[dict[str, Any]]  # metrics against the number of members
    diversity: dict[str, float] | None
    calibration: NotRequired[Calibration]
    soup: NotRequired[list[dict[str, Any]]]  # the members that a greedy soup tried, whether each entered
    barrier: NotRequired[Barrier]
