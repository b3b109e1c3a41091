"""The folder of an ensemble as something that predicts and can be evaluated."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnrun import signals
from nnrun.ensemble.average import PREDICTIONS, Combiner, name_of
from nnrun.ensemble.averaged import averaged
from nnrun.ensemble.member import load
from nnrun.ensemble.members import RECORD
from nnrun.ensemble.models import Model, by_model, open_model, state_of
from nnrun.ensemble.predict import batches
from nnrun.ensemble.scores import Judge, make_judge, targets_of
from nnrun.errors import RunError, SpecError, Warn, one_line
from nnrun.record import checkpoint, run
from nnrun.record.pack import ARRAYS
from nnrun.rows import Rows
from nnrun.runner import session, summary
from nnrun.runner.evaluation import check_split
from nnrun.storage import fsio

__all__ = ["Ensemble", "MeanOutputs", "evaluate_ensemble", "is_ensemble", "mean_for", "read"]

Counting = Callable[[str, int | None], AbstractContextManager[Callable[[], None]]]
Inputs = Callable[[Model], "np.ndarray | Rows"]  # the inputs that a model is to predict for, as stored
Each = Callable[[Model, int, np.ndarray], None]  # model, position of the member, its outputs


class Ensemble(NamedTuple):
    """An average of predictions, as its folder describes it."""

    folder: Path
    how: str
    members: list[Path]  # run folders
    weights: list[float]
    average: str | None = (
        None  # of each member's run, whose value its parameters are; None: those of the checkpoint
    )


def is_ensemble(folder: Path) -> bool:
    """Whether a run folder is that of an average of predictions; one of parameters is a run like any other."""
    return (folder / RECORD).is_file() and not (folder / "checkpoints").is_dir()


def read(folder: Path) -> Ensemble:
    """The ensemble in a folder.  Raises RunError where it is damaged, or a member is not the one listed."""
    place = folder / RECORD
    record = run.read_json(place)
    if record.get("format", 1) != 1:
        raise RunError(f"{one_line(place)}: of a newer nnrun; use the nnrun that wrote it")
    members = run.members(folder)
    try:
        how, listed = record["average"], record["members"]
        weights = [float(entry["weight"]) for entry in listed]
        digests = [(entry["sha256"], int(entry["step"])) for entry in listed]
    except (KeyError, TypeError, ValueError):
        raise RunError(f"{one_line(place)}: damaged; make the ensemble again") from None
    if how not in PREDICTIONS or len(members) != len(listed):
        raise RunError(
            f"{one_line(folder)}: holds {len(members)} of its {len(listed)} members; make the ensemble again"
        )
    for member, (digest, step) in zip(members, digests, strict=True):
        file = checkpoint.step_folder(member / "checkpoints", step) / ARRAYS
        if hashlib.sha256(fsio.read_file(file)).hexdigest() != digest:
            raise RunError(f"{one_line(file)}: not the member that {RECORD} lists; make the ensemble again")
    return Ensemble(folder, how, members, weights)


class MeanOutputs(NamedTuple):
    """What an ensemble, or one run, says of some inputs.

    average   how the mean is to be read
    mean      (n, ...) float64 over members
    """

    model: Model
    average: Combiner
    mean: np.ndarray


def mean_for(
    ensemble: Ensemble,
    which: str,
    inputs: Inputs,
    warn: Warn,
    counting: Counting,
    on_member: Each | None = None,
) -> MeanOutputs:
    """Predicts with one member after another; of members that share a model, only the sum is held.

    which   the checkpoint of each member: last, best, or a step
    on_member   is given the outputs of each member, in no certain order
    """
    count = len(ensemble.members)
    groups = list(by_model(ensemble.members))
    model = open_model(ensemble.members[groups[0][0]], warn)
    x = inputs(model)
    average = Combiner(ensemble.how, count, model.classifies)
    waiting: dict[int, np.ndarray] = {}  # outputs of members whose turn in the sum comes later
    summed, total = 0, np.zeros(())
    with signals.deferred(), counting("predicting", count * batches(len(x))) as tick:
        for group in groups:
            if group is not groups[0]:
                model = open_model(ensemble.members[group[0]], warn)
                x = inputs(model)
            with session.precision(model.precision):
                for i in group:
                    member = ensemble.members[i]
                    content = load(member, which)
                    if ensemble.average:
                        content = averaged(model, ensemble.average)(content, one_line(member))
                    waiting[i] = model.outputs(state_of(model, content, one_line(member)), x, tick)
                    if on_member is not None:
                        on_member(model, i, waiting[i])
                    while summed in waiting:
                        share = ensemble.weights[summed] * average.values(waiting.pop(summed))
                        total = share if summed == 0 else total + share
                        summed += 1
    return MeanOutputs(model, average, total)


def evaluate_ensemble(folder: Path, split: str, which: str, warn: Warn, counting: Counting) -> dict[str, Any]:
    """Metrics of an ensemble on a part of its data, and of its members with their mean and 95% interval.

    Raises SpecError, RunError, DataError, Interrupted.
    """
    check_split(split)
    ensemble = read(folder)

    def inputs(model: Model) -> np.ndarray | Rows:
        part = getattr(model.experiment.dataset, split)
        if not len(part.y):
            raise SpecError(f"--split {split}: {one_line(folder)} held nothing out; write --split test")
        return part.x

    alone: dict[int, dict[str, float]] = {}
    judges: dict[str, Judge] = {}  # one for each precision

    def measure(model: Model, outputs: np.ndarray) -> dict[str, float]:
        judge = judges[model.precision] = judges.get(model.precision) or make_judge(model)
        targets = targets_of(model, getattr(model.experiment.dataset, split).y)
        metrics = judge.metrics(judge.terms(outputs, targets).mean(1))
        return {f"{split}/{name}": value for name, value in metrics.items()}

    def measure_member(model: Model, index: int, outputs: np.ndarray) -> None:
        alone[index] = measure(model, outputs)

    answer = mean_for(ensemble, which, inputs, warn, counting, measure_member)
    with session.precision(answer.model.precision):
        together = measure(answer.model, answer.average.outputs(answer.mean))
    runs = [
        {"run_dir": str(member), "step": load(member, which).step, "metrics": alone[i]}
        for i, member in enumerate(ensemble.members)
    ]
    averages = summary.average([{which: member_run["metrics"]} for member_run in runs], sections=(which,))
    return {
        "run_dir": str(folder),
        "split": split,
        "checkpoint": which,
        "average": name_of(ensemble.how, answer.model.classifies),
        "metrics": together,
        "runs": runs,
        **{name: section.get(which, {}) for name, section in averages.items()},
    }
