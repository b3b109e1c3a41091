"""What an ensemble gained: its metrics beside those of its members, with intervals, a curve and calibration."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nnrun.ensemble.blend import Blend
from nnrun.ensemble.gains import LEAST, MOST, RESAMPLES, Halves, Whole, gains
from nnrun.ensemble.scores import Scored, of_subsets, single
from nnrun.prediction.combiner import PARAMETERS, name_of
from nnrun.prediction.member import Member
from nnrun.report.ensemble.account import (
    Account,
    Band,
    BestMember,
    Calibration,
    MemberEntry,
    Metrics,
    Point,
    bins_of,
)
from nnrun.runner.group import is_fold
from nnrun.statistics.calibration import fit_temperature, reliability, scaled
from nnrun.statistics.gain import spread, subsets
from nnrun.statistics.metric import SHARE, all_ends, ends_of
from nnrun.training.baseline import baseline, constant
from nnrun.training.predictions import log_softmax, softmax

__all__ = ["CALIBRATION", "account"]

_PER_SIZE = 24  # subsets of each size, for the curve
_HALVES = 100  # for the intervals
_FEWEST = 4  # members whose halves are ensembles
_WORK = 4e8  # numbers that subsets may add up, about; for large sets there are fewer of them
CALIBRATION = "calibration_error"


def account(
    how: str, split: str, members: Sequence[Member], scored: Scored, blend: Blend, tick: Callable[[], None]
) -> Account:
    """The account of an ensemble on a part of the data.

    how    one of the averages
    tick   called now and then
    """
    judge, model, order = scored.judge, scored.model, scored.order
    outputs, targets = blend.outputs(split), model.targets(split)
    terms = judge.terms(outputs, targets)
    rows = [
        *map(dict, scored.metrics[split]),
        judge.metrics(terms.mean(1)) | judge.collected(outputs, targets),
    ]
    curve, halves = ([], None) if how in PARAMETERS else _subsets(scored, blend, split, tick)
    if any(is_fold(member.folder) for member in members):
        halves = (
            None  # folds share most of their examples: how halves of them differ says little of other members
        )
    whole = _whole(how, scored, outputs, split, rows, tick)
    gained = gains(np.concatenate([scored.terms[split], terms[None]]), judge, order, halves, whole)
    result: Account = {
        "average": name_of(how, model.kind),
        "split": split,
        "judge": judge.loss.judge,
        "rising": list(judge.loss.rising),
        "bounds": all_ends(judge.loss.bounds),
        "members": [],
        "mean": {},
        "best": None,
        "ensemble": rows[-1],
        "baseline": {"prediction": constant(model.experiment), "metrics": baseline(model.experiment, split)},
        "examples": terms.shape[1],
        "gain": gained,
        "curve": curve,
        "diversity": _diversity(scored, split),
    }
    if model.kind == "classes":
        labels = model.part(split).y
        predictions = [*map(softmax, scored.predicted.outputs(split)), blend.predictions(split)]
        for row, p in zip(rows, predictions, strict=True):
            row[CALIBRATION] = reliability(p, labels).error
        result["bounds"][CALIBRATION] = ends_of(SHARE)
        result["calibration"] = _calibration(scored, blend, split)
    result["members"] = _entries(members, scored, blend, rows[:-1])
    result["mean"] = {name: math.fsum(row[name] for row in rows[:-1]) / len(members) for name in rows[0]}
    if order is not None:
        result["best"] = BestMember(name=members[order[0]].name, by=scored.by, metrics=rows[order[0]])
    return result


def _whole(
    how: str,
    scored: Scored,
    together: np.ndarray,
    part: str,
    rows: Sequence[Metrics],
    tick: Callable[[], None],
) -> Whole:
    """The metrics of members and ensemble that need all predictions at once, and those in resamples of the examples.

    together   outputs of the ensemble
    rows       metrics of members and ensemble
    """
    combiner = single(how, scored.model.kind)
    alone = [combiner.outputs(combiner.mean([z], [1.0])) for z in scored.predicted.outputs(part)]
    targets = scored.model.targets(part)
    drawn = scored.judge.resampled([*alone, together], targets, RESAMPLES, LEAST, MOST, tick)
    return Whole({name: np.array([row[name] for row in rows]) for name in drawn}, drawn)


def _entries(
    members: Sequence[Member], scored: Scored, blend: Blend, rows: Sequence[Metrics]
) -> list[MemberEntry]:
    return [
        {
            "name": member.name,
            "run": str(member.folder.absolute()),
            "step": member.step,
            "parameters": member.average or "trained",
            "sha256": member.sha256,
            "weight": blend.weights[i],
            "epochs": scored.predicted.epochs[i],
            "metrics": rows[i],
            "validation": scored.metrics["val"][i] if "val" in scored.metrics else None,
        }
        for i, member in enumerate(members)
    ]


def _subsets(
    scored: Scored, blend: Blend, part: str, tick: Callable[[], None]
) -> tuple[list[Point], Halves | None]:
    """The curve of metrics against the number of members, and the ensembles of halves."""
    judge, targets = scored.judge, scored.model.targets(part)
    members, half = len(blend.weights), len(blend.weights) // 2
    room = _WORK / (len(targets) * judge.width * (members + 4))
    per_size = int(np.clip(room, 3, _PER_SIZE))
    sizes = {size: subsets(members, size, per_size) for size in range(1, members + 1)}
    if members >= _FEWEST:
        sizes[half] = subsets(members, half, per_size * _HALVES // _PER_SIZE)
    chosen = [subset for subsets_of_size in sizes.values() for subset in subsets_of_size]
    outputs = scored.predicted.outputs(part)
    means = of_subsets(judge, blend.combiner, outputs, blend.weights, chosen, targets, tick)
    curve, start, halves = [], 0, None
    for size, subsets_of_size in sizes.items():
        means_of_size = means[start : start + len(subsets_of_size)]
        start += len(subsets_of_size)
        curve.append({"members": size, "subsets": len(subsets_of_size), **_band(judge.table(means_of_size))})
        if size == half and members >= _FEWEST:
            halves = Halves(subsets_of_size, means_of_size)
    return curve, halves


def _band(table: Mapping[str, np.ndarray]) -> dict[str, Band]:
    bands: dict[str, Band] = {}
    for name, values in table.items():
        below, above = spread(values)
        mean = float(values.mean())
        bands[name] = {"mean": mean, "low": mean - below, "high": mean + above}
    return bands


def _diversity(scored: Scored, part: str) -> dict[str, float] | None:
    """How much members differ: mean over pairs of members; None for one member.

    disagreement        the share of examples to which two give different labels; of numbers, their mean distance
    error_correlation   of being wrong (0 or 1) on an example; of numbers, of the errors
    Of several targets or labels, means over them.
    """
    outputs, model = scored.predicted.outputs(part), scored.model
    if len(outputs) < 2:
        return None
    if model.kind in ("classes", "scores"):
        predictions = np.stack([z.argmax(1).astype(np.int32) for z in outputs])
        apart, alike = _apart(predictions, predictions != model.part(part).y, np.not_equal)
        return {"disagreement": apart, "error_correlation": alike}
    if model.kind == "labels":
        labels, right = np.stack([z > 0 for z in outputs]), model.part(part).y > 0.5
        pairs = [
            _apart(labels[..., j], labels[..., j] != right[:, j], np.not_equal) for j in range(right.shape[1])
        ]
        apart, alike = (float(np.mean(values)) for values in zip(*pairs, strict=True))
        return {"disagreement": apart, "error_correlation": alike}
    numbers = np.stack([np.asarray(z, np.float64) for z in outputs])  # (members, n, targets)
    targets = model.standardised(part).reshape(numbers.shape[1:])
    units = np.atleast_1d(model.experiment.dataset.fitted.target_scale)
    of_targets = [
        _apart(numbers[..., j], numbers[..., j] - targets[:, j], _distance) for j in range(numbers.shape[2])
    ]
    return {
        "disagreement": float(
            np.mean([unit * apart for unit, (apart, _) in zip(units, of_targets, strict=True)])
        ),
        "error_correlation": float(np.mean([alike for _, alike in of_targets])),
    }


def _apart(
    predictions: np.ndarray, errors: np.ndarray, distance: Callable[..., np.ndarray]
) -> tuple[float, float]:
    """The mean distance of predictions (members, n) over pairs of members, and the mean correlation of errors."""
    pairs = [(i, j) for i in range(len(predictions)) for j in range(i)]
    apart = [np.mean(distance(predictions[i], predictions[j])) for i, j in pairs]
    errors = errors.astype(np.float64)
    centred = errors - errors.mean(1, keepdims=True)
    size = np.sqrt((centred**2).sum(1))
    alike = [float(centred[i] @ centred[j] / (size[i] * size[j])) for i, j in pairs if size[i] * size[j] > 0]
    return float(np.mean(apart)), float(np.mean(alike)) if alike else 0.0


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a - b)


def _calibration(scored: Scored, blend: Blend, part: str) -> Calibration:
    """Reliability, before and after temperature scaling where it can be fitted on validation data."""
    labels = scored.model.part(part).y
    calibration: Calibration = {"before": bins_of(reliability(blend.predictions(part), labels))}
    if "val" in blend.mean:
        temperature = fit_temperature(log_softmax(blend.outputs("val")), scored.model.part("val").y)
        calibration["temperature"] = temperature
        if temperature is not None:
            after = scaled(log_softmax(blend.outputs(part)), temperature)
            calibration["after"] = bins_of(reliability(after, labels))
    return calibration
