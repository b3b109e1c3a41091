"""The whitening layer, alone and from real data to a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nnrun.build.patches import second_moments_of
from nnrun.errors import SpecError
from nnrun.layer.whiten import whiten
from nnrun.runner import session
from nnrun.training import flat
from nnrun.training.programs import compile_programs

SIZE, SIDE = 700, 7
SPEC = """
data: {name: npz, path: images.npz, standardize: image, batch_size: 100}
model: {name: sequential, layers: LAYERS}
optimizer: {name: adam, learning_rate: 1e-2}
train: {duration: 2 epochs}
"""
LAYERS = "[{name: whiten, eps: 1e-9}, gelu, flatten]"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., session.Prepared]:
    """prepared(layers, *overrides): a net on colour images whose neighbouring pixels resemble each other."""
    folder = tmp_path_factory.mktemp("whiten")
    noise = np.random.default_rng(0).normal(size=(SIZE, SIDE + 1, SIDE + 1, 3))
    smooth = noise[:, 1:, 1:] + noise[:, :-1, 1:] + 0.5 * noise[:, :-1, :-1].mean(-1, keepdims=True)
    np.savez(
        folder / "images.npz",
        x=(128 + 20 * smooth).clip(0, 255).astype(np.uint8),
        y=np.arange(SIZE, dtype=np.int32) % 2,
    )

    def prepare(layers: str = LAYERS, *overrides: str) -> session.Prepared:
        (folder / "spec.yaml").write_text(SPEC.replace("LAYERS", layers))
        return session.prepare(folder / "spec.yaml", overrides)

    return prepare


def patches(images: np.ndarray) -> np.ndarray:
    """images (n, h, w, c) -> (patches, 4c), pixel by pixel."""
    n, h, w, _ = images.shape
    return np.array(
        [
            images[i, r : r + 2, c : c + 2].ravel()
            for i in range(n)
            for r in range(h - 1)
            for c in range(w - 1)
        ]
    )


def test_outputs_are_white_on_the_training_part_and_come_in_pairs(prepared) -> None:
    experiment = prepared().experiment
    model, data = experiment.model(experiment.knobs), experiment.dataset
    params, stats, _ = model.init(jax.random.key(0), (SIDE, SIDE, 3))
    x = (np.asarray(data.train.x, np.float64) - data.shift) / data.scale
    kernel = np.asarray(stats["layer_1"]["kernel"], np.float64).reshape(12, 24)
    y = patches(x[:200]) @ kernel
    np.testing.assert_array_equal(y[:, :12], -y[:, 12:])
    whole = patches(x) @ kernel[:, :12]
    np.testing.assert_allclose(whole.T @ whole / len(whole), np.eye(12), atol=2e-3)
    assert set(params) == {"layer_1", "output"}
    assert set(params["layer_1"]) == {"bias"}


def test_the_layer_is_the_product_of_patches_with_its_windows() -> None:
    moments = np.cov(np.random.default_rng(1).normal(size=(12, 40)))
    layer = whiten(lambda kernel: moments, eps=0.1)
    params, stats, shape = layer.init(jax.random.key(0), (5, 4, 3))
    x = np.random.default_rng(2).normal(size=(2, 5, 4, 3))
    y, kept = layer.apply({"bias": params["bias"] + 1}, stats, jnp.asarray(x, jnp.float32), None, jnp.ones(2))
    assert shape == (4, 3, 24)
    assert kept is stats
    values, _ = np.linalg.eigh(moments)
    windows = np.asarray(stats["kernel"], np.float64).reshape(12, 24)
    np.testing.assert_allclose(np.asarray(y).reshape(-1, 24), patches(x) @ windows + 1, atol=1e-4)
    whitened = windows[:, :12].T @ moments @ windows[:, :12]
    np.testing.assert_allclose(whitened, np.diag((values / (values + 0.1))[::-1]), atol=1e-5)


def test_windows_are_not_trained_and_lie_in_the_state(prepared) -> None:
    compiled = compile_programs(prepared().experiment)
    start = compiled.initial()
    end, _ = compiled.advance(start, 0, 10)
    before, after = flat.flatten(start), flat.flatten(end)
    np.testing.assert_array_equal(before["stats/layer_1/kernel"], after["stats/layer_1/kernel"])
    assert not np.array_equal(before["params/layer_1/bias"], after["params/layer_1/bias"])


def test_where_the_data_lie_changes_no_bit(prepared) -> None:
    held, streamed = (
        second_moments_of(prepared(LAYERS, f"data.stream={stream}").experiment.dataset)(2)
        for stream in ("false", "true")
    )
    np.testing.assert_array_equal(held, streamed)


@pytest.mark.parametrize(
    "layers", ["[gelu, whiten, flatten]", "[{name: residual, layers: [whiten]}, flatten]"]
)
def test_it_must_be_the_first_layer(prepared, layers: str) -> None:
    with pytest.raises(SpecError, match="write it as the first layer of the model"):
        prepared(layers)


def test_vectors_are_refused(tmp_path: Path) -> None:
    text = SPEC.replace("{name: npz, path: images.npz, standardize: image, batch_size: 100}", "iris")
    (tmp_path / "spec.yaml").write_text(text.replace("LAYERS", "[whiten]"))
    with pytest.raises(SpecError, match="whiten with kernel 2 needs images"):
        session.prepare(tmp_path / "spec.yaml")


def test_predictions_need_no_data(prepared, tmp_path: Path, warm: Callable[..., Any]) -> None:
    """The windows of a run come from its checkpoint, not from data that may be gone."""
    folder = prepared().spec.document.folder
    assert warm("train", "spec.yaml", "--run-dir", "run", "-q", folder=folder).code == 0
    x = np.load(folder / "images.npz")["x"][:50]
    np.savez(folder / "x.npz", x=x)
    options = ("--runs-root", ".", "-q", "--force", "-o")
    assert warm("predict", "run", "x.npz", *options, "a.npz", folder=folder).code == 0
    (folder / "images.npz").rename(folder / "away.npz")
    try:
        assert warm("predict", "run", "x.npz", *options, "b.npz", folder=folder).code == 0
    finally:
        (folder / "away.npz").rename(folder / "images.npz")
    a, b = (np.load(folder / f"{name}.npz")["probabilities"] for name in "ab")
    np.testing.assert_array_equal(a, b)
    assert a.std() > 0.01
