"""The metrics that a spec asks for: their names, and whether they fit the task."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence

import numpy as np

from nnrun.build.several_targets import measures_of_targets
from nnrun.catalog import Spec, bound, user_code
from nnrun.catalog.bound import Bound
from nnrun.duration import Clock
from nnrun.errors import SpecError, first_line, one_line
from nnrun.statistics.measure import Measure
from nnrun.types import Dataset, Loss

__all__ = ["make_measures", "with_measures"]

_NO_CLOCK = Clock(1, 1, 0)
_EXAMPLES = 4  # on which a metric of the user's own is tried
_FITTING = {True: "accuracy, f1, auroc", False: "rmse, mae, r2"}


def make_measures(spec: Spec, dataset: Dataset, loss: Loss) -> dict[str, Measure]:
    """The metrics by the names that they are reported by.

    A name ends with the options that are not the default: f1, f1_yes, pinball_0.9; the second of equal names with 2.
    Raises SpecError where one does not fit the targets or the loss.
    """
    measures: dict[str, Measure] = {}
    blocks = zip(spec.document.lists["metrics"], spec.metrics, strict=True)
    for number, ((path, _), block) in enumerate(blocks):
        try:
            of_targets = _of_targets(block, dataset, loss)
        except bound.WrongResultError as error:
            raise spec.fail(path, str(error)) from None
        except ValueError as error:
            raise spec.fail(path, f"{block.name}: {first_line(error)}") from None
        measure = of_targets[0]
        _check_fit(spec, path, block, measure, loss)
        if user_code.is_user_name(block.name):
            _try(spec, path, block, measure, dataset)
        name = _name(block)
        if name == "loss":
            raise spec.fail(path, "the name loss is taken; give the function another one")
        if any(block[:4] == earlier[:4] for earlier in spec.metrics[:number]):
            raise spec.fail(path, f"{block.name} with these options comes twice; write it once")
        taken = sum(
            known == name or re.fullmatch(re.escape(name) + r"_\d+", known) is not None for known in measures
        )
        name = name if name not in measures else f"{name}_{taken + 1}"
        targets, binary = dataset.fitted.targets, loss.binary
        measures |= measures_of_targets(name, of_targets, targets, binary) if targets else {name: measure}
    return measures


def _of_targets(block: Bound, dataset: Dataset, loss: Loss) -> list[Measure]:
    """The metric as it is for each target, of which each has a mean of its own."""
    fitted = dataset.fitted
    if loss.binary:
        return _of_labels(block, fitted.targets, fitted.label_classes)
    means = np.atleast_1d(fitted.target_scale if loss.positive else fitted.target_shift).tolist()
    return [bound.call(block, {}, _NO_CLOCK, classes=dataset.classes, target_shift=mean) for mean in means]


def _of_labels(
    block: Bound, labels: Sequence[str], label_classes: Sequence[tuple[str, str]]
) -> list[Measure]:
    """The metric of each label; one that does not fit some of them fails with a line that names all of these."""
    measures: list[Measure] = []
    problems: dict[str, list[str]] = {}  # what is wrong: the labels of which it is
    for label, pair in zip(labels, label_classes, strict=True):
        try:
            measures.append(bound.call(block, {}, _NO_CLOCK, classes=pair))
        except bound.WrongResultError:
            raise
        except ValueError as error:
            problems.setdefault(first_line(error), []).append(label)
    if problems:
        lines = (f"of {one_line(', '.join(names), 60)}, {problem}" for problem, names in problems.items())
        raise ValueError("; ".join(lines))
    return measures


def with_measures(loss: Loss, measures: Mapping[str, Measure]) -> Loss:
    """The loss with those metrics; one that the loss reports by the same name is theirs from then on."""
    rising = [name for name in loss.rising if name not in measures]
    return loss._replace(
        measures=measures,
        rising=(*rising, *(name for name, measure in measures.items() if measure.rising)),
        bounds={**loss.bounds, **{name: measure.bounds for name, measure in measures.items()}},
    )


def _name(block: Bound) -> str:
    parameters = inspect.signature(block.function).parameters
    changed = [value for key, value in block.options.items() if value != parameters[key].default]
    words = [block.name.rpartition(":")[2], *(re.sub(r"[^\w.+-]", "-", str(value)) for value in changed)]
    return "_".join(words)


def _check_fit(spec: Spec, path: tuple[str | int, ...], block: Bound, measure: Measure, loss: Loss) -> None:
    """Refuses a metric of classes for numbers, one of numbers for classes, and one of probabilities for scores."""
    classifies = loss.classifies or loss.binary
    if measure.classifies != classifies:
        what, targets = ("classes", "numbers") if measure.classifies else ("numbers", "classes")
        raise spec.fail(
            path,
            f"{block.name} judges {what}, and the targets of {spec.data.name} are {targets}; leave it out, or write "
            f"one for {targets}, such as {_FITTING[classifies]}",
        )
    if measure.probabilities and not loss.probabilities:
        raise spec.fail(
            path,
            f"{block.name} needs probabilities, and the outputs of {spec.loss.name} are scores; leave it out, or write "
            "loss: cross_entropy",
        )


def _try(spec: Spec, path: tuple[str | int, ...], block: Bound, measure: Measure, dataset: Dataset) -> None:
    """Computes a metric of the user's own of a few made-up examples, so that it fails before anything exists."""
    classes = 2 if dataset.fitted.label_classes else len(dataset.classes)
    numbers = np.arange(_EXAMPLES)
    targets = numbers % classes if classes else numbers + 1.0
    predictions = np.eye(classes)[numbers % classes] / 2 + 0.5 / classes if classes else targets + 0.5
    try:
        terms = measure.each(predictions, targets)
        if measure.terms is None:
            measure.of_all(predictions, targets)
        else:
            measure.of_averages(terms.mean(0))
    except SpecError as error:
        raise spec.fail(path, f"{block.name}: {error}") from None
    except Exception as error:  # the user's code can raise anything
        raise spec.fail(
            path, f"{block.name} on {_EXAMPLES} examples: {type(error).__name__}: {first_line(error)}"
        ) from error
