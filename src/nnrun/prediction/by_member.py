"""Predictions of members, one after another: one member's parameters on the device at a time."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnrun import signals
from nnrun.errors import RunError, SpecError, Warn, one_line
from nnrun.prediction.combiner import PREDICTIONS
from nnrun.prediction.folds import in_units_of, units_of
from nnrun.prediction.member import Member
from nnrun.prediction.models import SharedModel, by_model, open_model, state_of
from nnrun.preprocessing import PARTS
from nnrun.rows import Rows
from nnrun.runner import session
from nnrun.runner.group import is_fold
from nnrun.storage import fsio
from nnrun.training.outputs import BATCH
from nnrun.types import Examples, State

__all__ = ["Counting", "MemberInputs", "Predicted", "Tasks", "predict", "predict_each", "store"]

# what is done, how many pieces it has -> a context that gives a function to call after each of them
Counting = Callable[[str, int | None], AbstractContextManager[Callable[[], None]]]
# the model of a member, the member's position -> the inputs of each part that it predicts for, as stored
MemberInputs = Callable[[SharedModel, int], Mapping[str, "np.ndarray | Rows"]]
_JUDGED = ("greedy", "weighted")  # averages that are fitted on validation data


class Predicted(NamedTuple):
    """What members predict, in files of a folder: member_01_test.npy, ... and targets_test.npy.

    model   that of the first member
    epochs  that each member was trained for
    parts   of the data: val if anything was held out, and the one that was asked for
    """

    folder: Path
    members: int
    model: SharedModel
    epochs: list[float]
    parts: list[str]

    def outputs(self, part: str) -> list[np.ndarray]:
        """Of each member (n, ...) as the model gives them, mapped from the file."""
        files = [self.folder / _name(i, part) for i in range(self.members)]
        return [np.load(file, mmap_mode="r", allow_pickle=False) for file in files]


def predict_each(
    folders: Sequence[Path],
    groups: Sequence[Sequence[int]],
    inputs: MemberInputs,
    load: Callable[[SharedModel, int], State],
    give: Callable[[SharedModel, int, str, np.ndarray], None],
    warn: Warn,
    counting: Counting,
    needed: Sequence[str] = (),
) -> SharedModel:
    """Predicts with the run in each folder, one after another.

    groups   their positions, in this order; those of a group share a model
    load     a model, a position -> the parameters
    give     gets model, position, name of a part and outputs for it, within the model's precision
    needed   parts of the runs' data that are needed
    Returns the last model.  Raises RunError, Interrupted.
    """
    first = groups[0][0]
    model = open_model(folders[first], warn, needed)
    x_of_parts = inputs(model, first)
    total = len(folders) * sum(-(-len(x) // BATCH) for x in x_of_parts.values())
    with signals.deferred(), counting("predicting", total) as tick:
        for group in groups:
            if group is not groups[0]:
                model = open_model(folders[group[0]], warn, needed)
                x_of_parts = inputs(model, group[0])
            with session.precision(model.precision):
                for i in group:
                    state = load(model, i)
                    for part, x in x_of_parts.items():
                        give(model, i, part, model.outputs(state, x, tick))
    return model


def predict(
    members: Sequence[Member], split: str, how: str, folder: Path, warn: Warn, counting: Counting
) -> Predicted:
    """Writes what members predict into files of an existing folder: for a part of their data, and for the
    validation part if there is one.

    how    the average, which may need a validation part, or labels
    Members may differ in their models, but not in their task.  Raises RunError, SpecError for a part that is
    empty, Interrupted.
    """
    # The model of the first member is needed afterwards, so its turn comes last: one model is held at a time.
    folders = [member.folder for member in members]
    groups = sorted(by_model(folders), key=lambda group: 0 in group)
    units, of_folds = units_of(folders, 0), any(map(is_fold, folders))
    epochs = [0.0] * len(members)
    parts: list[str] = []
    tasks = Tasks(how)

    def inputs(model: SharedModel, index: int) -> dict[str, np.ndarray | Rows]:
        tasks.check(members[index].name, model)
        validated = how in _JUDGED or (bool(len(model.part("val").y)) and not of_folds)
        parts[:] = parts or dict.fromkeys(["val", split] if validated else [split])
        return {part: _examples(model, part, of_folds).x for part in parts}

    def give(model: SharedModel, index: int, part: str, outputs: np.ndarray) -> None:
        epochs[index] = members[index].step / model.experiment.plan.steps_per_epoch
        if not np.isfinite(outputs).all():
            name = members[index].name
            raise RunError(f"{name}: predicts NaN or infinity on the {part} part; name the others")
        store(folder / _name(index, part), in_units_of(units, model, outputs))

    def load(model: SharedModel, index: int) -> State:
        return state_of(model, members[index].load().arrays, members[index].name)

    model = predict_each(folders, groups, inputs, load, give, warn, counting, PARTS)
    for part in parts:
        store(folder / f"targets_{part}.npy", model.part(part).y)
    return Predicted(folder, len(members), model, epochs, parts)


class Tasks:
    """Whether members have one task, of which there is the average `how`."""

    def __init__(self, how: str) -> None:
        self._how, self._first = how, ("", "")  # name and task of the first member

    def check(self, name: str, model: SharedModel) -> None:
        """Raises SpecError, and RunError for a member with another task than the first that was checked."""
        how = self._how
        if how == "vote" and model.kind == "numbers":
            raise SpecError("--average vote: the members predict numbers; write --average probabilities")
        if how in PREDICTIONS and how != "logits" and model.kind == "scores":
            raise SpecError(
                f"--average {how}: the members give scores, as their loss has them, and no probabilities; write "
                "--average logits, the mean of the scores"
            )
        first, task = self._first = self._first if self._first[0] else (name, model.task)
        if model.task != task:
            raise RunError(
                f"{name}: its task is {one_line(model.task, 80)}, that of {first} is {one_line(task, 80)}; "
                "members must have one task"
            )


_REMEDY = {
    "val": "write --split test and --average probabilities, or train with data.validation=0.1",
    "test": "write --split val, or train with data.test=0.2",
}


def _examples(model: SharedModel, part: str, of_folds: bool) -> Examples:
    examples = model.part(part)
    if not len(examples.y):
        remedy = _REMEDY[part]
        if of_folds and part == "test":  # what one validates with, others were trained on
            remedy = "train with data.test=0.2"
        raise SpecError(f"there is no {part} part, for the members held nothing out for it; {remedy}")
    return examples


def _name(member: int, part: str) -> str:
    return f"member_{member + 1:02d}_{part}.npy"


def store(file: Path, array: np.ndarray) -> None:
    """Writes an array as .npy."""
    content = io.BytesIO()
    np.save(content, np.ascontiguousarray(array), allow_pickle=False)
    fsio.write_file(file, content.getvalue())
