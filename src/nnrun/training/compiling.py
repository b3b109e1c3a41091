"""Compiling a program so that a signal is heard while XLA works, which may take minutes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import jax

from nnrun import signals
from nnrun.errors import Interrupted

__all__ = ["LateProgram", "compiled", "fresh_programs"]

_NO_TILES = "find output tile sizes"  # of XLA's "Couldn't find output tile sizes that satisfy hlo"
_LOOK = 0.1  # seconds between two looks for a signal


def compiled(lowered: jax.stages.Lowered) -> jax.stages.Compiled:
    """The program, compiled in a thread while the main thread looks for signals.

    Python runs the handler of a signal between two lines of the main thread, and XLA is one call.  Nothing can stop
    XLA: the thread is left alone, and the process need not wait for it.
    Raises Interrupted when a signal has arrived that waits to be looked at.
    """
    if threading.current_thread() is not threading.main_thread():
        return _compiled_at_once(lowered)
    double = jax.config.jax_enable_x64  # type: ignore[attr-defined]  # jax keeps it for each thread
    result: list[jax.stages.Compiled] = []
    problems: list[BaseException] = []

    def work() -> None:
        try:
            with jax.enable_x64(double):
                result.append(_compiled_at_once(lowered))
        except BaseException as error:
            problems.append(error)

    thread = threading.Thread(target=work, name="compiling", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_LOOK)
        if signals.pending():
            raise Interrupted(signals.pending(), "interrupted while compiling")
    if problems:
        raise problems[0]
    return result[0]


def _compiled_at_once(lowered: jax.stages.Lowered) -> jax.stages.Compiled:
    """The program; where XLA cannot fuse a product on a GPU, without such fusions.

    XLA of jax 0.10 meets products of transformers and of Newton's method for which it knows no tiles, and gives up
    although cuBLAS would multiply them; that of jax 0.11 does not.
    """
    try:
        return lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if _NO_TILES not in str(error):
            raise
    return lowered.compile(compiler_options={"xla_gpu_enable_triton_gemm": False})


class LateProgram:
    """A program that is compiled when it is first needed, in the settings of jax that held when it was described.

    jax keeps these (the precision of arrays and of products, the device) for each thread, and the first call may come
    from another one.
    """

    def __init__(self, lower: Callable[[], jax.stages.Lowered]) -> None:
        self._lower: Callable[[], jax.stages.Lowered] | None = lower
        self._program: jax.stages.Compiled | None = None
        self._lock = threading.Lock()  # the parts of a population may share one program
        config: Any = jax.config
        self._settings = (
            (jax.enable_x64, config.jax_enable_x64),
            (jax.default_matmul_precision, config.jax_default_matmul_precision),
            (jax.default_device, config.jax_default_device),
            (jax.default_prng_impl, config.jax_default_prng_impl),
            (jax.threefry_partitionable, config.jax_threefry_partitionable),
        )

    def compile(self) -> jax.stages.Compiled:
        """The program, compiled now if it was not.  Raises Interrupted when a signal arrives meanwhile."""
        with self._lock:
            if self._program is None:
                assert self._lower is not None
                with ExitStack() as stack:
                    for setting, value in self._settings:
                        stack.enter_context(setting(value))
                    self._program = compiled(self._lower())
                self._lower = None  # it holds the data of the experiment
            return self._program

    def __call__(self, *arguments: Any) -> Any:
        """What the program makes of these."""
        return self.compile()(*arguments)


@contextmanager
def fresh_programs() -> Iterator[None]:
    """No programs from the cache of an earlier run, whose compilation would seem to take no time."""
    before = jax.config.jax_enable_compilation_cache  # type: ignore[attr-defined]
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
