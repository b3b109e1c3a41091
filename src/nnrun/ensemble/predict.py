"""The predictions of all members, streamed to files: one member's parameters on the device at a time."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnrun.ensemble.member import Member
from nnrun.ensemble.models import Model, by_model, open_model, state_of, task
from nnrun.errors import RunError, SpecError, Warn, one_line
from nnrun.runner import session
from nnrun.storage import fsio
from nnrun.training.outputs import BATCH
from nnrun.types import Examples

__all__ = ["Counting", "Predicted", "batches", "predict", "store"]

# what is done, how many pieces it has -> a context that gives a function to call after each of them
Counting = Callable[[str, int | None], AbstractContextManager[Callable[[], None]]]
_JUDGED = ("greedy", "weighted")  # averages that are fitted on validation data


class Predicted(NamedTuple):
    """What members predict, in files of a folder: member_01_test.npy, ... and targets_test.npy.

    model   that of the first member
    epochs  that each member was trained for
    parts   of the data: val if anything was held out, and the one that was asked for
    """

    folder: Path
    members: int
    model: Model
    epochs: list[float]
    parts: list[str]

    def outputs(self, part: str, member: int) -> np.ndarray:
        """(n, ...) as the model gives them, mapped from the file."""
        return np.load(self.folder / _name(member, part), mmap_mode="r", allow_pickle=False)

    def all(self, part: str) -> list[np.ndarray]:
        """Of each member."""
        return [self.outputs(part, i) for i in range(self.members)]

    def examples(self, part: str) -> Examples:
        """The inputs and targets."""
        return getattr(self.model.experiment.dataset, part)


def predict(
    members: Sequence[Member], split: str, how: str, folder: Path, warn: Warn, counting: Counting
) -> Predicted:
    """Writes what members predict into files of a folder that is there: for a part of their data, and for
    the validation part if there is one.

    how    the average, which may need a validation part, or labels
    Members may differ in their models, but not in their task.  Raises RunError, SpecError for a part that is
    empty, Interrupted.
    """
    # The model of the first member is needed afterwards, so its turn comes last: one model is held at a time.
    groups = sorted(by_model([member.folder for member in members]), key=lambda group: 0 in group)
    epochs = [0.0] * len(members)
    model = open_model(members[groups[0][0]].folder, warn)
    if how == "vote" and not model.classifies:
        raise SpecError("--average vote: the members predict numbers; write --average probabilities")
    first, name = task(model), members[groups[0][0]].name
    validated = how in _JUDGED or bool(len(model.experiment.dataset.val.y))
    parts = list(dict.fromkeys(["val", split] if validated else [split]))
    total = len(members) * sum(batches(len(_part(model, part).y)) for part in parts)
    with counting("predicting", total) as tick:
        for group in groups:
            if group is not groups[0]:
                model = open_model(members[group[0]].folder, warn)
            if task(model) != first:
                raise RunError(
                    f"{members[group[0]].name}: its task is {one_line(task(model), 80)}, that of {name} is "
                    f"{one_line(first, 80)}; members must have one task"
                )
            with session.precision(model.precision):
                for i in group:
                    epochs[i] = members[i].step / model.experiment.plan.steps_per_epoch
                    _one(members[i], i, model, parts, folder, tick)
    for part in parts:
        store(folder / f"targets_{part}.npy", _part(model, part).y)
    return Predicted(folder, len(members), model, epochs, parts)


def _one(
    member: Member, index: int, model: Model, parts: Sequence[str], folder: Path, tick: Callable[[], None]
) -> None:
    state = state_of(model, member.load(), member.name)
    for part in parts:
        outputs = model.outputs(state, _part(model, part).x, tick)
        if not np.isfinite(outputs).all():
            raise RunError(f"{member.name}: predicts NaN or infinity on the {part} part; name the others")
        store(folder / _name(index, part), outputs)


def _part(model: Model, part: str) -> Examples:
    examples: Examples = getattr(model.experiment.dataset, part)
    if not len(examples.y):
        raise SpecError(
            f"there is no {part} part, for the members held nothing out; write --split test and --average "
            "probabilities, or train with data.validation=0.1"
        )
    return examples


def batches(examples: int) -> int:
    """In how many pieces so many examples are predicted."""
    return -(-examples // BATCH)


def _name(member: int, part: str) -> str:
    return f"member_{member + 1:02d}_{part}.npy"


def store(file: Path, array: np.ndarray) -> None:
    """Writes an array as .npy."""
    content = io.BytesIO()
    np.save(content, np.ascontiguousarray(array), allow_pickle=False)
    fsio.write_file(file, content.getvalue())
