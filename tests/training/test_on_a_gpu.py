"""What a GPU does in other ways than a CPU: steps in rows, orders made on the device. Both are run on a CPU here."""

from __future__ import annotations

import re

import jax
import numpy as np
import pytest

from nnrun.training import flat
from nnrun.training.chunks import chunks
from nnrun.training.order import PADDING, positions_of_all
from nnrun.training.order_on_device import DeviceOrders, OrderShape
from nnrun.training.programs import Programs, compile_programs

SEEDS = (0, 7, 2**32 - 1)


@pytest.fixture
def as_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")


@pytest.mark.parametrize("bootstrap", [False, True])
@pytest.mark.parametrize(
    ("examples", "batch_size", "length"), [(1258, 64, 64), (10, 3, 5), (5, 5, 1), (7, 10, 4), (40, 1, 64)]
)
def test_orders_of_the_device_are_those_of_the_host(examples, batch_size, length, bootstrap):
    """The host's words are NumPy's Philox, and its order a sort of NumPy."""
    orders = DeviceOrders(SEEDS, OrderShape(examples, batch_size, length, bootstrap))
    per_epoch = -(-examples // batch_size)
    for first, count in [(0, 1), (0, length), (1, length), (17, length), (3 * per_epoch - 1, min(2, length))]:
        of_device = np.asarray(orders.positions(first, count))
        of_host = positions_of_all(SEEDS, examples, batch_size, first, count, bootstrap)
        assert of_device.shape == (3, length, batch_size) and of_device.dtype == np.int32
        np.testing.assert_array_equal(of_device[:, :count], of_host)
        assert (of_device[:, count:] == PADDING).all()


def test_words_that_differ_nowhere_keep_their_order():
    """A stable sort of pairs needs no luck: all orders of 50,000 examples are permutations."""
    rows = np.asarray(DeviceOrders((3,), OrderShape(50_000, 500, 100, False)).positions(0, 100))
    np.testing.assert_array_equal(np.sort(rows.reshape(-1)), np.arange(50_000))


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_run_is_the_same(experiment, monkeypatch, seeds):
    """The numbers of the CPU's loop, to rounding: XLA may fuse the body of another loop in another way."""
    built = experiment("mlp", f"train.seeds={seeds}")
    state, rows = trained(compile_programs(built))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    programs = compile_programs(built)
    assert programs.stride == 13 and compile_programs(experiment("mlp", "train.devices=1")).stride == 13
    in_rows, rows_in_rows = trained(programs)
    np.testing.assert_allclose(rows_in_rows, rows, rtol=2e-5, atol=1e-6)
    for name, array in in_rows.items():
        np.testing.assert_allclose(array, state[name], rtol=2e-4, atol=2e-6, err_msg=name)


def trained(programs: Programs) -> tuple[dict[str, np.ndarray], np.ndarray]:
    logged, state = [], None
    for chunk in chunks(programs, programs.initial(), 0, programs.experiment.plan.steps):
        state = chunk.state
        logged.append(chunk.rows)
    return flat.flatten(state), np.concatenate(logged, axis=1)


@pytest.mark.usefixtures("as_a_gpu")
def test_where_chunks_end_changes_no_bit(experiment):
    """In rows, one by one, and rows with a rest."""
    programs = compile_programs(experiment("mlp"))
    assert programs.stride == 13
    ends = []
    for counts in ([13, 13], [26], [1] * 26, [20, 6], [6, 14, 6]):
        state, step, logged = programs.initial(), 0, []
        for count in counts:
            state, log = programs.advance(state, step, count)
            logged.append(programs.rows(log, count))
            step += count
        ends.append((flat.flatten(state), np.concatenate(logged, axis=1)))
    for arrays, rows in ends[1:]:
        np.testing.assert_array_equal(rows, ends[0][1])
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, ends[0][0][name], err_msg=name)


@pytest.mark.usefixtures("as_a_gpu")
@pytest.mark.parametrize(
    ("overrides", "stride"),
    [
        (["train.duration=48 steps", "train.evaluate_every=24 steps"], 12),
        (
            ["train.duration=100 steps", "train.evaluate_every=13 steps"],
            1,
        ),  # 100 and 13 have no divisor in common
        (["train.duration=48 steps", "train.evaluate_every=24 steps", "checkpoint.every=8 steps"], 8),
        (["data.stream=true"], 1),
    ],
)
def test_rows_end_where_chunks_have_to(experiment, overrides, stride):
    programs = compile_programs(experiment("mlp", *overrides))
    assert programs.stride == stride
    steps = [
        0,
        *(chunk.step for chunk in chunks(programs, programs.initial(), 0, programs.experiment.plan.steps)),
    ]
    assert not np.any(np.diff(steps) % stride)


@pytest.mark.usefixtures("as_a_gpu")
def test_no_answer_of_the_host_is_needed_in_a_row(experiment):
    """XLA knows how often a row goes round, which is what saves a GPU the wait after each step."""
    programs = compile_programs(experiment("mlp"))
    program = programs.chunk.compiled.as_text()  # type: ignore[attr-defined]
    assert "13" in re.findall(r'"known_trip_count":\{"n":"(\d+)"\}', program)


def test_on_a_cpu_the_loop_has_no_rows(experiment):
    assert compile_programs(experiment("mlp")).stride == 1
