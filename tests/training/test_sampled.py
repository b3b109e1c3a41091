"""Averages over noise: against NumPy on the samples themselves, and against what is known of dropout."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun.loss.cross_entropy import cross_entropy
from nnrun.loss.squared_error import squared_error
from nnrun.training.evaluate import Held, compile_evaluator
from nnrun.training.feed import Feed
from nnrun.training.programs import to_metrics
from nnrun.training.sampled import is_noisy, sampled, without_noise
from nnrun.training.start import one_like
from nnrun.types import Examples, Experiment, Layer

pytestmark = pytest.mark.usefixtures("float64")

KEY = jax.random.key(4)
SAMPLES = 6


def shaken(params, stats, x, key, weight):
    """z = x times the parameter, plus normal noise; statistics must be the stored ones."""
    assert weight is None
    return x * params + (0 if key is None else jax.random.normal(key, x.shape)), stats


SHAKEN = Layer(lambda key, shape: (jnp.ones(()), {}, shape), shaken)


class StepContext:
    """What `sampled` asks of an Experiment."""

    knobs: Any = None

    def __init__(self, loss: Any, unit: float = 1.0) -> None:
        self.loss = lambda knobs: loss
        self.noise = lambda key: key
        self.dataset = SimpleNamespace(fitted=SimpleNamespace(target_scale=unit, targets=()))


def draws(x: Any, first: int) -> np.ndarray:
    """The outputs of each sample (samples, n, k), from the keys that the docstring promises."""
    keys = [
        jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(KEY, 3), s), first) for s in range(SAMPLES)
    ]
    return np.stack([np.asarray(shaken(2.0, {}, x, key, None)[0]) for key in keys])


def predicted(loss: Any, x: Any, first: int, unit: float = 1.0) -> Any:
    predict: Any = sampled(StepContext(loss, unit), SAMPLES)  # type: ignore[arg-type]
    return jax.jit(lambda x: predict(SHAKEN, jnp.array(2.0), {}, x, KEY, jnp.int32(first)))(x)


def test_classes_against_numpy():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 4)))
    z = draws(x, 64)
    p = np.exp(z) / np.exp(z).sum(2, keepdims=True)
    mean = p.mean(0)
    entropy = -(mean * np.log(mean)).sum(1)
    outputs, beside = predicted(cross_entropy(), x, 64)
    np.testing.assert_allclose(outputs, np.log(mean), rtol=1e-12)
    np.testing.assert_allclose(beside["entropy"], entropy, rtol=1e-12)
    information = entropy + (p * np.log(p)).sum(2).mean(0)
    np.testing.assert_allclose(beside["mutual_information"], information, rtol=1e-10)
    assert (information > 0.01).all()


def test_numbers_against_numpy():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 1)) + 1e6)  # where squares would lose the spread
    z = draws(x, 0)[:, :, 0]
    outputs, beside = predicted(squared_error(), x, 0, unit=7.0)
    np.testing.assert_allclose(outputs[:, 0], z.mean(0), rtol=1e-12)
    np.testing.assert_allclose(beside["spread"], 7 * z.std(0), rtol=1e-7)


def test_a_class_that_is_ruled_out_adds_nothing():
    x = jnp.array([[0.0, -jnp.inf, 1.0]])
    z = draws(x, 0)[:, :, [0, 2]]
    mean = (np.exp(z) / np.exp(z).sum(2, keepdims=True)).mean(0)
    outputs, beside = predicted(cross_entropy(), x, 0)
    assert outputs[0, 1] == -np.inf
    np.testing.assert_allclose(beside["entropy"], -(mean * np.log(mean)).sum(1), rtol=1e-12)
    assert np.isfinite(beside["mutual_information"]).all()


def test_batches_and_samples_have_noise_of_their_own():
    x = jnp.zeros((5, 4))
    one, other = predicted(cross_entropy(), x, 0)[0], predicted(cross_entropy(), x, 64)[0]
    assert not np.isclose(one, other).any()
    z = draws(x, 0)
    assert len(np.unique(z.round(12))) == z.size


@pytest.mark.quick(1)
@pytest.mark.parametrize("overrides", [(), ("train.random=fast",)])
def test_a_whole_part_against_the_model_by_hand(
    overrides: tuple[str, ...], experiment: Callable[..., Experiment]
) -> None:
    """Batches of the part at 0 and 64, the last one short; batch norm in its stored statistics."""
    made = experiment("mlp", *overrides)
    params, stats, _ = made.model(made.knobs).init(KEY, made.dataset.train.x.shape[1:])
    stats = jax.tree.map(lambda a: a + 0.3, stats)
    part = Examples(made.dataset.test.x[:100], made.dataset.test.y[:100])
    x, y = (jnp.pad(jnp.asarray(a), [(0, 64), *[(0, 0)] * (a.ndim - 1)]) for a in part)
    held = Held(64, [Feed(part, None)], (x, y))
    state = one_like(made)._replace(params=params, stats=stats, key=KEY, knobs=made.knobs)
    evaluator = compile_evaluator(made, one_like(made), held, None, sampled(made, SAMPLES))
    knobs = jax.tree.map(lambda a: jnp.asarray(a, float), made.knobs)
    sums = evaluator.run(state._replace(knobs=knobs), 0)
    [found] = to_metrics(made, evaluator, {"": sums}, 0, "test")
    shift, scale = (jnp.asarray(a, float) for a in (made.dataset.shift, made.dataset.scale))
    inputs = (x.astype(float) - shift) / scale
    p = []
    for s in range(SAMPLES):
        noise = jax.random.fold_in(jax.random.fold_in(made.noise(KEY), 3), s)
        z = [
            made.model(made.knobs).apply(
                params, stats, inputs[i : i + 64], jax.random.fold_in(noise, i), None
            )[0]
            for i in (0, 64)
        ]
        z = np.concatenate(z)[:100]
        p.append(np.exp(z) / np.exp(z).sum(1, keepdims=True))
    mean, labels = np.mean(p, 0), part.y
    entropy = -(mean * np.log(mean)).sum(1)
    assert found == pytest.approx({
        "test/loss": -np.log(mean[np.arange(100), labels]).mean(),
        "test/accuracy": (mean.argmax(1) == labels).mean(),
        "test/entropy": entropy.mean(),
        "test/mutual_information": (entropy + (p * np.log(p)).sum(2).mean(0)).mean(),
    })  # fmt: skip


def test_what_is_noisy(experiment: Callable[..., Experiment]) -> None:
    assert is_noisy(experiment("mlp"))
    assert is_noisy(experiment("mlp"), training=False)
    assert not is_noisy(experiment("mlp", "model.dropout=0"))
    assert not is_noisy(experiment("mlp", "model.dropout=0"), training=False)


def test_settled_is_the_model_without_noise():
    x = jnp.ones((2, 3))
    outputs, beside = without_noise(SHAKEN, jnp.array(2.0), {}, x, KEY, jnp.int32(0))
    np.testing.assert_array_equal(outputs, 2 * x)
    assert beside == {}
