"""What predicted examples say in sentences: the worst class, what is taken for what, if probabilities are meant."""

from __future__ import annotations

from collections.abc import Iterator

from nnrun.report.ensemble.account import Bins
from nnrun.report.per_class import ClassEntry, PerClass
from nnrun.report.words import chance
from nnrun.statistics.calibration import Reliability, error_by_chance

__all__ = ["calibration_verdict", "class_verdicts"]

_ALPHA = 0.05


def class_verdicts(per_class: PerClass) -> Iterator[str]:
    """The class of which the least share is right, and the most frequent confusion; nothing where all are right."""
    seen = [(k, entry) for k, entry in enumerate(per_class["classes"]) if entry["examples"]]
    if not seen or all(entry["right"] == entry["examples"] for _, entry in seen):
        return
    k, worst = min(seen, key=lambda item: (_share(item[1]), -item[1]["examples"]))
    taken, count = _most_taken_for(per_class, k)
    yield (
        f"Worst class: {worst['name']}, {worst['right']} of {worst['examples']} right "
        f"({100 * _share(worst):.0f}%), most often taken for {taken} ({count})."
    )
    pairs = [(k, *_most_taken_for(per_class, k)) for k, _ in seen]
    row, mistaken, most = max(pairs, key=lambda pair: pair[2])
    if row != k:
        yield f"Most frequent confusion: {per_class['classes'][row]['name']} taken for {mistaken} ({most})."


def _share(entry: ClassEntry) -> float:
    return entry["right"] / entry["examples"]


def _most_taken_for(per_class: PerClass, k: int) -> tuple[str, int]:
    """What examples of class k are wrongly predicted to be most often, and how often."""
    wrong = [count if j != k else -1 for j, count in enumerate(per_class["confusion"][k])]
    most = max(range(len(wrong)), key=wrong.__getitem__)
    return per_class["classes"][most]["name"], wrong[most]


def calibration_verdict(bins: Bins) -> str:
    """Whether the probabilities are more wrong than chance makes calibrated ones, and in which direction."""
    examples = sum(bins["counts"])
    sure, right = (
        sum(n * share for n, share in zip(bins["counts"], bins[name], strict=True)) / examples
        for name in ("confidence", "accuracy")
    )
    usual, p = error_by_chance(
        Reliability(bins["error"], bins["counts"], bins["confidence"], bins["accuracy"])
    )
    seen = f"on average {100 * sure:.1f}% sure and {100 * right:.1f}% right"
    against = (
        f"the calibration error is {100 * bins['error']:.2f}%, where calibrated ones have {100 * usual:.2f}% by chance "
        f"({chance(p)})"
    )
    if p > _ALPHA:
        return f"The probabilities are calibrated, as far as {examples} examples can tell: {seen}; {against}."
    direction = "too sure" if sure > right else "not sure enough"
    return f"The probabilities are not calibrated: {seen}, so {direction}; {against}."
