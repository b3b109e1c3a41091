"""Which device, which compile cache: what must be settled before jax does its first work."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import stat
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from nnrun import machine
from nnrun.errors import MachineError, first_line, one_line

__all__ = [
    "demand_determinism", "memory_on_demand", "odd_settings", "prepare", "take_memory_on_demand", "usual_draws",
]  # fmt: skip

_PLATFORMS = ("cpu", "gpu", "tpu")
_EXTRAS = {"gpu": "cuda", "tpu": "tpu"}
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD, _M_ARENA_MAX = -3, -1, -8  # of malloc.h
_ON_DEMAND = ("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
_OF_MEMORY = (  # what else says how much of a GPU's memory jax takes, and when
    "XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_ALLOCATOR",
)  # fmt: skip
_DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
_GENERATOR = "threefry2x32"  # what jax.random.key makes keys of
# Settings of jax that are no reason for anything odd.
_USUAL = ("JAX_PLATFORMS", "JAX_COMPILATION_CACHE", "JAX_PERSISTENT_CACHE", "JAX_DISABLE_MOST_OPTIMIZATIONS")
_JAX_LOG = "jax._src.xla_bridge"  # where jax says why it does not use a device that it might
_SEEN = {"NVIDIA GPU may be present": ("an NVIDIA GPU", "cuda"), "TPU may be present": ("a TPU", "tpu")}


def prepare(
    device: str = "auto", deterministic: bool = False, meet: Callable[[], None] | None = None
) -> list[str]:
    """Chooses the device and switches the compile cache on; returns why one that may be here is not used.

    device         auto (the best there is), cpu, gpu, tpu
    deterministic  only deterministic GPU kernels; takes effect if jax has not started a GPU yet
    meet           what is to be done before jax starts a device: meeting the other processes of the run
    Raises MachineError where there is no such device.
    """
    if deterministic:
        demand_determinism()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # XLA's notes are not for users
    _keep_freed_memory()  # before there are threads
    import jax

    _pin_draws()
    if device in _PLATFORMS:
        jax.config.update("jax_platforms", device)
    if meet is not None:
        meet()
    with _jax_speaking() as remarks:
        _start(device, remarks)
    folder = _cache_folder()
    if folder is not None and not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        # A damaged entry is compiled anew; that is no news.
        warnings.filterwarnings(
            "ignore", message="Error (reading|writing) persistent compilation cache entry"
        )
    return [] if device == "cpu" else remarks


def _pin_draws() -> None:
    """Has each seed draw the same numbers whatever variables such as JAX_DEFAULT_PRNG_IMPL say."""
    import jax

    jax.config.update("jax_default_prng_impl", _GENERATOR)
    jax.config.update("jax_threefry_partitionable", True)
    jax.config.update("jax_random_seed_offset", 0)


@contextlib.contextmanager
def usual_draws() -> Iterator[None]:
    """A context in which a seed draws what it draws everywhere, whatever the process has set for other work.

    Raises MachineError where something is set that cannot be undone.
    """
    import jax

    if offset := jax.config.jax_random_seed_offset:  # type: ignore[attr-defined]
        raise MachineError(
            f"jax_random_seed_offset is {offset} here, so every seed would draw other numbers; set it to 0"
        )
    with jax.default_prng_impl(_GENERATOR), jax.threefry_partitionable(True):
        yield


def odd_settings() -> str:
    """Settings of jax in the environment, which may be why something fails that never should."""
    names = [name for name in sorted(os.environ) if name.startswith("JAX_") and not name.startswith(_USUAL)]
    settings = ", ".join(f"{name}={one_line(os.environ[name], 40)}" for name in names)
    return f"; it may be due to {settings} in the environment" if names else ""


def _start(device: str, remarks: list[str]) -> None:
    """Has jax start its device; `remarks` grows by what jax says meanwhile."""
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # the latter where JAX_PLATFORMS names none that is here
        if device == "auto":
            asked = os.environ.get("JAX_PLATFORMS")
            why = (
                f"JAX_PLATFORMS={asked} asks for none that is here; unset it"
                if asked
                else one_line(error, 160)
            )
            raise MachineError(f"jax starts on no device: {why}") from None
        install = "" if device == "cpu" else f" (for one, install nnrun[{_EXTRAS[device]}])"
        why = f": {'; '.join(remarks)}" if remarks else f"{install}; write --device auto or cpu"
        raise MachineError(f"--device {device}: there is none here{why}") from None


@contextlib.contextmanager
def _jax_speaking() -> Iterator[list[str]]:
    """What jax logs meanwhile of devices that it does not use, each as a line, in place of pages of stack trace."""
    remarks: list[str] = []

    def is_left_to_jax(record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        line = _in_a_line(record)
        if line not in remarks:
            remarks.append(line)
        return False

    log = logging.getLogger(_JAX_LOG)
    log.addFilter(is_left_to_jax)
    try:
        yield remarks
    finally:
        log.removeFilter(is_left_to_jax)


def _in_a_line(record: logging.LogRecord) -> str:
    """What jax says of a device, and what helps."""
    message = record.getMessage()
    for words, (what, extra) in _SEEN.items():
        if words in message:
            remedy = f'pip install "nnrun[{extra}]", or write --device cpu'
            return f"there seems to be {what}, which jax is not installed for; {remedy}"
    error = record.exc_info[1] if record.exc_info else None
    reason = first_line(error) if error else message
    return (
        f"jax cannot use the GPU or TPU that it is installed for ({one_line(reason, 160)}); see whether its driver is "
        "there (nvidia-smi), or write --device cpu"
    )


def _keep_freed_memory() -> None:
    """Has the C library keep what is freed, where it is glibc.

    XLA's CPU backend allocates the temporaries of a program anew at each call and frees them at its end.  glibc
    gives large ones back to the system, so that every call of a convolutional net takes ten thousands of page
    faults, a quarter of the processor time of a short chunk.  An environment variable that says otherwise counts.
    """
    if not sys.platform.startswith("linux") or any(name.startswith("MALLOC_") for name in os.environ):
        return
    with contextlib.suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
        mallopt(_M_ARENA_MAX, 1)  # the arenas of threads cannot hold large blocks


def demand_determinism() -> None:
    """Only deterministic GPU kernels from here on; takes effect if jax has not started a GPU yet."""
    flags = os.environ.get("XLA_FLAGS", "")
    if _DETERMINISTIC not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_DETERMINISTIC}".strip()


def memory_on_demand() -> dict[str, str]:
    """The environment of a process that takes memory of a GPU as it needs it, so that others have room beside it.

    jax takes 75% of a GPU at once.  {} where the user's environment says what it is to take.
    """
    name, value = _ON_DEMAND
    return {} if any(known in os.environ for known in (name, *_OF_MEMORY)) else {name: value}


def take_memory_on_demand() -> None:
    """The same for this process and those that it starts; takes effect if jax has not started a GPU yet."""
    os.environ.update(memory_on_demand())


def _cache_folder() -> Path | None:
    """The folder of compiled programs, the user's alone, for what is loaded from it is run.

    None where it cannot be had, or others could write to it.
    """
    from nnrun.record import provenance

    # Programs are compiled for one processor: a home folder may be shared by several.
    folder = machine.user_cache() / "nnrun" / f"programs-{provenance.cpu()['flags'] or 'any'}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    mine = status.st_uid == os.getuid() and stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
    return folder if mine else None
