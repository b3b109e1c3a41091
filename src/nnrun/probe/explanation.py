"""What a spec means, for programs: the types of `nnrun explain --json`."""

from __future__ import annotations

from typing_extensions import TypedDict

__all__ = ["CourseEntry", "ExplanationReport", "LayerEntry", "PlanEntry", "RuleEntry"]


class PlanEntry(TypedDict):
    """When things happen, in steps."""

    name: str
    model: str
    precision: str
    seeds: list[int]
    steps: int
    steps_per_epoch: int
    batch_size: int
    log_every: int
    evaluate_every: int
    judge: str | None
    checkpoint_every: int
    checkpoint_seconds: float | None
    keep: int
    patience: int
    accumulate: int


class LayerEntry(TypedDict):
    """A layer, as a LayerRow."""

    path: str
    shape: list[int]
    parameters: int
    flops: float
    seconds: float


class RuleEntry(TypedDict):
    """An optimizer, as an OptimizerRule; options: name -> value, as text."""

    name: str
    summary: str
    equations: list[str]
    options: dict[str, str]


class CourseEntry(TypedDict):
    """A learning rate over a run, as a Course."""

    name: str
    start: float
    peak: float
    peak_step: int
    end: float
    shares: list[float]
    reacts: bool


class ExplanationReport(TypedDict):
    """What `nnrun explain --json` prints, as an Explanation."""

    plan: PlanEntry
    examples: dict[str, int]
    inputs: list[int]
    about: list[dict[str, str]]
    notes: list[str]
    layers: list[LayerEntry]
    parameters: int
    rules: list[RuleEntry]
    course: CourseEntry | None
    knobs: list[str]
    width: int
    state_bytes: int
    memory: int
    seconds: float
    step_seconds: float
    compile_seconds: float
    folds: int
    sharing: str  # how many devices compute each batch, as a line
