"""track; and the option of what trains."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnrun.commands import console
from nnrun.commands._app import Json, Root, RunName, app
from nnrun.errors import MachineError, one_line

if TYPE_CHECKING:
    from nnrun.tracking import Tracker

__all__ = ["Track", "track", "trackers_of"]

_NICE = 10

Track = Annotated[
    list[str] | None,
    typer.Option(
        "--track",
        metavar="TRACKER",
        help="Send it to a tracker while it trains: a name (nnrun list tracker), or {name: ..., option: ...}; may be "
        "repeated. In place of what `track` in the spec says.",
    ),
]


@app.command()
def track(
    run_name: RunName,
    texts: Annotated[
        list[str],
        typer.Argument(
            metavar="TRACKER...", help="A name (nnrun list tracker), or {name: ..., option: ...}."
        ),
    ],
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on until the run is over, or nobody trains it any longer.")
    ] = False,
    with_model: Annotated[
        bool, typer.Option("--model/--no-model", help="Send the arrays of the best checkpoint, too.")
    ] = True,
    runs_root: Root = Path("runs"),
    as_json: Json = False,
) -> None:
    """Send what trackers (Aim, MLflow, TensorBoard, Trackio, W&B) lack of a run, or of each run of a group."""
    from nnrun.record import run
    from nnrun.track import send

    folder = run.resolve(run_name, runs_root)
    if follow:
        os.nice(_NICE)  # the run comes first
    sent = send.send(folder, trackers_of(texts), follow, with_model)
    if as_json:
        console.print_json({"run_dir": str(folder), "runs": sent})
    problems = {text: entry["problem"] for by_tracker in sent.values() for text, entry in by_tracker.items()}
    for text in texts:
        if not as_json and not problems.get(text):
            console.show(f"{one_line(text)}: has {one_line(folder)}")
    failed = [f"{one_line(text)}: {problems[text]}" for text in texts if problems.get(text)]
    if failed:
        raise MachineError(
            "\n".join(f"{line}; once that is fixed, the same command sends the rest" for line in failed)
        )


def trackers_of(texts: Sequence[str]) -> dict[str, Tracker]:
    """The trackers by the texts that they are asked for with.  Raises SpecError."""
    from nnrun import catalog

    return {text: catalog.make_one("tracker", text, Path.cwd()) for text in texts}
