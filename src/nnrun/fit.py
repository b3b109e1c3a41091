"""Whether the parts of an experiment fit together and into the machine, found out before anything is created."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nnrun.catalog import Spec
from nnrun.errors import MachineError
from nnrun.training.programs import one_like
from nnrun.training.step import make_step
from nnrun.types import Batch, Experiment

__all__ = ["check_memory", "check_model", "check_step"]


def check_model(spec: Spec, experiment: Experiment, outputs: int) -> None:
    """Traces the model once, so that shapes that do not fit are found before anything is created."""
    x = experiment.dataset.train.x
    batch = jax.ShapeDtypeStruct((2, *x.shape[1:]), jnp.zeros(()).dtype)

    def run(x: jax.Array) -> jax.Array:
        model = experiment.model(experiment.knobs)
        params, stats, _ = model.init(jax.random.key(0), x.shape[1:])
        return model.apply(params, stats, x, jax.random.key(1), jnp.ones(2))[0]

    try:
        y = jax.eval_shape(run, batch)
    except (ValueError, TypeError) as error:
        message = str(error).strip().partition("\n")[0]
        raise spec.fail(
            ("model",), f"{spec.model.name} on inputs of shape {x.shape[1:]}: {message}"
        ) from error
    if y.shape != (2, outputs):
        message = f"{spec.model.name} puts out shape {y.shape[1:]} per example, the data needs ({outputs},)"
        raise spec.fail(("model",), f"{message}; end with {outputs} outputs")


def check_memory(experiment: Experiment) -> None:
    """Refuses what cannot fit: the data once, and per run the state before and after a chunk, and gradients."""
    leaves = jax.tree.leaves(one_like(experiment)._replace(key=None))
    state = sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in leaves)
    parts = experiment.dataset.train, experiment.dataset.val, experiment.dataset.test
    data = sum(part.x.nbytes + part.y.nbytes for part in parts)
    needed = data + 3 * state * len(experiment.plan.seeds)
    free = _available_memory()
    if free is not None and needed > free:
        raise MachineError(
            f"the run needs about {needed / 2**30:.1f} GiB (data {data / 2**30:.1f}, parameters and optimizer "
            f"{needed / 2**30 - data / 2**30:.1f}) and {free / 2**30:.1f} GiB are free; "
            "use a smaller model or fewer train.seeds"
        )


def check_step(experiment: Experiment) -> None:
    """Traces a whole step, so that an optimizer or loss of the user's that fails does so before anything exists."""
    plan, train = experiment.plan, experiment.dataset.train
    x, y = (jax.ShapeDtypeStruct((plan.batch_size, *part.shape[1:]), part.dtype) for part in train)
    weight = jax.ShapeDtypeStruct((plan.batch_size,), jnp.zeros(()).dtype)
    batch: Any = (x, y, weight)
    jax.eval_shape(make_step(experiment), one_like(experiment), Batch(*batch))


def _available_memory() -> int | None:
    """Memory in bytes that a program may still take, None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = {name: value for name, _, value in (line.partition(":") for line in lines)}
    return int(found["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in found else None
