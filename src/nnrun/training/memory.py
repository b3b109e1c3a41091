"""How much memory there is, and what of it the data may take."""

from __future__ import annotations

import math
from pathlib import Path

import jax

from nnrun.training.mesh import devices_used
from nnrun.types import Plan, State

__all__ = ["bytes_of", "free_memory", "room_for_data", "share_of_state", "sharing_advice"]

_SHARE = 4  # data that would take more than 1 / _SHARE of the free memory are streamed


def room_for_data(stream: bool | str) -> float:
    """Bytes of inputs that are held in memory, as data.stream says: true, none; false, any number."""
    if stream == "auto":
        free = free_memory()
        return math.inf if free is None else free / _SHARE
    return -1.0 if stream else math.inf


def share_of_state(plan: Plan) -> float:
    """How much of the state of a run is in the memory of one device; the devices of a CPU have one memory together."""
    return 1 / devices_used(plan) if plan.fsdp and jax.default_backend() != "cpu" else 1.0


def bytes_of(like: State) -> int:
    """Of a state, given as shapes, but for the key of its noise."""
    leaves = jax.tree.leaves(like._replace(key=None))
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)


def free_memory() -> int | None:
    """Bytes that a program may still take, of the host and of the device; None where the system does not say."""
    limits = [bytes_ for bytes_ in (_host(), _device()) if bytes_ is not None]
    return min(limits, default=None)


def sharing_advice() -> str:
    """What else may help where memory was too little: jax takes most of a GPU at once, and so do other processes."""
    if jax.default_backend() != "gpu":
        return ""
    return "; if other processes use this GPU, start each with XLA_PYTHON_CLIENT_PREALLOCATE=false"


def _host() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    fields = {name: value for name, _, value in (line.partition(":") for line in lines)}
    return int(fields["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in fields else None


def _device() -> int | None:
    stats = jax.local_devices()[0].memory_stats() or {}
    return stats["bytes_limit"] - stats["bytes_in_use"] if "bytes_limit" in stats else None
