"""Whether augmentations fit the data, found out before anything is created."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from nnrun.catalog import Spec
from nnrun.catalog.bound import WrongResultError
from nnrun.errors import first_line
from nnrun.training.step import normalise
from nnrun.types import Batch, Experiment

__all__ = ["check_augment", "is_augmented"]


def check_augment(spec: Spec, experiment: Experiment) -> None:
    """Traces each augmentation once, so that one that is not for these data is found before anything is created."""
    if not spec.augment:
        return
    key, batch = jax.random.key(0), _two_examples(experiment)
    blocks = zip(spec.document.lists["augment"], spec.augment, strict=True)
    for i, ((path, _), block) in enumerate(blocks):

        def run(key: jax.Array, batch: Batch, i: int = i) -> Batch:
            return experiment.augment(experiment.knobs)[i](key, batch)

        moves = getattr(experiment.augment(experiment.knobs)[i], "moves_pixels", False)
        if experiment.dataset.shift.ndim == 3 and moves:
            raise spec.fail(
                path,
                f"{block.name} moves pixels, and data.standardize: feature gave each its own mean and deviation; "
                "write data.standardize: image",
            )
        where = f"{block.name} on inputs of shape {batch.x.shape[1:]}"
        try:
            augmented = jax.eval_shape(run, key, batch)
        except WrongResultError:
            raise
        except (ValueError, TypeError) as error:
            raise spec.fail(path, f"{where}: {first_line(error)}") from error
        if _looks(augmented) != _looks(batch):
            message = (
                f"{where} does not return the batch with inputs, targets and weights of the shapes and types"
            )
            raise spec.fail(path, f"{message} that it got; write batch._replace(x=...)")
        if augmented.other is not None and experiment.dataset.weights is not None:
            raise spec.fail(
                path,
                f"{block.name} blends examples, each of which data.weights counts by itself; leave one out",
            )
        batch = augmented


def is_augmented(experiment: Experiment) -> bool:
    """Whether any augmentation does something; one that is switched off hands the batch on."""

    def run(key: jax.Array, batch: Batch) -> Batch:
        for augment in experiment.augment(experiment.knobs):
            batch = augment(key, batch)
        return batch

    return bool(jax.make_jaxpr(run)(jax.random.key(0), _two_examples(experiment)).jaxpr.eqns)


def _two_examples(experiment: Experiment) -> Batch:
    """A batch of two examples as the model gets it, as shapes."""
    train = experiment.dataset.train

    def made() -> Batch:
        x, y = (jnp.zeros((2, *part.shape[1:]), part.dtype) for part in train)
        batch = Batch(x, y, jnp.ones(2))
        return Batch(*normalise(experiment, batch), batch.weight)

    return jax.eval_shape(made)


def _looks(batch: object) -> list[tuple[tuple[int, ...], np.dtype]] | None:
    """Shapes and dtypes of a batch; None where it is none."""
    if not isinstance(batch, Batch):
        return None
    return [(a.shape, a.dtype) for a in batch[:3]]
