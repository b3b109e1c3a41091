"""That a run stopped early: when, and why; as summary.json has it and in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, NotRequired

from typing_extensions import TypedDict

from nnrun.amounts import figure
from nnrun.errors import counted

__all__ = ["EarlyStop", "StopEntry", "Stopped", "stop_in", "stops_in_words"]

_PATIENCE = "train.early_stopping.patience"


class StopEntry(TypedDict):
    """An EarlyStop as JSON."""

    step: int
    metric: str
    since: int
    patience: int
    min_delta: float


class Stopped(TypedDict):
    """The entry of summary.json that says of a run whether it stopped early."""

    stopped_early: NotRequired[StopEntry | None]


class EarlyStop(NamedTuple):
    """The end of a run before its last step, because a metric no longer improved."""

    step: int  # the last one
    metric: str  # of the validation part
    since: int  # the step of its last improvement
    patience: int  # steps
    min_delta: float  # a smaller change is no improvement

    def __str__(self) -> str:
        return (
            f"stopped early at step {self.step}: {self.metric} has not improved{self._margin} since step "
            f"{self.since} ({_PATIENCE}: {counted(self.patience, 'step')})"
        )

    def entry(self) -> StopEntry:
        """As JSON."""
        return {
            "step": self.step,
            "metric": self.metric,
            "since": self.since,
            "patience": self.patience,
            "min_delta": self.min_delta,
        }

    @property
    def _margin(self) -> str:
        return f" by more than {figure(self.min_delta, 6)}" if self.min_delta else ""


def stop_in(summary: Stopped) -> EarlyStop | None:
    """The early stop that the summary.json of a run holds; None where the run did not stop early."""
    stop = summary.get("stopped_early")
    return EarlyStop(**stop) if stop else None


def stops_in_words(stops: Sequence[EarlyStop | None], runs: str = "seeds") -> str:
    """What to report of the seeds or folds of a run, each with its early stop or None; "" where none has one."""
    early = [stop for stop in stops if stop]
    if not early or len(stops) == 1:
        return str(early[0]) if early else ""
    first, last = min(stop.step for stop in early), max(stop.step for stop in early)
    when = f"at step {first}" if first == last else f"at steps {first} to {last}"
    count = f"all {len(stops)}" if len(early) == len(stops) else f"{len(early)} of {len(stops)}"
    return (
        f"{count} {runs} stopped early, {when}: {early[0].metric} has not improved"
        f"{early[0]._margin} for {counted(early[0].patience, 'step')} ({_PATIENCE})"
    )
