"""What an ensemble gained: its metrics beside those of its members, with intervals, a curve and calibration."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nnrun.ensemble.average import Combiner, log_softmax, softmax
from nnrun.ensemble.gains import Halves, gains
from nnrun.ensemble.predict import Predicted
from nnrun.ensemble.scores import Judge, targets_of
from nnrun.statistics.calibration import fit_temperature, reliability, scaled
from nnrun.statistics.gain import spread, subsets
from nnrun.statistics.metric import Metric

__all__ = ["CALIBRATION", "Blend", "account", "best_first", "mean_of", "own_outputs", "scores_of"]

_PER_SIZE = 24  # subsets of each size, for the curve
_HALVES = 100  # for the intervals
_FEWEST = 4  # members whose halves are ensembles
_WORK = 4e8  # numbers that subsets may add up, about; for large sets there are fewer of them
CALIBRATION = "calibration_error"


class Blend(NamedTuple):
    """An average of members' predictions; one of parameters is a model of its own, with average None.

    mean   part of the data -> what is averaged, (n, ...)
    """

    how: str
    average: Combiner | None
    weights: list[float]
    mean: dict[str, np.ndarray]

    def outputs(self, part: str) -> np.ndarray:
        """What takes the place of the outputs of one model."""
        mean = self.mean[part]
        return (
            own_outputs(self.how, mean, mean.shape[-1] > 1)
            if self.average is None
            else self.average.outputs(mean)
        )


def mean_of(predicted: Predicted, average: Combiner, weights: Sequence[float], part: str) -> np.ndarray:
    """The weighted mean over members of what is averaged."""
    return average.mean(predicted.all(part), weights)


def own_outputs(how: str, outputs: np.ndarray, classifies: bool) -> np.ndarray:
    """A member's outputs as those of an ensemble of one, so that the two have the same bits."""
    alone = Combiner("logits" if how == "logits" else "probabilities", 1, classifies)
    return alone.outputs(alone.mean([outputs], [1.0]))


def scores_of(predicted: Predicted, how: str, judge: Judge, part: str) -> np.ndarray:
    """The loss's terms of every member on every example, (members, terms, n)."""
    targets = targets_of(predicted.model, predicted.examples(part).y)
    classifies = predicted.model.classifies
    return np.stack(
        [judge.terms(own_outputs(how, outputs, classifies), targets) for outputs in predicted.all(part)]
    )


def best_first(metrics: Sequence[Mapping[str, float]], metric: Metric) -> list[int]:
    """Positions of the members, the best by a metric first; the loss decides between equal ones."""
    return sorted(
        range(len(metrics)), key=lambda i: (-metric.sign * metrics[i][metric.name], metrics[i]["loss"], i)
    )


def account(
    predicted: Predicted,
    blend: Blend,
    judge: Judge,
    part: str,
    order: Sequence[int] | None,
    tick: Callable[[], None],
) -> dict[str, Any]:
    """The account of an ensemble on a part of the data, as JSON.

    order   positions of the members, the best on validation first; None: nothing was held out
    tick    called now and then
    """
    model = predicted.model
    y = predicted.examples(part).y
    targets = targets_of(model, y)
    members = scores_of(predicted, blend.how, judge, part)
    outputs = blend.outputs(part)
    scores = np.concatenate([members, judge.terms(outputs, targets)[None]])
    rows = [judge.metrics(means) for means in scores.mean(2)]
    curve, halves = _subsets(predicted, blend, judge, part, tick)
    result: dict[str, Any] = {
        "examples": len(y),
        "gain": gains(scores, judge, order, halves),
        "curve": curve,
        "diversity": _diversity(predicted, part),
    }
    if model.classifies:
        for row, outputs_of_member in zip(rows, [*predicted.all(part), None], strict=True):
            p = _probabilities(blend, part) if outputs_of_member is None else softmax(outputs_of_member)
            row[CALIBRATION] = reliability(p, y).error
        result["calibration"] = _calibration(predicted, blend, part)
    result["metrics"] = {"members": rows[:-1], "ensemble": rows[-1]}
    result["metrics"]["mean"] = {
        name: math.fsum(r[name] for r in rows[:-1]) / (len(rows) - 1) for name in rows[0]
    }
    result["metrics"]["best"] = None if order is None else rows[order[0]]
    return result


