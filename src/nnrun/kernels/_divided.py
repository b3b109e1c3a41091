"""Kernels where several devices share a batch: each device computes with its own examples.

XLA cannot look into a compiled function: unless its partitioner is told how to divide it, every device gets all
examples and computes with all of them.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
from jax import Array, lax
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import Mesh, NamedSharding, PartitionSpec

__all__ = ["by_example"]

Shape = jax.ShapeDtypeStruct  # with its sharding
AxisNames = str | tuple[str, ...] | None  # of a mesh, along which examples are divided; None: they are not
Partition = tuple[Mesh, Callable[..., Array], NamedSharding, tuple[NamedSharding, ...]]


def by_example(call: Callable[..., Array], axes: str) -> Callable[..., Array]:
    """The same function of arrays, which a partitioner may divide.

    axes  a letter for each array and one for the result: n where the first axis is that of examples, i where
          there is none.  "ni -> n": x and a kernel make y.  A result without examples is a sum over them, and is
          added up over the devices: "nn -> i".
    """
    letters, of_result = axes.split(" -> ")
    is_sum = of_result == "i"

    def place(mesh: Mesh, letter: str, divided: AxisNames) -> NamedSharding:
        return NamedSharding(mesh, PartitionSpec(divided) if letter == "n" else PartitionSpec())

    def division(arrays: tuple[Shape, ...]) -> AxisNames:
        specs = [array.sharding.spec for array, letter in zip(arrays, letters, strict=True) if letter == "n"]
        return next((spec[0] for spec in specs if spec and spec[0]), None)

    def infer(mesh: Mesh, arrays: tuple[Shape, ...], result: Shape) -> NamedSharding:
        del result
        return place(mesh, of_result, division(arrays))

    def partition(mesh: Mesh, arrays: tuple[Shape, ...], result: Shape) -> Partition:
        del result
        divided = division(arrays)

        def part(*arrays: Array) -> Array:
            return lax.psum(call(*arrays), divided) if is_sum and divided else call(*arrays)

        places = tuple(place(mesh, letter, divided) for letter in letters)
        return mesh, part, place(mesh, of_result, divided), places

    def divisible(*arrays: Array) -> Array:
        function = custom_partitioning(call)
        ranks = [array.ndim for array in arrays], jax.eval_shape(call, *arrays).ndim
        function.def_partition(partition, infer, sharding_rule=_rule(letters, of_result, *ranks))
        return function(*arrays)

    return divisible


def _rule(letters: str, of_result: str, ranks: list[int], rank: int) -> str:
    """As in einsum, where only axes of examples belong together: "n a0 a1, b0 b1 -> n r0 r1"."""

    def axes(name: str, letter: str, rank: int) -> str:
        first = ["n"] if letter == "n" else []
        return " ".join([*first, *(f"{name}{i}" for i in range(rank - len(first)))])

    arrays = [axes(name, letter, rank) for name, letter, rank in zip("abc", letters, ranks, strict=False)]
    return f"{', '.join(arrays)} -> {axes('r', of_result, rank)}"
