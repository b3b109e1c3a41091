"""What every loss keeps to.  Fed by the folder."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from nnrun import catalog
from nnrun.catalog.listing import reported

pytestmark = pytest.mark.usefixtures("float64")

N, CLASSES = 7, 4


@pytest.fixture(params=catalog.names("loss"))
def name(request) -> str:
    return request.param


@pytest.fixture
def loss(make, name):
    return make("loss", name)


@pytest.fixture
def batch(loss):
    """Outputs and targets of the kind that the loss says it takes."""
    rng = np.random.default_rng(0)
    if loss.classifies:
        return jnp.asarray(rng.normal(size=(N, CLASSES))), jnp.asarray(rng.integers(0, CLASSES, N), jnp.int32)
    outputs, targets = rng.normal(size=(N, 1)), rng.normal(size=N)
    if loss.positive:
        outputs, targets = np.exp(outputs), np.maximum(targets, 0)
    if loss.binary:
        targets = (targets > 0).astype(np.float64)
    return jnp.asarray(outputs), jnp.asarray(targets)


def test_one_number_per_example_in_the_precision_in_force(loss, batch):
    value = loss.value(*batch)
    assert (value.shape, value.dtype) == ((N,), "float64")
    for term in loss.terms(*batch).values():
        assert (term.shape, term.dtype) == ((N,), "float64")
    assert bool((value >= loss.bounds["loss"][0]).all())


def test_the_loss_is_one_of_its_terms_and_of_its_metrics(loss, batch):
    terms = loss.terms(*batch)
    np.testing.assert_array_equal(terms["loss"], loss.value(*batch))
    metrics = loss.metrics({name: float(term.mean()) for name, term in terms.items()})
    assert metrics["loss"] == float(terms["loss"].mean())
    assert loss.judge in metrics
    assert set(loss.rising) <= set(metrics)
    assert all(type(value) is float for value in metrics.values())


def test_examples_do_not_see_each_other(loss, batch):
    together = loss.terms(*batch)
    for i in range(N):
        alone = loss.terms(*(a[i : i + 1] for a in batch))
        for name, term in alone.items():
            np.testing.assert_allclose(term, together[name][i : i + 1], rtol=1e-14)


def test_jit_and_vmap(loss, batch):
    eager = loss.terms(*batch)
    jitted = jax.jit(loss.terms)(*batch)
    lanes = jax.vmap(loss.terms)(*(jnp.stack([a, a[::-1]]) for a in batch))
    for name in eager:
        np.testing.assert_allclose(jitted[name], eager[name], rtol=1e-13)
        np.testing.assert_allclose(lanes[name][1], eager[name][::-1], rtol=1e-13)


def test_gradients_are_those_of_finite_differences(loss, batch):
    outputs, targets = batch
    check_grads(
        jax.jit(lambda z: loss.value(z, targets).sum()), (outputs,), order=1, modes=["rev"], rtol=1e-5
    )


def test_metrics_of_a_diverged_model_are_nan_not_an_error(loss, batch):
    outputs, targets = batch
    terms = loss.terms(jnp.full_like(outputs, jnp.nan), targets)
    metrics = loss.metrics({name: float(term.mean()) for name, term in terms.items()})
    assert np.isnan(metrics["loss"])


def test_docstring_names_the_metrics_that_it_reports(name, loss, batch):
    metrics = loss.metrics({term: float(values.mean()) for term, values in loss.terms(*batch).items()})
    of_several = {"exact_match"} if loss.binary else set()
    assert set(reported(name)) == {*metrics} | of_several


def test_docstring_says_what_it_is_and_names_every_option(name, loss):
    text = catalog.find("loss", name).__doc__
    assert 0 < len(catalog.summary("loss", name)) <= 90
    words = [*catalog.parameters("loss", name), *loss.rising, loss.judge]
    missing = [word for word in words if not re.search(rf"\b{word}\b", text)]
    assert not missing, f"{name}: the docstring says nothing about {missing}"
