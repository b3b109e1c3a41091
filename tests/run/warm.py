"""Commands without the wait for their imports: a process that has imported nnrun forks a child for each.

A child is what `python -m nnrun` is, but for the imports: its own process, files in place of a terminal, the
exit code of the operating system.  See the fixture `warm`.
"""

from __future__ import annotations

import functools
import gc
import importlib
import json
import os
import pkgutil
import sys


def run_command(arguments: list[str], folder: str, settings: dict[str, str], out: str, err: str) -> None:
    """In the child; it never returns."""
    from nnrun import cli, signals

    os.chdir(folder)
    os.environ |= settings
    for descriptor, name in ((0, os.devnull), (1, out), (2, err)):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT), descriptor)
    signals.install()
    sys.argv = ["nnrun", *arguments]
    cli.main()


def import_all() -> None:
    """What the children find imported: all of nnrun, and what it imports late."""
    import optax  # noqa: F401
    import scipy.special  # noqa: F401
    import sklearn.datasets  # noqa: F401

    import nnrun

    for module in pkgutil.walk_packages(nnrun.__path__, "nnrun."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    gc.freeze()  # a collection in a child would copy all that is here
    gc.set_threshold(50_000, 20, 20)


def spare_the_children() -> None:
    """What tests/conftest.py does for the tests: one MLIR context, no wait for the disk."""
    from jax._src.interpreters import mlir

    from nnrun.storage import disk

    if hasattr(mlir, "make_ir_context"):
        mlir.make_ir_context = functools.cache(mlir.make_ir_context)
    disk.System.fsync = staticmethod(os.fstat)


def serve() -> None:
    """One command for each line of stdin, its exit code for each on stdout."""
    import_all()
    spare_the_children()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run_command(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
