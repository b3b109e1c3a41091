"""Modules of Flax and Equinox as Layers: what they compute is what they compute when called by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun import catalog
from nnrun.model._foreign import adapted, asks_for_key, library_of
from nnrun.types import Layer

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "your_own_code.md").read_text()
LIBRARIES = {"linen": 1, "nnx": 2, "equinox": 3}  # the number of the block that has its example
KEY, NOISE = jax.random.key(3), jax.random.key(11)
ONES = jnp.ones(6)
SHAPE = (8, 8, 1)


@pytest.fixture(autouse=True)
def rules() -> Iterator[None]:
    """Double precision, and the mixing of dtypes and ranks that these libraries need."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


class Case(NamedTuple):
    library: str
    net: Callable[..., Any]  # the user's function
    layer: Callable[..., Layer]  # (dropout) -> Layer
    params: Any
    stats: Any


def case_of(library: str, folder: Path) -> Case:
    pytest.importorskip("equinox" if library == "equinox" else "flax")
    file = folder / f"my_{library}.py"
    file.write_text(re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)[LIBRARIES[library]])
    net = catalog.find("model", f"my_{library}:net", folder)

    def layer(dropout: float = 0.4) -> Layer:
        if library == "linen":
            return adapted(library, lambda key: net(3, dropout))
        return adapted(library, lambda key: net(3, key, dropout))

    params, stats, shape = layer().init(KEY, SHAPE)
    assert shape == (3,)
    rng = np.random.default_rng(0)  # away from the start, where means of 0 hide mistakes
    stats = jax.tree.map(lambda a: a + rng.random(a.shape) if a.dtype == float else a, stats)
    return Case(library, net, layer, params, stats)


@pytest.fixture(params=LIBRARIES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    return case_of(request.param, tmp_path)


@pytest.fixture
def x() -> Any:
    return jnp.asarray(np.random.default_rng(1).normal(size=(6, *SHAPE)))


def close(found: Any, wanted: Any, tolerance: float = 1e-10) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), found, wanted)


def total(y: Any) -> Any:
    return (jnp.sin(y) * jnp.arange(1.0, 4)).sum()


def with_gradients(function: Callable[..., Any], params: Any) -> Any:
    """y, stats and the gradients of a function of y by the parameters."""

    def value(params: Any) -> Any:
        y, stats = function(params)
        return total(y), (y, stats)

    (_, found), gradients = jax.jit(jax.value_and_grad(value, has_aux=True))(params)
    return found, gradients


def ours(case: Case, x: Any, key: Any, weight: Any) -> Any:
    return with_gradients(lambda p: case.layer().apply(p, case.stats, x, key, weight), case.params)


@pytest.mark.parametrize("training", [True, False])
def test_linen_by_hand(training: bool, x: Any, tmp_path: Path) -> None:
    case = case_of("linen", tmp_path)
    module = case.net(3, 0.4)

    def by_hand(params: Any) -> Any:
        variables = {"params": params, **case.stats}
        if not training:
            return module.apply(variables, x, train=False), case.stats
        return module.apply(variables, x, train=True, rngs={"dropout": NOISE}, mutable=["batch_stats"])

    close(ours(case, x, *((NOISE, ONES) if training else (None, None))), with_gradients(by_hand, case.params))


@pytest.mark.parametrize("training", [True, False])
def test_nnx_by_hand(training: bool, x: Any, tmp_path: Path) -> None:
    case = case_of("nnx", tmp_path)
    from flax import nnx

    def by_hand(params: Any) -> Any:
        module = case.net(3, KEY, 0.4)
        for name in ("hidden", "norm", "output"):
            for key, value in params[name].items():
                setattr(getattr(module, name), key, nnx.Param(value))
        module.norm.mean = nnx.BatchStat(case.stats["norm"]["mean"])
        module.norm.var = nnx.BatchStat(case.stats["norm"]["var"])
        module.dropout.rngs.key = nnx.RngKey(jax.random.fold_in(NOISE, 0), tag="dropout")
        module.train() if training else module.eval()
        y = module(x)
        return y, {"norm": {"mean": module.norm.mean[...], "var": module.norm.var[...]}}

    close(ours(case, x, *((NOISE, ONES) if training else (None, None))), with_gradients(by_hand, case.params))


@pytest.mark.parametrize("training", [True, False])
def test_equinox_by_hand(training: bool, x: Any, tmp_path: Path) -> None:
    case = case_of("equinox", tmp_path)
    import equinox as eqx

    keys = jax.random.split(NOISE, 6)

    def by_hand(params: Any) -> Any:
        module, state = case.net(3, KEY, 0.4)
        for i, name in ((1, "weight"), (1, "bias"), (2, "weight"), (2, "bias"), (5, "weight"), (5, "bias")):
            where = lambda m, i=i, name=name: getattr(m.layers[i], name)  # noqa: E731
            module = eqx.tree_at(where, module, params["layers"][str(i)][name])
        structure = jax.tree.structure(state)
        state = jax.tree.unflatten(structure, jax.tree.leaves(case.stats))
        module = eqx.nn.inference_mode(module, not training)
        run = jax.vmap(module, in_axes=(0, None), out_axes=(0, None), axis_name="batch")
        if training:
            run = jax.vmap(
                lambda x, state, key: module(x, state, key=key),
                in_axes=(0, None, 0), out_axes=(0, None), axis_name="batch",
            )  # fmt: skip
        y, state = run(x, state, keys) if training else run(x, state)
        return y, jax.tree.unflatten(jax.tree.structure(case.stats), jax.tree.leaves(state))

    close(ours(case, x, *((NOISE, ONES) if training else (None, None))), with_gradients(by_hand, case.params))


