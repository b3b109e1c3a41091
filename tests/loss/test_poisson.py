"""The Poisson loss: values against SciPy, and rates in the units of the counts wherever a run predicts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import gammaln
from scipy.stats import poisson as distribution
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import mean_absolute_error, mean_poisson_deviance, r2_score, root_mean_squared_error

import nnrun
from nnrun.data._prepare import prepare
from nnrun.errors import DataError
from nnrun.loss.poisson import poisson
from nnrun.types import Examples, Source

RNG = np.random.default_rng(3)
COUNTS = RNG.poisson(4.0, 60).astype(float)
RATES = np.exp(RNG.normal(1.0, 0.7, 60))


def test_is_minus_the_log_likelihood_but_for_what_no_rate_changes(float64):
    assert (COUNTS == 0).any()
    value = poisson().value(jnp.asarray(RATES)[:, None], jnp.asarray(COUNTS))
    np.testing.assert_allclose(value + gammaln(COUNTS + 1), -distribution.logpmf(COUNTS, RATES), rtol=1e-10)
    log_rates = jnp.asarray(np.log(RATES))
    slopes = jax.grad(lambda z: poisson().value(jnp.exp(z)[:, None], jnp.asarray(COUNTS)).sum())(log_rates)
    np.testing.assert_allclose(slopes, RATES - COUNTS, atol=1e-12)  # of exp(z) − y z, as torch writes it


def test_metrics_are_those_of_sklearn_in_units_of_the_target(float64):
    scale = COUNTS.mean()
    loss = poisson(scale)
    terms = loss.terms(jnp.asarray(RATES / scale)[:, None], jnp.asarray(COUNTS / scale))
    got = loss.metrics({name: float(term.mean()) for name, term in terms.items()})
    assert got["deviance"] == pytest.approx(mean_poisson_deviance(COUNTS, RATES), rel=1e-12)
    assert got["rmse"] == pytest.approx(root_mean_squared_error(COUNTS, RATES), rel=1e-12)
    assert got["mae"] == pytest.approx(mean_absolute_error(COUNTS, RATES), rel=1e-12)
    assert got["r2"] == pytest.approx(r2_score(COUNTS, RATES), rel=1e-12)


def test_extreme_logarithms_stay_finite_in_float32():
    z = jnp.array([-200.0, -50.0, 0.0, 60.0])
    value, slope = jax.value_and_grad(
        lambda z: poisson().value(jnp.exp(z)[:, None], jnp.full(4, 2.0)).sum() / 1e20
    )(z)
    assert np.isfinite(value) and np.isfinite(slope).all()


def source(y: list[float], held: list[float] | None = None, **facts: Any) -> Source:
    def part(values):
        return Examples(np.arange(len(values), dtype=np.float32)[:, None], np.array(values))

    empty = Source(part(y), None if held is None else part(held), (), "feature")
    return empty._replace(table=empty.table._replace(**facts))


def test_counts_are_divided_by_their_mean_and_not_moved():
    dataset = prepare(
        source([0.0, 2, 4, 6, 0, 2, 4, 6]), validation=0.25, test=0.25, split_seed=0, positive=True
    )
    raw = dataset.targets["train"]
    assert (dataset.fitted.target_shift, dataset.fitted.target_scale) == (0, raw.mean())
    np.testing.assert_allclose(dataset.train.y * raw.mean(), raw, rtol=1e-6)


@pytest.mark.parametrize("held", [False, True])
def test_a_target_below_0_is_named(held: bool):
    good, bad = [1.0, 2, 3, 4, 5, 6, 7, 8], [1.0, 2, 3, -4, 5, 6, 7, 8]
    how = {"validation": 0.25, "test": 0.25, "split_seed": 0, "positive": True}
    data = source(good, bad) if held else source(bad)
    with pytest.raises(
        DataError, match=r"data: target 3 of the source: -4 is no count, .*loss: squared_error"
    ):
        prepare(data, **how)
    table = data.table._replace(
        place=lambda in_test, row: f"{'test' if in_test else 'train'}.csv:{row + 2}:1"
    )
    with pytest.raises(DataError, match=f"{'test' if held else 'train'}.csv:5:1: -4 is no count"):
        prepare(data._replace(table=table), **how)
    with pytest.raises(DataError, match="every target of the training part is 0"):
        prepare(source([0.0] * 8), **how)


SPEC = """
data: {name: csv, path: calls.csv, target: calls, validation: 0, test_path: calls.csv, batch_size: full}
model: {name: mlp, hidden: [3]}
loss: poisson
optimizer: {name: sgd, learning_rate: 0.1}
train: {duration: 2 steps, seeds: 2}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds on counts that a line explains, some thousand in the mean; and a table with a number below 0."""
    folder = tmp_path_factory.mktemp("counts")
    x = RNG.normal(size=(120, 2))
    counts = RNG.poisson(np.exp(7 + x @ [0.3, -0.2]))
    lines = ["a,b,calls", *(f"{a},{b},{count}" for (a, b), count in zip(x.tolist(), counts, strict=True))]
    (folder / "calls.csv").write_text("\n".join(lines) + "\n")
    (folder / "bad.csv").write_text("\n".join([*lines[:5], "0,0,-3"]) + "\n")
    (folder / "spec.yaml").write_text(SPEC)
    nnrun.train(folder / "spec.yaml", run_dir=folder / "runs")
    return folder


def test_a_linear_model_of_counts_is_that_of_sklearn(runs: Path):
    changes = [
        "model=linear",
        "optimizer=newton",
        "train.duration=12 steps",
        "train.precision=float64",
        "train.seeds=1",
    ]
    nnrun.train(runs / "spec.yaml", changes, run_dir=runs / "exact")
    table = np.genfromtxt(runs / "calls.csv", delimiter=",", names=True)
    x = np.stack([table["a"], table["b"]], axis=1)
    reference = PoissonRegressor(alpha=0, tol=1e-12, max_iter=10_000).fit(x, table["calls"])
    np.testing.assert_allclose(nnrun.load(runs / "exact").predict(x), reference.predict(x), rtol=1e-5)


@pytest.mark.slow
def test_rates_are_averaged_exported_and_measured(runs: Path, warm: Callable[..., Any]):
    for line in ("ensemble runs -o both", "export runs/seed_0 -o exported"):
        done = warm(*line.split(), folder=runs)
        assert done.code == 0, f"{line}: {done.err}"
    assert (
        runs / "exported" / "numpy_model.py"
    ).exists()  # and agrees with the run, or nothing had been written
    x = RNG.normal(size=(9, 2))
    first, second, both = (
        nnrun.load(runs / name).predict(x) for name in ("runs/seed_0", "runs/seed_1", "both")
    )
    np.testing.assert_allclose(both, (first + second) / 2, rtol=1e-12)
    assert not np.allclose(both, np.sqrt(first * second), rtol=1e-6)  # the mean of rates, not of logarithms
    done = warm("evaluate", "runs/seed_0", "bad.csv", folder=runs)
    assert done.code == 3
    assert "bad.csv: the true value of example 5: -3 is no count" in done.err
