"""What the validation part says of predictions: how wide an interval must be, and the temperature of probabilities."""

from __future__ import annotations

from typing import NamedTuple, NoReturn

import numpy as np

from nnrun.errors import DataError, RunError, SpecError, Warn, one_line
from nnrun.prediction.by_member import Counting
from nnrun.prediction.models import block_of
from nnrun.prediction.reading import MeanOutputs, WeightedMembers, mean_for
from nnrun.runner import session
from nnrun.runner.group import is_fold
from nnrun.statistics.calibration import fit_temperature, is_at_end
from nnrun.statistics.conformal import half_width, least_examples, rank_of

__all__ = ["Interval", "Temperature", "check_level", "fit_interval", "temperature_of"]


class Interval(NamedTuple):
    """prediction ± half_width holds the value with a probability of `level`.

    half_width   of several targets one for each, (k,): each holds at the level by itself
    rank       of the half width among the errors on the validation part, in rising order
    examples   of the validation part
    """

    level: float
    half_width: float | np.ndarray
    rank: int
    examples: int


class Temperature(NamedTuple):
    """What logits are divided by, fitted to this many examples of the validation part."""

    value: float
    examples: int


def check_level(level: float) -> None:
    """Raises SpecError unless an interval can hold with this probability."""
    if not 0 < level < 1:
        raise SpecError(f"--interval: got {level:g}; write a probability between 0 and 1, such as 0.9")


def fit_interval(
    ensemble: WeightedMembers, which: str, level: float, warn: Warn, counting: Counting
) -> Interval:
    """The interval around numbers that a run or an ensemble predicts, by split conformal prediction.

    Raises SpecError where there can be none, RunError or DataError where the validation part is not as it was.
    """
    check_level(level)
    member, shown = ensemble.members[0], one_line(ensemble.folder)
    fitted = session.recorded(member)
    if fitted.classes:
        raise SpecError(f"--interval: {shown} predicts classes; write --calibrated for their probabilities")
    if fitted.label_classes:
        raise SpecError(
            f"--interval: {shown} predicts labels, and gives the probability of each; leave it out"
        )
    examples = _validation(ensemble, "--interval")
    rank, data = rank_of(examples, level), block_of(member, "data")
    if rank > examples:
        raise SpecError(
            f"--interval {level:g}: needs {least_examples(level)} validation examples, and {shown} has {examples}; "
            "write a lower level, or train with a larger data.validation"
        )
    if data.get("time"):
        raise SpecError(
            f"--interval: {shown} was split in the order of '{one_line(data['time'], 40)}', and errors of the past "
            "promise nothing of the future; leave it out, or train without data.time"
        )
    if data.get("split_by"):
        warn(
            f"--interval: rows with equal '{one_line(data['split_by'], 40)}' are alike, so the level holds less surely "
            f"than for {examples} independent ones; it is about new rows of groups that were not trained on"
        )
    answer = _on_validation(ensemble, which, "--interval", warn, counting)
    values = answer.model.experiment.dataset.fitted.to_units(answer.mean)
    errors = np.abs(values - answer.model.targets("val"))
    return Interval(level, half_width(errors, level), rank, examples)


def temperature_of(ensemble: WeightedMembers, which: str, warn: Warn, counting: Counting) -> Temperature:
    """The temperature at which probabilities of a run or an ensemble fit the validation part best.

    Raises SpecError where there can be none, RunError or DataError where the validation part is not as it was.
    """
    shown = one_line(ensemble.folder)
    fitted = session.recorded(ensemble.members[0])
    if fitted.label_classes:
        raise SpecError(
            f"--calibrated: {shown} predicts several labels, each of which would need a temperature of its own; leave "
            "it out, and look at --metric calibration_error"
        )
    if not fitted.classes:
        raise SpecError(
            f"--calibrated: {shown} predicts numbers; write --interval 0.9 for how far off they are"
        )
    if ensemble.how == "vote" and len(ensemble.members) > 1:
        raise SpecError(
            f"--calibrated: {shown} counts votes, which are no probabilities; make the ensemble with "
            "--average probabilities"
        )
    examples = _validation(ensemble, "--calibrated")
    answer = _on_validation(ensemble, which, "--calibrated", warn, counting)
    if answer.model.kind == "scores":
        raise SpecError(
            f"--calibrated: {shown} gives scores, as its loss has them, and no probabilities; leave it out, or train "
            "with loss: cross_entropy"
        )
    temperature = fit_temperature(answer.combiner.outputs(answer.mean), answer.model.targets("val"))
    if temperature is None:
        raise SpecError(
            f"--calibrated: {shown} is right for all {examples} validation examples, so no temperature fits them "
            "best; leave it out, or train with a larger data.validation"
        )
    if is_at_end(temperature):
        raise SpecError(
            f"--calibrated: no temperature from 0.01 to 100 fits the {examples} validation examples of {shown}, as "
            "its probabilities say almost nothing of them; leave it out, or train longer"
        )
    return Temperature(temperature, examples)


def _validation(ensemble: WeightedMembers, option: str) -> int:
    """How many examples the validation part has.  Raises SpecError where there are none."""
    if len(ensemble.members) > 1 and any(map(is_fold, ensemble.members)):
        raise SpecError(
            f"{option}: is fitted to a validation part, and {one_line(ensemble.folder)} averages folds, each of which "
            "was trained on what others validate with; leave it out"
        )
    examples = session.recorded(ensemble.members[0]).parts["val"].examples
    if not examples:
        raise SpecError(
            f"{option}: is fitted to a validation part, and {one_line(ensemble.folder)} held nothing out; train with "
            "data.validation=0.1"
        )
    return examples


def _on_validation(
    ensemble: WeightedMembers, which: str, option: str, warn: Warn, counting: Counting
) -> MeanOutputs:
    """What is predicted for the validation part, which is read from the run's data."""

    def refuse(kind: type[Exception], error: Exception) -> NoReturn:
        raise kind(f"{option}: needs the validation part of the run's data: {error}") from None

    try:
        return mean_for(ensemble, which, lambda model: model.part("val").x, warn, counting, needed=["val"])
    except DataError as error:
        refuse(DataError, error)
    except RunError as error:
        refuse(RunError, error)
