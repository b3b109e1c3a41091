"""From members to the run folder of their ensemble."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from nnrun import signals
from nnrun.amounts import figure
from nnrun.ensemble.account import account
from nnrun.ensemble.blend import blend_predictions
from nnrun.ensemble.ended import finite
from nnrun.ensemble.members import apart, check_choice, find
from nnrun.ensemble.parameters import ParameterAverager, check_alike, independent, make_averager
from nnrun.ensemble.scores import Scored, score
from nnrun.ensemble.write import building, publish, write_average, write_member, write_run
from nnrun.errors import DataError, RunError, SpecError, Warn, one_line
from nnrun.prediction.averaged import stored_averages
from nnrun.prediction.by_member import Counting, predict, store
from nnrun.prediction.combiner import PARAMETERS, PREDICTIONS
from nnrun.prediction.folds import check_part
from nnrun.prediction.member import Member
from nnrun.prediction.models import block_of
from nnrun.report.drawing import import_ahead
from nnrun.report.ensemble.account import Account
from nnrun.report.summary import undefined
from nnrun.runner import session
from nnrun.runner.evaluation import check_split
from nnrun.runner.group import is_fold
from nnrun.statistics.metric import reasons
from nnrun.storage import fsio
from nnrun.types import Loss

__all__ = ["HOW", "EnsembleRequest", "check_request", "make"]

HOW = (*PREDICTIONS, *PARAMETERS)
_AVERAGES = ".averages"  # inside the folder while it is built
_MIDDLE = 3  # points of a line that show whether there is a barrier


class EnsembleRequest(NamedTuple):
    """What is asked for: the options of `nnrun ensemble`."""

    how: str = "probabilities"
    checkpoints: str = "best"
    top: int | None = None
    split: str = "test"
    barrier: bool = False


def check_request(request: EnsembleRequest, target: Path | None) -> None:
    """Raises SpecError or RunError for what is wrong before anything is read."""
    if request.how not in HOW:
        raise SpecError(f"--average: got {one_line(request.how, 40)!r}; write one of {', '.join(HOW)}")
    check_split(request.split)
    check_choice(request.checkpoints)
    if target and (target.exists() or target.is_symlink()) and not _is_empty(target):
        raise RunError(f"{one_line(target)}: already exists; choose another folder")


def _check_folds(members: Sequence[Member], request: EnsembleRequest) -> None:
    """Raises SpecError for what would need examples that no fold was trained on, or one preprocessing for all."""
    folders = [member.folder for member in members]
    if len(members) < 2 or not any(map(is_fold, folders)):
        return
    check_part(folders, request.split)
    if request.how in (*PARAMETERS, "weighted") or request.barrier:
        what = "--barrier" if request.barrier else f"--average {request.how}"
        raise SpecError(
            f"{what}: the members are folds, each with its own preprocessing, and trained on what the others validate "
            "with; write --average probabilities"
        )


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def make(
    texts: Sequence[str],
    request: EnsembleRequest,
    root: Path,
    target: Path | None,
    warn: Warn,
    counting: Counting,
) -> tuple[Path, Account]:
    """Makes the ensemble of these members; returns its run folder and its account.

    texts    runs, groups, sweeps, ensembles; behind each :STEP, :AVERAGE or both
    root     the folder that run folders lie in
    target   the exact folder of the ensemble; None: a new one in `root`
    Raises SpecError, RunError, DataError, MachineError, Interrupted; then nothing is left behind.
    """
    check_request(request, target)
    with signals.deferred():
        members = find(texts, root, request.checkpoints, request.top, warn)
        if request.barrier and len(members) < 2:
            raise SpecError("--barrier: a line has two ends; name two members")
        _check_folds(members, request)
        if request.how in PARAMETERS or request.barrier:
            check_alike(members)
        import_ahead()
        with building(target.absolute().parent if target else root) as folder:
            members = stored_averages(members, folder / _AVERAGES, counting)
            if problems := apart(members):
                raise RunError("\n".join(problems))
            _warn_of_losses(members, warn)
            try:
                result = _build(folder, members, request, warn, counting)
            except DataError as error:
                raise DataError(
                    f"{error}\nwhere the data are not here, --unmeasured averages without them"
                ) from None
            if (folder / _AVERAGES).exists():
                fsio.remove_folder(folder / _AVERAGES)
            path = publish(folder, target, root)
        signals.forget()  # it came too late to interrupt anything
        return path, result


def _build(
    folder: Path, members: Sequence[Member], request: EnsembleRequest, warn: Warn, counting: Counting
) -> Account:
    how, split, place = request.how, request.split, folder / "predictions"
    fsio.make_folder(place)
    predicted = predict(members, split, how, place, warn, counting)
    with session.precision(predicted.model.precision), counting("averaging", None) as tick:
        scored = score(predicted, how)
        if how == "weighted":
            _warn_of_weights(members, scored.judge.loss, warn)
        averager = make_averager(scored, members, tick)
        if how in PARAMETERS:
            arrays, tried = averager.soup(how)
            write_average(folder, members, arrays)
            blend = averager.blend(how, arrays, tried)
        else:
            blend, tried = blend_predictions(how, scored), []
            _copy(folder, members, scored, tick)
        for part in predicted.parts:
            store(place / f"ensemble_{part}.npy", blend.predictions(part))
        result = account(how, split, members, scored, blend, tick)
        if tried:
            result["soup"] = [
                {"name": members[step.member].name, "entered": step.entered, scored.by: step.value}
                for step in tried
            ]
        elif how in PARAMETERS:
            result["curve"] = averager.curve(split)
        if request.barrier:
            result["barrier"] = averager.line(split)
        if gaps := reasons(result["ensemble"]):
            result["undefined"] = gaps
        for reason in dict.fromkeys(gaps.values()):
            warn(undefined([f"{split}/{name}" for name in gaps if gaps[name] == reason], reason))
        if how in PARAMETERS and (caution := _basins(averager, request, result)):
            result["cautions"] = [caution]
    result = finite(result)
    write_run(folder, members, how, result)
    return result


def _copy(folder: Path, members: Sequence[Member], scored: Scored, tick: Callable[[], None]) -> None:
    """Each member as a run folder of its own."""
    for i, member in enumerate(members):
        tick()
        metrics = {
            f"{part}/{name}": value
            for part, rows in scored.metrics.items()
            for name, value in rows[i].items()
        }
        write_member(folder / f"member_{i + 1:02d}", member, scored.predicted.epochs[i], metrics)


def _warn_of_losses(members: Sequence[Member], warn: Warn) -> None:
    """Warns where members have different losses: all are judged by that of the first."""
    first = block_of(members[0].folder, "loss")
    for member in members[1:]:
        if (loss := block_of(member.folder, "loss")) != first:
            warn(
                f"{member.name}: its loss is {one_line(loss, 80)}, that of {members[0].name} is {one_line(first, 80)}; "
                "every metric here is by the latter"
            )
            return


def _warn_of_weights(members: Sequence[Member], loss: Loss, warn: Warn) -> None:
    """Warns where the weights are fitted by another loss than that of the members."""
    if loss.likelihood:
        return
    name = block_of(members[0].folder, "loss")["name"]
    warn(
        f"--average weighted: the weights make the cross-entropy on validation least (of numbers: the squared "
        f"error), not {name}; --average probabilities weighs all members the same"
    )


def _basins(averager: ParameterAverager, request: EnsembleRequest, result: Account) -> str:
    """Why an average of parameters loses: a barrier on the line between two members, and what to do; "" for none.

    Snapshots of one run are looked at where their average has a higher loss than they have.
    """
    runs = independent(averager.members)
    if not runs and not result["ensemble"]["loss"] > result["mean"]["loss"]:
        return ""
    barrier = averager.line(request.split, _MIDDLE)
    if not barrier["height"] > 0:
        return ""
    (a, b), (first, middle, last) = barrier["between"], [figure(point["loss"]) for point in barrier["line"]]
    who = "independent runs" if runs else "snapshots of one run"
    return (
        f"--average {request.how}: these are {who}, each in a minimum of its own, and between the minima the loss "
        f"is higher: {request.split}/loss is {first} at {a}, {last} at {b} and {middle} half-way"
        f"{'' if request.barrier else ' (--barrier shows the line)'}. --average probabilities averages what they "
        f"predict; parameters can be averaged of runs that began with the weights of one (nnrun train --from)"
    )
