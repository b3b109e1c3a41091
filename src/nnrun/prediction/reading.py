"""The folder of an ensemble as something that predicts and can be evaluated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnrun.errors import RunError, Warn, one_line
from nnrun.prediction.by_member import Counting, predict_each
from nnrun.prediction.combiner import PREDICTIONS, Combiner, name_of
from nnrun.prediction.folder import EnsembleRecord, is_ensemble, verified
from nnrun.prediction.folds import check_part, in_units_of, units_of
from nnrun.prediction.models import SharedModel, by_model, held_out, state_of
from nnrun.record import run
from nnrun.record.names import ENSEMBLE
from nnrun.rows import Rows
from nnrun.runner import session, summary
from nnrun.runner.averaged import averaged
from nnrun.runner.evaluation import EnsembleEvaluation, check_split, load_intact, run_result
from nnrun.runner.group import folds_of, is_fold
from nnrun.statistics.metric import all_ends, reasons
from nnrun.training.judge import Judge, make_judge
from nnrun.types import State

__all__ = [
    "MeanOutputs",
    "WeightedMembers",
    "as_ensemble",
    "check_finite",
    "evaluate_ensemble",
    "mean_for",
    "read",
]

OnMember = Callable[[SharedModel, int, np.ndarray], None]  # model, position of the member, its outputs


class WeightedMembers(NamedTuple):
    """An average of predictions, as its folder describes it."""

    folder: Path
    how: str
    members: list[Path]  # run folders
    weights: list[float]
    average: str | None = None  # that each member's run kept, which is its parameters; None: those it trained


def read(folder: Path) -> WeightedMembers:
    """The ensemble in a folder.  Raises RunError where it is damaged, or a member is not the one listed."""
    place = folder / ENSEMBLE
    record: EnsembleRecord = run.read_json(place)
    if record.get("format", 1) != 1:
        raise RunError(f"{one_line(place)}: of a newer nnrun; use the nnrun that wrote it")
    members = verified(folder, record.get("members"), str(record.get("kind")))
    try:
        how, weights = record["average"], [float(entry["weight"]) for entry in record["members"]]
        if how not in PREDICTIONS:
            raise ValueError(how)
    except (KeyError, TypeError, ValueError):
        raise RunError(f"{one_line(place)}: damaged; make the ensemble again") from None
    return WeightedMembers(folder, how, members, weights)


def as_ensemble(folder: Path, average: str | None) -> WeightedMembers:
    """An ensemble, or a run as one of a single member.  Raises RunError for a group of seeds."""
    if is_ensemble(folder) and average:
        raise RunError(
            f"{one_line(folder)}: an ensemble, it keeps no average {one_line(average, 40)!r}; make it of RUN:"
            f"{one_line(average, 40)}: nnrun ensemble"
        )
    if is_ensemble(folder):
        return read(folder)
    members = run.members(folder)
    if folds_of(folder):
        raise RunError(
            f"{one_line(folder)}: a cross-validation; nnrun predict --split val gives what each fold predicts for the "
            "examples that it was not trained on; for others, average the folds: nnrun ensemble"
        )
    if members:
        raise RunError(
            f"{one_line(folder)}: a group of {len(members)} runs; name one, as {one_line(members[0])}, or average "
            "them: nnrun ensemble"
        )
    return WeightedMembers(folder, "probabilities", [folder], [1.0], average)


def check_finite(mean: np.ndarray, folder: Path, before: int = 0) -> None:
    """Raises RunError naming the first input (n, ...) that a model says nothing of: NaN would be the first class.

    before   how many inputs came before these
    """
    bad = np.flatnonzero(~np.isfinite(mean).reshape(len(mean), -1).all(1))
    if len(bad):
        raise RunError(
            f"{one_line(folder)}: predicts NaN or infinity for the input at index {bad[0] + before}; correct it or "
            "leave it out"
        )


class MeanOutputs(NamedTuple):
    """What an ensemble, or one run, predicts for some inputs.

    combiner   reads the mean
    mean       of what the members give, (n, ...) float64
    """

    model: SharedModel
    combiner: Combiner
    mean: np.ndarray


def mean_for(
    ensemble: WeightedMembers,
    which: str,
    inputs: Callable[[SharedModel], np.ndarray | Rows],
    warn: Warn,
    counting: Counting,
    on_member: OnMember | None = None,
    needed: Sequence[str] = (),
) -> MeanOutputs:
    """Predicts with one member after another; of members that share a model, only the sum is held.

    which       the checkpoint of each member: last, best, or a step
    inputs      the model -> the inputs to predict for, as stored
    on_member   gets the outputs of each member, in any order
    needed      parts of the members' data that `inputs` and `on_member` need
    """
    waiting: dict[int, np.ndarray] = {}  # outputs of members whose turn in the sum comes later
    summed, total = 0, np.zeros(())

    def combiner(model: SharedModel) -> Combiner:
        return Combiner(ensemble.how, len(ensemble.members), model.kind)

    def give(model: SharedModel, index: int, part: str, outputs: np.ndarray) -> None:
        nonlocal summed, total
        del part
        if on_member is not None:
            on_member(model, index, outputs)
        waiting[index] = in_units_of(units, model, outputs)
        while summed in waiting:
            share = ensemble.weights[summed] * combiner(model).values(waiting.pop(summed))
            total = share if summed == 0 else total + share
            summed += 1

    def state(model: SharedModel, index: int) -> State:
        member, average = ensemble.members[index], ensemble.average
        content, place = load_intact(member, which), one_line(member)
        content = averaged(model.experiment, model.like)(content, average, place) if average else content
        return state_of(model, content.arrays, place)

    def parts(model: SharedModel, index: int) -> dict[str, np.ndarray | Rows]:
        del index
        return {"": inputs(model)}

    if ensemble.average and _has_statistics(ensemble.members[0], which):
        needed = [*needed, "train"]
    groups = by_model(ensemble.members)
    units = units_of(ensemble.members, groups[-1][0])  # of the model that is returned
    model = predict_each(ensemble.members, groups, parts, state, give, warn, counting, needed)
    return MeanOutputs(model, combiner(model), total)


def _has_statistics(folder: Path, which: str) -> bool:
    """Whether the model of a run has batch-norm statistics: those of an average are measured on training data."""
    return any(name.startswith("stats/") for name in load_intact(folder, which).arrays)


def evaluate_ensemble(
    folder: Path, split: str, which: str, warn: Warn, counting: Counting
) -> EnsembleEvaluation:
    """Metrics of an ensemble on a part of its data, and of its members with their mean and 95% interval.

    Raises SpecError, RunError, DataError, Interrupted.
    """
    check_split(split)
    ensemble = read(folder)
    check_part(ensemble.members, split)
    of_members: dict[int, dict[str, float]] = {}
    judges: dict[tuple[object, ...], Judge] = {}  # one for each precision and units of targets

    def measure(model: SharedModel, outputs: np.ndarray) -> dict[str, float]:
        fitted = model.experiment.dataset.fitted
        units = np.asarray([fitted.target_scale, fitted.target_shift]).tobytes()
        key = model.precision, units
        judge = judges[key] = judges.get(key) or make_judge(model.experiment)
        metrics = judge.measured(outputs, model.targets(split))
        return {f"{split}/{name}": value for name, value in metrics.items()}

    def measure_member(model: SharedModel, index: int, outputs: np.ndarray) -> None:
        of_members[index] = measure(model, outputs)

    answer = mean_for(
        ensemble,
        which,
        lambda model: held_out(model, split, folder).x,
        warn,
        counting,
        measure_member,
        needed=[split],
    )
    with session.precision(answer.model.precision):
        metrics = measure(answer.model, answer.combiner.outputs(answer.mean))
        reference = summary.baseline_entry(answer.model.experiment, [split])
    runs = [
        run_result(member, load_intact(member, which).step, of_members[i])
        for i, member in enumerate(ensemble.members)
    ]
    by_member = [{which: member_run["metrics"]} for member_run in runs]
    bounds = {name: ends for judge in judges.values() for name, ends in judge.loss.bounds.items()}
    independent = not any(map(is_fold, ensemble.members))
    averages = summary.average(by_member, bounds, sections=(which,), independent=independent)
    result: EnsembleEvaluation = {
        "run_dir": str(folder),
        "split": split,
        "checkpoint": which,
        "baseline": reference,
        "bounds": all_ends(bounds),
        "average": name_of(ensemble.how, answer.model.kind),
        "metrics": summary.as_json(metrics),
        "runs": runs,
        "mean": averages["mean"].get(which, {}),
        "ci95": averages["ci95"].get(which, {}),
    }
    return {**result, "undefined": undefined} if (undefined := reasons(metrics)) else result
