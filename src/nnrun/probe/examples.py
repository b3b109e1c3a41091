"""Checks of the data alone: classes, features and their scale, names that only a later part has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnrun.amounts import figure
from nnrun.errors import counted
from nnrun.preprocessing import FittedColumn
from nnrun.probe.finding import Finding, graded, some_of
from nnrun.probe.sample import PARTS, Sample, feature_names, groups_of_inputs, is_image, pieces_of
from nnrun.training.baseline import class_counts
from nnrun.types import Dataset, Examples

__all__ = ["check_categories", "check_classes", "check_constants", "check_scale"]

_FEW = 10  # training examples of a class
_FAR = 20.0  # deviations of a target from the mean
_LARGE, _HUGE = 5.0, 10.0  # mean or deviation of an input, where 0 and 1 are best
_EXTREME = 100.0  # of a single number
_SMALL = 0.01  # root mean square of all inputs
_FEW_TESTED = 5  # test examples of a class


def check_classes(dataset: Dataset) -> Finding:
    """Whether every class is in every part, and often enough in training; of a regression, targets far away."""
    labels = dataset.fitted.label_classes
    if not (dataset.classes or labels):
        return _targets(dataset)
    by_name = {part: class_counts(dataset, getattr(dataset, part).y) for part in PARTS}
    counts = {part: np.array([*known.values()]) for part, known in by_name.items() if known}
    train, names = counts["train"], np.array([*by_name["train"]])
    numbers = {"classes": len(train), "fewest": int(train.min()), "most": int(train.max())}
    what = f"{len(labels)} labels with classes" if labels else f"{len(train)} classes"
    spread = f"{what} of {train.min()} to {train.max()} training examples"
    faults: list[tuple[str, str]] = []  # what is seen, what to do
    if never := names[train == 0].tolist():
        remedy = (
            "add examples of them, or take them out of the classes; the model can only be wrong about them"
        )
        faults.append((f"no training example of {some_of(never)}", remedy))
    for part in ("val", "test"):
        missing = names[(counts[part] == 0) & (train > 0)].tolist() if part in counts else []
        if missing:
            remedy = "metrics say nothing of them there; make the part larger, or change data.split_seed"
            faults.append((f"no example of {some_of(missing)} in the {part} part", remedy))
    tested = counts.get("test", np.zeros(0))
    if rare := names[: len(tested)][(tested > 0) & (tested < _FEW_TESTED)].tolist():
        remedy = "what is measured of them there says little; make the test part larger, or use folds"
        faults.append((f"fewer than {_FEW_TESTED} test examples of {some_of(rare)}", remedy))
    if gaps := _gaps(dataset.classes) if dataset.classes else []:
        remedy = "look whether they were lost on the way; if not, all is well"
        faults.append((f"classes are numbers, and {some_of(gaps)} is missing", remedy))
    if few := names[(train > 0) & (train < _FEW)].tolist():
        remedy = "add some, or weigh them (loss.class_weight: balanced, data.sampling: balanced)"
        if labels:
            remedy = "add some; what is measured of such a label says little"
        faults.append((f"fewer than {_FEW} training examples of {some_of(few)}", remedy))
    if not faults:
        return Finding("classes", "pass", spread, numbers=numbers)
    evidence = "; ".join([*(seen for seen, _ in faults), spread])
    remedies = "; ".join(dict.fromkeys(remedy for _, remedy in faults))
    return Finding("classes", "fail" if never else "warn", evidence, remedies, numbers)


def _gaps(classes: tuple[str, ...]) -> list[str]:
    """The whole numbers between the least and the largest class that no class has, if hardly any do."""
    if not all(name.isascii() and name.isdigit() for name in classes):
        return []
    numbers = {int(name) for name in classes}
    between = range(min(numbers), max(numbers))
    if len(between) > 2 * len(numbers):
        return []
    return [str(number) for number in between if number not in numbers]


def _targets(dataset: Dataset) -> Finding:
    y = dataset.train.y.astype(np.float64)
    deviations = np.abs(y - y.mean(0)) / np.maximum(y.std(0), 1e-300)  # counts are not standardised
    distinct, furthest = len(np.unique(dataset.train.y)), float(deviations.max())
    numbers = {"distinct": distinct, "furthest": furthest}
    evidence = (
        f"targets: {distinct} distinct values, the furthest {figure(furthest, 3)} deviations from the mean"
    )
    if furthest > _FAR:
        remedy = "look at the outliers; loss: huber gives them less weight, or train on the logarithm"
        return Finding("classes", "warn", evidence, remedy, numbers)
    return Finding("classes", "pass", evidence, numbers=numbers)


def check_constants(dataset: Dataset) -> Finding:
    """Whether a feature is the same in all training examples, where features have a meaning of their own."""
    left_out = [
        column.name
        for column in dataset.about
        if column.kind in ("constant", "empty") and column.role != "excluded"
    ]
    constant = _constant(dataset)
    names = list(dict.fromkeys([*left_out, *constant]))
    numbers = {"features": len(groups_of_inputs(dataset)), "constant": len(names)}
    if names:
        remedy = "nothing is learned of them; leave them out (data.exclude), or look why they do not vary"
        evidence = f"the same in all training examples: {some_of(names)}"
        return Finding("constant features", "warn", evidence, remedy, numbers)
    what = "channels" if is_image(dataset) else "features"
    return Finding("constant features", "pass", f"all {what} vary in the training part", numbers=numbers)


def _constant(dataset: Dataset) -> list[str]:
    """Names of the features, or of the channels of images, that do not vary."""
    least, most = _extremes(dataset.train)
    if is_image(dataset):
        channels = least.shape[-1] if least.ndim > 1 else 1  # pixels in a row have one
        least, most = (extreme.reshape(-1, channels) for extreme in (least, most))
        return [f"channel {i}" for i in np.flatnonzero(least.min(0) == most.max(0))]
    same = (least == most).reshape(-1)
    return [
        name
        for name, inputs, column in groups_of_inputs(dataset)
        if (same[inputs] if column is None else _values(same[inputs], column.indicator)).all()
    ]


def _values(same: np.ndarray, indicator: bool) -> np.ndarray:
    """Without the input that says whether the cell is missing."""
    return same[: len(same) - indicator]


def _extremes(examples: Examples) -> tuple[np.ndarray, np.ndarray]:
    """The least and the most of each input."""
    pieces = [(piece.min(0), piece.max(0)) for piece in pieces_of(examples)]
    return np.min([low for low, _ in pieces], 0), np.max([high for _, high in pieces], 0)


def check_categories(dataset: Dataset) -> Finding:
    """Whether every name of a column of names is in the training part, where something is learned of it."""
    named = [
        (name, inputs, column) for name, inputs, column in groups_of_inputs(dataset)
        if column is not None and column.categories is not None
    ]  # fmt: skip
    if not named:
        return Finding("categories", "skip", "no column of names")
    learned, new = _counts_of_names(dataset, named, "train"), []
    later: dict[str, int] = {}
    for part in ("val", "test"):
        counts = _counts_of_names(dataset, named, part)
        for (name, _, column), known, here in zip(named, learned, counts, strict=True):
            lacking = (known == 0) & (here > 0)
            for place in np.flatnonzero(lacking):
                shown = _name_of(column, int(place))
                later[part] = later.get(part, 0) + int(here[place])
                new.append(f"{name} {shown} ({here[place]} of {part})")
    numbers = {"columns": len(named), "names": len(new)} | later
    if not new:
        evidence = f"every name of {counted(len(named), 'column')} is in the training part"
        return Finding("categories", "pass", evidence, numbers=numbers)
    remedy = "nothing is learned of them: take rare names together (data.rare), or keep groups in all parts"
    return Finding("categories", "warn", f"names that training lacks: {some_of(new)}", remedy, numbers)


_Named = Sequence[tuple[str, slice, FittedColumn]]


def _counts_of_names(dataset: Dataset, named: _Named, part: str) -> list[np.ndarray]:
    """How many examples of a part each name has, column by column; the last of each has none of the names."""
    totals = [np.zeros(_names_in(column) + 1, np.int64) for _, _, column in named]
    offset = np.broadcast_to(dataset.offset, dataset.fitted.shape)
    for piece in pieces_of(getattr(dataset, part)):
        for total, (_, inputs, column) in zip(totals, named, strict=True):
            count = _names_in(column)
            hot = (piece[:, inputs] + offset[inputs])[:, :count] > 0.5
            total[:count] += hot.sum(0)
            total[count] += (~hot.any(1)).sum()
    return totals


def _names_in(column: FittedColumn) -> int:
    """Inputs that stand for names."""
    return len(column.categories or ()) + bool(column.rare)


def _name_of(column: FittedColumn, place: int) -> str:
    names = [*(repr(name) for name in column.categories or ()), *(["(rare)"] if column.rare else [])]
    return names[place] if place < len(names) else "(unknown)"


def check_scale(dataset: Dataset, sample: Sample) -> Finding:
    """Whether the inputs, as the model gets them, are of the size that initial weights expect: about 0 ± 1."""
    z = sample.z.reshape(len(sample.z), -1)
    mean, deviation = np.abs(z.mean(0)), z.std(0)
    size, extreme = float(np.sqrt(np.mean(z**2))), float(np.abs(z).max())
    numbers = {"rms": size, "largest_mean": float(mean.max()), "largest_deviation": float(deviation.max())}
    numbers["extreme"] = extreme
    largest = f"largest mean {figure(mean.max(), 3)}, largest deviation {figure(deviation.max(), 3)}"
    evidence = f"root mean square {figure(size, 3)}, {largest}"
    remedy = "leave data.standardize at its default (feature, or image), or scale the inputs"
    worst = np.maximum(mean, deviation)
    verdict = graded(float(worst.max()), _LARGE, _HUGE)
    if verdict != "pass":
        large = worst > _LARGE
        names = "" if is_image(dataset) else f", as in {some_of(feature_names(dataset, large))}"
        evidence += f"; {large.sum()} of {len(large)} inputs beyond {_LARGE:g}{names}"
        return Finding("input scale", verdict, evidence, remedy, numbers)
    if size < _SMALL:
        return Finding("input scale", "fail", f"{evidence}: hardly more than 0", remedy, numbers)
    if extreme > _EXTREME:
        remedy = "look at the outliers: a typing error, -999 for a missing value (data.missing_marks), or a long tail"
        return Finding(
            "input scale", "warn", f"{evidence}; one number at {figure(extreme, 3)}", remedy, numbers
        )
    return Finding("input scale", "pass", evidence, numbers=numbers)
