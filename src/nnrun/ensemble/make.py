"""From members to the run folder of their ensemble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnrun import signals
from nnrun.ensemble.account import Blend, account, best_first, scores_of
from nnrun.ensemble.average import PARAMETERS, PREDICTIONS, softmax
from nnrun.ensemble.averaged import stored_averages
from nnrun.ensemble.member import Member
from nnrun.ensemble.members import apart, check_choice, find
from nnrun.ensemble.models import Model, block_of
from nnrun.ensemble.parameters import check_alike
from nnrun.ensemble.predict import Counting, predict, store
from nnrun.ensemble.scores import Judge, make_judge
from nnrun.ensemble.work import Assembly, Request
from nnrun.ensemble.write import building, finite, publish, write_member, write_run
from nnrun.errors import RunError, SpecError, Warn, one_line
from nnrun.report.ensemble.page import page, pictures
from nnrun.runner import session
from nnrun.runner.evaluation import check_split
from nnrun.storage import fsio

__all__ = ["HOW", "check_wish", "make"]

HOW = (*PREDICTIONS, *PARAMETERS)
_AVERAGES = ".averages"  # inside the folder that is built, while it is


def check_wish(request: Request, target: Path | None) -> None:
    """Raises SpecError or RunError for what is wrong before anything is read."""
    if request.how not in HOW:
        raise SpecError(f"--average: got {one_line(request.how, 40)!r}; write one of {', '.join(HOW)}")
    check_split(request.split)
    check_choice(request.checkpoints)
    if target and (target.exists() or target.is_symlink()) and not _is_empty(target):
        raise RunError(f"{one_line(target)}: already exists; choose another folder")


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def make(
    texts: Sequence[str], request: Request, root: Path, target: Path | None, warn: Warn, counting: Counting
) -> tuple[Path, dict[str, Any]]:
    """Makes the ensemble of these members; returns its run folder and its account.

    texts    runs, groups, sweeps, ensembles; behind each :STEP, :AVERAGE or both
    root     the folder that run folders lie in
    target   the exact folder of the ensemble; None: a new one in `root`
    Raises SpecError, RunError, DataError, MachineError, Interrupted; then nothing is left behind.
    """
    check_wish(request, target)
    with signals.deferred():
        members = find(texts, root, request.checkpoints, request.top, warn)
        if request.barrier and len(members) < 2:
            raise SpecError("--barrier: a line has two ends; name two members")
        if request.how in PARAMETERS or request.barrier:
            check_alike(members)
        with building(target.absolute().parent if target else root) as folder:
            members = stored_averages(members, folder / _AVERAGES, counting)
            if problems := apart(members):
                raise RunError("\n".join(problems))
            _warn_of_losses(members, warn)
            result = _build(folder, members, request, warn, counting)
            if (folder / _AVERAGES).exists():
                fsio.remove_folder(folder / _AVERAGES)
            path = publish(folder, target, root)
        signals.forget()  # it came too late to interrupt anything
        return path, result


def _warn_of_losses(members: Sequence[Member], warn: Warn) -> None:
    """Members of another loss are judged by that of the first: says so."""
    first = block_of(members[0].folder, "loss")
    for member in members[1:]:
        if (loss := block_of(member.folder, "loss")) != first:
            warn(
                f"{member.name}: its loss is {one_line(loss, 80)}, that of {members[0].name} is {one_line(first, 80)}; "
                "every metric here is by the latter"
            )
            return


def _build(
    folder: Path, members: Sequence[Member], request: Request, warn: Warn, counting: Counting
) -> dict[str, Any]:
    place = folder / "predictions"
    fsio.make_folder(place)
    predicted = predict(members, request.split, request.how, place, warn, counting)
    model = predicted.model
    with session.precision(model.precision), counting("averaging", None) as tick:
        judge = make_judge(model)
        scores = {part: scores_of(predicted, request.how, judge, part).mean(2) for part in predicted.parts}
        metrics_of = {part: [judge.metrics(means) for means in rows] for part, rows in scores.items()}
        name = _judging(model, judge, metrics_of[request.split][0])
        order = best_first(metrics_of["val"], judge.metric(name)) if "val" in metrics_of else None
        work = Assembly(folder, members, predicted, judge, request, order, name, tick)
        blend, extras = work.parameters() if request.how in PARAMETERS else work.predictions()
        if request.barrier:
            extras["barrier"] = work.averager().line(work.pair(), request.split)
        for part in predicted.parts:
            store(place / f"ensemble_{part}.npy", _outputs_to_store(blend, part, model.classifies))
        account_of_part = account(predicted, blend, judge, request.split, order, tick)
        result = work.described(blend, metrics_of, account_of_part) | extras
        if request.how in PARAMETERS:
            work.warn_of_basins(warn)
        else:
            for i, member in enumerate(members):
                tick()
                metrics = {f"{part}/{n}": v for part, rows in metrics_of.items() for n, v in rows[i].items()}
                write_member(folder / f"member_{i + 1:02d}", member, predicted.epochs[i], metrics)
        _draw(folder, finite(result))
        write_run(folder, members, work.record(blend, result), result)
    return finite(result)


def _draw(folder: Path, account: Mapping[str, Any]) -> None:
    images = pictures(account)
    fsio.make_folder(folder / "plots")
    for image in images:
        fsio.write_file(folder / "plots" / f"{image.name}.png", image.png)
    fsio.write_file(folder / "report.html", page(account, images).encode())


def _judging(model: Model, judge: Judge, known: Mapping[str, float]) -> str:
    """The metric by which the best member is chosen: the run's own where it is one of the parameters."""
    name = (model.experiment.plan.judge or "").removeprefix("val/")
    return name if name in known else judge.loss.judge


def _outputs_to_store(blend: Blend, part: str, classifies: bool) -> np.ndarray:
    """What the ensemble says: probabilities of the classes, or standardised numbers."""
    mean = blend.mean[part]
    if not classifies:
        return mean
    return softmax(mean) if blend.average is None else blend.average.probabilities(mean)
