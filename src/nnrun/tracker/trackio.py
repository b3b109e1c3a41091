from __future__ import annotations

import contextlib
import io
import uuid
from collections.abc import Sequence
from pathlib import Path

from nnrun.tracker._package import demand
from nnrun.tracking import Record, Row, Session, Tracker

__all__ = ["trackio"]


def trackio(project: str = "nnrun", space: str | None = None) -> Tracker:
    """Trackio: a run in a local SQLite file, or in a Space of Hugging Face; seeds are grouped.

    project   that the run belongs to; `trackio show --project nnrun` shows it
    space     USER/NAME of a Space of Hugging Face; null: files below TRACKIO_DIR, else ~/.cache/huggingface/trackio

    Use: a dashboard without a server and without an account.  A name ends in a few letters of its own, for Trackio
    finds a run again by its name; of files it takes the picture.
    Source: the package trackio.
    """

    demand("trackio")

    def begin(record: Record, known: str | None, run_folder: Path) -> Session:
        with contextlib.redirect_stdout(io.StringIO()):  # it says where its files are
            import trackio as package  # type: ignore[import-not-found]
            from trackio import context_vars  # type: ignore[import-not-found]

            name = known or f"{record.name}-{uuid.uuid4().hex[:6]}"
            context_vars.current_run.set(None)  # which would be ended: seeds are sent side by side
            run = package.init(
                project=project, name=name, group=record.group or None, space_id=space,
                config={**record.settings, "about": dict(record.about)}, resume="allow", embed=False,
                auto_log_gpu=False, auto_log_cpu=False,
            )  # fmt: skip

        last = 0

        def log(rows: Sequence[Row]) -> None:
            nonlocal last
            for last, metrics in rows:
                run.log(dict(metrics), step=last)

        def file(source: Path, name: str) -> None:
            if source.suffix == ".png":
                run.log({name: package.Image(str(source))}, step=last)

        def end(status: str) -> None:
            run.log({"status": status}, step=last)
            with contextlib.redirect_stdout(io.StringIO()):
                run.finish()

        return Session(name, log, file, end)

    return Tracker(begin)
