"""The folder of an ensemble as something that predicts and can be evaluated."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnrun import results, session, signals
from nnrun.ensemble.average import PREDICTIONS, Average
from nnrun.ensemble.members import RECORD, load
from nnrun.ensemble.models import Model, by_model, open_model, state_of
from nnrun.ensemble.predict import batches
from nnrun.ensemble.scores import make_judge, targets_of
from nnrun.errors import RunError, SpecError, one_line
from nnrun.evaluation import SPLITS
from nnrun.record import fsio, run
from nnrun.record.pack import ARRAYS
from nnrun.rows import Rows

__all__ = ["Ensemble", "Said", "evaluate_ensemble", "is_ensemble", "mean_for", "read"]

Counting = Callable[[str, int | None], AbstractContextManager[Callable[[], None]]]
Inputs = Callable[[Model], "np.ndarray | Rows"]  # the inputs that a model is to predict for, as stored
Warn = Callable[[str], None]


class Ensemble(NamedTuple):
    """An average of predictions, as its folder describes it."""

    folder: Path
    how: str
    members: list[Path]  # run folders
    weights: list[float]


def is_ensemble(folder: Path) -> bool:
    """Whether a run folder is that of an average of predictions; one of parameters is a run like any other."""
    return (folder / RECORD).is_file() and not (folder / "checkpoints").is_dir()


def read(folder: Path) -> Ensemble:
    """The ensemble in a folder.  Raises RunError where it is damaged, or a member is not the one listed."""
    place = folder / RECORD
    record = run.read_json(place)
    members = run.members(folder)
    try:
        how, listed = record["average"], record["members"]
        weights = [float(one["weight"]) for one in listed]
        digests = [(one["sha256"], int(one["step"])) for one in listed]
    except (KeyError, TypeError, ValueError):
        raise RunError(f"{one_line(place)}: damaged; make the ensemble again") from None
    if record.get("format") != 1:
        raise RunError(f"{one_line(place)}: of a newer nnrun; use the nnrun that wrote it")
    if how not in PREDICTIONS or len(members) != len(listed):
        raise RunError(
            f"{one_line(folder)}: holds {len(members)} of its {len(listed)} members; make the ensemble again"
        )
    for member, (digest, step) in zip(members, digests, strict=True):
        file = member / "checkpoints" / f"step_{step:08d}" / ARRAYS
        if hashlib.sha256(fsio.read_file(file)).hexdigest() != digest:
            raise RunError(f"{one_line(file)}: not the member that {RECORD} lists; make the ensemble again")
    return Ensemble(folder, how, members, weights)


class Said(NamedTuple):
    """What an ensemble, or one run, says of some inputs.

    average   how the mean is to be read
    mean      (n, ...) float64 over members
    alone     (n, ...) outputs of each member
    """

    model: Model
    average: Average
    mean: np.ndarray
    alone: list[np.ndarray]


def mean_for(
    ensemble: Ensemble, which: str, inputs: Inputs, warn: Warn, counting: Counting, keep: bool = False
) -> Said:
    """Predicts with one member after another.

    which   the checkpoint of each member: last, best, or a step
    keep    whether the outputs of each member are wanted too
    """
    count = len(ensemble.members)
    parts: list[np.ndarray | None] = [None] * count
    groups = list(by_model(ensemble.members))
    model = open_model(ensemble.members[groups[0][0]], warn)
    x = inputs(model)
    with signals.deferred(), counting("predicting", count * batches(len(x))) as tick:
        for group in groups:
            if group is not groups[0]:
                model = open_model(ensemble.members[group[0]], warn)
                x = inputs(model)
            with session.precision(model.precision):
                for i in group:
                    member = ensemble.members[i]
                    parts[i] = model.outputs(state_of(model, load(member, which), str(member)), x, tick)
    outputs = [one for one in parts if one is not None]
    average = Average(ensemble.how, count, model.classifies)
    return Said(model, average, average.mean(outputs, ensemble.weights), outputs if keep else [])


def evaluate_ensemble(folder: Path, split: str, which: str, warn: Warn, counting: Counting) -> dict[str, Any]:
    """Metrics of an ensemble on a part of its data, and of its members with their mean and 95% interval.

    Raises SpecError, RunError, DataError, Interrupted.
    """
    if split not in SPLITS:
        raise SpecError(f"--split: got {one_line(split, 40)!r}; write one of {', '.join(SPLITS)}")
    ensemble = read(folder)

    def inputs(model: Model) -> np.ndarray | Rows:
        part = getattr(model.experiment.dataset, split)
        if not len(part.y):
            raise SpecError(f"--split {split}: {one_line(folder)} held nothing out; write --split test")
        return part.x

    said = mean_for(ensemble, which, inputs, warn, counting, keep=True)
    with session.precision(said.model.precision):
        judge = make_judge(said.model)
        targets = targets_of(said.model, getattr(said.model.experiment.dataset, split).y)
        outputs = [said.average.outputs(said.mean), *said.alone]
        together, *alone = [
            {f"{split}/{n}": v for n, v in judge.metrics(judge.terms(one, targets).mean(1)).items()}
            for one in outputs
        ]
    runs = [
        {"run_dir": str(member), "step": load(member, which).step, "metrics": metrics}
        for member, metrics in zip(ensemble.members, alone, strict=True)
    ]
    averages = results.average([{which: one} for one in alone], sections=(which,))
    return {
        "run_dir": str(folder),
        "split": split,
        "checkpoint": which,
        "average": ensemble.how,
        "metrics": together,
        "runs": runs,
        **{name: section.get(which, {}) for name, section in averages.items()},
    }
