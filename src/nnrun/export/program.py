"""The function that is exported: inputs to predictions, parameters and preprocessing inside.

Numbers leave it standardised: in units of the target, float32 would round 1000000.2 to the next sixteenth.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from nnrun import kernels
from nnrun.prediction.combiner import Combiner
from nnrun.prediction.predictor import LoadedRun
from nnrun.training.outputs import outputs_of

__all__ = ["PLATFORMS", "serialized"]

PLATFORMS = ("cpu", "cuda", "tpu")


def serialized(members: list[LoadedRun], weights: list[float], combiner: Combiner) -> bytes:
    """StableHLO of the function (n, *shape) -> predictions for any n, with what jax.export needs to call it.

    Predictions are probabilities or scores (n, classes), or standardised numbers (n,), of several targets (n, k); of
    several labels the probabilities (n, k) that each is there.

    To be used within the models' precision.
    """
    from jax import export

    def function(x: Array) -> Array:
        shares = (
            weight * _values(combiner, _outputs(member, x))
            for member, weight in zip(members, weights, strict=True)
        )
        return _read(combiner, sum(shares, start=jnp.zeros(())))

    train = members[0].model.experiment.dataset.train
    (size,) = export.symbolic_shape("n")
    inputs = jax.ShapeDtypeStruct((size, *train.x.shape[1:]), train.x.dtype)
    with kernels.left_out(), jax.default_matmul_precision("highest"), jax.numpy_dtype_promotion("standard"):
        exported = export.export(jax.jit(function), platforms=PLATFORMS)(inputs)
    return bytes(exported.serialize())


def _outputs(member: LoadedRun, x: Array) -> Array:
    state = member.state
    return outputs_of(member.model.experiment, state.params, state.stats, state.knobs, x)


def _values(combiner: Combiner, outputs: Array) -> Array:
    """What one member gives to the mean, as Combiner.values."""
    if combiner.kind == "labels":
        outputs = jnp.stack([jnp.zeros_like(outputs), outputs], axis=-1)
    if combiner.kind == "numbers" or combiner.how == "logits":
        return outputs
    p = jax.nn.softmax(outputs)
    if combiner.how == "probabilities":
        return p
    small = 1 / (combiner.members + 1)
    return (jax.nn.one_hot(p.argmax(-1), p.shape[-1], dtype=p.dtype) + small * p) / (1 + small)


def _read(combiner: Combiner, mean: Array) -> Array:
    """Predictions from the mean, as Combiner.probabilities; numbers are standardised."""
    if combiner.kind == "numbers":
        return mean[:, 0] if mean.shape[1] == 1 else mean
    p = jax.nn.softmax(mean) if combiner.how == "logits" and combiner.kind != "scores" else mean
    return p[..., 1] if combiner.kind == "labels" else p
