"""Several devices that share each batch of one run, of one process or of several.

Every device holds all parameters and, unless they are streamed, all data. Each computes with its part of the batch;
sums over the batch, such as those of gradients and of batch norm, go over all of them. So a run is the same as on one
device but for the order in which its sums are added. XLA's partitioner makes the program of each device from the one
program of the run: the step knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from nnrun.errors import MachineError
from nnrun.types import Plan, Tree

__all__ = [
    "BATCH",
    "Everywhere",
    "check_devices",
    "devices_used",
    "everywhere",
    "is_far",
    "jit_on",
    "put",
    "shared",
    "shared_in_words",
]

BATCH = "batch"  # the axis of the mesh

Everywhere = NamedSharding | None  # arrays that are whole on each device of a mesh; None: on the one device
Tree_ = TypeVar("Tree_", bound=Tree)


def devices_used(plan: Plan) -> int:
    """How many devices share a batch of this run here, as many of each process.

    `auto` is one in one process, since a small net gains nothing from a second and what pays is not known, and all of
    several processes, or where the state is to be in parts; of all, and of a number that is not here, it is the most
    that divide the batch.
    Raises MachineError where the processes cannot have equal parts.
    """
    if len(plan.seeds) > 1:
        return 1
    processes, present = jax.process_count(), len(jax.local_devices())
    if plan.devices == "auto":
        most = present if processes > 1 or plan.fsdp else 1
    else:
        most = present if plan.devices == "all" else min(int(plan.devices) // processes, present)
    counts = (count * processes for count in range(most, 0, -1))
    used = next((count for count in counts if plan.batch_size % count == 0), None)
    if used is None:
        asked = f" on {plan.devices} devices" if isinstance(plan.devices, int) else ""
        raise MachineError(
            f"{processes} processes cannot have equal parts of a batch of {plan.batch_size}{asked}; start "
            f"{_counts_near(processes, plan.batch_size)}"
        )
    return used


def _counts_near(processes: int, batch: int) -> str:
    """The next numbers of processes below and above that divide a batch."""
    fewer = next(count for count in range(processes - 1, 0, -1) if batch % count == 0)
    further = next((count for count in range(processes + 1, batch + 1) if batch % count == 0), None)
    return str(fewer) if further is None else f"{fewer} or {further}"


def check_devices(plan: Plan) -> None:
    """Raises MachineError where a batch is to be shared by more devices than there are here, or by fewer processes."""
    processes = jax.process_count()
    present = len(jax.local_devices()) * processes
    if plan.devices in ("auto", "all"):
        devices_used(plan)
    elif int(plan.devices) > present:
        kind = jax.default_backend()
        raise MachineError(
            f"train.devices: {plan.devices}, but there {'is one' if present == 1 else f'are {present}'} here ({kind}); "
            f"write train.devices={present}, or all"
        )
    elif int(plan.devices) % processes:
        raise MachineError(
            f"train.devices: {plan.devices}, but {processes} processes share each batch, with as many devices each; "
            f"write train.devices={processes}, or auto"
        )


def shared_in_words(plan: Plan) -> str:
    """How many devices compute each batch of a single run here, as a line."""
    count, processes, present = devices_used(plan), jax.process_count(), len(jax.local_devices())
    if count > 1:
        where = f" of {processes} processes" if processes > 1 else ""
        state = ", and the state" if plan.fsdp else ""
        return f"{count} devices{where} share each batch{state}, {plan.batch_size // count} examples each"
    if plan.fsdp:
        return "train.fsdp: one device computes each batch here, and holds the whole state"
    if present == 1 or plan.devices != "auto":
        return "each batch is computed on one device"
    return f"each batch is computed on one of {present} devices; train.devices=all would have them share it"


def everywhere(plan: Plan) -> Everywhere:
    """Where the arrays of a run are, if several devices share its batches."""
    count = devices_used(plan)
    if count == 1:
        return None
    processes = jax.process_count()
    chosen = [
        device
        for index in range(processes)
        for device in jax.local_devices(process_index=index)[: count // processes]
    ]
    return NamedSharding(Mesh(np.array(chosen), (BATCH,)), PartitionSpec())


def is_far(place: Everywhere) -> bool:
    """Whether some of its devices belong to other processes."""
    return place is not None and not place.is_fully_addressable


def put(arrays: Any, place: Any, may_alias: bool | None = None) -> Any:
    """Arrays of the host on the devices of a place, or each at its own; each process has the same and puts its part."""
    first = next(iter(jax.tree.leaves(place)), None)
    if first is None or not is_far(first):
        return jax.device_put(arrays, place, may_alias=may_alias)
    places = jax.tree.broadcast(place, arrays)
    return jax.tree.map(
        lambda array, where: _spread(np.array(array, copy=may_alias is False or None), where), arrays, places
    )


def _spread(array: np.ndarray, place: NamedSharding) -> jax.Array:
    return jax.make_array_from_callback(array.shape, place, lambda index: array[index])


def jit_on(
    place: Everywhere, function: Callable[..., Tree], arguments: Tree = None, results: Tree = None
) -> jax.stages.Wrapped:
    """The jitted function; where its arguments and its results are, whole on each device unless that is said."""
    if place is None:
        return jax.jit(function)
    return jax.jit(function, in_shardings=arguments or place, out_shardings=results or place)


def shared(place: Everywhere, batch: Tree_) -> Tree_:
    """The arrays (n, ...) of a batch divided over the devices, as long as n is a multiple of their number."""
    if place is None:
        return batch
    parts = NamedSharding(place.mesh, PartitionSpec(BATCH))

    def divided(leaf: jax.Array | bool) -> jax.Array | bool:
        shape = jnp.shape(leaf)
        even = shape and shape[0] % place.mesh.size == 0
        return jax.lax.with_sharding_constraint(leaf, parts) if even else leaf

    return jax.tree.map(divided, batch)
