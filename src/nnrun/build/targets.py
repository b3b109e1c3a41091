"""What the loss of a spec wants of the targets: before the data are read, and whether they are so."""

from __future__ import annotations

from nnrun.catalog import Spec, bound
from nnrun.duration import Clock
from nnrun.types import Dataset, Loss

__all__ = ["check_task", "wants_counts", "wants_labels", "wants_several_labels"]

_NO_CLOCK = Clock(1, 1, 0)  # a loss has no durations


def check_task(spec: Spec, dataset: Dataset, loss: Loss) -> None:
    """Raises SpecError for a loss of labels where targets are numbers, or the like."""
    if dataset.fitted.label_classes:
        what, fitting, fits = "several labels", "binary_cross_entropy", loss.binary
    elif dataset.classes:
        what, fitting, fits = "labels", "cross_entropy", loss.classifies
    else:
        what, fitting, fits = "numbers", "squared_error", not (loss.classifies or loss.binary)
    if not fits:
        message = f"{spec.loss.name} does not fit: the targets of {spec.data.name} are {what}"
        raise spec.fail(("loss",), f"{message}; write loss: {{name: {fitting}}}")


def wants_labels(spec: Spec) -> bool | None:
    """Whether the loss that the spec names wants labels; None where it names none."""
    loss = _named_loss(spec)
    return None if loss is None else loss.classifies


def wants_counts(spec: Spec) -> bool:
    """Whether the loss that the spec names wants targets ≥ 0 that are not standardised."""
    loss = _named_loss(spec)
    return loss is not None and loss.positive


def wants_several_labels(spec: Spec) -> bool:
    """Whether the loss that the spec names wants targets that are 0 or 1, labels of two classes each."""
    loss = _named_loss(spec)
    return loss is not None and loss.binary


def _named_loss(spec: Spec) -> Loss | None:
    if ("loss",) not in spec.document.places:
        return None
    return bound.call(spec.loss, bound.knobs(spec.loss), _NO_CLOCK, target_scale=1.0)
