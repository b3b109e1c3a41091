"""Checks of inputs that are there more than once: in two parts of the data, or under two labels."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from typing import NamedTuple

import numpy as np

from nnrun.errors import counted, one_line
from nnrun.probe.finding import Finding
from nnrun.probe.sample import PARTS, Sample, groups_of_inputs, is_image, pieces_of
from nnrun.types import Dataset, Examples

__all__ = ["Digests", "check_conflicts", "check_duplicates", "digests_of"]

Digests = dict[str, list[bytes]]  # part -> a digest of the inputs of each of its examples

_MEMORY = 1.5  # times as many duplicates as within the training part, and
_DEVIATIONS = 3.0  # of a binomial count more: no chance
_MUCH, _FEW = 0.01, 2  # of a part, and examples: no more than this is not worth a word
_MOST_FEATURES = 4096


def digests_of(dataset: Dataset) -> Digests:
    """What tells whether two inputs are the same to the bit."""
    return {part: _hashes(getattr(dataset, part)) for part in PARTS}


def _hashes(examples: Examples) -> list[bytes]:
    return [
        hashlib.blake2b(np.ascontiguousarray(row).data, digest_size=12).digest()
        for piece in pieces_of(examples)
        for row in piece
    ]


def check_duplicates(dataset: Dataset, sample: Sample, digests: Digests) -> Finding:
    """Whether inputs of the validation or test part are, to the bit, among those of training.

    A part with more of them than the training part has within itself is at fault.  Where none has more, they
    are chance if features take few values; where chance makes fewer, rows may have been recorded more than once, or
    different things look alike, which a person has to say.
    """
    known = Counter(digests["train"])
    repeated, trained = sum(count for count in known.values() if count > 1), len(digests["train"])
    within = repeated / trained
    said, numbers, is_more, is_much = [], {"within_train": within}, False, False
    for part in ("val", "test"):
        if not digests[part]:
            continue
        count, examples = sum(digest in known for digest in digests[part]), len(digests[part])
        share = count / examples
        numbers |= {f"{part}_in_train": count}
        alike = within + _DEVIATIONS * math.sqrt(within * (1 - within) / examples)
        is_more |= share > max(alike, _MEMORY * within, _MUCH) and count > _FEW
        is_much |= share > _MUCH and count > _FEW
        said.append(f"{count} of {examples} {part} inputs" + (f" ({share:.1%})" if count else ""))
    evidence = f"{' and '.join(said)} are training inputs too" if said else "no part is held out"
    if repeated:
        evidence += f"; {repeated} of {trained} training inputs ({within:.1%}) are there more than once"
    if is_more:
        remedy = "metrics there measure memory; remove them, or keep copies together (data.split_by)"
        return Finding("duplicates", "fail", evidence, remedy, numbers)
    if is_much and _pairs(digests) > _pairs_by_chance(dataset, sample, sum(map(len, digests.values()))):
        evidence += "; values such as these do not repeat by chance"
        remedy = (
            "if rows were recorded more than once, metrics measure memory in part: remove them, or keep copies "
            "together (data.split_by); if different things look alike, nothing is wrong"
        )
        return Finding("duplicates", "warn", evidence, remedy, numbers)
    return Finding("duplicates", "pass", evidence, numbers=numbers)


class _Place(NamedTuple):
    """An example: its part, its row there, and its label or, of several, the labels."""

    part: str
    row: int
    label: int | tuple[int, ...]


def check_conflicts(dataset: Dataset, sample: Sample, digests: Digests) -> Finding:
    """Whether the same input is there under two labels, of which no model can get both right.

    As many pairs of equal inputs as chance makes are no fault of the data, whatever their labels.
    """
    name = "conflicting labels"
    if not (dataset.classes or dataset.fitted.label_classes):
        return Finding(name, "skip", "targets are numbers")
    conflicts = _conflicts(dataset, digests)
    total = sum(map(len, digests.values()))
    numbers: dict[str, float] = {"inputs": len(conflicts), "examples": sum(map(len, conflicts))}
    if not conflicts:
        return Finding(name, "pass", "no input is there under two labels", numbers=numbers)
    lost = sum(len(places) - max(Counter(place.label for place in places).values()) for places in conflicts)
    numbers["best_accuracy"] = 1 - lost / total
    evidence = (
        f"{counted(len(conflicts), 'input')} with more than one label, such as {_example(dataset, conflicts[0])}; "
        f"no model gets more than {1 - lost / total:.1%} of all examples right"
    )
    if _pairs(digests) <= _pairs_by_chance(dataset, sample, total):
        return Finding(
            name, "pass", f"{evidence}; inputs take few values, so that chance does it", "", numbers
        )
    remedy = "one of the labels is wrong, or the inputs lack what tells them apart: correct or remove them"
    return Finding(name, "warn", evidence, remedy, numbers)


def _conflicts(dataset: Dataset, digests: Digests) -> list[list[_Place]]:
    """The examples of each input that has more than one label, in the order of the first of them."""
    sizes = Counter(digest for part in digests.values() for digest in part)
    places: dict[bytes, list[_Place]] = {}
    for part, of_part in digests.items():
        y = np.asarray(getattr(dataset, part).y).astype(np.int64) if of_part else np.zeros(0, np.int64)
        for row, digest in enumerate(of_part):
            if sizes[digest] > 1:
                label = tuple(y[row].tolist()) if y.ndim > 1 else int(y[row])
                places.setdefault(digest, []).append(_Place(part, row, label))
    return [same for same in places.values() if len({place.label for place in same}) > 1]


def _example(dataset: Dataset, places: list[_Place]) -> str:
    """Two examples of one input in words."""
    second = next(place for place in places if place.label != places[0].label)
    return f"{_in_words(dataset, places[0])} and {_in_words(dataset, second)}"


def _in_words(dataset: Dataset, place: _Place) -> str:
    files = dataset.files.get(place.part, ())
    where = f"{place.part} example {place.row}"
    if files:
        where = one_line(files[place.row], 60)
    elif place.part in dataset.rows:
        where = f"row {dataset.rows[place.part][place.row]} ({place.part})"
    return f"{where}: {_label_in_words(dataset, place.label)}"


def _label_in_words(dataset: Dataset, label: int | tuple[int, ...]) -> str:
    if isinstance(label, int):
        return one_line(dataset.classes[label], 40)
    pairs = zip(label, dataset.fitted.label_classes, strict=True)
    return one_line(", ".join(names[code] for code, names in pairs), 40)


def _pairs(digests: Digests) -> int:
    """Pairs of equal inputs, in all parts together."""
    sizes = Counter(digest for part in digests.values() for digest in part).values()
    return sum(size * (size - 1) // 2 for size in sizes)


def _pairs_by_chance(dataset: Dataset, sample: Sample, total: int) -> float:
    """Pairs of equal inputs that chance makes among this many examples whose features take these values.

    Of n examples they are about n(n − 1) / 2 ∏ₖ cₖ, where cₖ is the share of pairs that agree in feature k and features
    are independent.  They are not, so the root of the product is taken.
    """
    z = sample.z.reshape(len(sample.z), -1)
    if is_image(dataset) or z.shape[1] > _MOST_FEATURES:
        return 0.0
    z = np.unique(z, axis=0)  # copies say nothing of chance
    if len(z) < 2:
        return math.inf
    logarithm = 0.0
    for _, inputs, _ in groups_of_inputs(dataset):
        _, counts = np.unique(z[:, inputs], axis=0, return_counts=True)
        agreeing = float((counts * (counts - 1)).sum()) / (len(z) * (len(z) - 1))
        if not agreeing:
            return 0.0
        logarithm += math.log(agreeing)
    return total * (total - 1) / 2 * math.exp(logarithm / 2)
