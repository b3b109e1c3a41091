"""The terminal: printing, the live view, and how an error becomes a line and an exit code."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from nnrun import device, signals
from nnrun.commands._display import Display
from nnrun.commands._plain import ERRORS, has_all, plain
from nnrun.errors import Interrupted, MachineError, NnrunError, one_line

if TYPE_CHECKING:
    from nnrun.report.run_view import Shown
    from nnrun.report.sweep.live import SweepProgress
    from nnrun.runner.folds import Turn

__all__ = [
    "counting", "explain", "leave", "note", "open_streams", "print_json", "report", "run_view", "show", "sweep_view",
    "warn", "write",
]  # fmt: skip

_MOST_LINES = 6
_CLOSED = "stdout is closed; send it to a terminal or a file (of a run, the results are in its folder)"
_ELSEWHERE = "send it elsewhere (of a run, the results are in its folder)"
_USER_MODULE = "_nnrun_user_"  # how the names of modules beside a spec begin, see nnrun.catalog.user_code
_WIDE = 1000  # columns where nobody looks at a screen: rows are not folded


def open_streams() -> None:
    """Makes stdout and stderr take every text: what their encoding lacks is written in ASCII, or as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def explain(error: BaseException) -> tuple[int, str]:
    """Exit code and message of whatever a command raised."""
    if isinstance(error, NnrunError):
        return error.exit_code, str(error)
    describe = getattr(error, "format_message", None)
    if describe is not None:  # typer's own: unknown options, missing arguments
        return 2, _misused(error, describe())
    if isinstance(error, typer.Abort):
        return 130, "interrupted"
    if isinstance(error, typer.Exit):
        return error.exit_code, ""
    if isinstance(error, BrokenPipeError) or isinstance(error.__context__, BrokenPipeError):
        return 0, ""  # the reader of our output has seen enough; typer and rich make it a SystemExit
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EBADF, errno.EIO):
        return 6, f"stdout cannot be written: {error.strerror}; {_ELSEWHERE}"
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return 6, "out of memory; try a smaller model, data set or data.batch_size"
    what, place = f"{type(error).__name__}: {one_line(error)}", _in_own_code(error)
    if place:
        return 2, f"{place}: {what}; fix your module (--debug shows the traceback)"
    return 1, f"a bug in nnrun: {what}; --debug shows the traceback{device.odd_settings()}"


def _in_own_code(error: BaseException) -> str:
    """FILE:LINE of the innermost line of a user's module that led to the error, "" if none did."""
    frames = list(traceback.walk_tb(error.__traceback__))
    user_frames = [at for at in frames if str(at[0].f_globals.get("__name__")).startswith(_USER_MODULE)]
    return f"{one_line(user_frames[-1][0].f_code.co_filename)}:{user_frames[-1][1]}" if user_frames else ""


def _misused(error: BaseException, text: str) -> str:
    """What typer says of a wrong command line, in the form of our own messages."""
    context = getattr(error, "ctx", None)
    where = context.command_path if context else _command_line()
    message = one_line(text).rstrip(".")
    if not message:
        return ""  # a bare `nnrun`: the help is printed
    place = where.removeprefix("nnrun").strip()
    hint = "" if message.endswith(("?", ")")) else f"; see `{where} --help`"  # it names the nearest itself
    return f"{place}{': ' if place else ''}{message}{hint}"


def _command_line() -> str:
    """`nnrun train`: the command that was asked for, where the error does not know."""
    return " ".join(["nnrun", *[argument for argument in sys.argv[1:2] if not argument.startswith("-")]])


def leave(code: int, message: str = "") -> NoReturn:
    """Prints the message on stderr, each line behind `nnrun: `, and ends the process."""
    for line in message.splitlines()[:_MOST_LINES]:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            print(f"nnrun: {line}", file=sys.stderr)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()
    # Past interpreter shutdown: nothing is left to save, a closed stdout must not complain, and jax's threads
    # need not be waited for.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    os._exit(code)


def show(*content: RenderableType) -> None:
    """Prints text and tables on stdout.  Raises MachineError where it is closed."""
    if sys.stdout is None:
        raise MachineError(_CLOSED)
    if not has_all(sys.stdout.encoding):
        content = tuple(map(plain, content))
    if sys.stdout.isatty():
        return _print(Console(highlight=False), content)
    buffer = io.StringIO()
    _print(Console(file=buffer, width=_WIDE, highlight=False), content)
    return print("\n".join(line.rstrip() for line in buffer.getvalue().splitlines()))


