"""Commands without the wait for their imports: a process that has imported nnrun forks a child for each.

A child is what `python -m nnrun` is, but for the imports: its own process, files or a terminal as its streams, the
exit code of the operating system.  See the fixtures `warm` and `begun`.
"""

from __future__ import annotations

import base64
import functools
import gc
import importlib
import json
import os
import pkgutil
import signal
import sys

# What commands draw in place of their pictures, which take longer than all else of an ensemble.  Pictures are
# looked at in tests/report; commands of `nnrun` and the documentation draw them.
BLANK = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
)


def run_command(arguments: list[str], folder: str, settings: dict[str, str], streams: list[str]) -> None:
    """In the child; it never returns."""
    import jax

    from nnrun import cli, signals

    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it
    os.chdir(folder)
    os.environ |= settings
    jax.config.update("jax_disable_most_optimizations", os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "1")
    for descriptor, name in enumerate(streams):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOCTTY), descriptor)
    # Those of the parent have asked whether they can seek, which files can and terminals cannot.
    encoding = settings.get("PYTHONIOENCODING")
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w", encoding=encoding)
    sys.stderr = os.fdopen(2, "w", 1, encoding=encoding)
    signals.install()
    sys.argv = ["nnrun", *arguments]
    cli.main()


def import_all() -> None:
    """What the children find imported: all of nnrun, and what it imports late."""
    import jax.experimental.multihost_utils  # noqa: F401
    import optax  # noqa: F401
    import pydantic.type_adapter  # noqa: F401
    import scipy.special  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import typer.main

    import nnrun
    from nnrun import catalog, cli
    from nnrun.catalog import bound, listing
    from nnrun.report import drawing
    from nnrun.spec import models

    importlib.import_module("nnrun.race.draw")  # the picture of a race is looked at through its command
    drawing.png = lambda figure, dpi: BLANK  # before others import it: see BLANK
    for module in pkgutil.walk_packages(nnrun.__path__, "nnrun."):
        if not module.name.endswith(
            ("__main__", "._conv")
        ):  # a command; a library that is no module of Python's
            importlib.import_module(module.name)
    for kind in catalog.KINDS:
        for name in catalog.names(kind):
            function = catalog.find(kind, name)
            bound.hints(function)
            models.options_model(function, listing.SUPPLIED.get(kind, frozenset()))
            listing.options(kind, name)
    command = typer.main.get_command(cli.app)
    typer.main.get_command = lambda app: command
    gc.freeze()  # a collection in a child would copy all that is here
    gc.set_threshold(50_000, 20, 20)


def spare_the_children() -> None:
    """What tests/conftest.py does for the tests: one MLIR context, no wait for the disk."""
    import jax
    from jax._src.interpreters import mlir

    from nnrun.probe import speed
    from nnrun.storage import disk
    from nnrun.sweep import cost

    if hasattr(mlir, "make_ir_context"):
        mlir.make_ir_context = functools.cache(mlir.make_ir_context)
        mlir.make_ir_context()
    jax.config.update("jax_traceback_in_locations_limit", 0)
    disk.System.fsync = staticmethod(os.fstat)
    cost._SECONDS = speed._SECONDS = 0.1  # of training that are timed: no test believes these times


def begin(*job: list) -> int:
    """The process of a new command."""
    child = os.fork()
    if child == 0:
        run_command(*job)
    return child


def ended(child: int, wait: bool) -> int | None:
    """The exit code of a command; None if it is not over and is not waited for."""
    done, status = os.waitpid(child, 0 if wait else os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def serve() -> None:
    """For each line of stdin, the name of a function with its arguments, a line with its result."""
    import_all()
    spare_the_children()
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps({"begin": begin, "ended": ended}[name](*arguments)), flush=True)


if __name__ == "__main__":
    serve()