@pytest.mark.quick("nnx")
def test_noise_and_batch_statistics_are_two_facts(case: Case, x: Any) -> None:
    """Without dropout in the program, a key alone changes nothing; with it, statistics stay the stored ones."""
    loud, quiet = case.layer(0.4), case.layer(0.0)
    run = lambda layer, key, weight: layer.apply(case.params, case.stats, x, key, weight)  # noqa: E731
    close(run(quiet, NOISE, None), run(quiet, None, None))
    close(run(loud, None, ONES), run(quiet, NOISE, ONES))
    y, stats = run(loud, NOISE, None)
    close(stats, case.stats, 0)
    assert not np.allclose(y, run(loud, None, None)[0])
    alone = [loud.apply(case.params, case.stats, x[:i], NOISE, None)[1] for i in (1, 6)]
    close(alone[0], alone[1], 0)
    mean = jax.vmap(lambda key: run(loud, key, None)[0])(jax.random.split(NOISE, 4000)).mean(0)
    close(mean, run(loud, None, None)[0], 0.15)  # the output layer is linear in the dropped units


def test_weights_come_from_the_key(case: Case) -> None:
    again, other = (case.layer().init(key, SHAPE)[0] for key in (KEY, jax.random.key(4)))
    close(again, case.params, 0)
    kernels = [(a, b) for a, b in zip(*map(jax.tree.leaves, (again, other)), strict=True) if a.ndim == 2]
    assert len(kernels) == 2
    assert not any(np.allclose(a, b) for a, b in kernels)


def test_lanes_are_each_alone(case: Case, x: Any) -> None:
    keys = jax.random.split(KEY, 3)
    layer = case.layer()
    together = jax.jit(jax.vmap(lambda key: layer.init(key, SHAPE)[:2]))(keys)
    found = jax.jit(jax.vmap(layer.apply, (0, 0, None, 0, None)))(*together, x, keys, ONES)
    for i, key in enumerate(keys):
        wanted = layer.apply(*layer.init(key, SHAPE)[:2], x, key, ONES)
        close(jax.tree.map(lambda a, i=i: a[i], found), wanted)


NAMES = {
    "linen": {
        *("Dense_0/kernel", "Dense_0/bias", "BatchNorm_0/scale", "BatchNorm_0/bias"),
        *("Dense_1/kernel", "Dense_1/bias"),
    },
    "nnx": {"hidden/kernel", "hidden/bias", "norm/scale", "norm/bias", "output/kernel", "output/bias"},
    "equinox": {f"layers/{i}/{name}" for i in (1, 2, 5) for name in ("weight", "bias")},
}


def test_names_are_the_paths_in_the_module(case: Case) -> None:
    paths = (path for path, _ in jax.tree_util.tree_leaves_with_path(case.params))
    assert {jax.tree_util.keystr(path, simple=True, separator="/") for path in paths} == NAMES[case.library]


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_floats_are_in_the_precision_of_the_run(case: Case, precision: str) -> None:
    with jax.enable_x64(precision == "float64"):

        def run() -> Any:
            params, stats, _ = case.layer().init(KEY, SHAPE)
            return params, stats, case.layer().apply(params, stats, jnp.ones((2, *SHAPE)), KEY, jnp.ones(2))

        found = jax.tree.leaves(jax.eval_shape(run))
        assert {a.dtype.name for a in found if jnp.issubdtype(a.dtype, jnp.floating)} == {precision}
        assert not any(a.weak_type for a in found)


def test_linens_batch_norm_leaves_padding_out(x: Any, tmp_path: Path) -> None:
    case = case_of("linen", tmp_path)
    weight = jnp.array([1.0, 1, 1, 1, 0, 0])
    apply = case.layer(0.0).apply
    found, stats = apply(case.params, case.stats, x, None, weight)
    wanted = apply(case.params, case.stats, x[:4], None, jnp.ones(4))
    close((found[:4], stats), wanted)


def test_modules_are_recognised(case: Case) -> None:
    made = case.net(3) if case.library == "linen" else case.net(3, KEY)
    assert library_of(made) == case.library
    assert asks_for_key(case.library, case.library != "linen") is None
    assert asks_for_key(case.library, case.library == "linen") is not None


@pytest.mark.parametrize("other", [Layer(print, print), (1, 2), (Layer(print, print), None), 3, "x", None])
def test_anything_else_is_none(other: object) -> None:
    assert library_of(other) is None


def test_a_module_that_returns_two_things_is_told(x: Any) -> None:
    nn = pytest.importorskip("flax.linen")

    class Two(nn.Module):
        @nn.compact
        def __call__(self, x):
            return x, x

    with pytest.raises(ValueError, match=r"it returned a tuple; return one array of shape \(n, outputs\)"):
        adapted("linen", lambda key: Two()).init(KEY, SHAPE)
