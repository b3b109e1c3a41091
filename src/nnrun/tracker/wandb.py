from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from nnrun.tracker._package import demand
from nnrun.tracking import Record, Row, Session, Tracker

__all__ = ["wandb"]


def wandb(
    project: str = "nnrun",
    entity: str | None = None,
    mode: Literal["online", "offline"] | None = None,
) -> Tracker:
    """Weights & Biases: a run in a project; seeds are grouped.

    project, entity   where the run belongs
    mode              offline: files below wandb/, for `wandb sync`; null: what WANDB_MODE says, else online

    Use: where a team keeps its runs there.
    Source: the package wandb.
    """

    demand("wandb")

    def begin(record: Record, known: str | None, run_folder: Path) -> Session:
        import wandb as package  # type: ignore[import-not-found]

        run_id = known or uuid.uuid4().hex[:12]
        run = package.init(
            project=project, entity=entity, mode=mode, id=run_id, name=record.name, group=record.group or None,
            config={**record.settings, "about": dict(record.about)}, resume="allow", reinit="create_new",
            settings=package.Settings(silent=True, console="off", x_disable_stats=True),
        )  # fmt: skip

        def log(rows: Sequence[Row]) -> None:
            for step, metrics in rows:
                run.log(dict(metrics), step=step)

        def file(source: Path, name: str) -> None:
            if source.suffix == ".png":
                run.log({name: package.Image(str(source))})
            else:
                run.save(str(source), base_path=str(source.parent), policy="now")

        def end(status: str) -> None:
            run.summary["status"] = status
            run.finish(exit_code=0 if status == "done" else 1)

        return Session(run_id, log, file, end)

    return Tracker(begin)
