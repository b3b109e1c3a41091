"""summary.json, what a run, a group of seeds or a sweep says of itself at its end, as types."""

from __future__ import annotations

from typing import NotRequired, final

from typing_extensions import TypedDict

from nnrun.record.early_stop import Stopped

__all__ = [
    "AboutData", "Averages", "Baseline", "BestStep", "Division", "EndedGroup", "EndedMember", "EndedRun", "Gaps",
    "GroupSummary",
    "MemberSummary", "Metrics", "NoSummary", "Rise", "Rising", "RunSummary", "Sections", "Summary", "SweepSummary",
]  # fmt: skip

Metrics = dict[str, float | str]  # by name; what JSON does not have, NaN and the infinities, is a text


class Rise(TypedDict):
    """That a run ended with a far larger training loss than it began with, or than outputs of 0 have."""

    first: float
    last: float
    constant: NotRequired[float]  # that of outputs of 0, where it is this one


class BestStep(TypedDict):
    """The step that was the best by the metric that judges."""

    metric: str | None
    value: float
    step: int


class Sections(TypedDict):
    """The metrics of the last state of a run and of its best one."""

    last: Metrics
    best: Metrics


class Rising(TypedDict):
    """The entry that a run which ended with a larger loss has."""

    rise: NotRequired[Rise]


class Baseline(TypedDict):
    """The metrics of a constant prediction, which learning has to beat."""

    prediction: str  # largest class, or training mean
    metrics: dict[str, float]


class AboutData(TypedDict):
    """The entries that a run has of its data."""

    targets: NotRequired[list[str]]  # names of several targets, in the order of the spec
    baseline: NotRequired[Baseline]
    few: NotRequired[
        dict[str, dict[str, int]]
    ]  # class -> part -> its examples there, where they are fewer than ten


class Gaps(TypedDict):
    """The entry that a run has of which metrics have no value."""

    undefined: NotRequired[dict[str, str]]  # metric -> why


class _Run(Stopped, Rising, Gaps, AboutData):
    status: str
    steps: int
    epochs: float
    best: BestStep | None  # None: nothing was held out to judge by
    rising: NotRequired[list[str]]  # metrics of which more is better
    bounds: NotRequired[dict[str, list[float | None]]]  # the least and the most that metrics can be
    metrics: Sections


@final
class RunSummary(_Run):
    """Of a run."""


@final
class MemberSummary(_Run):
    """Of one seed of a group, in the summary of the group."""

    run: str  # its folder, below that of the group


class Averages(TypedDict):
    """Section (last, best) -> metric -> mean over the runs that finished, and its 95% interval, [low, high]."""

    mean: dict[str, dict[str, float]]
    ci95: dict[str, dict[str, list[float] | None]]


class Division(TypedDict):
    """How a cross-validation divides its examples."""

    count: int  # of its folds, over all repeats
    ratio: float  # of the examples that validate to those that may be trained on
    partition: str  # SHA-256 of which examples each fold validates with, and of their targets


@final
class GroupSummary(Averages, AboutData):
    """Of a group of seeds, or of the folds of a cross-validation."""

    folds: NotRequired[Division]  # of a cross-validation: its intervals know that folds share examples
    status: str
    steps: int
    runs: list[MemberSummary]


@final
class EndedRun(_Run):
    """What `nnrun train --json` prints of a run."""

    run_dir: str


@final
class EndedMember(_Run):
    """What it prints of a run of a group."""

    run: str
    run_dir: str


@final
class EndedGroup(Averages, AboutData):
    """What it prints of a group of seeds, or of the folds of a cross-validation."""

    folds: NotRequired[Division]
    status: str
    steps: int
    run_dir: str
    runs: list[EndedMember]


class _Best(TypedDict):
    best: dict[str, float | None]


@final
class SweepSummary(TypedDict):
    """Of a sweep."""

    status: str
    steps: int
    trials: dict[str, int]  # status -> how many
    best_trial: str | None
    metrics: _Best


@final
class NoSummary(TypedDict):
    """There is none yet: {}."""


Summary = RunSummary | GroupSummary | SweepSummary | NoSummary
