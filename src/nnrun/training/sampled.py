"""Monte-Carlo evaluation: predictions averaged over the noise of dropout and its kin (Gal & Ghahramani 2016)."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.interpreters import partial_eval
from jax.scipy.special import entr

from nnrun.preprocessing import Preprocessing
from nnrun.statistics.metric import of_target
from nnrun.types import Experiment, Layer, Tree

__all__ = ["Predict", "is_noisy", "sampled", "without_noise"]

# (model, params, stats, x, key, first) -> outputs, {name: (n,)}, what is reported beside the loss's own terms;
# first () is the position of the batch in its part of the data
Predict = Callable[[Layer, Tree, Tree, Array, Array, Array], tuple[Array, dict[str, Array]]]


def without_noise(
    model: Layer, params: Tree, stats: Tree, x: Array, key: Array, first: Array
) -> tuple[Array, dict[str, Array]]:
    """The outputs without noise."""
    del key, first
    return model.apply(params, stats, x, None, None)[0], {}


def sampled(experiment: Experiment, samples: int) -> Predict:
    """Predictions averaged over this many draws of the noise, with stored batch-norm statistics.

    Classification: outputs are log p̄, p̄ = (1/S) Σ softmax(zₛ) the mean over the samples s; beside them, in nats,
        entropy              H(p̄) = −Σₖ p̄ₖ log p̄ₖ, of the prediction
        mutual_information   H(p̄) − (1/S) Σₛ H(softmax(zₛ)), what of it is due to the weights (Houlsby et al.
                             2011, "BALD"): where the samples disagree
    Regression: outputs are the mean of the samples; beside them
        spread               √((1/S) Σₛ (zₛ − z̄)²), in units of the target; of several the mean, and that of each
    Several labels: outputs are log p̄ − log(1 − p̄), and each label has what a classification of two classes has; beside
    it stands the mean over labels.
    Sample s of the batch at `first` draws its noise from fold_in(fold_in(fold_in(key, 3), s), first), so that
    the same call gives the same bits.  The samples are taken one after another: memory is that of one.
    """
    loss, fitted = experiment.loss(experiment.knobs), experiment.dataset.fitted
    gather = _classes if loss.classifies or loss.binary else _numbers

    def predict(model, params, stats, x, key, first):
        noise = jax.random.fold_in(experiment.noise(key), 3)

        def draw(s: Array) -> Array:
            noise_of_sample = jax.random.fold_in(jax.random.fold_in(noise, s), first)
            z = model.apply(params, stats, x, noise_of_sample, None)[0]
            return jnp.stack([jnp.zeros_like(z), z], axis=-1) if loss.binary else z

        return gather(draw, jax.eval_shape(draw, jnp.int32(0)), samples)

    if loss.binary:
        return lambda *given: _of_labels(*predict(*given), fitted)
    return predict if loss.classifies else lambda *given: _in_units(*predict(*given), fitted)


def _classes(draw: Callable[[Array], Array], like: Array, samples: int) -> tuple[Array, dict[str, Array]]:
    def add(s: Array, sums: tuple[Array, Array]) -> tuple[Array, Array]:
        log_p = jax.nn.log_softmax(draw(s))
        return jnp.logaddexp(sums[0], log_p), sums[1] + entr(jnp.exp(log_p)).sum(-1)

    start = jnp.full(like.shape, -jnp.inf, like.dtype), jnp.zeros(like.shape[:-1], like.dtype)
    total, entropies = lax.fori_loop(0, samples, add, start)
    log_mean = jax.nn.log_softmax(total)  # total − log S, without its rounding
    entropy = entr(jnp.exp(log_mean)).sum(-1)
    information = jnp.maximum(entropy - entropies / samples, 0)  # below 0 by rounding alone
    return log_mean, {"entropy": entropy, "mutual_information": information}


def _numbers(draw: Callable[[Array], Array], like: Array, samples: int) -> tuple[Array, dict[str, Array]]:
    def add(s: Array, sums: tuple[Array, Array]) -> tuple[Array, Array]:
        z, (mean, squares) = draw(s), sums
        moved = mean + (z - mean) / (s + 1).astype(z.dtype)  # Welford: no difference of large squares
        return moved, squares + (z - mean) * (z - moved)

    zero = jnp.zeros(like.shape, like.dtype)
    mean, squares = lax.fori_loop(0, samples, add, (zero, zero))
    return mean, {"spread": jnp.sqrt(squares / samples)}


def _in_units(
    outputs: Array, beside: dict[str, Array], fitted: Preprocessing
) -> tuple[Array, dict[str, Array]]:
    """Numbers of each target (n, k) in its units (n,), and of several their mean."""
    known: dict[str, Array] = {}
    for name, values in beside.items():
        of_targets = [
            values[:, j] * scale for j, scale in enumerate(np.atleast_1d(fitted.target_scale).tolist())
        ]
        known[name] = jnp.stack(of_targets).sum(0) / len(of_targets) if fitted.targets else of_targets[0]
        known |= {
            of_target(name, target): value for target, value in zip(fitted.targets, of_targets, strict=False)
        }
    return outputs, known


def _of_labels(
    log_p: Array, beside: dict[str, Array], fitted: Preprocessing
) -> tuple[Array, dict[str, Array]]:
    """Log-probabilities of both classes of each label (n, k, 2) as log-odds (n, k); beside them means over labels."""
    return log_p[..., 1] - log_p[..., 0], _in_units(log_p, beside, fitted)[1]  # their unit is 1


def is_noisy(experiment: Experiment, training: bool = True) -> bool:
    """Whether the outputs of the model depend on the key.

    training   in training, or with the stored statistics of evaluation
    """
    x = experiment.dataset.train.x

    def outputs(key: Array) -> Array:
        model = experiment.model(experiment.knobs)
        params, stats, _ = model.init(jax.random.key(0), x.shape[1:])
        weight = jnp.ones(2) if training else None
        return model.apply(params, stats, jnp.zeros((2, *x.shape[1:])), key, weight)[0]

    jaxpr = jax.make_jaxpr(outputs)(jax.random.key(0)).jaxpr
    _, needed = partial_eval.dce_jaxpr(
        jaxpr, [True] * len(jaxpr.outvars)
    )  # it looks into blocks of train.remat too
    return needed[0]
