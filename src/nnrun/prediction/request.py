"""What an evaluation is asked for; known without jax, so that mistakes are refused at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nnrun.errors import SpecError

__all__ = ["EvaluationRequest", "check"]


class EvaluationRequest(NamedTuple):
    """What is measured.

    source      a file or folder of examples, or - for standard input; None: a part of the run's data
    split       that part: train, val or test; None: test
    which       last, best, or a step
    average     that the run kept, whose parameters predict; None: those that were trained
    target      the column or array of the true values, of several targets TARGET=COLUMN; (): that of the run
    calibrated  whether probabilities have the temperature that fits the validation part
    metrics     of the catalogue, beside those of the spec
    samples     0: without noise; else metrics of the mean prediction over this many draws of the noise
    per_class   whether how each class is predicted is wanted
    """

    source: Path | None = None
    split: str | None = None
    which: str = "best"
    average: str | None = None
    target: Sequence[str] = ()
    calibrated: bool = False
    metrics: Sequence[str] = ()
    samples: int = 0
    per_class: bool = False

    @property
    def part(self) -> str:
        """The part of the run's data."""
        return self.split or "test"

    @property
    def on_host(self) -> bool:
        """Whether metrics are computed from outputs, and not by the program that evaluated in training."""
        return self.source is not None or bool(self.metrics) or self.calibrated or self.average is not None


def check(request: EvaluationRequest) -> None:
    """Raises SpecError where options do not go together."""
    if request.per_class and request.samples:
        raise SpecError("--per-class: classes are predicted without noise; leave one of it and --samples out")
    if request.source is not None and request.split is not None:
        raise SpecError("what to measure on? write a file of examples, or --split, one of them")
    if request.target and request.source is None:
        raise SpecError("--target: names the true values in a file; write the file, or leave it out")
    if request.samples and request.on_host:
        raise SpecError(
            "--samples: is about a part of the run's data, its own metrics and the parameters it trained; leave it "
            "out, or what does not go with it: FILE, --metric, --calibrated and RUN:AVERAGE"
        )
