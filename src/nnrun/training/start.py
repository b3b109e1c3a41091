"""The program that makes the state before the first step, compiled when it is needed: a resumed run needs none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import jax

from nnrun.training.compiling import compiled
from nnrun.types import State

__all__ = ["Start"]


class Start:
    """The program, which is traced and compiled in the settings of jax that held when it was described.

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

    def __call__(self, *arguments: Any) -> State:
        """The state from seeds and knobs."""
        return self.compile()(*arguments)
