"""track; and what begins it beside a run that trains."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnrun.commands import console
from nnrun.commands._app import Json, Root, RunName, app
from nnrun.errors import MachineError, one_line

if TYPE_CHECKING:
    from nnrun.tracking import Tracker

__all__ = ["Track", "track", "tracked", "trackers_of"]

_NICE = 10
_PATIENCE = 10.0  # seconds that a run waits at its end for what sends it

Track = Annotated[
    list[str] | None,
    typer.Option(
        "--track",
        metavar="TRACKER",
        help="Send it to a tracker while it trains: a name (nnrun list tracker), or {name: ..., option: ...}; may be "
        "repeated.",
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
    """Send a run, or each run of a group, to trackers: MLflow, TensorBoard, Weights & Biases; what they lack."""
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


@contextlib.contextmanager
def tracked(folder: Path, texts: Sequence[str]) -> Iterator[None]:
    """A run is sent to these trackers, and to those that it was sent to before, while it trains in the context.

    A process of its own sends it, in a session of its own: Ctrl-C ends the run and lets the rest be sent.  At the end
    it is waited for a little, and what it could not send is said.
    """
    process = _begin(folder, texts)
    try:
        yield
    finally:
        if process is not None:
            _end(folder, process)


def _begin(folder: Path, texts: Sequence[str]) -> subprocess.Popen[bytes] | None:
    from nnrun.record import run
    from nnrun.track import state

    known = [text for path in [folder, *run.members(folder)] for text in state.read(path)]
    asked = [*dict.fromkeys([*texts, *known])]
    if not asked:
        return None
    command = [sys.executable, "-m", "nnrun", "track", str(folder.absolute()), *asked, "--follow", "--json"]
    with contextlib.suppress(OSError):
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
    console.warn("the process that sends the run to its trackers cannot start; nnrun track sends it later")
    return None


def _end(folder: Path, process: subprocess.Popen[bytes]) -> None:
    from nnrun.record import run
    from nnrun.track import state

    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE)
    problems: dict[str, str] = {}
    for path in [folder, *run.members(folder)]:
        problems |= {text: entry["problem"] for text, entry in state.read(path).items() if entry["problem"]}
    for text, problem in problems.items():
        again = shlex.join(["nnrun", "track", one_line(folder), text])
        console.warn(f"{again} sends what is missing; the run is not affected: {problem}")