def _print(console: Console, content: tuple[RenderableType, ...]) -> None:
    for item in content:  # a path that is folded cannot be copied
        console.print(item, markup=False, emoji=False, soft_wrap=isinstance(item, str))


def write(text: str) -> None:
    """Prints text on stdout as it is.  Raises MachineError where it is closed."""
    if sys.stdout is None:
        raise MachineError(_CLOSED)
    sys.stdout.write(text)


def print_json(content: object) -> None:
    """Prints one JSON value on stdout.  Raises MachineError where it is closed."""
    if sys.stdout is None:
        raise MachineError(_CLOSED)
    print(json.dumps(content, indent=2))


def note(message: str) -> None:
    """Prints a line on stderr, if that takes it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(f"nnrun: {one_line(message)}", file=sys.stderr)


def warn(message: str) -> None:
    """Prints a warning on stderr, if that takes it."""
    note(f"warning: {message}")


@contextlib.contextmanager
def run_view(quiet: bool) -> Iterator[Callable[[Turn], None]]:
    """A function that shows on stderr how training goes."""
    from nnrun.report.live import watching
    from nnrun.report.run_view import RunView

    with watching(Console(file=Display()), quiet, RunView()) as view:  # type: ignore[arg-type]
        yield lambda turn: view(_shown(turn))


@contextlib.contextmanager
def sweep_view(quiet: bool) -> Iterator[Callable[[SweepProgress], None]]:
    """A function that shows a sweep on stderr."""
    from nnrun.report.live import watching
    from nnrun.report.sweep.live import SweepView

    with watching(Console(file=Display()), quiet, SweepView()) as view:  # type: ignore[arg-type]
        yield view


@contextlib.contextmanager
def counting(what: str, total: int | None, quiet: bool) -> Iterator[Callable[[], None]]:
    """Yields a function to call after each piece of work; on a terminal a bar shows them.

    The function raises Interrupted once a signal has arrived.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    screen = Console(file=Display())  # type: ignore[arg-type]
    columns = TextColumn(what), BarColumn(), MofNCompleteColumn()
    off = quiet or not screen.file.isatty()
    with Progress(*columns, console=screen, transient=True, disable=off) as progress:
        task = progress.add_task(what, total=total)

        def tick() -> None:
            progress.advance(task)
            if signals.pending():
                raise Interrupted(signals.pending(), f"interrupted while {what}; nothing was written")

        yield tick


def _shown(turn: Turn) -> Shown:
    from nnrun.report.run_view import Shown
    from nnrun.report.values import number
    from nnrun.statistics.metric import metric_of

    progress = turn.progress
    plan, recorders = progress.plan, progress.recorders
    best = runs = ""
    if recorders and recorders[0].best and plan.judge:
        marks = [recorder.best for recorder in recorders if recorder.best]
        judge = metric_of(plan.judge, plan.rising, plan.bounds)
        mark = judge.best(marks, lambda mark: mark.value) or marks[0]
        best = f"{judge} {number(mark.value, judge)} at step {mark.step}"
    if len(recorders) > 1:
        runs = f"{sum(recorder.live for recorder in recorders)} of {len(recorders)} seeds"
    fold = f"fold {turn.fold} of {turn.folds}" if turn.folds else ""
    epochs = plan.steps / plan.steps_per_epoch
    metrics = next(
        (recorder.latest for recorder in recorders if recorder.live), recorders[0].latest if recorders else {}
    )
    return Shown(
        plan.name,
        progress.phase,
        progress.step,
        plan.steps,
        progress.step / plan.steps_per_epoch,
        epochs,
        runs,
        metrics,
        best,
        fold,
        progress.compiled_in,
        plan.bounds,
    )


def report(folder: Path, as_json: bool) -> None:
    """The result: one JSON object, or one line, the run folder and what can be done with it."""
    from nnrun.report import summary

    ended = summary.read_summary(folder)
    result: dict[str, object] = {"run_dir": str(folder), **ended}
    if "runs" in ended:
        result["runs"] = [{"run_dir": str(folder / member["run"]), **member} for member in ended["runs"]]
    if as_json:
        return print_json(result)
    place = shlex.quote(one_line(folder))
    stop = [line] if (line := summary.stop_line(ended)) else []
    words = [summary.headline(ended), *stop, *summary.warnings(ended)]
    return show(
        *map(Text, words),  # folded between words; what can be copied is not
        f"run folder: {place}",
        f"look at it: nnrun show {place}",
    )
