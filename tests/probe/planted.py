"""Specs drawn at random, healthy or with one planted fault, for `nnrun check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

# fault -> the checks that should see it
FAULTS: dict[str, tuple[str, ...]] = {
    "wrong initial scale": ("initial loss", "initial scale"),
    "labels shuffled": ("inputs and targets",),
    "dead layer": ("dead units", "initial scale"),
    "rate 100 times too high": ("learning rate",),
    "test examples in training": ("duplicates",),
    "broken gradient": ("gradients",),
    "unnormalised input": ("input scale",),
    "constant feature": ("constant features",),
    "missing class": ("classes",),
    "no capacity": ("twenty examples",),
}

MODULE = '''
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from nnrun.layer import serial
from nnrun.layer.dense import dense
from nnrun.layer.flatten import flatten
from nnrun.options import Count
from nnrun.types import Examples, Layer, Source


def data(parts: str = "data.npz") -> Source:
    """Both parts, and the classes by name; read from beside this file."""
    with np.load(Path(__file__).with_name(parts)) as arrays:
        train, test = (Examples(arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test"))
        classes = tuple(arrays["classes"].tolist())
    return Source(train, test, classes=classes, standardize=STANDARDIZE)


def stateless(function):
    def init(key, x_shape):
        return {}, {}, x_shape

    def apply(params, stats, x, key, weight):
        return function(x), stats

    return Layer(init, apply)


@jax.custom_vjp
def bend(x):
    return x * jax.nn.sigmoid(x)


def forward(x):
    return bend(x), x


def backward(x, slope):
    s = jax.nn.sigmoid(x)
    return (BACKWARD,)


bend.defvjp(forward, backward)


def scaled(layer, factor):
    def init(key, x_shape):
        params, stats, y_shape = layer.init(key, x_shape)
        return {**params, "kernel": factor * params["kernel"]}, stats, y_shape

    return layer._replace(init=init)


def shifted(layer, shift):
    def init(key, x_shape):
        params, stats, y_shape = layer.init(key, x_shape)
        return {**params, "bias": params["bias"] + shift}, stats, y_shape

    return layer._replace(init=init)


def net(outputs: int, hidden: Count = 32, factor: float = 1.0, shift: float = 0.0) -> Layer:
    """Two hidden layers, with an activation of its own gradient."""
    return serial(
        [
            ("flatten", flatten()),
            ("hidden_1", scaled(dense(hidden), factor)),
            ("bend_1", stateless(bend)),
            ("hidden_2", shifted(scaled(dense(hidden), factor), shift)),
            ("bend_2", stateless(jax.nn.relu)),
            ("output", dense(outputs, init="lecun_normal")),
        ]
    )
'''
RIGHT = "slope * (s + x * s * (1 - s))"
WRONG = ("slope * s", "1.5 * slope * (s + x * s * (1 - s))", "-slope * (s + x * s * (1 - s))", "slope")


class Data(NamedTuple):
    """Both parts of a task, and its classes; () for a regression."""

    x: dict[str, np.ndarray]
    y: dict[str, np.ndarray]
    classes: tuple[str, ...]
    standardize: str


def planted(folder: Path, seed: int, fault: str | None) -> Path:
    """Writes a spec with its data and code into a folder, and returns its path."""
    rng = np.random.default_rng(seed)
    classifies = fault == "missing class" or bool(rng.random() < 0.65)
    needs_vectors = fault in ("constant feature", "unnormalised input", "no capacity")
    data = (
        _images(rng)
        if classifies and not needs_vectors and rng.random() < 0.25
        else _vectors(rng, classifies, fault)
    )
    spec = _spec(rng, data, classifies)
    module = MODULE.replace("BACKWARD", RIGHT)
    if fault in ("wrong initial scale", "broken gradient") or (fault == "dead layer" and rng.random() < 0.5):
        spec["model"] = {"name": "mine:net", "hidden": int(rng.integers(16, 49))}
    if fault == "wrong initial scale":
        spec["model"]["factor"] = float(rng.choice([0.003, 0.01, 8.0, 25.0]))
    elif fault == "broken gradient":
        module = MODULE.replace("BACKWARD", str(rng.choice(WRONG)))
    elif fault == "dead layer":
        spec["model"] = _dead(spec["model"])
    elif fault == "rate 100 times too high":
        spec["optimizer"]["learning_rate"] *= 100
    elif fault == "no capacity":
        spec["model"] = {"name": "mlp", "hidden": [1], "activation": "tanh"}
    else:
        data = _spoilt(rng, data, fault)
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text(module.replace("STANDARDIZE", repr(data.standardize)))
    parts = {f"{name}_{part}": a for name, of in (("x", data.x), ("y", data.y)) for part, a in of.items()}
    np.savez(folder / "data.npz", allow_pickle=False, classes=np.array(data.classes, dtype=str), **parts)
    (folder / "spec.yaml").write_text(json.dumps(spec, indent=1))
    return folder / "spec.yaml"


def _vectors(rng: np.random.Generator, classifies: bool, fault: str | None) -> Data:
    """Targets of a small random network with noise, and inputs in units of their own."""
    width = int(rng.integers(4, 9)) if fault == "no capacity" else int(rng.integers(5, 21))
    classes = int(rng.integers(4, 7)) if fault == "no capacity" else int(rng.integers(2, 6))
    count = int(rng.integers(500, 1201))
    z = rng.normal(size=(count, width))
    first, second = rng.normal(size=(width, 8)) / width**0.5, rng.normal(size=(8, classes))
    scores = np.tanh(1.5 * z @ first) @ second
    scores -= scores.mean(0)
    if classifies:
        y = (scores / scores.std(0) + 0.1 * rng.normal(size=scores.shape)).argmax(1).astype(np.int32)
    else:
        y = scores[:, 0] + 0.1 * scores[:, 0].std() * rng.normal(size=count)
    x = (z * rng.uniform(0.5, 40, width) + rng.uniform(-100, 100, width)).astype(np.float32)
    return _split(x, y, tuple(f"class {i}" for i in range(classes)) if classifies else (), "feature")


def _images(rng: np.random.Generator) -> Data:
    """A pattern for each class under noise, uint8 with one or three channels; the border never varies."""
    classes, channels, count = int(rng.integers(2, 6)), int(rng.choice([1, 3])), int(rng.integers(400, 801))
    patterns = rng.uniform(60, 200, (classes, 8, 8, channels))
    y = rng.integers(0, classes, count).astype(np.int32)
    x = np.clip(patterns[y] + rng.normal(0, 45, (count, 8, 8, channels)), 0, 255)
    x[:, [0, -1]] = 0
    return _split(x.astype(np.uint8), y, tuple("abcdefgh"[:classes]), "image")


def _split(x: np.ndarray, y: np.ndarray, classes: tuple[str, ...], standardize: str) -> Data:
    cut = int(0.8 * len(y))
    return Data(
        {"train": x[:cut], "test": x[cut:]}, {"train": y[:cut], "test": y[cut:]}, classes, standardize
    )


def _spec(rng: np.random.Generator, data: Data, classifies: bool) -> dict[str, Any]:
    optimizers = {
        "sgd": (0.03, 0.1), "momentum": (0.01, 0.03), "nesterov": (0.01, 0.03), "adam": (1e-3, 5e-3),
        "adamw": (1e-3, 5e-3), "rmsprop": (5e-4, 2e-3), "adamax": (2e-3, 5e-3),
    }  # fmt: skip
    name = str(rng.choice(list(optimizers)))
    losses = [{"name": "cross_entropy"}, {"name": "cross_entropy", "label_smoothing": 0.1}, {"name": "focal"}]
    if not classifies:
        losses = [{"name": "squared_error"}, {"name": "huber"}, {"name": "absolute_error"}]
    spec: dict[str, Any] = {
        "name": "drawn",
        "data": {"name": "mine:data", "batch_size": int(rng.choice([16, 32, 50, 64]))},
        "model": _model(rng, data),
        "loss": losses[int(rng.integers(3))],
        "optimizer": {"name": name, "learning_rate": float(np.exp(rng.uniform(*np.log(optimizers[name]))))},
        "schedule": {"name": str(rng.choice(["constant", "cosine", "linear"])), "warmup": "5%"},
        "train": {"duration": f"{int(rng.integers(10, 40))} epochs", "seed": int(rng.integers(100))},
    }
    if rng.random() < 0.3:
        spec["penalty"] = {"name": "l2", "strength": 1e-4}
    return spec


def _model(rng: np.random.Generator, data: Data) -> dict[str, Any]:
    if rng.random() < 0.2:
        return {"name": "mine:net", "hidden": int(rng.integers(16, 65))}
    if data.standardize == "image" and rng.random() < 0.5:
        return {"name": "convnet", "filters": [8, 16], "convs": 1, "hidden": [32]}
    hidden = [int(width) for width in rng.integers(16, 97, int(rng.integers(1, 3)))]
    activation = str(rng.choice(["relu", "tanh", "gelu", "silu", "leaky_relu"]))
    init = "he_normal" if activation != "tanh" else str(rng.choice(["lecun_normal", "glorot_uniform"]))
    model: dict[str, Any] = {"name": "mlp", "hidden": hidden, "activation": activation, "init": init}
    if rng.random() < 0.3:
        model["dropout"] = float(rng.uniform(0.1, 0.4))
    if rng.random() < 0.3:
        model["norm"] = str(rng.choice(["batch", "layer"]))
    return model


def _dead(model: dict[str, Any]) -> dict[str, Any]:
    """The model with a hidden layer whose relu never opens."""
    if model["name"] == "mine:net":
        return {**model, "shift": -50.0}
    return {"name": "mlp", "hidden": [32, 32], "init": "zeros"}


def _spoilt(rng: np.random.Generator, data: Data, fault: str | None) -> Data:
    """The data with a fault of their own."""
    x, y = dict(data.x), dict(data.y)
    if fault == "labels shuffled":
        for part in y:
            y[part] = rng.permutation(y[part])
    elif fault == "test examples in training":
        share = int(len(y["test"]) * rng.choice([0.2, 0.5, 1.0]))
        x["train"] = np.concatenate([x["train"], x["test"][:share]])
        y["train"] = np.concatenate([y["train"], y["test"][:share]])
    elif fault == "unnormalised input":
        data = data._replace(standardize="none")
    elif fault == "constant feature":
        for part in x:
            x[part] = x[part].copy()
            x[part][:, int(rng.integers(1)) + 2] = 3.0
    elif fault == "missing class":
        lacking = str(rng.choice(["train", "test"]))
        kept = y[lacking] != len(data.classes) - 1
        x[lacking], y[lacking] = x[lacking][kept], y[lacking][kept]
        if len(data.classes) == 2:  # a training part of one class is refused
            return _spoilt(rng, data, fault) if lacking == "train" else data._replace(x=x, y=y)
    return data._replace(x=x, y=y)
