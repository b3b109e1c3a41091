"""What the curves of a run say: whether it fits too closely or not enough, whether its steps are of a usual size.

Each remark has its evidence.  The thresholds are rules of thumb, named below; a remark says what was seen, and what
is worth a try.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nnrun.report.chart import Line
from nnrun.report.run.subject import Subject
from nnrun.report.summary import reference, rises, stop_line
from nnrun.report.values import level, number
from nnrun.report.words import gap
from nnrun.statistics.metric import last_part

__all__ = ["Remark", "remarks"]

_TAIL = 0.2  # of the evaluations: the end of a curve
_RISEN = 0.05  # of how far the validation loss fell in all
_AGAIN = 0.1  # of its least value: together with the one above, by how much it has to rise to be overfitting
_FALLING = 0.05  # of its value: how much a loss that still falls loses between the last two fifths
_FEWEST = 8  # evaluations, below which a curve says too little
_GAP = 0.02  # between a share of the training and the validation part
_LEARNED = 0.02  # of the first training loss, below which little is left to learn
_LARGE, _SMALL = 1e-2, 1e-4  # an update against the parameters; about 1e-3 is usual (cs231n 2016, lecture 6)


class Remark(NamedTuple):
    """What was seen, and what is worth a try.

    about   fit, rate or end
    fine    whether there is nothing to do
    """

    about: str
    sentence: str
    fine: bool = False


def remarks(subject: Subject) -> list[Remark]:
    """What the curves of a run, or the mean curves of several, say."""
    about_fit = list(_fit(subject))
    blamed = any(remark.about == "rate" for remark in about_fit)  # then the size of its updates is no comfort
    return [
        *_end(subject),
        *about_fit,
        *(remark for remark in _rate(subject) if not (blamed and remark.fine)),
    ]


def _end(subject: Subject) -> Iterator[Remark]:
    """How it ended, where that was not at its last step."""
    summary, state = subject.content.summary, subject.content.state
    if subject.content.status == "diverged":
        reason = state.get("reason", "its loss became NaN or infinite")
        norm = subject.lines.get("grad/norm")
        seen = ""
        if norm is not None and len(finite := norm.y[np.isfinite(norm.y)]):
            seen = f"; the gradient's norm was last {number(float(finite[-1]))}, its median {number(_median(finite))}"
        yield Remark("end", f"it diverged: {reason}{seen}")
    for line in rises(summary):
        yield Remark("end", line.removeprefix("warning: "))
    if line := stop_line(summary):
        yield Remark("end", line, fine=True)


def _fit(subject: Subject) -> Iterator[Remark]:
    """Whether the validation loss rises again, still falls, or lies far from that of training."""
    val, train = subject.lines.get("val/loss"), subject.lines.get("train/loss")
    if val is None or not np.isfinite(val.y).all():
        return
    if len(val.y) < _FEWEST:
        yield from _distance(subject)
        return
    tail = max(2, round(_TAIL * len(val.y)))
    least, last = int(val.y.argmin()), float(val.y[-tail:].mean())
    rise = last - float(val.y[least])
    if rise > max(_RISEN * float(val.y.max() - val.y[least]), _AGAIN * abs(float(val.y[least]))):
        yield _came_apart(val, train, least, last) or Remark("fit", _overfits(val, train, least, last))
        yield from _no_better(subject)
        return
    before, after = (float(part.mean()) for part in (val.y[-2 * tail : -tail], val.y[-tail:]))
    if before - after > _FALLING * abs(after) and _rate_is_left(subject):
        yield Remark(
            "fit",
            f"val/loss was still falling when it ended: {number(before)}, then {number(after)} (means of the last two "
            f"fifths). {_longer(subject.content.status)}",
        )
    yield from _distance(subject)


def _longer(status: str) -> str:
    """How to train on: a run that did not come to its end continues."""
    if status in ("crashed", "interrupted"):
        return "Continue it: nnrun resume RUN"
    return "Train longer: train.duration, or nnrun train SPEC --from RUN"


def _came_apart(val: Line, train: Line | None, least: int, last: float) -> Remark | None:
    """Where the training loss rises too, it is no overfitting: what was learned is lost again."""
    if train is None or not len(train.y):
        return None
    step = int(val.x[least])
    tail = max(1, round(_TAIL * len(train.y)))
    then, end = float(np.interp(step, train.x, train.y)), float(train.y[-tail:].mean())
    if end - then <= _AGAIN * abs(then):
        return None
    return Remark(
        "rate",
        f"it got worse in training too, from step {step} on: train/loss was {number(then)} there and {number(end)} in "
        f"the last fifth, val/loss {number(float(val.y[least]))} and {number(last)}. The learning rate may be too "
        "high: nnrun lr-find SPEC shows the range",
    )


def _overfits(val: Line, train: Line | None, least: int, last: float) -> str:
    step = int(val.x[least])
    fell = ""
    if train is not None and len(train.y):
        then, end = float(np.interp(step, train.x, train.y)), float(train.y[-1])
        fell = f", while train/loss went from {number(then)} to {number(end)}"
    return (
        f"it overfits from step {step} on: val/loss was {number(float(val.y[least]))} there and {number(last)} in "
        f"the last fifth{fell}. Try more data, augmentation, dropout, weight_decay or a shorter run"
    )


def _rate_is_left(subject: Subject) -> bool:
    """Whether the learning rate was not near 0 at the end, where nothing can fall any further."""
    rate = subject.lines.get("learning_rate")
    return rate is None or float(rate.y[-1]) > 0.05 * float(rate.y.max())


def _no_better(subject: Subject) -> Iterator[Remark]:
    """Whether a run that got worse was at no time better than a constant prediction."""
    judge, baseline = subject.judge, subject.content.summary.get("baseline")
    if judge is None or not judge.share or not baseline:
        return
    name = f"val/{judge.name.rpartition('/')[2]}"
    val, constant = subject.lines.get(name), reference(name, baseline)
    if val is None or not len(val.y):
        return
    best = max(map(float, val.y), key=lambda value: judge.gain(value, 0.0))
    if constant is not None and judge.gain(best, constant) < _GAP:
        yield Remark(
            "fit",
            f"even at its best it is hardly better than a constant prediction ({baseline['prediction']}): {name} "
            f"{level(judge, best)}, and {level(judge, constant)} for that. Look at the inputs and the labels",
        )


def _distance(subject: Subject) -> Iterator[Remark]:
    """How far apart training and validation are in the metric that judges, where it is a share."""
    judge, baseline = subject.judge, subject.content.summary.get("baseline")
    if judge is None or not judge.share:
        return
    name = last_part(judge.name)
    val, train = subject.lines.get(f"val/{name}"), subject.lines.get(f"train/{name}")
    if val is None or train is None:
        return
    tails = [line.y[-max(1, round(_TAIL * len(line.y))) :] for line in (train, val)]
    ends = [float(tail.mean()) for tail in tails]
    constant = reference(f"val/{name}", baseline) if baseline else None
    if baseline and constant is not None and max(judge.gain(end, constant) for end in ends) < _GAP:
        yield Remark(
            "fit",
            f"it has learned next to nothing: val/{name} {level(judge, ends[1])}, and {level(judge, constant)} for a "
            f"constant prediction ({baseline['prediction']}). Look at the learning rate, the inputs and the labels",
        )
        return
    distance = judge.gain(*ends)
    which = "means of the last fifth" if min(map(len, tails)) > 1 else "the last ones"
    seen = f"train/{name} {level(judge, ends[0])}, val/{name} {level(judge, ends[1])} ({which})"
    if distance > _GAP:
        yield Remark(
            "fit",
            f"it is better in training by {gap(judge, distance)}: {seen}. More data, augmentation, dropout or "
            "weight_decay may close some of it",
        )
    elif distance < -_GAP:
        yield Remark(
            "fit",
            f"it is better in validation by {gap(judge, distance)}: {seen}. Dropout and augmentation do that: they are "
            "off in validation",
            fine=True,
        )
    else:
        yield Remark("fit", f"training and validation are close: {seen}", fine=True)


def _rate(subject: Subject) -> Iterator[Remark]:
    """The size of the updates against the parameters, while the learning rate is at least half its peak."""
    ratio, rate = subject.lines.get("update/ratio"), subject.lines.get("learning_rate")
    if ratio is None or rate is None or not len(ratio.y):
        return
    at = np.interp(ratio.x, rate.x, rate.y)
    high = ratio.y[(at >= 0.5 * at.max()) & np.isfinite(ratio.y) & (ratio.x <= _learning_until(subject))]
    if not len(high):
        return
    middle = _median(high)
    seen = f"an update is {number(middle)} of the parameters (median while the rate is high; about 0.001 is usual)"
    if middle > _LARGE:
        yield Remark("rate", f"the learning rate may be too high: {seen}. nnrun lr-find SPEC shows the range")
    elif middle < _SMALL:
        yield Remark("rate", f"the learning rate may be too low: {seen}. nnrun lr-find SPEC shows the range")
    else:
        yield Remark("rate", f"the learning rate is of a usual size: {seen}", fine=True)


def _learning_until(subject: Subject) -> float:
    """The step until which there was much to learn: behind it updates are small because gradients are."""
    train = subject.lines.get("train/loss")
    if train is None or not len(train.y):
        return float("inf")
    floor = min(0.0, float(np.nanmin(train.y)))  # of a loss that may be negative, the least that it became
    learned = np.flatnonzero(train.y - floor < _LEARNED * (train.y[0] - floor))
    return float(train.x[learned[0]]) if len(learned) else float("inf")


def _median(values: np.ndarray) -> float:
    return float(np.median(values))
