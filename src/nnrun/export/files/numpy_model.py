"""The same model in NumPy alone, for multi-layer perceptrons: the reference that says what the other file computes.

from numpy_model import Model

Model().outputs(x)
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from inputs import prepare  # type: ignore[import-not-found]  # it lies beside this file

__all__ = ["Model", "read_safetensors"]

_EPS = 1e-5  # of norms
_TYPES = {"F32": np.float32, "F64": np.float64}


class Model:
    """The model of a folder; all arithmetic is in float64."""

    def __init__(self, folder: str | Path | None = None) -> None:
        place = Path(folder) if folder else Path(__file__).parent
        self.about: dict[str, Any] = json.loads((place / "model.json").read_text(encoding="utf-8"))
        self.weights = read_safetensors(place / "weights.safetensors")
        self.classes: list[str] = self.about["classes"]

    def outputs(self, x: Any) -> np.ndarray:
        """(n, classes) probabilities or scores, or (n,) numbers in units of the target, of several targets (n, k).

        Of several labels (n, k) probabilities.
        """
        h = prepare(x, self.about).astype(np.float64)
        h = (h - np.array(self.about["shift"])) / np.array(self.about["scale"])
        h = h.reshape(len(h), -1)
        for layer in self.about["layers"]:
            h = self._layer(h, **layer)
        if "label_classes" in self.about:
            return _sigmoid(h)
        if self.about["output"] == "probabilities":
            h = np.exp(h - h.max(1, keepdims=True))
            return h / h.sum(1, keepdims=True)
        if self.classes:
            return h
        h = h if "targets" in self.about else h[:, 0]
        return h * np.array(self.about["target_scale"]) + np.array(self.about["target_shift"])

    def _layer(
        self, h: np.ndarray, kind: str, name: str = "", groups: int = 1, factor: float = 1.0
    ) -> np.ndarray:
        def weight(leaf: str, default: float = 0.0) -> np.ndarray:
            return self.weights.get(f"params/{name}/{leaf}", np.array(default)).astype(np.float64)

        if kind == "dense":
            return h @ weight("kernel") + weight("bias")
        if kind == "batch_norm":
            mean, var = (self.weights[f"stats/{name}/{leaf}"].astype(np.float64) for leaf in ("mean", "var"))
            return (h - mean) / np.sqrt(var + _EPS) * weight("scale", 1.0) + weight("bias")
        if kind == "group_norm":
            parts = h.reshape(len(h), groups, -1)
            parts = parts - parts.mean(2, keepdims=True)
            parts = parts / np.sqrt((parts**2).mean(2, keepdims=True) + _EPS)
            return parts.reshape(h.shape) * weight("scale", 1.0) + weight("bias")
        return h * factor if kind == "factor" else _ACTIVATIONS[name](h)


def read_safetensors(file: Path) -> dict[str, np.ndarray]:
    """The arrays of a file: eight bytes with the length of a JSON header, the header, the arrays."""
    content = file.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:begin])
    header.pop("__metadata__", None)
    arrays = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        flat = np.frombuffer(content[begin + first : begin + last], _TYPES[entry["dtype"]])
        arrays[name] = flat.reshape(entry["shape"])
    return arrays


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(x, 0)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(-x, 0))


_ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "gelu": lambda x: x * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2))) / 2,
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "silu": lambda x: x * _sigmoid(x),
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "softplus": _softplus,
    "sigmoid": _sigmoid,
    "exp": np.exp,  # of a model of rates
}
