"""Examples on their way to the device: streamed ones are the same rows in the same order, a block at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnrun.build import checks
from nnrun.errors import MachineError
from nnrun.training import feed as feed_module
from nnrun.training import memory, order, reader
from nnrun.training.evaluate import make_held
from nnrun.training.feed import Feed, begin, block_bytes, make_feed
from nnrun.training.order import PADDING, positions, positions_of_all
from nnrun.training.reader import Reader
from nnrun.training.start import one_like
from nnrun.types import Examples, Experiment, Plan

X = np.random.default_rng(0).integers(0, 256, (103, 4, 2)).astype(np.uint8)
Y = np.arange(103, dtype=np.int32)
SIZE = 10  # of a batch: 80 bytes


class Watched:
    """Rows that note what is asked of them, and when; the damaged ones cannot be read."""

    def __init__(self, x: np.ndarray, damaged: tuple[int, ...] = ()) -> None:
        self.x, self.asked, self.damaged = x, [], damaged
        self.shape, self.dtype, self.ndim, self.nbytes = x.shape, x.dtype, x.ndim, x.nbytes

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Any) -> np.ndarray:
        self.asked.append(index)
        if np.isin(index, self.damaged).any():
            raise MachineError("set: cannot be read")
        return self.x[index]


def plan(steps: int, seeds: tuple[int, ...] = (3, 4)) -> Plan:
    rest = dict.fromkeys(Plan._fields)
    return Plan(**{**rest, "seeds": seeds, "steps": steps, "batch_size": SIZE})


@pytest.fixture(params=[80, 161, 400, 5000], ids=lambda block: f"{block} bytes")
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(feed_module, "BLOCK", request.param)
    return request.param


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-1, 102), min_size=1, max_size=150))
def test_a_fetch_holds_what_its_positions_say(chosen: list[int]) -> None:
    """And padding is the first row, as where all rows are there; shapes depend on the number of positions only."""
    watched = Watched(X)
    wanted = np.array(chosen, np.int32)
    x, y, found = Feed(Examples(watched, Y), None).fetch(wanted)
    np.testing.assert_array_equal(found == PADDING, wanted == PADDING)
    np.testing.assert_array_equal(np.asarray(x)[np.maximum(found, 0)], X[np.maximum(wanted, 0)])
    np.testing.assert_array_equal(np.asarray(y)[np.maximum(found, 0)], Y[np.maximum(wanted, 0)])
    assert x.shape == (min(len(chosen), 103), 4, 2)
    assert found.dtype == np.int32
    assert (np.diff(watched.asked[0]) >= 0).all()  # forwards, as the file lies


def test_in_memory_nothing_is_fetched() -> None:
    feed = make_feed(Examples(X, Y))
    wanted = positions(0, 103, SIZE, 0, 5)
    x, y, found = feed.fetch(wanted)
    assert found is wanted
    assert feed.whole is not None and x is feed.whole[0] and y is feed.whole[1]
    np.testing.assert_array_equal(x, X)


@pytest.mark.quick(3)
@pytest.mark.parametrize("seeds", [(3,), (3, 4)])
def test_a_reader_hands_out_the_order_of_every_seed(block: int, seeds: tuple[int, ...]) -> None:
    """From any step, in chunks of any length up to its reach; over the edges of blocks and epochs."""
    settled = plan(47, seeds)
    one = Reader(Feed(Examples(Watched(X), Y), None), settled, 6)
    whole = Reader(make_feed(Examples(X, Y)), settled, 6)
    assert whole.capacity == whole.reach(5) == 6
    assert one.capacity == max(1, min(6, block // (80 * len(seeds))))
    shapes = set()
    for start, most in [(0, 9), (0, 2), (13, 3), (46, 9)]:
        step = start
        while step < settled.steps:
            count = min(most, one.reach(step), settled.steps - step)
            x, y, found = one.batches(step, count)
            shapes.add((x.shape, found.shape))
            assert not x.shape[0] > len(seeds) * one.capacity * SIZE
            for lane, seed in enumerate(seeds):
                wanted = positions(seed, 103, SIZE, step, count)
                rows = found[lane, :count]
                np.testing.assert_array_equal(rows == PADDING, wanted == PADDING)
                np.testing.assert_array_equal(np.asarray(y)[np.maximum(rows, 0)], np.maximum(wanted, 0))
                np.testing.assert_array_equal(np.asarray(x)[np.maximum(rows, 0)], X[np.maximum(wanted, 0)])
            step += count
    assert len(shapes) == 1
    assert [shape.shape for shape in one.like()] == [next(iter(shapes))[0], next(iter(shapes))[0][:1]]


def test_one_block_is_read_ahead_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "BLOCK", 160)
    begun: list[int] = []

    def noted(work: Any, number: int) -> Future:
        begun.append(number)
        return begin(work, number)

    monkeypatch.setattr(reader, "begin", noted)
    one = Reader(Feed(Examples(Watched(X), Y), None), plan(9, (3,)), 512)
    one.batches(0, 1)
    assert begun == [0, 1]
    one.batches(1, 1)
    assert begun == [0, 1]
    one.batches(2, 2)
    assert begun == [0, 1, 2]
    one.batches(6, 1)  # from another place, as when a run continues
    assert begun == [0, 1, 2, 3, 4]
    one.batches(8, 1)  # the last block
    assert begun == [0, 1, 2, 3, 4]


def test_an_error_comes_when_its_block_is_wanted_and_no_thread_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "BLOCK", 160)
    before = set(threading.enumerate())
    third = tuple(positions(3, 103, SIZE, 4, 2).ravel())  # blocks are read at the same time, in any order
    one = Reader(Feed(Examples(Watched(X, third), Y), None), plan(9, (3,)), 512)
    one.batches(0, 2)
    one.batches(2, 2)
    with pytest.raises(MachineError, match="cannot be read"):
        one.batches(4, 2)
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("double", [False, True])
def test_work_in_the_background_has_the_precision_of_who_began_it(double: bool) -> None:
    with jax.enable_x64(double):
        assert begin(lambda: jnp.zeros(()).dtype).result() == (jnp.float64 if double else jnp.float32)


def test_streamed_parts_are_evaluated_in_the_same_batches(block: int) -> None:
    parts = [Examples(X, Y), Examples(X[:70], Y[:70])]
    held = make_held([part._replace(x=Watched(part.x)) for part in parts])
    whole = make_held(parts)
    assert held.size == whole.size == 128
    wide = make_held(
        [Examples(Watched(np.repeat(X, 3, 0)), np.repeat(Y, 3)), parts[1]._replace(x=Watched(X[:70]))]
    )
    assert wide.size == 128
    for made in (held, wide):
        assert made.rows % made.size == 0
        assert made.rows == made.size or made.rows * 8 <= block
        for part, feed in enumerate(made.feeds):
            pieces = list(made.pieces(part))
            assert [piece[4] for piece in pieces] == list(range(0, len(feed.examples.y), made.rows))
            assert {piece[0].shape for piece in pieces} == {made.like()[0].shape}
            y = np.concatenate([np.asarray(y)[start:stop] for _, y, start, stop, _ in pieces])
            np.testing.assert_array_equal(y, feed.examples.y)
            x = np.concatenate([np.asarray(x)[start:stop] for x, _, start, stop, _ in pieces])
            np.testing.assert_array_equal(x, feed.examples.x[:])
    [(_, y, start, stop, place)] = list(whole.pieces(1))
    assert place == 0
    np.testing.assert_array_equal(np.asarray(y)[start:stop], Y[:70])


def test_orders_are_remembered_up_to_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of 110 int32; what is forgotten comes back the same, and what is remembered is not made again."""
    made = []
    make = order._orders_of_epoch
    monkeypatch.setattr(order, "_orders_of_epoch", lambda place: made.append(place.seeds[0]) or make(place))
    monkeypatch.setattr(order, "_KEPT", 3 * 440)
    monkeypatch.setattr(order, "_memory", order._Memory())
    first = positions(0, 103, SIZE, 0, 11)
    for seed in (1, 2, 0, 3, 2, 0, 3, 1):
        positions(seed, 103, SIZE, 0, 11)
    assert made == [0, 1, 2, 3, 1]
    np.testing.assert_array_equal(positions(0, 103, SIZE, 0, 11), first)


