"""What the loss of a spec wants of the targets, before the data are read."""

from __future__ import annotations

from nnrun.catalog import Spec, bound
from nnrun.duration import Clock
from nnrun.types import Loss

__all__ = ["wants_counts", "wants_labels"]

_NO_CLOCK = Clock(1, 1, 0)  # a loss has no durations


def wants_labels(spec: Spec) -> bool | None:
    """Whether the loss that the spec names wants labels; None where it names none."""
    loss = _named_loss(spec)
    return None if loss is None else loss.classifies


def wants_counts(spec: Spec) -> bool:
    """Whether the loss that the spec names wants targets ≥ 0 that are not standardised."""
    loss = _named_loss(spec)
    return loss is not None and loss.positive


def _named_loss(spec: Spec) -> Loss | None:
    if ("loss",) not in spec.document.places:
        return None
    return bound.call(spec.loss, bound.knobs(spec.loss), _NO_CLOCK, target_scale=1.0)
