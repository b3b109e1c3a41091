"""What the files of a sweep hold, as types: sweep.json, and the lines of trials.jsonl and final.jsonl."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from nnrun.statistics.metric import Ends

__all__ = [
    "AlternativeEntry",
    "Asked",
    "DimensionEntry",
    "FinalEntry",
    "InStudy",
    "Repeats",
    "Settings",
    "SweepDescription",
    "TrialEntry",
]

Settings = dict[str, object]  # what varies or is compared: key of the spec -> value, as YAML can write it


class DimensionEntry(TypedDict):
    """A key that varies: with `values` a choice, else with `low` and `high`, or `mean` and `sd` where it is normal."""

    path: str
    kind: str
    values: NotRequired[list[object]]
    low: NotRequired[float]
    high: NotRequired[float]
    mean: NotRequired[float]
    sd: NotRequired[float]


class AlternativeEntry(TypedDict):
    """What is compared with others."""

    label: str
    settings: Settings
    dimensions: list[DimensionEntry]
    factors: NotRequired[dict[str, str]]  # key of `over` that lists several blocks -> name of the block


class Repeats(TypedDict):
    """How often the whole search is made; absent: once."""

    studies: NotRequired[int]


class Asked(Repeats):
    """What a sweep was asked to do."""

    name: str
    metric: str
    goal: str  # min or max
    bounds: Ends
    target: float | None
    search: str
    adaptive: bool
    seed: int
    trials: int
    seeds: int
    final_seeds: int
    looks: NotRequired[int]  # at the answer, before it is the last
    bases: list[str]
    alternatives: list[AlternativeEntry]


class SweepDescription(Asked):
    """The content of sweep.json."""

    format: int
    folders: dict[str, str]  # base -> the folder of its file


class InStudy(TypedDict):
    """The study that a run is of; absent: the first one."""

    study: NotRequired[int]


class _Ended(InStudy):
    base: str
    alternative: str
    trial: str
    run: str  # its folder, below that of the sweep
    settings: Settings
    status: str
    steps: int  # of the longest seed
    risen: int  # seeds that ended with a far larger training loss than they began with
    seconds: float
    reason: str | None


class TrialEntry(_Ended):
    """A line of trials.jsonl: a trial that has ended."""

    number: int
    value: float | None
    values: list[float | None]  # of each seed
    metrics: dict[str, list[float | None]]  # name -> one value for each seed
    judged_on: (
        str | None
    )  # what identifies the validation and test examples; None for a run that could not begin


class FinalEntry(_Ended):
    """A line of final.jsonl: a chosen trial, trained again on fresh seeds."""

    seeds: list[int | None]
    metrics: dict[str, list[float | None]]  # name -> one value for each seed
