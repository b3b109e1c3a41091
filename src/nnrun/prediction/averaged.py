"""Members whose parameters are an average that their run has kept: ema, swa, polyak."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nnrun.prediction.by_member import Counting
from nnrun.prediction.member import Member, stored
from nnrun.prediction.models import by_model, open_model
from nnrun.runner import session
from nnrun.runner.averaged import averaged

__all__ = ["stored_averages"]


def stored_averages(members: Sequence[Member], folder: Path, counting: Counting) -> list[Member]:
    """The members by rising SHA-256, each average stored in `folder` as parameters.

    Raises RunError, Interrupted.
    """
    averages = [(member, member.average) for member in members if member.average]
    if not averages:
        return list(members)
    result = [member for member in members if not member.average]
    with counting("averages of runs", len(averages)) as tick:
        for group in by_model([member.folder for member, _ in averages]):
            model = open_model(averages[group[0]][0].folder, lambda _: None, ["train"])  # `predict` will warn
            with session.precision(model.precision):
                of = averaged(model.experiment, model.like)
                for i in group:
                    member, average = averages[i]
                    content = of(member.load(), average, member.name)
                    result.append(stored(member, content, folder / f"{i + 1:02d}"))
                    tick()
    return sorted(result, key=lambda member: member.sha256)
