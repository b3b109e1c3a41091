"""How good members are: the loss's terms of each example, of which metrics, intervals and curves are made."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nnrun.prediction.by_member import Predicted
from nnrun.prediction.combiner import Combiner, OutputKind
from nnrun.prediction.models import SharedModel
from nnrun.statistics.metric import Metric
from nnrun.training.judge import Judge, make_judge

__all__ = ["Scored", "best_first", "of_subsets", "score", "single"]

_NUMBERS = 1 << 22  # of the predictions of subsets that are held at a time


class Scored(NamedTuple):
    """The members' predictions, and how good each member is alone.

    terms    part of the data -> the loss's terms of every member on every example, (members, terms, n)
    metrics  part -> the metrics of each member
    by       the metric that chooses the best member
    order    positions of the members, the best on validation first; None: nothing was held out
    """

    predicted: Predicted
    judge: Judge
    terms: dict[str, np.ndarray]
    metrics: dict[str, list[dict[str, float]]]
    by: str
    order: list[int] | None

    @property
    def model(self) -> SharedModel:
        """The model of the first member."""
        return self.predicted.model


def score(predicted: Predicted, how: str) -> Scored:
    """Judges every member on every part of the data.  To be used within the model's precision.

    how   the average: members are judged by the same arithmetic
    """
    model = predicted.model
    judge, combiner = make_judge(model.experiment), single(how, model.kind)
    terms: dict[str, np.ndarray] = {}
    metrics: dict[str, list[dict[str, float]]] = {}
    for part in predicted.parts:
        targets, terms_of_members, collected = model.targets(part), [], []
        for outputs in predicted.outputs(part):
            alone = combiner.outputs(combiner.mean([outputs], [1.0]))
            terms_of_members.append(judge.terms(alone, targets))
            collected.append(judge.collected(alone, targets))
        terms[part] = np.stack(terms_of_members)
        means = terms[part].mean(2)
        metrics[part] = [judge.metrics(row) | rest for row, rest in zip(means, collected, strict=True)]
    chosen = (model.experiment.plan.judge or "").removeprefix("val/")
    by = chosen if chosen in metrics[predicted.parts[0]][0] else judge.loss.judge
    order = best_first(metrics["val"], judge.metric(by)) if "val" in metrics else None
    return Scored(predicted, judge, terms, metrics, by, order)


def single(how: str, kind: OutputKind) -> Combiner:
    """The ensemble of one that has the bits of its member's share in an average."""
    return Combiner("logits" if how == "logits" else "probabilities", 1, kind)


def best_first(metrics: Sequence[Mapping[str, float]], metric: Metric) -> list[int]:
    """Positions of the members, the best by a metric first, those without a value last; the loss decides ties."""

    def place(i: int) -> tuple[bool, float, float, int]:
        value = metrics[i][metric.name]
        missing = math.isnan(value)
        return missing, 0.0 if missing else -metric.sign * value, metrics[i]["loss"], i

    return sorted(range(len(metrics)), key=place)


def of_subsets(
    judge: Judge,
    average: Combiner,
    outputs: Sequence[np.ndarray],
    weights: Sequence[float],
    chosen: Sequence[tuple[int, ...]],
    targets: np.ndarray,
    tick: Callable[[], None],
) -> np.ndarray:
    """Means of the terms (subsets, terms) of the ensembles of some members each, a few examples at a time.

    tick   called after each of them
    """
    shares = np.zeros((len(chosen), len(outputs)))
    for row, members in zip(shares, chosen, strict=True):
        row[list(members)] = np.asarray(weights)[list(members)]
        # Members of no weight are as good as each other.
        row[list(members)] = row[list(members)] / row.sum() if row.sum() > 0 else 1 / len(members)
    sums = np.zeros((len(chosen), judge.rows))
    rows = max(1, _NUMBERS // (max(len(chosen), len(outputs)) * judge.width))
    for start in range(0, len(targets), rows):
        values = np.stack(
            [average.values(member_outputs[start : start + rows]) for member_outputs in outputs]
        )
        means = np.tensordot(shares, values, 1)
        part = targets[start : start + rows]
        flat = average.outputs(means).reshape(-1, judge.width)
        scored = judge.terms(flat, np.concatenate([part] * len(chosen)))
        sums += scored.reshape(judge.rows, len(chosen), -1).sum(2).T
        tick()
    return sums / len(targets)