def _probabilities(blend: Blend, part: str) -> np.ndarray:
    if blend.average is None:
        return softmax(blend.mean[part])
    return blend.average.probabilities(blend.mean[part])


def _subsets(
    predicted: Predicted, blend: Blend, judge: Judge, part: str, tick: Callable[[], None]
) -> tuple[list[dict[str, Any]], Halves | None]:
    """The curve of metrics against the number of members, and the ensembles of halves."""
    if blend.average is None:
        return [], None
    targets = targets_of(predicted.model, predicted.examples(part).y)
    members, half = predicted.members, predicted.members // 2
    room = _WORK / (len(targets) * judge.width * (members + 4))
    per_size = int(np.clip(room, 3, _PER_SIZE))
    sizes = {size: subsets(members, size, per_size) for size in range(1, members + 1)}
    if members >= _FEWEST:
        sizes[half] = subsets(members, half, per_size * _HALVES // _PER_SIZE)
    chosen = [subset for subsets_of_size in sizes.values() for subset in subsets_of_size]
    means = judge.of_subsets(blend.average, predicted.all(part), blend.weights, chosen, targets, tick)
    curve, start, halves = [], 0, None
    for size, subsets_of_size in sizes.items():
        means_of_size = means[start : start + len(subsets_of_size)]
        start += len(subsets_of_size)
        curve.append({"members": size, "subsets": len(subsets_of_size), **_band(judge.table(means_of_size))})
        if size == half and members >= _FEWEST:
            halves = Halves(subsets_of_size, means_of_size)
    return curve, halves


def _band(table: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    bands = {}
    for name, values in table.items():
        below, above = spread(values)
        mean = float(values.mean())
        bands[name] = {"mean": mean, "low": mean - below, "high": mean + above}
    return bands


def _diversity(predicted: Predicted, part: str) -> dict[str, float] | None:
    """How much members differ: mean over pairs of members; None for one member.

    disagreement        the share of examples to which two give different labels; of numbers, their mean distance
    error_correlation   of being wrong (0 or 1) on an example; of numbers, of the errors
    """
    if predicted.members < 2:
        return None
    y, model = predicted.examples(part).y, predicted.model
    if model.classifies:
        predictions = np.stack([outputs.argmax(1).astype(np.int32) for outputs in predicted.all(part)])
        errors = (predictions != y).astype(np.float64)
    else:
        predictions = np.stack([np.asarray(outputs[:, 0], np.float64) for outputs in predicted.all(part)])
        errors = predictions - targets_of(model, y)
    pairs = [(i, j) for i in range(len(predictions)) for j in range(i)]
    apart = [
        np.mean(predictions[i] != predictions[j])
        if model.classifies
        else np.mean(np.abs(predictions[i] - predictions[j]))
        for i, j in pairs
    ]
    unit = 1.0 if model.classifies else model.experiment.dataset.target_scale
    centred = errors - errors.mean(1, keepdims=True)
    size = np.sqrt((centred**2).sum(1))
    alike = [float(centred[i] @ centred[j] / (size[i] * size[j])) for i, j in pairs if size[i] * size[j] > 0]
    return {
        "disagreement": unit * float(np.mean(apart)),
        "error_correlation": float(np.mean(alike)) if alike else 0.0,
    }


def _calibration(predicted: Predicted, blend: Blend, part: str) -> dict[str, Any]:
    """Reliability on a part of the data, before and after temperature scaling fitted on validation data, if it can
    be fitted.
    """
    y = predicted.examples(part).y
    calibration: dict[str, Any] = {"before": reliability(_probabilities(blend, part), y)._asdict()}
    if "val" in blend.mean:
        held = predicted.examples("val").y
        temperature = fit_temperature(log_softmax(blend.outputs("val")), held)
        calibration["temperature"] = temperature
        if temperature is not None:
            after = reliability(scaled(log_softmax(blend.outputs(part)), temperature), y)
            calibration["after"] = after._asdict()
    return calibration
