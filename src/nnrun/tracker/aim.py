from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnrun.tracker._package import demand
from nnrun.tracking import Record, Row, Session, Tracker

__all__ = ["aim"]


def aim(repo: str | None = None, experiment: str = "nnrun") -> Tracker:
    """Aim: a run in a folder .aim, or on an Aim server.

    repo         the folder that .aim lies in, or aim://HOST:PORT; null: the folder that you are in
    experiment   that the runs belong to

    Use: to search and compare many runs, `aim up` shows them; `run.optimizer.learning_rate < 0.01` finds some.  Seeds
    have their group as `run.group` and as a tag.  Of files it takes the picture.  The package needs Python 3.12 or
    older.
    Source: the package aim.
    """
    demand("aim")

    def begin(record: Record, known: str | None, run_folder: Path) -> Session:
        import aim as package  # type: ignore[import-not-found]
        from aim.sdk.repo import Repo  # type: ignore[import-not-found]

        place = repo or str(Path.cwd())
        run = package.Run(
            run_hash=known, repo=place if "://" in place else Repo.from_path(place, init=True), experiment=experiment,
            force_resume=known is not None, system_tracking_interval=None, capture_terminal_logs=False,
        )  # fmt: skip
        if known is None:
            run.name = record.name
            for key, value in _nested(record.settings).items():
                run[key] = value
            run["about"] = dict(record.about)
            if record.group:
                run["group"] = record.group
                run.add_tag(record.group)
        last = 0

        def log(rows: Sequence[Row]) -> None:
            nonlocal last
            for last, metrics in rows:
                for name, value in metrics.items():
                    run.track(value, name=name, step=last)

        def file(source: Path, name: str) -> None:
            if source.suffix == ".png":
                run.track(package.Image(str(source)), name=name, step=last)

        def end(status: str) -> None:
            run["status"] = status
            run.close()

        return Session(run.hash, log, file, end)

    return Tracker(begin)


def _nested(settings: Mapping[str, object]) -> dict[str, Any]:
    """`optimizer.learning_rate: 0.1` as a mapping in a mapping, as Aim's queries read it."""
    nested: dict[str, Any] = {}
    for key, value in settings.items():
        *path, name = key.split(".")
        inner = nested
        for part in path:
            inner = inner.setdefault(part, {})
        inner[name] = value
    return nested
