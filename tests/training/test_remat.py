"""`train.remat: blocks` trains the same net in less memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun.catalog import read
from nnrun.layer._remat import by_blocks
from nnrun.layer._watched import watching
from nnrun.runner import session
from nnrun.training.programs import compile_programs
from nnrun.training.sampled import is_noisy
from nnrun.types import Layer, Tree

DATA = "data: {name: digits, batch_size: 32, examples: 200}\n"
TRAIN = DATA + "train: {duration: 3 steps, precision: float64, seeds: 2}\n"
NETS = {
    "mlp": "model: {name: residual_mlp, width: 16, blocks: 2, inner: 16, dropout: 0.2, survival: 0.7}\n"
    "optimizer: adam\n",
    "resnet": "model: {name: resnet, depth: 8, width: 4, survival: 0.8}\noptimizer: {name: sam, inner: momentum}\n",
    "vit": "model: {name: vit, patch: 2, width: 8, blocks: 2, heads: 2, dropout: 0.1}\noptimizer: adam\n",
    "newton": "model: {name: residual_mlp, width: 8, blocks: 2, inner: 8, activation: tanh}\n"
    "optimizer: {name: newton_cg, allow_noise: true}\n",
}  # fmt: skip


@pytest.mark.quick("mlp")
@pytest.mark.parametrize("net", NETS)
def test_steps_are_the_same(net: str, tmp_path: Path, float64: None) -> None:
    """Two seeds in one program, with noise, batch norm, skipped blocks and second derivatives."""
    (tmp_path / "spec.yaml").write_text(TRAIN + NETS[net])
    results = []
    for change in ([], ["train.remat=blocks"]):
        programs = compile_programs(session.prepare(tmp_path / "spec.yaml", change).experiment)
        state, log = programs.advance(programs.initial(), 0, 3)
        results.append((programs.unpack(state)[1], programs.rows(log, 3)))
    (arrays, rows), (again, rows_again) = results
    np.testing.assert_allclose(rows_again, rows, rtol=1e-10, atol=1e-12)
    for name, array in arrays.items():
        np.testing.assert_allclose(again[name], array, rtol=1e-8, atol=1e-10, err_msg=name)


def kept(model: Layer) -> int:
    """Bytes that are kept from the way forward for the way back."""
    params, stats, _ = model.init(jax.random.key(0), (64,))
    x = jax.random.normal(jax.random.key(1), (512, 64))

    def total(params: Tree) -> jax.Array:
        return model.apply(params, stats, x, jax.random.key(2), jnp.ones(len(x)))[0].sum()

    _, pull = jax.vjp(total, params)
    return sum(leaf.nbytes for leaf in jax.tree.leaves(pull) if isinstance(leaf, jax.Array))


def test_a_deep_net_keeps_less(make: Callable[..., Any]) -> None:
    """Sixteen blocks: the input of each is kept, of 512 · 64 numbers, in place of more than three such arrays."""
    model = make("model", "residual_mlp", outputs=10, width=64, blocks=16, inner=64, norm="none")
    parameters = sum(leaf.size for leaf in jax.tree.leaves(model.init(jax.random.key(0), (64,))[0]))
    inputs = 17 * 512 * 64
    assert inputs <= kept(by_blocks(model)) / 4 <= inputs + 2 * parameters < 0.5 * kept(model) / 4


def test_layers_that_are_watched_are_seen(make: Callable[..., Any]) -> None:
    model = make("model", "residual_mlp", outputs=10, width=8, blocks=2, inner=8)
    params, stats, _ = model.init(jax.random.key(0), (4,))
    paths = []
    for layer in (model, by_blocks(model)):
        with watching() as passages:
            layer.apply(params, stats, np.ones((3, 4), np.float32), None, None)
        paths.append([passage.path for passage in passages])
    assert paths[0] == paths[1] and len(paths[0]) > 10


def test_a_model_without_blocks_is_refused(tmp_path: Path, warm: Callable[..., Any]) -> None:
    (tmp_path / "spec.yaml").write_text(TRAIN + "model: {name: mlp, hidden: [8]}\noptimizer: adam\n")
    done = warm("train", "spec.yaml", "train.remat=blocks", "--dry-run", folder=tmp_path)
    assert (
        done.code == 2
        and "mlp is not made of blocks, which residual nets and transformers are; leave remat out" in done.err
    )
    assert read(tmp_path / "spec.yaml", []).sections["train"].remat is None


def test_a_net_without_noise_may_meet_methods_that_bear_none(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(
        "data: {name: digits, batch_size: full, examples: 100}\ntrain: {duration: 2 steps, remat: blocks}\n"
        "model: {name: residual_mlp, width: 8, blocks: 2, inner: 8}\noptimizer: newton_cg\n"
    )
    assert not is_noisy(session.prepare(tmp_path / "spec.yaml", ["optimizer=adam"]).experiment)
    assert is_noisy(
        session.prepare(tmp_path / "spec.yaml", ["optimizer=adam", "model.dropout=0.2"]).experiment
    )
    session.prepare(tmp_path / "spec.yaml", [])
