"""The batches of a run in the order of its steps, the next ones read while the device works on these."""

from __future__ import annotations

from concurrent.futures import Future

import jax
import numpy as np

from nnrun.training.feed import Batches, Feed, Shaped, begin
from nnrun.training.order import PADDING, Classes, positions_of_all
from nnrun.training.order_on_device import DeviceOrders, OrderShape
from nnrun.types import Plan

__all__ = ["Reader"]


class Reader:
    """Hands out the batches of successive steps for every seed of a plan.

    capacity  most steps at a time

    Streamed data come in blocks of `capacity` steps whose edges are multiples of it.  A block is read in a thread
    of its own, so nothing is left running when nobody asks for more; two at most are held here.
    """

    def __init__(self, feed: Feed, plan: Plan, capacity: int) -> None:
        self.feed, self.plan = feed, plan
        self.capacity = feed.together(plan.batch_size * len(plan.seeds), capacity)
        self._blocks: dict[int, Future[Batches]] = {}
        y = feed.examples.y
        labels = y if y.ndim == 1 else y[:, 0]  # beside which stand the weights of the examples
        self._classes = Classes(labels) if plan.sampling == "balanced" else None
        self._device_orders = self._orders_on_device()

    def like(self) -> tuple[Shaped, Shaped]:
        """x and y of the batches, as shapes or arrays."""
        return self.feed.like(len(self.plan.seeds) * self.capacity * self.plan.batch_size)

    def reach(self, step: int) -> int:
        """For how many steps after `step` there are batches at once."""
        streamed = self.feed.whole is None
        return self.capacity - step % self.capacity if streamed else self.capacity

    def batches(self, first: int, count: int) -> Batches:
        """The batches of steps first .. first + count − 1; positions (seeds, capacity, batch_size), filled up.

        Raises MachineError where they cannot be read.
        """
        if self._device_orders is not None:
            return self.feed.fetch(self._device_orders.positions(first, count))
        if self.feed.whole is not None:
            return self.feed.fetch(self._filled(self._positions(first, count)))
        number, before = divmod(first, self.capacity)
        block = self._block(number)
        positions = np.asarray(block.positions)[:, before : before + count]
        return block._replace(positions=self._filled(positions))

    def _block(self, number: int) -> Batches:
        """A block of steps; the one after it is being read from now on."""
        last = (self.plan.steps - 1) // self.capacity
        numbers = range(number, min(number + 1, last) + 1)
        self._blocks = {n: self._blocks.get(n) or begin(self._read, n) for n in numbers}
        return self._blocks[number].result()

    def _read(self, number: int) -> Batches:
        """Always as many positions, so that x has the same shape in every block."""
        first = number * self.capacity
        positions = self._positions(first, min(self.capacity, self.plan.steps - first))
        return self.feed.fetch(self._filled(positions))

    def _positions(self, first: int, count: int) -> np.ndarray:
        """(seeds, count, batch_size): which examples each step trains on."""
        examples, plan = len(self.feed.examples.y), self.plan
        bootstrap = plan.sampling == "bootstrap"
        return positions_of_all(plan.seeds, examples, plan.batch_size, first, count, bootstrap, self._classes)

    def _orders_on_device(self) -> DeviceOrders | None:
        """Where a GPU has all data: the host would need longer for the orders of many nets than it for their steps."""
        plan = self.plan
        resident = self.feed.whole is not None and self.feed.place is None
        if jax.default_backend() != "gpu" or not resident or plan.sampling == "balanced":
            return None
        shape = OrderShape(
            len(self.feed.examples.y), plan.batch_size, self.capacity, plan.sampling == "bootstrap"
        )
        return DeviceOrders(plan.seeds, shape)

    def _filled(self, positions: np.ndarray) -> np.ndarray:
        """With steps behind that are not done."""
        return np.pad(
            positions, [(0, 0), (0, self.capacity - positions.shape[1]), (0, 0)], constant_values=PADDING
        )
