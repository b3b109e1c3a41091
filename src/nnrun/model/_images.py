"""Models of images."""

from __future__ import annotations

from nnrun.types import Layer

__all__ = ["images_only"]


def images_only(net: Layer) -> Layer:
    """The same model, which refuses other inputs than images before its layers do, in terms of the spec."""

    def init(key, x_shape):
        if len(x_shape) != 3:
            raise ValueError("it takes images (h, w, c) only; write model: {name: mlp, hidden: [128]}")
        return net.init(key, x_shape)

    return net._replace(init=init)
