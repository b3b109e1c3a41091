from __future__ import annotations

from nnrun.layer._compose import stateless
from nnrun.types import Layer

__all__ = ["global_average_pool"]


def global_average_pool() -> Layer:
    """Global average pooling: the mean of each channel.  Shapes: x (n, h, w, c) -> y (n, c).

    Source: Lin et al. 2014, "Network in network".
    """

    def shape(x_shape):
        if len(x_shape) != 3:
            raise ValueError(
                f"global_average_pool needs images (h, w, c), got {x_shape}; use it before dense"
            )
        return x_shape[2:]

    return stateless(lambda x: x.mean((1, 2)), shape)