def test_the_next_epoch_is_made_while_this_one_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    memory_of_orders = order._Memory()
    monkeypatch.setattr(order, "_memory", memory_of_orders)
    positions(5, 103, SIZE, 0, 11)
    assert [place.epoch for place in memory_of_orders._orders] == [0, 1]
    positions(5, 103, SIZE, 11, 11)
    assert [place.epoch for place in memory_of_orders._orders] == [0, 1, 2]


def test_many_seeds_have_the_orders_that_each_has_alone() -> None:
    """Also where threads share the work, and across the edge of an epoch."""
    together = positions_of_all(range(40), 103, SIZE, 7, 9)
    for seed in (0, 15, 16, 39):
        np.testing.assert_array_equal(together[seed], positions(seed, 103, SIZE, 7, 9))


def test_orders_are_those_of_the_raw_words() -> None:
    """The permutation of (seed, epoch) is the stable order of NumPy's raw Philox words: it must never change."""
    words = np.random.Philox(key=np.array([3, 2], np.uint64)).random_raw(103)
    expected = np.argsort(words, kind="stable")
    found = positions(3, 103, 10, 22, 11).reshape(-1)
    np.testing.assert_array_equal(found[:103], expected)
    assert (found[103:] == PADDING).all()


def test_what_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 4000)
    assert memory.room_for_data("auto") == 1000
    assert memory.room_for_data(False) == np.inf
    assert memory.room_for_data(True) < 0
    monkeypatch.setattr(memory, "free_memory", lambda: None)
    assert memory.room_for_data("auto") == np.inf
    monkeypatch.undo()
    monkeypatch.setattr(memory, "_host", lambda: 7)
    monkeypatch.setattr(memory, "_device", lambda: 5)
    assert memory.free_memory() == 5
    monkeypatch.setattr(memory, "_device", lambda: None)
    assert memory.free_memory() == 7


def test_streaming_takes_three_blocks(block: int) -> None:
    assert block_bytes(Examples(X, Y), SIZE) == 0
    assert block_bytes(Examples(Watched(X), Y), SIZE) == 3 * max(block, 80)


def test_what_does_not_fit_is_refused_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, experiment: Callable[..., Experiment]
) -> None:
    """1,797 digits of 64 bytes and their labels; of streamed ones the labels and three blocks."""
    monkeypatch.setattr(feed_module, "BLOCK", 10_000)
    sizes = {"false": 1797 * (64 + 4), "true": 1797 * 4 + 3 * 10_000}
    for stream, data in sizes.items():
        made = experiment("mlp", f"data.stream={stream}")
        like = one_like(made)
        arrays = jax.tree.leaves(like._replace(key=None))
        needed = data + 3 * sum(a.size * a.dtype.itemsize for a in arrays)
        monkeypatch.setattr(checks, "free_memory", lambda free=needed: free)
        checks.check_memory(made, like)
        monkeypatch.setattr(checks, "free_memory", lambda free=needed - 1: free)
        remedy = "data.stream: true" if stream == "false" else "a smaller data.batch_size"
        with pytest.raises(MachineError, match=f"fewer train.seeds or {remedy}$"):
            checks.check_memory(made, like)
