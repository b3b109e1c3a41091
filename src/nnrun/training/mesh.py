"""Several devices that share each batch of one run.

Every device holds all parameters and, unless they are streamed, all data. Each computes with its part of the batch;
sums over the batch, such as those of gradients and of batch norm, go over all of them. So a run is the same as on one
device but for the order in which its sums are added. XLA's partitioner makes the program of each device from the one
program of the run: the step knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from nnrun.errors import MachineError
from nnrun.types import Plan, Tree

__all__ = ["Everywhere", "check_devices", "devices_used", "everywhere", "jit_on", "shared"]

_AXIS = "batch"

Everywhere = NamedSharding | None  # arrays that are whole on each device of a mesh; None: on the one device
Tree_ = TypeVar("Tree_", bound=Tree)


def devices_used(plan: Plan) -> int:
    """How many devices share a batch of this run here.

    Of all devices the most that divide the batch; of a given number no more than there are.
    """
    if len(plan.seeds) > 1:
        return 1
    present = len(jax.local_devices())
    most = min(plan.devices or present, present)
    return next(count for count in range(most, 0, -1) if plan.batch_size % count == 0)


def check_devices(plan: Plan) -> None:
    """Raises MachineError where a batch is to be shared by more devices than there are here."""
    present = len(jax.local_devices())
    if plan.devices > present:
        kind = jax.default_backend()
        raise MachineError(
            f"train.devices: {plan.devices}, but there {'is one' if present == 1 else f'are {present}'} here ({kind}); "
            f"write train.devices={present}, or all"
        )


def everywhere(plan: Plan) -> Everywhere:
    """Where the arrays of a run are, if several devices share its batches."""
    count = devices_used(plan)
    if count == 1:
        return None
    return NamedSharding(Mesh(np.array(jax.local_devices()[:count]), (_AXIS,)), PartitionSpec())


def jit_on(place: Everywhere, function: Callable[..., Tree]) -> jax.stages.Wrapped:
    """The jitted function, its arguments and results whole on each device."""
    return jax.jit(function) if place is None else jax.jit(function, in_shardings=place, out_shardings=place)


def shared(place: Everywhere, batch: Tree_) -> Tree_:
    """The arrays (n, ...) of a batch divided over the devices, as long as n is a multiple of their number."""
    if place is None:
        return batch
    parts = NamedSharding(place.mesh, PartitionSpec(_AXIS))

    def divided(leaf: jax.Array | bool) -> jax.Array | bool:
        shape = jnp.shape(leaf)
        even = shape and shape[0] % place.mesh.size == 0
        return jax.lax.with_sharding_constraint(leaf, parts) if even else leaf

    return jax.tree.map(divided, batch)
