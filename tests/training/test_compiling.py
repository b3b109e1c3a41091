"""A program is compiled in a thread of its own: signals are heard, errors arrive, float64 stays float64."""

from __future__ import annotations

import os
import signal
import threading
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from nnrun import signals
from nnrun.errors import Interrupted
from nnrun.training.compiling import compiled


def lowered(compile_: Any) -> Any:
    return SimpleNamespace(compile=compile_)


def test_the_program_is_what_jax_compiles():
    program = compiled(jax.jit(lambda x: 2 * x).lower(jnp.float32(1)))
    assert program(jnp.float32(3)) == 6


def test_double_precision_holds_in_the_thread():
    with jax.enable_x64(True):
        program = compiled(jax.jit(lambda: jnp.arange(3.0) / 3).lower())
        assert program().dtype == "float64" and program()[1] == 1 / 3


def test_an_error_of_the_compiler_arrives():
    def broken() -> None:
        raise RuntimeError("RESOURCE_EXHAUSTED")

    with pytest.raises(RuntimeError, match="RESOURCE_EXHAUSTED"):
        compiled(lowered(broken))


def test_a_product_without_tiles_is_compiled_without_fusions():
    """What XLA of jax 0.10 says of a transformer that is compiled for an H200; other errors are not answered so."""
    asked: list[dict[str, Any]] = []

    def compile_(**options: Any) -> str:
        asked.append(options)
        if not options:
            raise jax.errors.JaxRuntimeError(
                "INTERNAL: Couldn't find output tile sizes that satisfy hlo: %dot.294 = f32[1088,32]{1,0}"
            )
        return "program"

    program: Any = compiled(lowered(compile_))
    assert program == "program"
    assert asked == [{}, {"compiler_options": {"xla_gpu_enable_triton_gemm": False}}]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_heard_while_xla_works(signum: signal.Signals):
    begun, released = threading.Event(), threading.Event()
    before = signal.signal(signum, signal.SIG_DFL)  # whoever runs the tests may ignore a hang-up

    def endless() -> None:
        begun.set()
        released.wait(60)

    def send() -> None:
        begun.wait(60)
        os.kill(os.getpid(), signum)

    sender = threading.Thread(target=send)
    try:
        with signals.deferred():
            sender.start()
            with pytest.raises(Interrupted) as caught:
                compiled(lowered(endless))
            signals.forget()
        assert not released.is_set()
        assert caught.value.exit_code == 128 + signum
    finally:
        released.set()
        sender.join()
        signal.signal(signum, before)


def test_a_hangup_that_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.deferred():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.pending() == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
