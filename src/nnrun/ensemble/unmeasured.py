"""An ensemble of runs whose data are not here: what it predicts with, and nothing of what it gained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nnrun import signals
from nnrun.ensemble.make import EnsembleRequest, check_request
from nnrun.ensemble.members import apart, find
from nnrun.ensemble.write import building, publish, write_member, write_origin, write_record
from nnrun.errors import RunError, SpecError, Warn
from nnrun.prediction.by_member import Tasks
from nnrun.prediction.combiner import PARAMETERS
from nnrun.prediction.folder import EnsembleRecord, ListedMember
from nnrun.prediction.member import Member
from nnrun.prediction.models import by_model, open_model

__all__ = ["make_unmeasured"]


def make_unmeasured(
    texts: Sequence[str], request: EnsembleRequest, root: Path, target: Path | None, warn: Warn
) -> tuple[Path, EnsembleRecord]:
    """Makes the ensemble of these members, which weigh the same; returns its run folder and its record.

    texts, root, target   as of `make`
    No data are read.  Raises SpecError, RunError, MachineError, Interrupted; then nothing is left behind.
    """
    check_request(request, target)
    _check_unmeasured(request)
    with signals.deferred():
        members = find(texts, root, request.checkpoints, request.top, warn)
        problems = [
            f"{member.place}: an average is stored with a measured ensemble"
            for member in members
            if member.average
        ]
        if problems := problems or apart(members):
            raise RunError("\n".join(problems))
        with building(target.absolute().parent if target else root) as folder:
            epochs = _epochs(members, request.how, warn)
            for i, member in enumerate(members):
                write_member(folder / f"member_{i + 1:02d}", member, epochs[i], {})
            record = _record(members, request.how)
            write_origin(folder, members)
            write_record(folder, members, record, max(epochs), {})
            path = publish(folder, target, root)
        signals.forget()  # it came too late to interrupt anything
        return path, record


def _check_unmeasured(request: EnsembleRequest) -> None:
    """Raises SpecError for what is found out on data."""
    problems = []
    if request.how in (*PARAMETERS, "weighted"):
        problems.append(
            f"--unmeasured: --average {request.how} is judged by data; write probabilities, logits or vote"
        )
    if request.barrier:
        problems.append("--unmeasured: --barrier measures losses; leave one out")
    if request.split != "test":
        problems.append(f"--unmeasured: nothing is measured on --split {request.split}; leave one out")
    if problems:
        raise SpecError("\n".join(problems))


def _epochs(members: Sequence[Member], how: str, warn: Warn) -> list[float]:
    """The epochs that each member was trained for.  Raises RunError, SpecError where they do not go together."""
    epochs = [0.0] * len(members)
    tasks = Tasks(how)
    for group in by_model([member.folder for member in members]):
        model = open_model(members[group[0]].folder, warn, [])
        tasks.check(members[group[0]].name, model)
        for i in group:
            epochs[i] = members[i].step / model.experiment.plan.steps_per_epoch
    return epochs


def _record(members: Sequence[Member], how: str) -> EnsembleRecord:
    listed: list[ListedMember] = [
        {
            "name": member.name,
            "run": str(member.folder.absolute()),
            "step": member.step,
            "parameters": "trained",
            "sha256": member.sha256,
            "weight": 1 / len(members),
        }
        for member in members
    ]
    return {"format": 1, "kind": "predictions", "average": how, "members": listed, "temperature": None}
