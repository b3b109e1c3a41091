"""Examples on their way to the device: all of them once, or the rows of the next batches again and again.

Either way a program gets arrays x and y and positions in them, so where the data lie changes no bit of a result:
the same rows are computed with in the same order, whatever stands beside them in x.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nnrun.training.mesh import Everywhere, put
from nnrun.training.order import PADDING
from nnrun.types import Examples

__all__ = ["Batches", "Feed", "Shaped", "begin", "block_bytes", "make_feed"]

Shaped = Array | jax.ShapeDtypeStruct  # an array, or its shape and type
Result = TypeVar("Result")

BLOCK = 64 << 20  # bytes of inputs that are streamed at a time, unless one batch needs more


class Batches(NamedTuple):
    """Successive batches as positions in arrays on the device."""

    x: Array  # (rows, *shape) as stored
    y: Array  # (rows,), or of several targets (rows, k); with weights one column more than targets
    positions: np.ndarray | Array  # (..., batches, size) int32; PADDING where a batch has no example


class Feed(NamedTuple):
    """A part of the data and how it comes to the device."""

    examples: Examples
    whole: tuple[Array, Array] | None  # all of it, there already; None: it is streamed
    place: Everywhere = None  # where arrays are put

    def together(self, size: int, most: int) -> int:
        """How many batches of `size` examples are handed over at a time, `most` at most."""
        if self.whole is not None:
            return most
        return int(np.clip(BLOCK // max(1, size * _width(self.examples)), 1, most))

    def like(self, rows: int) -> tuple[Shaped, Shaped]:
        """x and y as a program gets them, when at most this many rows are fetched at a time."""
        if self.whole is not None:
            return self.whole
        rows = min(rows, len(self.examples.y))
        x, y = (jax.ShapeDtypeStruct((rows, *part.shape[1:]), part.dtype) for part in self.examples)
        return x, y

    def fetch(self, positions: np.ndarray | Array) -> Batches:
        """The batches at these positions; as many positions, the same shapes."""
        if self.whole is not None:
            return Batches(*self.whole, positions)
        positions = np.asarray(positions)
        # Padding is computed with too, and thrown away: let it be the same row as where all rows are there.
        rows, where = np.unique(np.maximum(positions, 0), return_inverse=True)
        where = np.where(positions == PADDING, PADDING, where.reshape(positions.shape)).astype(np.int32)
        short = min(positions.size, len(self.examples.y)) - len(rows)
        rows = np.concatenate([rows, np.repeat(rows[-1:], short)])  # in the order of the file
        x, y = put((self.examples.x[rows], self.examples.y[rows]), self.place)
        return Batches(x, y, where)

    def windows(self, rows: int) -> Iterator[tuple[Array, Array, int]]:
        """All examples in order, streamed `rows` at a time: x, y and how many rows count; then zeros."""
        x, y = self.examples
        for start in range(0, len(y), rows):
            parts = [part[start : start + rows] for part in (x, y)]
            count = len(parts[0])
            filled = [np.pad(a, [(0, rows - count)] + [(0, 0)] * (a.ndim - 1)) for a in parts]
            yield *put(tuple(filled), self.place), count


def make_feed(
    examples: Examples, weights: np.ndarray | None = None, rows: int = 0, place: Everywhere = None
) -> Feed:
    """Puts the examples on the device, unless their inputs are to be streamed.

    weights   (n,) how much each counts in what is minimised: then y is (n, k + 1), targets and weights
    place     where they are put
    rows      on the device, zeros stand behind the examples up to this many: one program serves data of several sizes
    """
    if weights is not None:
        kind = jnp.zeros(()).dtype
        examples = examples._replace(y=np.column_stack([examples.y, weights]).astype(kind))
    if not isinstance(examples.x, np.ndarray):
        return Feed(examples, None, place)
    whole = put((_filled(examples.x, rows), _filled(examples.y, rows)), place)
    return Feed(examples, whole, place)


def _filled(part: np.ndarray, rows: int) -> np.ndarray:
    """With zeros behind, up to this many rows."""
    if len(part) >= rows:
        return part
    return np.concatenate([part, np.zeros((rows - len(part), *part.shape[1:]), part.dtype)])


def block_bytes(examples: Examples, size: int) -> int:
    """Memory that streaming takes: one block in use, one that was, one read ahead."""
    return 0 if isinstance(examples.x, np.ndarray) else 3 * max(BLOCK, size * _width(examples))


def _width(examples: Examples) -> int:
    """Bytes of one input."""
    return int(np.prod(examples.x.shape[1:], dtype=np.int64)) * examples.x.dtype.itemsize


def begin(work: Callable[..., Result], *arguments: object) -> Future[Result]:
    """Begins work(*arguments) in a thread that ends with it; what it raises comes with the result."""
    double = bool(jnp.zeros(()).dtype == jnp.float64)  # jax keeps this setting for each thread

    def run() -> Result:
        with jax.enable_x64(double):
            return work(*arguments)

    pool = ThreadPoolExecutor(1)
    future = pool.submit(run)
    pool.shutdown(wait=False)
    return future
